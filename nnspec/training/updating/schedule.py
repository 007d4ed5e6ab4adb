"""A schedule at work: torch's own objects, one for each optimizer, moved by steps or by epochs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch.optim import lr_scheduler
from torch.optim.swa_utils import SWALR

from nnspec.training.averages import SWA
from nnspec.training.fault import SettingError
from nnspec.training.scheduler import Scheduler, Unit
from nnspec.training.schedulers.combined import ChainedScheduler
from nnspec.training.schedulers.plateau import ReduceLROnPlateau
from nnspec.training.updating.groups import Chosen

Trained = tuple[Chosen, torch.optim.Optimizer]

_INNER = "_schedulers"
"""Where torch has the schedulers that a scheduler is made of."""


class Schedule:
    """Moves the learning rates of optimizers, until an average of the weights takes over, if it has a say in them.

    After the last step of a run, or its last epoch, nothing moves: not every schedule says what comes then.
    """

    def __init__(
        self,
        described: Scheduler | None,
        unit: Unit,
        trained: Sequence[Trained],
        length: Mapping[Unit, int],
        average: SWA | None = None,
        rising: Collection[str] = (),
    ) -> None:
        """`length`: of the run, in both units. Of the metrics that are `rising`, more is better."""
        self.by_step = described is not None and unit == "step"
        self._unit: Unit = unit
        self._length = length
        self._watched = described if isinstance(described, ReduceLROnPlateau) else None
        self._made: list[Any] = []
        if described is not None:
            _check(described, trained)
            self._made = [_made(described, *each, length[unit], rising) for each in trained]
        self._late: list[Any] = []
        self._start = length["epoch"]
        if average is not None and average.swa_lr is not None:
            late = average.swa_lr, average.anneal_epochs, average.anneal_strategy
            self._late = [SWALR(optimizer, *late) for _, optimizer in trained]
            self._start = average.first(length["epoch"])
        self._done: dict[Unit, int] = {"step": 0, "epoch": 0}
        self._moves = 0
        self._all = (*self._made, *self._late)
        self._fresh = deepcopy([made.state_dict() for made in self._all])
        options = [[_options(group) for group in optimizer.param_groups] for _, optimizer in trained]
        text = repr((described, average, self._fresh, options))
        self.begins = hashlib.sha256(text.encode()).hexdigest()
        """What it is before the first step, for comparison: the schedule, and the learning rates that it moves."""

    def step(self) -> None:
        """A step was made; to be called only where it goes `by_step`."""
        self._done["step"] += 1
        if self._done["epoch"] < self._start:
            self._move({})

    def epoch(self, values: Mapping[str, float]) -> None:
        """An epoch is over, and these are its numbers."""
        self._done["epoch"] += 1
        if self._done["epoch"] <= self._start:
            if self._unit == "epoch":
                self._move(values)
        elif self._done["epoch"] < self._length["epoch"]:
            for late in self._late:
                late.step()

    def _move(self, values: Mapping[str, float]) -> None:
        if self._done[self._unit] >= self._length[self._unit]:
            return
        self._moves += 1
        if self._watched is not None:
            number = watched(self._watched.monitor, values)
            for made in self._made:
                made.step(number)
        else:
            for made in self._made:
                made.step()

    def state_dict(self) -> dict[str, Any]:
        """Where it is: plain values, and only those that have changed since it began."""
        now = [made.state_dict() for made in self._all]
        changed = [_changes(fresh, state) for fresh, state in zip(self._fresh, now, strict=True)]
        return {"begins": self.begins, "done": dict(self._done), "moves": self._moves, "schedulers": changed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there. Another schedule than the one that was stored is taken to where it would be by now."""
        for made in self._all:
            made.optimizer._opt_called = True
        if state["begins"] != self.begins:
            self._catch_up(state["done"])
            return
        self._done |= state["done"]
        self._moves = state["moves"]
        for made, fresh, changes in zip(self._all, self._fresh, state["schedulers"], strict=True):
            made.load_state_dict(_changed(deepcopy(fresh), changes))

    def _catch_up(self, done: Mapping[Unit, int]) -> None:
        """What goes by the numbers of epochs begins anew: they are not known any more."""
        steps, epochs = done["step"], done["epoch"]
        each = -(-self._length["step"] // self._length["epoch"])
        for epoch in range(epochs):
            if self.by_step:
                for _ in range(min(each, steps - epoch * each)):
                    self.step()
            if self._watched is None:
                self.epoch({})
        while self.by_step and self._done["step"] < steps:
            self.step()
        self._done |= done


def watched(monitor: str | None, values: Mapping[str, float]) -> float:
    """The number that a schedule goes by, of those that an epoch has."""
    name = monitor or ("val/loss" if "val/loss" in values else "loss")
    if name not in values:
        there = ", ".join(f"`{each}`" for each in values)
        message = f"the schedule goes by `{name}`, and an epoch has no such number"
        raise SettingError(message, at="schedule", notes=(f"there are {there}",))
    return values[name]


def _made(
    described: Scheduler, chosen: Chosen, optimizer: torch.optim.Optimizer, length: int, rising: Collection[str]
) -> Any:
    """Torch's object of a schedule that lasts so long."""
    parts = zip(described.inner(), described.stretches(length), strict=True)
    inner = [_made(part, chosen, optimizer, stretch, rising) for (_, part), stretch in parts]
    options = described.options(length) | _by_group(described, chosen)
    cls = getattr(lr_scheduler, type(described).__name__)
    if isinstance(described, ReduceLROnPlateau):
        up = (described.monitor or "").removeprefix("val/") in rising
        options["mode"] = described.mode or ("max" if up else "min")
    if isinstance(described, ChainedScheduler):
        return cls(inner)
    return cls(optimizer, inner, **options) if inner else cls(optimizer, **options)


def _by_group(described: Scheduler, chosen: Chosen) -> dict[str, Any]:
    """Arguments of which some group has a value of its own: lists, one for each group."""
    said = {name for group in chosen.groups for name in group.arguments if name in described.by_group}
    options = {}
    for name in said:
        values = [group.arguments.get(name, vars(described)[name]) for group in chosen.groups]
        options[name] = [described.replace(**{name: value}).options(1)[name] for value in values]
    return options


def _check(described: Scheduler, trained: Sequence[Trained]) -> None:
    """Refuse optimizers that a schedule is not for, and learning rates that would mean nothing beside it."""
    setter = next((each for each in described.everything() if each.sets_lr), None)
    for chosen, _ in trained:
        described.check_optimizer(chosen.optimizer)
        for group in chosen.groups:
            if setter is not None and "lr" in group.arguments:
                name = type(setter).__name__
                message = f"`{name}` says the learning rates, and so does `params {group.label}`"
                helps = (f"write `max_lr` in the place of `lr` there: it is `{name}`'s for these parameters",)
                raise SettingError(message, at="schedule", helps=helps)


def _changes(before: Any, after: Mapping[str, Any]) -> dict[str, Any]:
    """What of a scheduler's state is no longer as it was when it was made, those within it included."""
    found = {name: value for name, value in after.items() if name != _INNER and value != before[name]}
    if _INNER in after:
        found[_INNER] = [_changes(a, b) for a, b in zip(before[_INNER], after[_INNER], strict=True)]
    return found


def _changed(fresh: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's state again."""
    inner = [_changed(a, b) for a, b in zip(fresh.get(_INNER, ()), changes.get(_INNER, ()), strict=True)]
    return fresh | dict(changes) | ({_INNER: inner} if inner else {})


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group of parameters, without these."""
    return {name: value for name, value in group.items() if name != "params"}
