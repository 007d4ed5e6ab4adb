"""Schedules that wait for what comes out of the epochs."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.training.scheduler import Scheduler


class ReduceLROnPlateau(Scheduler):
    """Multiplies the learning rate by `factor` when a number has not become better for `patience` epochs."""

    unit = "epoch"
    watches = True
    by_group = ("min_lr",)

    mode: Literal["min", "max"] | None = arg(
        None, doc="whether less or more is better (none: as the metric says; of a loss, less)"
    )
    factor: float = arg(0.1, doc="what the learning rate is multiplied by", ge=0, lt=1)
    patience: int = arg(10, doc="how many epochs it waits", ge=0)
    threshold: float = arg(1e-4, doc="by how much a value must be better to count as such")
    threshold_mode: Literal["rel", "abs"] = arg("rel", doc="whether the threshold is a share of the best value")
    cooldown: int = arg(0, doc="epochs after a change that do not count as waiting", ge=0)
    min_lr: float = arg(0.0, doc="the learning rate is not made smaller than this", ge=0)
    eps: float = arg(1e-8, doc="a change smaller than this is not made", ge=0)
    monitor: str | None = arg(
        None, doc="the number: `loss`, `val/loss`, a metric (none: val/loss, or loss without validation)", keyword=True
    )

    def options(self, length: int) -> dict[str, Any]:
        return {name: value for name, value in super().options(length).items() if name not in ("mode", "monitor")}
