"""Tables in Parquet files: what their columns hold is in the footer, and pyarrow reads them, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.training.dataset import check_size
from nnspec.training.fault import DataError, MissingData
from nnspec.training.files.parquet_footer import read_footer
from nnspec.training.tables.table import Cells, Table, Use, Wanted, gap_fault

if TYPE_CHECKING:
    import numpy as np

_ROWS = 65_536
_MAX_FLOAT = 3.4028234e38


@dataclass(frozen=True, slots=True)
class ParquetTable(Table):
    """A Parquet file."""

    rows: int

    def sample_words(self, column: int) -> set[str]:
        wanted: Wanted = (column, "category")
        return set(self.read([wanted], frozenset([wanted]))[wanted].words)

    def read(self, wanted: Iterable[Wanted], optional: frozenset[Wanted]) -> dict[Wanted, Cells]:
        columns = {each: _Column(self, *each, each in optional) for each in wanted}
        check_size((self.rows, len(columns)), 4, self.name, "path")
        for i in {i for i, _ in columns}:
            if self.names.count(self.names[i]) > 1:
                raise DataError(f"{self.name} has several columns `{self.names[i]}`", at="path")
        with _opened(self.path) as file:
            names = sorted({self.names[i] for i, _ in columns})
            for batch in file.iter_batches(_ROWS, columns=names):
                for (i, _), column in columns.items():
                    column.take(batch.column(self.names[i]))
        return {each: column.cells() for each, column in columns.items()}


class _Column:
    """A column while it is read, batch by batch."""

    def __init__(self, table: ParquetTable, number: int, use: Use, optional: bool) -> None:
        self.table, self.number, self.use, self.optional = table, number, use, optional
        self.values: list[np.ndarray] = []
        self.gaps: list[np.ndarray] = []
        self.words: dict[str, int] = {}
        self.row = 0

    def take(self, array: Any) -> None:
        """The next rows."""
        import numpy as np

        gaps = np.asarray(array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))
        if gaps.any() and not self.optional:
            place = f"row {self.row + int(gaps.argmax()):,} (from 0) of {self.table.name}"
            raise gap_fault(place, self.table.names[self.number], self.use)
        self.values.append(self._codes(array) if self.use == "category" else self._numbers(array, gaps))
        self.gaps.append(gaps)
        self.row += len(gaps)

    def cells(self) -> Cells:
        """What was read."""
        import numpy as np

        dtype = "float32" if self.use == "number" else "int64"
        values = np.concatenate([np.zeros(0, dtype), *self.values])
        return Cells(values, np.concatenate([np.zeros(0, bool), *self.gaps]), tuple(self.words))

    def _codes(self, array: Any) -> np.ndarray:
        """The positions of the words, which are what the values look like as text."""
        import numpy as np
        import pyarrow as pa

        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        words = [_spelled(each) for each in array.dictionary.to_pylist()]
        codes = np.array([self.words.setdefault(w, len(self.words)) for w in words] or [0], dtype="int64")
        indices = np.asarray(array.indices.fill_null(0).to_numpy(zero_copy_only=False)).astype("int64")
        found: np.ndarray = codes[indices]
        return found

    def _numbers(self, array: Any, gaps: np.ndarray) -> np.ndarray:
        import numpy as np
        import pyarrow as pa

        if pa.types.is_null(array.type):
            return np.zeros(len(gaps), dtype="int64" if self.use == "integer" else "float32")
        if pa.types.is_decimal(array.type):
            array = array.cast(pa.float64())
        values = np.asarray(
            array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(zero_copy_only=False)
        )
        if self.use == "integer":
            values = np.where(gaps, 0, values) if values.dtype.kind == "f" else values
            wrong = (values != np.trunc(values)) | (np.abs(values) >= 2.0**63) if values.dtype.kind == "f" else None
            if values.dtype == np.uint64:
                wrong = values >= 2**63
            self._refuse(values, wrong, "is not a whole number, or out of the range of an int")
            return values.astype("int64")
        if values.dtype.kind == "f":
            self._refuse(values, ~gaps & ~(np.abs(values) <= _MAX_FLOAT), "is out of the range of a float")
        return values.astype("float32")

    def _refuse(self, values: np.ndarray, wrong: np.ndarray | None, why: str) -> None:
        if wrong is not None and wrong.any():
            at = int(wrong.argmax())
            where = f"row {self.row + at:,} (from 0) of {self.table.name}, column `{self.table.names[self.number]}`"
            raise DataError(f"{where}: {values[at]:g} {why}")


def open_parquet(path: Path) -> ParquetTable:
    """The names and kinds of a file's columns."""
    footer = read_footer(path)
    if footer.rows < 1:
        raise DataError(f"{path.name} has no rows", at="path")
    return ParquetTable(path, footer.names, footer.kinds, footer.rows)


def _spelled(value: Any) -> str:
    return value.strip() if isinstance(value, str) else str(value)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file in pyarrow; what it cannot read becomes a `DataError`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingData(
            "Parquet is read by pyarrow, which is not installed", code="NNS605", helps=("pip install pyarrow",)
        ) from None
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            yield file
    except pa.ArrowException as error:
        raise DataError(f"{path.name} is damaged", at="path", notes=(str(error).splitlines()[0][:200],)) from None
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0][:200]
        raise DataError(f"{path.name} cannot be read: {reason}", at="path") from None
