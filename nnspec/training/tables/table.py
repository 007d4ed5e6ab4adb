"""Tables: names of columns, what each holds, and reading some of them whole. `TextTable` and `ParquetTable` are two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnspec.suggest import suggest
from nnspec.training.fault import DataError

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["number", "bool", "text", "date", "empty", "other"]
"""What a column holds; `other` is what no field can be made of: lists, bytes."""

Use = Literal["number", "integer", "category"]
"""What the cells of a column are read as: float32, int64, or numbers of words."""

Wanted = tuple[int, Use]
"""A column, and what it is read as."""

KINDS: dict[Kind, str] = {
    "number": "holds numbers",
    "bool": "holds true and false, not numbers",
    "text": "holds text, not numbers",
    "date": "holds dates, not numbers",
    "empty": "has no values",
    "other": "holds neither numbers nor text",
}

DATE_HELP = "write them as numbers first: days since a first day, or year, month and weekday in columns of their own"

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Cells:
    """A column that was read."""

    values: np.ndarray
    """Numbers, or for categories the positions of their words; anything where there are gaps."""
    gaps: np.ndarray
    """Where a value is missing."""
    words: tuple[str, ...] = ()
    """The distinct words of a column of categories, in order of appearance."""


@dataclass(frozen=True, slots=True)
class Odd:
    """The first value of a column that is no number, though most of those that were looked at are."""

    place: str
    text: str
    share: float
    """How many of those that were looked at are numbers, of 1."""

    def __str__(self) -> str:
        return f"{self.place} has `{self.text[:40]}`, and most values are numbers"


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows: the names of its columns and what each holds."""

    path: Path
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    def column(self, wanted: str | int, at: str) -> int:
        """The position of a column given by name, or by number (from 0, or from the end below 0)."""
        if isinstance(wanted, int):
            if not -len(self.names) <= wanted < len(self.names):
                raise DataError(f"{self.name} has no column {wanted}: it has {len(self.names)}", at=at)
            return wanted % len(self.names)
        found = [i for i, name in enumerate(self.names) if name == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            where = " and ".join(map(str, found))
            raise DataError(
                f"{self.name} has several columns `{wanted}`", at=at, helps=(f"name one by its number: {where}",)
            )
        near = suggest(wanted, self.names)
        listed = ", ".join(f"`{n}`" for n in self.names[:_SHOWN])
        raise DataError(
            f"{self.name} has no column `{wanted}`",
            at=at,
            notes=(f"its columns: {listed}{', ...' if len(self.names) > _SHOWN else ''}",),
            helps=(f"a column with a similar name is there: `{near}`",) if near else (),
        )

    def title(self, column: int) -> str:
        """A column as the author has it: by name, and by number where the name is not one of its own."""
        name = self.names[column]
        return name if name and self.names.count(name) == 1 else str(column)

    def odd(self, column: int) -> Odd | None:
        """What keeps a column of text from being one of numbers, in the rows that were looked at already."""
        return None

    def sample_words(self, column: int) -> set[str]:
        """Distinct words of a column in the rows that were looked at already."""
        raise NotImplementedError

    def read(self, wanted: Iterable[Wanted], optional: frozenset[Wanted]) -> dict[Wanted, Cells]:
        """Columns, each as what it is wanted as. A gap in one that is not `optional` raises `DataError`."""
        raise NotImplementedError


class MissingValue(DataError):
    """A cell of a table that is empty where a value is needed."""


def gap_fault(place: str, column: str, use: Use) -> DataError:
    """The fault of a value that is missing, at `line 3 of t.csv`."""
    fill = f'fill=({column}="most_frequent")' if use == "category" and column.isidentifier() else 'fill="most_frequent"'
    fill = fill if use == "category" else 'fill="median" (or "mean", "most_frequent", a number)'
    return MissingValue(
        f"{place} has no value in column `{column}`",
        at="path",
        helps=("drop_missing=true leaves out rows with missing values", f"{fill} puts a value in its place"),
    )
