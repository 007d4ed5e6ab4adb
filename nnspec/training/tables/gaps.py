"""Missing values in a table: rows are left out, or a value takes their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.training.fault import DataError
from nnspec.training.tables.table import Cells, Table, Wanted

if TYPE_CHECKING:
    import numpy as np

STATISTICS = ("mean", "median", "most_frequent")

Value = float | str


class Gaps:
    """What becomes of missing values: `fill` is a constant or one of `STATISTICS`, for all columns or each by name."""

    def __init__(self, table: Table, fill: Value | Mapping[str, Value] | None, drop: bool) -> None:
        self.table, self.drop = table, drop
        self.values: dict[str, Value] = {}
        """What each column's gaps were filled with, or would have been."""
        self.common = None if isinstance(fill, Mapping) else fill
        self.own = (
            {table.column(name, "fill"): each for name, each in fill.items()} if isinstance(fill, Mapping) else {}
        )

    def strategy(self, wanted: Wanted) -> Value | None:
        """What stands for a missing value of a column; None: nothing can."""
        column, use = wanted
        given = self.own.get(column, self.common)
        fits = given is None or (
            isinstance(given, str) and given not in ("mean", "median")
            if use == "category"
            else isinstance(given, float) or given in STATISTICS
        )
        if not fits and column in self.own:
            what = "classes" if use == "category" else "numbers"
            shown = f'"{given}"' if isinstance(given, str) else f"{given:g}"
            raise DataError(
                f"{shown} cannot stand for a value of `{self.table.names[column]}`, which has {what}", at="fill"
            )
        return given if fits else None

    def added_word(self, column: int, cells: Cells) -> tuple[str, ...]:
        """The word that filling adds to the categories of a column, if it adds one."""
        given = self.strategy((column, "category"))
        adds = isinstance(given, str) and given not in STATISTICS and given not in cells.words and cells.gaps.any()
        return (str(given),) if adds else ()

    def optional(self, wanted: Wanted, targets: frozenset[int]) -> bool:
        """Whether a column may have gaps; those of a target are never filled."""
        return self.drop or (wanted[0] not in targets and self.strategy(wanted) is not None)

    def close(self, cells: dict[Wanted, Cells], targets: frozenset[int]) -> tuple[dict[Wanted, Cells], tuple[str, ...]]:
        """The columns without gaps, and what was done about them."""
        import numpy as np

        table, notes = self.table, []
        filled = {each for each in cells if each[0] not in targets and self.strategy(each) is not None}
        gone = np.zeros(len(next(iter(cells.values())).values), dtype=bool)
        for each in cells.keys() - filled:
            gone |= cells[each].gaps
        if gone.any():
            count = int(gone.sum())
            notes.append(f"left out of {table.name}: {count:,} row{'s' * (count != 1)} with missing values")
            cells = {w: replace(c, values=c.values[~gone], gaps=c.gaps[~gone]) for w, c in cells.items()}
        shown = []
        for each in sorted(filled):
            value = self.values[table.title(each[0])] = self._value(each, cells[each])
            count = int(cells[each].gaps.sum())
            if count:
                cells[each] = _filled(cells[each], value)
                shown.append(f"{count:,} of `{table.names[each[0]]}` by {_shown(value)}")
        if shown:
            statistics = any(self.strategy(each) in STATISTICS for each in filled)
            from_all = " (worked out from all rows, those to be validated on included)" if statistics else ""
            notes.append(f"missing values filled in {table.name}: {', '.join(shown)}{from_all}")
        return cells, tuple(notes)

    def _value(self, wanted: Wanted, cells: Cells) -> Value:
        """What stands for the gaps of a column."""
        column, use = wanted
        given, present = self.strategy(wanted), cells.values[~cells.gaps]
        name = self.table.names[column]
        if given in STATISTICS and not len(present):
            raise DataError(f"column `{name}` of {self.table.name} has no values", at="fill")
        if use == "category":
            return _most_frequent_word(present, cells.words) if given == "most_frequent" else str(given)
        value = given if isinstance(given, float) else _statistic(str(given), present)
        if use == "integer" and value != int(value) and cells.gaps.any():
            helps = ('fill with "most_frequent" or a whole number',)
            raise DataError(f"{value:g} is no whole number, and `{name}` is to have such", at="fill", helps=helps)
        return value


def _filled(cells: Cells, value: Value) -> Cells:
    words = cells.words
    if isinstance(value, str):
        words = words if value in words else (*words, value)
    values = cells.values.copy()
    values[cells.gaps] = words.index(value) if isinstance(value, str) else value
    return Cells(values, cells.gaps & False, words)


def _shown(value: Value) -> str:
    return f"`{value}`" if isinstance(value, str) else f"{value:.6g}"


def _statistic(name: str, present: np.ndarray) -> float:
    """Of the values that are there; of several that are the most frequent the smallest."""
    import numpy as np

    if name == "most_frequent":
        values, counts = np.unique(present, return_counts=True)
        return float(values[counts.argmax()])
    return float((np.mean if name == "mean" else np.median)(present.astype("float64")))


def _most_frequent_word(present: np.ndarray, words: tuple[str, ...]) -> str:
    """Of several that are the most frequent the first in the alphabet."""
    import numpy as np

    counts = np.bincount(present, minlength=len(words))
    return min(word for word, count in zip(words, counts, strict=True) if count == counts.max())
