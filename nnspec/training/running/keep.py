"""Decides when a checkpoint is written, and which ones are kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnspec.training.listener import Row
from nnspec.training.processes.world import ALONE, World
from nnspec.training.running.judge import Best, Judge
from nnspec.training.runs.checkpoint import Checkpoints, Snapshot, name_of

SHORTEST = 10.0
"""Seconds between checkpoints of epochs; what is better in between is kept in memory: short epochs would only write."""
LONGEST = 300.0
"""Seconds without a checkpoint, after which one is written in the middle of an epoch."""


def _nobody(place: Path) -> None:
    """Hears of a checkpoint, and does nothing."""


_ASK_EVERY = 16
"""Steps between questions that all processes must answer together."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When to write: every so many steps, or (None) at ends of epochs and whenever it has been long."""

    every: int | None = None
    keep: int = 3


class Keeper:
    """Follows a run. Of several processes all ask it, and together; the main one has the checkpoints."""

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        capture: Callable[[], Snapshot],
        policy: Policy,
        judge: Judge,
        told: Callable[[Path], None],
        world: World = ALONE,
    ) -> None:
        self.best = Best(judge)
        self._checkpoints = checkpoints
        self._keeps = world.decided(checkpoints is not None)
        self._capture = capture
        self._policy = policy
        self._told = told
        self._world = world
        self._best_name: str | None = None
        self._waiting: Snapshot | None = None
        self._written = -1
        self._at = time.monotonic()

    @property
    def last(self) -> Path | None:
        """The last checkpoint that is on disk."""
        names = [] if self._checkpoints is None else self._checkpoints.names()
        return self._checkpoints.folder / names[-1] if self._checkpoints is not None and names else None

    def begin(self, step: int) -> None:
        """Before the first step: from now on there is a checkpoint at all times. What was there after it, is not."""
        if not self._keeps:
            return
        if self._checkpoints is not None:
            self._checkpoints.forget_after(step)
        there = self._world.decided(self._checkpoints.names() if self._checkpoints is not None else [])
        if name_of(step) in there:
            self._written = step
        # Not by the index, which is older than the checkpoints where a run was killed between the two.
        if self.best.row is not None and name_of(self.best.row.step) in there:
            self._best_name = name_of(self.best.row.step)
        else:
            self.best.row = None  # its checkpoint went when a better one came, in the future that is given up
        told, self._told = self._told, _nobody
        self.write()  # listeners have not heard of the run yet
        self._told = told

    def step(self, step: int) -> None:
        """A step is done."""
        if self._keeps and self._due(step):
            self.write()

    def _due(self, step: int) -> bool:
        every = self._policy.every
        if every is not None:
            return step % every == 0
        if self._world.size == 1:
            return time.monotonic() - self._at > LONGEST
        return step % _ASK_EVERY == 0 and bool(self._world.decided(time.monotonic() - self._at > LONGEST))

    def epoch(self, row: Row) -> None:
        """An epoch is done and validated, and the model has its weights."""
        if self.best.see(row) and self._keeps:
            self._waiting = self._capture()
        if self._keeps and self._epoch_due(row.step):
            self.write()

    def _epoch_due(self, step: int) -> bool:
        every = self._policy.every
        if every is not None:
            return step % every == 0
        return bool(self._world.decided(time.monotonic() - self._at > SHORTEST))

    def write(self) -> None:
        """Write the present state, and the best one if it is not on disk yet."""
        if not self._keeps:
            return
        self.write_best()
        now = self._capture()
        if now.step != self._written:
            self._write(now)
        if self._checkpoints is not None:
            self._checkpoints.point(now.name, self._best_name)
        self._at = time.monotonic()

    def write_best(self) -> None:
        """Write the best state if it is not on disk yet."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        self._write(waiting)
        self._best_name = waiting.name
        if self._checkpoints is not None:
            self._checkpoints.point(waiting.name, self._best_name)

    def _write(self, snapshot: Snapshot) -> None:
        self._written = snapshot.step
        if self._checkpoints is not None:
            self._told(self._checkpoints.write(snapshot))
