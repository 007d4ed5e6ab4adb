"""Schedules made of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.scheduler import Scheduler
from nnspec.training.schedulers.decays import rising


class _Combined(Scheduler):
    parts = ("schedulers",)

    def check(self) -> None:
        mine, parts = type(self).__name__, list(self.inner())
        if not parts:
            helps = (f"write {mine}([LinearLR(), ...], ...)",)
            raise SettingError(f"`{mine}` is made of schedulers, and there is none", at="schedulers", helps=helps)
        for at, part in parts:
            if part.watches:
                message = f"`{type(part).__name__}` goes by a number of each epoch, and cannot be a part of `{mine}`"
                raise SettingError(message, at=at, helps=("let it be the whole schedule",))


class SequentialLR(_Combined):
    """One schedule after the other: each begins at a milestone, and counts from there."""

    schedulers: tuple[Scheduler, ...] = arg(doc="the schedules, in order")
    milestones: tuple[int, ...] = arg(doc="after how many epochs (or steps) each but the first begins", ge=1)

    def check(self) -> None:
        super().check()
        for at, part in self.inner():
            if part.parts:
                message = f"torch cannot begin a `{type(part).__name__}` in a `SequentialLR`"
                helps = ("write its parts one after the other, with milestones of their own",)
                raise SettingError(message, at=at, helps=helps)
        count, wanted = len(self.milestones), len(self.schedulers) - 1
        if count != wanted:
            have = (_counted(self.schedulers, "scheduler"), _counted(self.milestones, "milestone"))
            message = f"`SequentialLR` has {have[0]} and {have[1]}"
            helps = (f"{wanted} {'are' if wanted != 1 else 'is'} needed: where each but the first begins",)
            raise SettingError(message, at="milestones", helps=helps)
        rising("milestones", self.milestones)

    def stretches(self, length: int) -> tuple[int, ...]:
        ends = [0, *self.milestones, max(length, (self.milestones or (0,))[-1] + 1)]
        return tuple(end - start for start, end in pairwise(ends))


class ChainedScheduler(_Combined):
    """Several schedules at once: each multiplies what the others make of the learning rate."""

    schedulers: tuple[Scheduler, ...] = arg(doc="the schedules")


def _counted(items: Sequence[object], word: str) -> str:
    return f"{len(items):,} {word}{'s' * (len(items) != 1)}"
