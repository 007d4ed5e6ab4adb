"""Schedules that go up and down: cosines, cycles, one cycle over a whole run."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer
from nnspec.training.scheduler import Scheduler
from nnspec.training.schedulers.decays import listed


class CosineAnnealingLR(Scheduler):
    """Takes the learning rate down to `eta_min` along half a cosine.

    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016 (arXiv:1608.03983).
    """

    T_max: int | None = arg(None, doc="how many epochs (or steps) it takes (none: all that there are)", ge=1)
    eta_min: float = arg(0.0, doc="the learning rate at the end", ge=0)

    def options(self, length: int) -> dict[str, Any]:
        return {"T_max": length} | super().options(length)


class CosineAnnealingWarmRestarts(Scheduler):
    """Takes the learning rate down along half a cosine, again and again.

    I. Loshchilov and F. Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016 (arXiv:1608.03983).
    """

    T_0: int = arg(doc="how many epochs (or steps) the first descent takes", ge=1)
    T_mult: int = arg(1, doc="how many times longer each takes than the one before", ge=1)
    eta_min: float = arg(0.0, doc="the learning rate at the end of each", ge=0)


class _Cycle(Scheduler):
    """The base of cycles, which take the momentum down where the learning rate goes up. They count steps."""

    unit = "step"
    sets_lr = True

    def check_optimizer(self, optimizer: Optimizer) -> None:
        if vars(self)["cycle_momentum"] and not {"momentum", "betas"} & optimizer.fields.keys():
            mine, its = type(self).__name__, type(optimizer).__name__
            message = f"`{mine}` changes the momentum as well, and `{its}` has neither `momentum` nor `betas`"
            raise SettingError(message, at="schedule", helps=(f"write {mine}(..., cycle_momentum=false)",))


class CyclicLR(_Cycle):
    """Takes the learning rate up and down between two values, step by step.

    L. Smith, Cyclical Learning Rates for Training Neural Networks, 2015 (arXiv:1506.01186).
    """

    by_group = ("base_lr", "max_lr", "base_momentum", "max_momentum")

    base_lr: float = arg(doc="the lower value", ge=0)
    max_lr: float = arg(doc="the upper value, before it is scaled", ge=0)
    step_size_up: int = arg(2000, doc="steps on the way up", ge=1)
    step_size_down: int | None = arg(None, doc="steps on the way down (none: as many)", ge=1)
    mode: Literal["triangular", "triangular2", "exp_range"] = arg(
        "triangular", doc="cycles of one height, half as high each time, or lower by gamma with each step"
    )
    gamma: float = arg(1.0, doc="for exp_range: what the height is multiplied by in each step", ge=0)
    scale_fn: tuple[float, ...] | None = arg(
        None,
        doc="the heights in the place of a mode: torch's function as the list of its values, the last of which stays",
    )
    scale_mode: Literal["cycle", "iterations"] = arg("cycle", doc="what scale_fn lists: cycles from 1, or steps from 0")
    cycle_momentum: bool = arg(
        True, doc="take the momentum (Adam: the first of betas) down as the learning rate goes up"
    )
    base_momentum: float = arg(0.8, doc="the lower value of the momentum", ge=0)
    max_momentum: float = arg(0.9, doc="the upper value of the momentum", ge=0)

    def check(self) -> None:
        if self.scale_fn == ():
            raise SettingError(
                "`scale_fn` is an empty list", at="scale_fn", helps=("write the heights, or leave it out",)
            )

    def options(self, length: int) -> dict[str, Any]:
        options = super().options(length)
        if self.scale_fn is None:
            return options
        of = listed(self.scale_fn)
        first = int(self.scale_mode == "cycle")
        return options | {"scale_fn": lambda count: of(int(count) - first)}


class OneCycleLR(_Cycle):
    """Takes the learning rate up to `max_lr` and down to almost nothing, once in a run, step by step.

    L. Smith and N. Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, 2017
    (arXiv:1708.07120). Torch's `epochs` and `steps_per_epoch` are the run's own.
    """

    by_group = ("max_lr", "base_momentum", "max_momentum")

    max_lr: float = arg(doc="the largest learning rate", gt=0)
    total_steps: int | None = arg(None, doc="how many steps it takes (none: all that there are)", ge=1)
    pct_start: float = arg(0.3, doc="share of the steps on the way up", ge=0, le=1)
    anneal_strategy: Literal["cos", "linear"] = arg("cos", doc="along a cosine, or a straight line")
    cycle_momentum: bool = arg(
        True, doc="take the momentum (Adam: the first of betas) down as the learning rate goes up"
    )
    base_momentum: float = arg(0.85, doc="the lower value of the momentum", ge=0)
    max_momentum: float = arg(0.95, doc="the upper value of the momentum", ge=0)
    div_factor: float = arg(25.0, doc="the first learning rate is max_lr divided by it", gt=0)
    final_div_factor: float = arg(1e4, doc="the last learning rate is the first one divided by it", gt=0)
    three_phase: bool = arg(False, doc="go down to the first learning rate as fast as up, and only then below it")

    def options(self, length: int) -> dict[str, Any]:
        total = length if self.total_steps is None else self.total_steps
        if total < length:
            message = f"`OneCycleLR` ends after {total:,} steps, and there are {length:,}"
            raise SettingError(message, at="schedule", helps=("leave out total_steps: it is taken from the run",))
        if self.pct_start * total == 1:  # the way up would end where it begins, and torch divides by its length
            message = f"the way up of `OneCycleLR` is a single step: {self.pct_start} of {total:,}"
            raise SettingError(message, at="schedule", helps=("give another pct_start: 0 has no way up at all",))
        return super().options(length) | {"total_steps": total}
