"""What one sees of a run: a line for each epoch, a live bar on a terminal, and a table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TextIO

_MOST_LINES = 20

Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """What came out of an epoch: means over all samples of a part, by metric, the loss first."""

    epoch: int
    step: int
    train: Values
    validation: Values
    seconds: float
    samples_per_second: float

    def values(self) -> dict[str, float]:
        """All numbers under the names that are shown and stored: `loss`, `val/loss`."""
        return dict(self.train) | {f"val/{name}": value for name, value in self.validation.items()}

    def json(self) -> dict[str, Any]:
        """As it is written into the history."""
        speed = {"seconds": round(self.seconds, 4), "samples_per_second": round(self.samples_per_second, 1)}
        numbers = {name: value if isfinite(value) else None for name, value in self.values().items()}
        return {"epoch": self.epoch, "step": self.step, **numbers, **speed}


@dataclass(frozen=True, slots=True)
class Outline:
    """What a run is going to do."""

    epochs: int
    steps_per_epoch: int
    steps: int
    batch_size: int
    headline: str = ""
    notes: tuple[str, ...] = field(default=())


class Progress:
    """Hears what happens; this one keeps it to itself, which is what `--quiet` does."""

    def start(self, outline: Outline) -> None:
        """A run begins."""

    def step(self, epoch: int, step: int, loss: float, samples_per_second: float) -> None:
        """Steps were done (called a few times a second at most)."""

    def epoch(self, row: Row) -> None:
        """An epoch ended."""

    def finish(self, rows: Mapping[str, Row], remark: str) -> None:
        """The run ended: the best and the last row, and a sentence."""

    def close(self) -> None:
        """Nothing more will come, whether the run ended well or not."""


class Lines(Progress):
    """Plain lines, some twenty at most however many epochs there are."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.outline = Outline(0, 0, 0, 0)

    def start(self, outline: Outline) -> None:
        self.outline = outline
        for line in (outline.headline, *(f"note: {note}" for note in outline.notes)):
            if line:
                self.print(line)

    def epoch(self, row: Row) -> None:
        total = self.outline.epochs
        every = -(-total // _MOST_LINES)
        if row.epoch % every == 0 or row.epoch in (1, total):
            self.print(epoch_line(row, total))

    def finish(self, rows: Mapping[str, Row], remark: str) -> None:
        for line in table(rows):
            self.print(line)
        self.print(remark)

    def print(self, line: str) -> None:
        """Write a line, at once."""
        print(line, file=self.stream, flush=True)


def epoch_line(row: Row, total: int) -> str:
    """`epoch  3/10  loss 0.2134  accuracy 0.9412  val/loss ...  8,120 samples/s`."""
    width = len(str(total))
    numbers = "  ".join(f"{name} {number(value)}" for name, value in row.values().items())
    return f"epoch {row.epoch:>{width}}/{total}  {numbers}  {row.samples_per_second:,.0f} samples/s"


def table(rows: Mapping[str, Row]) -> list[str]:
    """Rows under each other, with their metrics as columns."""
    if not rows:
        return []
    names = list(next(iter(rows.values())).values())
    lines = [["", "epoch", *names]]
    for title, row in rows.items():
        values = row.values()
        lines.append([title, str(row.epoch), *(number(values[name]) for name in names)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def number(value: float) -> str:
    """Four digits, in six or seven characters where the size allows it."""
    if 0.001 <= abs(value) < 100 or value == 0:
        return f"{value:.4f}"
    return f"{value:.3e}" if abs(value) < 1 else f"{value:.5g}"
