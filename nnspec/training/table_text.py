"""Tables of text (CSV and its like), read line by line: names, what each column holds, and faults with their line."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nnspec.training.dataset import check_size
from nnspec.training.fault import DataError, MissingData
from nnspec.training.table import Cells, Kind, Table, Use, Wanted, gap_fault

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""What stands for a missing value, in any case."""

SAMPLE = 1000
"""Rows that decide what a column holds."""

MAX_COLUMNS = 100_000

_MAX_FLOAT = 3.4028234e38
_OFTEN = 10_000
_BOOLS = {"true": 1.0, "false": 0.0}
_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([ T].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}( .*)?|\d{1,2}:\d{2}(:\d{2}.*)?", re.ASCII
)

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class TextTable(Table):
    """A text file of rows."""

    delimiter: str
    header: bool
    sample: tuple[Row, ...]

    def sample_words(self, column: int) -> set[str]:
        return {row[column].strip() for _, row in self.sample if not is_missing(row[column])}

    def rows(self) -> Iterator[Row]:
        """All rows with their line numbers, each of the right length."""
        with _reader(self.path, self.delimiter) as lines:
            yield from _checked(islice(lines, 1 if self.header else 0, None), self.path, len(self.names))

    def read(self, wanted: Iterable[Wanted], optional: frozenset[Wanted]) -> dict[Wanted, Cells]:
        columns = {each: _Column(self, *each) for each in wanted}
        takers = [(each, column.take, each in optional) for each, column in columns.items()]
        for count, (line, row) in enumerate(self.rows(), 1):
            for each, take, may_miss in takers:
                text = row[each[0]].strip()
                if text.casefold() in MISSING:
                    if not may_miss:
                        raise gap_fault(f"line {line} of {self.name}", self.names[each[0]], each[1])
                    columns[each].skip()
                else:
                    take(text, line)
            if count % _OFTEN == 0:
                check_size((count, len(takers)), 4, self.name, "path")
        return {each: column.cells() for each, column in columns.items()}


class _Column:
    """A column while it is read, in as few bytes as its numbers take."""

    def __init__(self, table: TextTable, number: int, use: Use) -> None:
        self.table, self.number = table, number
        self.values: array[float] | array[int] = array("f" if use == "number" else "q")
        self.gaps: array[int] = array("q")
        self.words: dict[str, int] = {}
        how: dict[Use, Callable[[str, int], None]] = {
            "number": self._number,
            "integer": self._integer,
            "category": self._category,
        }
        self.take = how[use]

    def skip(self) -> None:
        """A value is missing."""
        self.gaps.append(len(self.values))
        self.values.append(0)

    def cells(self) -> Cells:
        """What was read."""
        import numpy as np

        values = np.array(self.values, dtype="float32" if self.values.typecode == "f" else "int64")
        gaps = np.zeros(len(values), dtype=bool)
        gaps[np.array(self.gaps, dtype="int64")] = True
        return Cells(values, gaps, tuple(self.words))

    def _category(self, text: str, line: int) -> None:
        self.values.append(self.words.setdefault(text, len(self.words)))

    def _number(self, text: str, line: int) -> None:
        value = to_number(text)
        if value is None and self.table.kinds[self.number] == "bool":
            value = _BOOLS.get(text.casefold())
        if value is None:
            raise self._fault(text, line, "is not a number")
        if not -_MAX_FLOAT <= value <= _MAX_FLOAT:
            raise DataError(f"{self._place(line)}: {text[:40]} is out of the range of a float")
        self.values.append(value)

    def _integer(self, text: str, line: int) -> None:
        value = to_number(text)
        if value is None or value != value // 1:
            raise self._fault(text, line, "is not a whole number")
        exact = int(text) if text.lstrip("+-").isdecimal() and len(text) < _OFTEN else int(value)
        if not -(2**63) <= exact < 2**63:
            raise DataError(f"{self._place(line)}: {text[:40]} is out of the range of an int")
        self.values.append(exact)

    def _place(self, line: int) -> str:
        return f"line {line} of {self.table.name}, column `{self.table.names[self.number]}`"

    def _fault(self, text: str, line: int, why: str) -> DataError:
        return DataError(f"{self._place(line)}: `{text[:40]}` {why}")


def open_table(path: Path, delimiter: str | None, header: bool) -> TextTable:
    """Read the names and the first rows of a file."""
    delimiter = delimiter or ("\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    with _reader(path, delimiter) as lines:
        first = list(islice(lines, SAMPLE + 1))
    if not first:
        raise DataError(f"{path.name} is empty", at="path")
    names = [name.strip() for name in first[0][1]]
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path.name} has {len(names):,} columns; {MAX_COLUMNS:,} is the limit", at="path")
    _check_header(path, delimiter, header, names)
    sample = tuple(_checked(iter(first[1:] if header else first[:SAMPLE]), path, len(names)))
    if not sample:
        raise DataError(f"{path.name} has the names of its columns and no rows", at="path")
    kinds = tuple(_kind([row[i].strip() for _, row in sample]) for i in range(len(names)))
    shown = names if header else [f"{i}" for i in range(len(names))]
    return TextTable(path, tuple(shown), kinds, delimiter, header, sample)


def _checked(lines: Iterator[Row], path: Path, width: int) -> Iterator[Row]:
    for line, row in lines:
        if len(row) != width:
            columns = f"{len(row)} column{'s' * (len(row) != 1)} instead of {width}"
            raise DataError(f"line {line} of {path.name} has {columns}", at="path")
        yield line, row


def _check_header(path: Path, delimiter: str, header: bool, names: list[str]) -> None:
    others = [d for d in ",;\t|" if d != delimiter and d in names[0]]
    if len(names) == 1 and others:
        raise DataError(
            f"{path.name} has one column only when split at {delimiter!r}",
            at="delimiter",
            helps=(f"its first line has {others[0]!r} in it: delimiter={_quoted(others[0])}",),
        )
    if header and all(to_number(name) is not None for name in names):
        raise DataError(
            f"the first line of {path.name} holds numbers, not the names of columns",
            at="header",
            helps=("header=false for a file without names; its columns are then 0, 1, 2, ...",),
        )


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().casefold() in MISSING


def _kind(cells: list[str]) -> Kind:
    present = [cell for cell in cells if not is_missing(cell)]
    if not present:
        return "empty"
    if all(to_number(cell) is not None for cell in present):
        return "number"
    if all(cell.casefold() in _BOOLS for cell in present):
        return "bool"
    return "date" if all(_DATE.fullmatch(cell) for cell in present) else "text"


def to_number(text: str) -> float | None:
    """The number that a cell spells, if it does."""
    if "_" in text:  # Python reads 1_000 as a number; a file means something else by it
        return None
    try:
        return float(text)
    except ValueError:
        return None


@contextmanager
def _reader(path: Path, delimiter: str) -> Iterator[Iterator[Row]]:
    """The rows of a file that are not blank; what cannot be read becomes a `DataError`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield _numbered(csv.reader(file, delimiter=delimiter), path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not a text in UTF-8: {error.reason}",
            at="path",
            helps=(f"convert it, if it is in Latin-1: iconv -f latin1 -t utf-8 {path.name}",),
        ) from None
    except OSError as error:
        raise MissingData(f"{path.name} cannot be read: {error.strerror}", at="path") from None


def _numbered(reader: Iterator[list[str]], path: Path) -> Iterator[Row]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"line {reader.line_num} of {path.name}: {error}") from None  # type: ignore[attr-defined]
        if row:
            yield reader.line_num, row  # type: ignore[attr-defined]


def _quoted(delimiter: str) -> str:
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
