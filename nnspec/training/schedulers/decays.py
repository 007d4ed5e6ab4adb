"""Schedules that multiply the learning rate by factors: at milestones, on the way to an end, or as a list says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.scheduler import Scheduler

_GAMMA = "what the learning rate is multiplied by"


def rising(name: str, numbers: tuple[int, ...]) -> None:
    """Raise `SettingError` unless each number is larger than the one before it."""
    for before, after in pairwise(numbers):
        if after <= before:
            message = f"`{name}` must rise, and {after:,} comes after {before:,}"
            helps = (f"write {name}=[{', '.join(map(str, sorted(set(numbers))))}]",)
            raise SettingError(message, at=name, helps=helps)


def listed(values: float | tuple[float, ...]) -> Callable[[int], float]:
    """A list as the function that torch asks for; the last value stays."""
    table = values if isinstance(values, tuple) else (values,)
    last = len(table) - 1
    return lambda count: table[min(count, last)]


class StepLR(Scheduler):
    """Multiplies the learning rate by `gamma` every `step_size` epochs (or steps)."""

    step_size: int = arg(doc="how often", ge=1)
    gamma: float = arg(0.1, doc=_GAMMA, ge=0)


class MultiStepLR(Scheduler):
    """Multiplies the learning rate by `gamma` at each of the milestones."""

    milestones: tuple[int, ...] = arg(doc="after how many epochs (or steps)", ge=1)
    gamma: float = arg(0.1, doc=_GAMMA, ge=0)

    def check(self) -> None:
        rising("milestones", self.milestones)


class ConstantLR(Scheduler):
    """Multiplies the learning rate by `factor` until `total_iters` epochs (or steps) are done."""

    factor: float = arg(1.0 / 3, doc="what it is multiplied by until then", ge=0, le=1)
    total_iters: int = arg(5, doc="after how many epochs (or steps) it is itself again", ge=1)


class LinearLR(Scheduler):
    """Multiplies the learning rate by a factor that goes from one value to another in a straight line: a warm-up."""

    start_factor: float = arg(1.0 / 3, doc="the factor at the start", gt=0, le=1)
    end_factor: float = arg(1.0, doc="the factor at the end, and from there on", ge=0, le=1)
    total_iters: int = arg(5, doc="how many epochs (or steps) it takes", ge=1)


class ExponentialLR(Scheduler):
    """Multiplies the learning rate by `gamma` in each epoch (or step)."""

    gamma: float = arg(doc=_GAMMA, ge=0)


class PolynomialLR(Scheduler):
    """Takes the learning rate to zero along a power of the time that is left."""

    total_iters: int = arg(5, doc="how many epochs (or steps) it takes", ge=1)
    power: float = arg(1.0, doc="the power", ge=0)


class _Listed(Scheduler):
    """The base of schedules by a function of time, which a spec has as the list of its values."""

    by_group = ("lr_lambda",)

    def check(self) -> None:
        if vars(self)["lr_lambda"] == ():
            helps = ("write a list, such as lr_lambda=[0.95 ** t for t in range(100)]",)
            raise SettingError("`lr_lambda` is an empty list", at="lr_lambda", helps=helps)

    def options(self, length: int) -> dict[str, Any]:
        return {"lr_lambda": listed(vars(self)["lr_lambda"])}


class LambdaLR(_Listed):
    """Multiplies the first learning rate by a factor of its own in each epoch (or step).

    Torch's `lr_lambda` is a function of how many are done, from 0. Here it is the list of that function's values, of
    which the last stays: `LambdaLR([min(1.0, (t + 1) / 500) for t in range(500)])` is a warm-up. A lone number is a
    function that is always that.
    """

    lr_lambda: float | tuple[float, ...] = arg(doc="the factors, the first for the first epoch (or step)")


class MultiplicativeLR(_Listed):
    """Multiplies the learning rate in each epoch (or step) by a factor, which stays multiplied.

    `lr_lambda` is as for `LambdaLR`. Torch asks its function from the second epoch on, and so the first value counts
    for nothing.
    """

    lr_lambda: float | tuple[float, ...] = arg(
        doc="the factors: one for all, or by how many epochs (or steps) are done"
    )
