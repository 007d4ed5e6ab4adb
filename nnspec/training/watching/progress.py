"""What one sees of a run as plain lines: what it is going to do, a line for some of the epochs, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from nnspec.training.listener import Listener, Outline, Row
from nnspec.training.result import Result

_MOST_LINES = 20


class Ending(Listener):
    """Says how a run ended, and nothing before that."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def finish(self, result: Result) -> None:
        for line in ending(result):
            print(line, file=self.stream, flush=True)


class Lines(Listener):
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

    def print(self, line: str) -> None:
        """Write a line, at once."""
        print(line, file=self.stream, flush=True)


def epoch_line(row: Row, total: int) -> str:
    """`epoch  3/10  loss 0.2134  accuracy 0.9412  val/loss ...  8,120 samples/s`."""
    width = len(str(total))
    numbers = "  ".join(f"{name} {number(value)}" for name, value in row.values().items())
    return f"epoch {row.epoch:>{width}}/{total}  {numbers}  {row.samples_per_second:,.0f} samples/s"


def ending(result: Result) -> list[str]:
    """The best and the last epoch as a table, and a sentence."""
    rows = {"last": result.rows[-1]} if result.rows else {}
    if result.best is not None:
        rows = {"best": result.best} | (rows if result.best is not result.rows[-1] else {})
    how = {"finished": "finished", "interrupted": "stopped"}.get(result.status, result.status)
    where = f"; weights in {result.directory}" if result.directory is not None else ""
    return [*table(rows), f"{how} after {result.steps:,} steps in {result.seconds:.1f} s{where}"]


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
