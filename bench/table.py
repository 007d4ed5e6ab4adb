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
    def missed(self) -> bool:
        """Whether the ratio breaks its bound, and not by chance: all of its interval lies above."""
        return self.bound is not None and min((self.ratio, *(self.interval or ()))) > self.bound

    @property
    def verdict(self) -> str:
        """What is to be said of the bound; `unsure` asks for more rounds."""
        if self.bound is None:
            return ""
        return "MISSED" if self.missed else "ok" if self.ratio <= self.bound else "unsure"

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        interval = "" if self.interval is None else f"{_number(self.interval[0])} - {_number(self.interval[1])}"
        bound = "" if self.bound is None else f"<= {self.bound:g}"
        return self.ours, self.theirs, _number(self.ratio), interval, bound, self.verdict


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
