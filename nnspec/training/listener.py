"""Who hears what happens in a run: progress bars, loggers, and what users hand in are all listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnspec.training.result import Result

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """What came out of an epoch: the numbers of both parts, by metric, the losses first."""

    epoch: int
    """How many epochs are done."""
    step: int
    """How many steps are done."""
    train: Values
    validation: Values
    seconds: float
    samples_per_second: float
    lr: Values = field(default_factory=dict)
    """Learning rates after the epoch's last step: `lr`, or by update and group where there are several."""

    def values(self) -> dict[str, float]:
        """All numbers under the names that are shown and stored: `loss`, `val/loss`."""
        return dict(self.train) | {f"val/{name}": value for name, value in self.validation.items()}

    def __repr__(self) -> str:
        """In as many digits as one reads; `json` has all."""
        numbers = {**self.values(), **self.lr, "seconds": self.seconds}
        shown = ", ".join(f"{name}={value:.6g}" for name, value in numbers.items())
        return f"Row(epoch={self.epoch}, step={self.step}, {shown})"

    def json(self) -> dict[str, Any]:
        """As it is written into the run's directory; what is not finite is none."""
        speed = {"seconds": round(self.seconds, 4), "samples_per_second": round(self.samples_per_second, 1)}
        numbers = {name: value if isfinite(value) else None for name, value in self.values().items()}
        return {"epoch": self.epoch, "step": self.step, **numbers, **dict(self.lr), **speed}


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is within an epoch. Losses are of the last batch, by name."""

    epoch: int
    """The number of the epoch that is under way, from 1."""
    step: int
    """How many steps are done."""
    losses: Values
    lr: Values
    samples_per_second: float


def nothing() -> None:
    """What stops a run that is not running."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a run is going to do."""

    epochs: int
    steps_per_epoch: int
    steps: int
    batch_size: int
    headline: str = ""
    notes: tuple[str, ...] = ()
    directory: Path | None = None
    stop: Callable[[], None] = nothing
    """Ends the run after the step that it is in, as Ctrl-C does: everything is saved."""
    done: int = 0
    """Steps that were done before, by a run that this one goes on from."""


class Listener:
    """Hears what happens. Every method may be left as it is; what one raises ends the run.

    In a run of many processes only the first one has listeners.
    """

    every_step: bool = False
    """Whether `step` is called for each step; else some ten times a second at most, which costs nothing."""

    def start(self, outline: Outline) -> None:
        """A run begins."""

    def step(self, now: Step) -> None:
        """Steps were done."""

    def epoch(self, row: Row) -> None:
        """An epoch ended, and was validated."""

    def checkpoint(self, directory: Path) -> None:
        """A checkpoint is complete in that directory."""

    def finish(self, result: Result) -> None:
        """The run ended well: it is finished, or was stopped."""

    def close(self) -> None:
        """Nothing more will come, whether the run ended well or not."""


class Listeners(Listener):
    """Several as one: each hears everything, in order."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.listeners = tuple(listeners)
        self.every_step = any(listener.every_step for listener in self.listeners)

    def start(self, outline: Outline) -> None:
        for listener in self.listeners:
            listener.start(outline)

    def step(self, now: Step) -> None:
        for listener in self.listeners:
            listener.step(now)

    def epoch(self, row: Row) -> None:
        for listener in self.listeners:
            listener.epoch(row)

    def checkpoint(self, directory: Path) -> None:
        for listener in self.listeners:
            listener.checkpoint(directory)

    def finish(self, result: Result) -> None:
        for listener in self.listeners:
            listener.finish(result)

    def close(self) -> None:
        with ExitStack() as stack:  # all of them, whatever one of them raises
            for listener in reversed(self.listeners):
                stack.callback(listener.close)
