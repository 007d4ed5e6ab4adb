"""Which epoch was the best, and whether it is worth going on."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Any

from nnspec.training.listener import Row


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares epochs by one of their numbers; None: by the loss, on the validation part if there is one."""

    name: str | None = None
    higher_is_better: bool = False

    def value(self, row: Row) -> float | None:
        """What a row is judged by; None if it has no such number, or one that is none."""
        values = row.values()
        names = (self.name,) if self.name is not None else ("val/loss",) if row.validation else ("loss",)
        value = values.get(names[0])
        return None if value is None or isnan(value) else value

    def better(self, value: float, than: float) -> bool:
        """Whether the one is better than the other."""
        return value > than if self.higher_is_better else value < than


@dataclass
class Best:
    """The best epoch so far."""

    judge: Judge
    row: Row | None = None

    def see(self, row: Row) -> bool:
        """Whether this row is better than all before; it is then the best."""
        value = self.judge.value(row)
        if value is None or not isfinite(value):
            return False
        known = None if self.row is None else self.judge.value(self.row)
        if known is not None and not self.judge.better(value, known):
            return False
        self.row = row
        return True


@dataclass
class Patience:
    """Ends a run that has not become better, by `min_delta` at least, for so many epochs."""

    judge: Judge
    patience: int
    min_delta: float = 0.0
    state: dict[str, Any] = field(default_factory=lambda: {"waited": 0, "best": None})

    def exhausted(self, row: Row) -> bool:
        """Whether this row is one too many."""
        value, best = self.judge.value(row), self.state["best"]
        delta = self.min_delta if self.judge.higher_is_better else -self.min_delta
        if value is not None and isfinite(value) and (best is None or self.judge.better(value, best + delta)):
            self.state.update(best=value, waited=0)
        else:
            self.state["waited"] += 1
        return self.over

    @property
    def over(self) -> bool:
        """Whether it has waited long enough."""
        return bool(self.state["waited"] >= self.patience)
