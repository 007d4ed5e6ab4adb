"""What a field of a table is made of (columns of numbers, of classes, of 0 and 1), and the arrays that come of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnspec.training.dataset import check_size, field_type
from nnspec.training.fault import DataError
from nnspec.training.tables.table import Cells, Table, Use, Wanted
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Part:
    """A column in a field: its numbers, its classes (`words`, or as the file has them), or a column for each word."""

    column: int
    use: Use
    words: tuple[str, ...] | None = None
    one_hot: bool = False

    @property
    def width(self) -> int:
        return len(self.words or ()) if self.one_hot else 1


@dataclass(frozen=True, slots=True)
class FieldPlan:
    parts: tuple[Part, ...]
    dtype: str
    flat: bool
    """Whether it is a single column without a dimension of its own: [batch]."""

    def type(self) -> TensorType:
        return field_type(self.dtype, *(() if self.flat else (sum(part.width for part in self.parts),)))


def field_array(table: Table, field: FieldPlan, cells: Mapping[Wanted, Cells]) -> np.ndarray:
    """A field's columns side by side."""
    import numpy as np

    first = field.parts[0]
    rows = len(cells[first.column, first.use].values)
    width = sum(part.width for part in field.parts)
    check_size((rows, width), 4 if field.dtype == "float32" else 8, table.name, "path")
    array = np.zeros((rows, width), dtype=field.dtype)
    at = 0
    for part in field.parts:
        values = cells[part.column, part.use].values
        if part.use == "category":
            values = _numbered(table, part, cells)
        if part.one_hot:
            array[np.arange(rows), at + values] = 1
        else:
            array[:, at] = values
        at += part.width
    return array[:, 0].copy() if field.flat else array


def _numbered(table: Table, part: Part, cells: Mapping[Wanted, Cells]) -> np.ndarray:
    """The classes of a column by their positions among its words."""
    import numpy as np

    found, words = cells[part.column, part.use], words_of(part, cells)
    position = {word: i for i, word in enumerate(words)}
    numbers = np.array([position.get(word, -1) for word in found.words], dtype="int64")
    array: np.ndarray = numbers[found.values] if len(numbers) else found.values
    if (array < 0).any():
        row = int((array < 0).argmax())
        column = table.names[part.column]
        raise DataError(
            f"`{found.words[found.values[row]][:40]}` in column `{column}` of {table.name} is none of the words that "
            "are given",
            at="words" if part.words is not None else None,
            notes=(f"they are {listed(words)}",),
        )
    return array


def words_of(part: Part, cells: Mapping[Wanted, Cells]) -> tuple[str, ...]:
    """The classes of a column: those given, or those that the rows in use have, in order."""
    if part.words is not None:
        return part.words
    found = cells[part.column, part.use]
    return sorted_words(found.words[i] for i in set(found.values.tolist()))


def sorted_words(words: Iterable[str]) -> tuple[str, ...]:
    """The distinct words; as numbers where all of them are."""
    distinct = set(words)
    try:
        return tuple(sorted(distinct, key=lambda word: (float(word), word)))
    except ValueError:
        return tuple(sorted(distinct))


def origin_of(table: Table, parts: tuple[Part, ...]) -> str:
    if len(parts) == 1 and not parts[0].one_hot:
        return f"column `{table.names[parts[0].column]}` of {table.name}"
    return f"{sum(part.width for part in parts)} columns of {table.name}"


def listed(names: Iterable[str]) -> str:
    shown = [f"`{name[:40]}`" for name in names]
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN:,} more" if len(shown) > _SHOWN else "")
