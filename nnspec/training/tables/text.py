"""Tables of text (CSV and its like), read line by line: names, what each column holds, and faults with their line."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import IO, Any

from nnspec.training.dataset import check_size
from nnspec.training.fault import DataError, MissingData
from nnspec.training.tables.table import Cells, Kind, Odd, Table, Use, Wanted, gap_fault

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""What stands for a missing value, in any case."""

SAMPLE = 1000
"""Rows that decide what a column holds."""

MAX_COLUMNS = 100_000

_MAX_FLOAT = 3.4028234e38
_BLOCK = 4096
_LONGEST_ROW = 8 << 20
_BLOCK_CHARACTERS = 16 << 20
"""Rows are kept until there are `_BLOCK` of them, or so many characters: wide rows, and those of a packed file whose
lines do not end, fill no memory."""
_DIGITS = 400
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

    def odd(self, column: int) -> Odd | None:
        cells = [(line, row[column].strip()) for line, row in self.sample if not is_missing(row[column])]
        wrong = [(line, cell) for line, cell in cells if to_number(cell) is None]
        if not wrong or 2 * len(wrong) >= len(cells):
            return None
        return Odd(f"line {wrong[0][0]}", wrong[0][1], 1 - len(wrong) / len(cells))

    def rows(self) -> Iterator[Row]:
        """All rows with their line numbers, each of the right length."""
        for block in self._blocks():
            yield from block

    def _blocks(self) -> Iterator[list[Row]]:
        """All rows, some at a time."""
        with _reader(self.path, self.delimiter) as lines:
            rows = _checked(islice(lines, 1 if self.header else 0, None), self.path, len(self.names))
            while block := list(_some(rows, lines, _BLOCK)):
                yield block

    def read(self, wanted: Iterable[Wanted], optional: frozenset[Wanted]) -> dict[Wanted, Cells]:
        columns = {each: _Column(self, *each, each in optional) for each in wanted}
        count = 0
        for block in self._blocks():
            lines = [line for line, _ in block]
            across = list(zip(*(row for _, row in block), strict=True))
            for (i, _), column in columns.items():
                column.take(across[i], lines)
            count += len(block)
            check_size((count, len(columns)), 4, self.name, "path")
        return {each: column.cells() for each, column in columns.items()}


class _Column:
    """A column while it is read, in as few bytes as its numbers take.

    Blocks of plain numbers are taken at once; whatever is anything else is looked at cell by cell.
    """

    def __init__(self, table: TextTable, number: int, use: Use, optional: bool) -> None:
        self.table, self.number, self.use, self.optional = table, number, use, optional
        self.values: array[Any] = array("f" if use == "number" else "q")
        self.gaps: array[int] = array("q")
        self.words: dict[str, int] = {}

    def take(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """The next cells, and the lines that they are on."""
        plain = self._words(cells) if self.use == "category" else self._plain(cells)
        if plain is not None:
            self.values.extend(plain)
            return
        take: Callable[[str, int], None] = {
            "number": self._number,
            "integer": self._integer,
            "category": self._category,
        }[self.use]
        for cell, line in zip(cells, lines, strict=True):
            text = cell.strip()
            if text.casefold() not in MISSING:
                take(text, line)
            elif self.optional:
                self.gaps.append(len(self.values))
                self.values.append(0)
            else:
                raise gap_fault(f"line {line} of {self.table.name}", self.table.names[self.number], self.use)

    def _plain(self, cells: Sequence[str]) -> array[Any] | None:
        """The numbers of cells that are nothing but finite numbers."""
        if "_" in "".join(cells):
            return None
        try:
            if self.use == "integer":
                return array("q", map(int, cells))
            values = array("d", map(float, cells))
        except (ValueError, OverflowError):
            return None
        return array("f", values) if isfinite(sum(map(abs, values))) and max(map(abs, values)) <= _MAX_FLOAT else None

    def _words(self, cells: Sequence[str]) -> list[int] | None:
        """The numbers of words of which none is missing."""
        found = {cell: cell.strip() for cell in dict.fromkeys(cells)}
        if any(word.casefold() in MISSING for word in found.values()):
            return None
        known = {cell: self.words.setdefault(word, len(self.words)) for cell, word in found.items()}
        return [known[cell] for cell in cells]

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
        exact = int(text) if text.lstrip("+-").isdecimal() and len(text) < _DIGITS else int(value)
        if not -(2**63) <= exact < 2**63:
            raise DataError(f"{self._place(line)}: {text[:40]} is out of the range of an int")
        self.values.append(exact)

    def _place(self, line: int) -> str:
        return f"line {line} of {self.table.name}, column `{self.table.names[self.number]}`"

    def _fault(self, text: str, line: int, why: str) -> DataError:
        return DataError(f"{self._place(line)}: `{text[:40]}` {why}")


def open_table(path: Path, delimiter: str | None, header: bool) -> TextTable:
    """Read the names and the first rows of a file."""
    tabbed = any(suffix.lower() in (".tsv", ".tab") for suffix in path.suffixes)
    delimiter = delimiter or ("\t" if tabbed else ",")
    with _reader(path, delimiter) as lines:
        first = list(_some(lines, lines, SAMPLE + 1))
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


def _some(rows: Iterator[Row], lines: _Lines, most: int) -> Iterator[Row]:
    """The next rows, read from these lines: at least one, at most so many."""
    start = lines.characters
    for _, row in zip(range(most), rows, strict=False):
        yield row
        if lines.characters - start > _BLOCK_CHARACTERS:
            return


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
def _reader(path: Path, delimiter: str) -> Iterator[_Lines]:
    """The rows of a file that are not blank; what cannot be read becomes a `DataError`."""
    try:
        with _opened(path) as file:
            yield _Lines(file, delimiter, path)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name} is not a text in UTF-8: {error.reason}",
            at="path",
            helps=(f"convert it, if it is in Latin-1: iconv -f latin1 -t utf-8 {path.name}",),
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path.name} is a damaged gzip file: {error}", at="path") from None
    except OSError as error:
        raise MissingData(f"{path.name} cannot be read: {error.strerror}", at="path") from None


def _opened(path: Path) -> IO[str]:
    """The text of a file, which may be packed."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class _Lines(Iterator[Row]):
    """The rows of a text that are not blank, with their line numbers; a row without an end is refused."""

    def __init__(self, file: IO[str], delimiter: str, path: Path) -> None:
        self.file, self.path = file, path
        self.characters = 0
        """How many were read."""
        self._begun = 0
        self._rows = csv.reader(self._read(), delimiter=delimiter)

    def _read(self) -> Iterator[str]:
        while line := self.file.readline(_LONGEST_ROW):
            self.characters += len(line)
            if self.characters - self._begun >= _LONGEST_ROW:
                place = f"line {self._rows.line_num + 1} of {self.path.name}"
                raise DataError(f"{place} does not end within {_LONGEST_ROW:,} characters", at="path")
            yield line

    def __next__(self) -> Row:
        while True:
            try:
                row = next(self._rows)
            except csv.Error as error:
                raise DataError(f"line {self._rows.line_num} of {self.path.name}: {error}") from None
            self._begun = self.characters
            if row:
                return self._rows.line_num, row


def _quoted(delimiter: str) -> str:
    return '"\\t"' if delimiter == "\t" else f'"{delimiter}"'
