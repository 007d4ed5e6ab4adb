"""What a schedule is: torch's arguments as typed fields, and how the learning rate goes by them.

Adding one is adding a class to a file in `nnspec/training/schedulers`; torch's object is made of it in
`nnspec.training.updating.schedule`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from nnspec import ir, registry
from nnspec.arguments import Arguments
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer

Unit = Literal["step", "epoch"]


class Scheduler(Arguments):
    """A class of `torch.optim.lr_scheduler`: it and its arguments are spelled, and default, as there.

    Less `last_epoch`, which resuming is for. Counts are in the schedule's unit, steps or epochs.
    """

    unit: ClassVar[Unit | None] = None
    """The unit that it insists on."""

    watches: ClassVar[bool] = False
    """Whether it goes by a number that comes out of each epoch."""

    sets_lr: ClassVar[bool] = False
    """Whether it says the learning rates itself, so that those of the optimizer mean nothing."""

    by_group: ClassVar[tuple[str, ...]] = ()
    """Arguments that `params PATTERN { ... }` may give for its parameters alone."""

    parts: ClassVar[tuple[str, ...]] = ()
    """Arguments that are schedules."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""

    def check_optimizer(self, optimizer: Optimizer) -> None:
        """Raise `SettingError` for an optimizer that it cannot be a schedule of."""
        for _, part in self.inner():
            part.check_optimizer(optimizer)

    def inner(self) -> Iterator[tuple[str, Scheduler]]:
        """The schedules that this one is made of, each with the argument that it stands in."""
        for name in self.parts:
            for number, record in enumerate(vars(self)[name]):
                yield f"{name}.{number}", scheduler(record)

    def everything(self) -> Iterator[Scheduler]:
        """This schedule, and all within it."""
        yield self
        for _, part in self.inner():
            yield from part.everything()

    def stretches(self, length: int) -> tuple[int, ...]:
        """How long each of its parts lasts in a run of that length."""
        return tuple(length for _ in self.inner())

    def options(self, length: int) -> dict[str, Any]:
        """Keyword arguments of torch's class for a run, or a part of one, that has so many steps or epochs.

        Raises `SettingError` for a length that it is not for. Parts are left to the caller.
        """
        return {name: value for name, value in self.given() if name not in self.parts}


def scheduler(record: ir.Record) -> Scheduler:
    """The schedule that a record describes."""
    cls = registry.find("scheduler", record.name)
    assert cls is not None, f"there is no scheduler {record.name}"
    found: Scheduler = cls(**record.arguments)
    return found


def unit_of(schedule: Scheduler, settings: Mapping[str, Any]) -> Unit:
    """What a schedule counts: what its classes insist on, or what is said, or the unit of the run's length.

    Raises `SettingError` where these do not go together.
    """
    insists = [each for each in schedule.everything() if each.unit is not None]
    said: Unit | None = settings.get("schedule_unit")
    for each in insists:
        name, unit = type(each).__name__, each.unit
        if said not in (None, unit):
            message = f"`{name}` counts {unit}s, and schedule_unit says {said}s"
            raise SettingError(message, at="schedule_unit", helps=(f'write schedule_unit = "{unit}", or leave it out',))
        if unit != insists[0].unit:
            other = type(insists[0]).__name__
            message = f"`{other}` counts {insists[0].unit}s and `{name}` {unit}s: they cannot be one schedule"
            raise SettingError(message, at="schedule", helps=("leave out one of the two",))
    if insists:
        return insists[0].unit or "step"
    return said or ("epoch" if settings.get("epochs") is not None else "step")
