"""Averages of the weights over a training."""

from __future__ import annotations

from typing import Literal

from nnspec.arguments import arg
from nnspec.training.average import Average
from nnspec.training.fault import SettingError


class EMA(Average):
    """A running average: after each step it keeps `decay` of itself, and takes the rest from the weights.

    It begins with the weights after the first step. Buffers (running means of batch norms) are those of the model.
    """

    decay: float = arg(0.999, doc="how much of the average is kept each step", ge=0, le=1)


class SWA(Average):
    """The mean of the weights at the ends of the last epochs (stochastic weight averaging).

    Batch norms get the statistics that the averaged weights have on the training data: once through all of it, whenever
    the average is validated or used. P. Izmailov and others, Averaging Weights Leads to Wider Optima and Better
    Generalization, 2018 (arXiv:1803.05407).
    """

    swa_lr: float | None = arg(
        None,
        doc="the learning rate that these epochs come to, in the place of the schedule's (none: the schedule goes on)",
        gt=0,
    )
    start: int | float = arg(0.75, doc="how many epochs come before, or (below 1.0) which share of them", ge=0)
    anneal_epochs: int = arg(10, doc="how many epochs it takes to come to swa_lr", ge=0)
    anneal_strategy: Literal["cos", "linear"] = arg("cos", doc="along a cosine, or a straight line")

    def check(self) -> None:
        if isinstance(self.start, float) and self.start >= 1:
            message = f"`start` is {self.start}: a number with a point is a share of the epochs, and must be below 1"
            raise SettingError(message, at="start", helps=(f"write start={int(self.start)} for epochs",))

    def check_length(self, epochs: int) -> None:
        start = self.first(epochs)
        if start >= epochs:
            message = f"`SWA` averages after {start:,} epochs, and the run has {epochs:,}"
            raise SettingError(message, at="start", helps=("leave out start: it is three quarters of the run then",))

    def first(self, epochs: int) -> int:
        """How many of a run's epochs come before those that are averaged."""
        return int(self.start * epochs) if isinstance(self.start, float) else self.start
