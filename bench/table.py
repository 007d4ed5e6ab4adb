"""Rows of ratios, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.measure import Samples, ratio


class Row(NamedTuple):
    """A ratio, the interval around it where it has one, and the most that it may be where there is a bound."""

    ours: str
    theirs: str
    ratio: float
    interval: tuple[float, float] | None = None
    bound: float | None = None

    @property
    def held(self) -> bool:
        """Whether the ratio keeps its bound."""
        return self.bound is None or self.ratio <= self.bound

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        interval = "" if self.interval is None else f"{_number(self.interval[0])} - {_number(self.interval[1])}"
        bound = "" if self.bound is None else f"<= {self.bound:g}"
        verdict = "" if self.bound is None else ("ok" if self.held else "MISSED")
        return self.ours, self.theirs, _number(self.ratio), interval, bound, verdict


HEAD = ("this", "against", "ratio", "95 % of resamples", "bound", "")


def row(taken: Samples, ours: str, theirs: str, bound: float | None = None) -> Row:
    """The row of two series of samples."""
    middle, low, high = ratio(taken, ours, theirs)
    return Row(ours, theirs, middle, (low, high), bound)


def table(rows: Sequence[Row]) -> str:
    """Rows under a head, in columns."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"
