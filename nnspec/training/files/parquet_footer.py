"""The names and types of a Parquet file's columns, read from its footer without pyarrow: checking a spec stays light.

A footer is a struct of Thrift's compact protocol, as the Parquet format's parquet.thrift has it: `FileMetaData`, with
the schema as a tree that is written out depth first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnspec.training.fault import DataError, MissingData
from nnspec.training.tables.table import Kind

MAX_FOOTER = 64 << 20
MAX_COLUMNS = 100_000
_DEEPEST = 32

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)

_BOOLEAN, _INT96, _BYTES, _FIXED = 0, 3, 6, 7
_PHYSICAL: dict[int, Kind] = {0: "bool", 1: "number", 2: "number", 3: "date", 4: "number", 5: "number"}
_CONVERTED: dict[int, Kind] = {0: "text", 4: "text", 5: "number", **dict.fromkeys((6, 7, 8, 9, 10), "date")}
_LOGICAL: dict[int, Kind] = {
    1: "text",
    4: "text",
    5: "number",
    6: "date",
    7: "date",
    8: "date",
    11: "empty",
    15: "number",
}


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says about itself."""

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rows: int


def read_footer(path: Path) -> Footer:
    """Columns and number of rows of a file; `DataError` when it is none, or damaged."""
    content = _footer_bytes(path)
    try:
        top = _Reader(content).struct(wanted=(2, 3))
        return _footer(top[2], int(top[3]))
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{path.name} has a damaged footer", at="path") from None


def _footer_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4)
            if size == 0:
                raise DataError(f"{path.name} is empty", at="path")
            if start == _ENCRYPTED:
                raise DataError(f"{path.name} is encrypted", at="path")
            if start != _MAGIC:
                raise DataError(f"{path.name} is no Parquet file", at="path")
            file.seek(max(size - 8, 0))
            end = file.read(8)
            length = int.from_bytes(end[:4], "little")
            if size < 12 or end[4:] != _MAGIC or length > size - 12:
                raise DataError(f"{path.name} ends too early: its footer is not there", at="path")
            if length > MAX_FOOTER:
                raise DataError(f"{path.name} has a footer of {length:,} bytes; {MAX_FOOTER:,} is the limit", at="path")
            file.seek(size - 8 - length)
            return file.read(length)
    except OSError as error:
        raise MissingData(f"{path.name} cannot be read: {error.strerror}", at="path") from None


def _footer(elements: list[dict[int, Any]], rows: int) -> Footer:
    names: list[str] = []
    kinds: list[Kind] = []
    at = 1
    for _ in range(elements[0][5]):
        element = elements[at]
        names.append(element[4].decode("utf-8", "replace"))
        kinds.append(_kind(element))
        at = _behind(elements, at)
    return Footer(tuple(names), tuple(kinds), rows)


def _behind(elements: list[dict[int, Any]], at: int) -> int:
    """The position behind an element and all that is in it."""
    open_ = 1
    while open_:
        open_ += elements[at].get(5, 0) - 1
        at += 1
    return at


def _kind(element: dict[int, Any]) -> Kind:
    if element.get(5) or element.get(3) == 2:  # it has parts, or is repeated: a list
        return "other"
    logical = next(iter(element.get(10) or {}), 0)
    known = _LOGICAL.get(logical) or _CONVERTED.get(element.get(6, -1))
    return known or _PHYSICAL.get(element[1], "other")


class _Reader:
    """Thrift's compact protocol, so far as a footer needs it: structs as dicts by field number."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def varint(self) -> int:
        result = shift = 0
        while shift < 70:
            byte = self.byte()
            result |= (byte & 127) << shift
            if byte < 128:
                return result
            shift += 7
        raise ValueError("a number that does not end")

    def integer(self) -> int:
        coded = self.varint()
        return (coded >> 1) ^ -(coded & 1)

    def binary(self) -> bytes:
        length = self.varint()
        if length > len(self.content) - self.at:
            raise ValueError("a text beyond the end")
        self.at += length
        return self.content[self.at - length : self.at]

    def struct(self, depth: int = 0, wanted: tuple[int, ...] = ()) -> dict[int, Any]:
        """A struct's fields; no further than those that are wanted, if any are."""
        if depth > _DEEPEST:
            raise ValueError("too deep")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self.byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = self.value(head & 15, depth)
            if wanted and all(each in fields for each in wanted):
                break
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self.byte()
        if kind in _INTEGERS:
            return self.integer()
        if kind == _DOUBLE:
            self.at += 8
            return None
        if kind == _BINARY:
            return self.binary()
        if kind in (_LIST, _SET):
            return self.list(depth + 1)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError("a kind that no footer has")

    def list(self, depth: int) -> list[Any]:
        head = self.byte()
        count = head >> 4 if head >> 4 < 15 else self.varint()
        if count > min(MAX_COLUMNS * 4, len(self.content) - self.at):
            raise ValueError("a list beyond the end")
        kind = head & 15
        return [self.byte() == 1 if kind in (_TRUE, _FALSE) else self.value(kind, depth) for _ in range(count)]
