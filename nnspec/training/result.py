"""How a run ended, as a plain object."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nnspec.training.listener import Row

Status = Literal["finished", "interrupted", "stopped early"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    status: Status
    epochs: int
    steps: int
    seconds: float
    rows: tuple[Row, ...] = field(repr=False)
    best: Row | None
    directory: Path | None

    def json(self) -> dict[str, Any]:
        """As it is written into `result.json`."""
        last = self.rows[-1].json() if self.rows else None
        best = self.best.json() if self.best else None
        numbers = {"epochs": self.epochs, "steps": self.steps, "seconds": round(self.seconds, 3)}
        return {"status": self.status, **numbers, "best": best, "last": last}
