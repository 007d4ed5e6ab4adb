"""Tables of text (CSV and its like), read line by line: names, what each column holds, and faults with their line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from nnspec.suggest import suggest
from nnspec.training.fault import DataError, MissingData

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""What stands for a missing value, in any case."""

SAMPLE = 1000
"""Rows that decide what a column holds."""

_MAX_FLOAT = 3.4028234e38

Kind = Literal["number", "text", "empty"]
Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows: the names of its columns and what each holds, as its first rows show."""

    path: Path
    delimiter: str
    header: bool
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sample: tuple[Row, ...]

    def column(self, wanted: str | int, at: str) -> int:
        """The position of a column given by name, or by number (from 0, or from the end below 0)."""
        if isinstance(wanted, int):
            if not -len(self.names) <= wanted < len(self.names):
                raise DataError(f"{self.path.name} has no column {wanted}: it has {len(self.names)}", at=at)
            return wanted % len(self.names)
        found = [i for i, name in enumerate(self.names) if name == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            where = " and ".join(map(str, found))
            raise DataError(
                f"{self.path.name} has several columns `{wanted}`", at=at, helps=(f"name one by its number: {where}",)
            )
        near = suggest(wanted, self.names)
        listed = ", ".join(f"`{n}`" for n in self.names[:20])
        raise DataError(
            f"{self.path.name} has no column `{wanted}`",
            at=at,
            notes=(f"its columns: {listed}{', ...' if len(self.names) > 20 else ''}",),
            helps=(f"a column with a similar name is there: `{near}`",) if near else (),
        )

    def rows(self) -> Iterator[Row]:
        """All rows with their line numbers, each of the right length."""
        with _reader(self.path, self.delimiter) as lines:
            yield from _checked(islice(lines, 1 if self.header else 0, None), self.path, len(self.names))


def open_table(path: Path, delimiter: str | None, header: bool) -> Table:
    """Read the names and the first rows of a file."""
    delimiter = delimiter or ("\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    with _reader(path, delimiter) as lines:
        first = list(islice(lines, SAMPLE + 1))
    if not first:
        raise DataError(f"{path.name} is empty", at="path")
    names = [name.strip() for name in first[0][1]]
    _check_header(path, delimiter, header, names)
    sample = tuple(_checked(iter(first[1:] if header else first[:SAMPLE]), path, len(names)))
    kinds = tuple(_kind([row[i] for _, row in sample]) for i in range(len(names)))
    shown = names if header else [f"{i}" for i in range(len(names))]
    return Table(path, delimiter, header, tuple(shown), kinds, sample)


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
    if header and all(_number(name) is not None for name in names):
        raise DataError(
            f"the first line of {path.name} holds numbers, not the names of columns",
            at="header",
            helps=("header=false for a file without names; its columns are then 0, 1, 2, ...",),
        )


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().casefold() in MISSING


def to_number(text: str, table: Table, line: int, column: int) -> float:
    """The number in a cell, finite and within the range of a float32."""
    value = _number(text)
    if value is None:
        where = f"line {line} of {table.path.name}, column `{table.names[column]}`"
        raise DataError(f"{where}: `{text.strip()[:40]}` is not a number")
    if not -_MAX_FLOAT <= value <= _MAX_FLOAT:
        where = f"line {line} of {table.path.name}, column `{table.names[column]}`"
        raise DataError(f"{where}: {text.strip()[:40]} is out of the range of a float")
    return value


def _kind(cells: list[str]) -> Kind:
    present = [cell for cell in cells if not is_missing(cell)]
    if not present:
        return "empty"
    return "number" if all(_number(cell) is not None for cell in present) else "text"


def _number(text: str) -> float | None:
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
        raise DataError(f"{path.name} is not a text in UTF-8: {error.reason}", at="path") from None
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
