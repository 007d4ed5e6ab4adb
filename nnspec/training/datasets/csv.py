"""Tables in text files: CSV, TSV and their like."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, check_size, field_type, locate
from nnspec.training.fault import DataError
from nnspec.training.table import Table, is_missing, open_table, to_number
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which columns of a table become what."""

    table: Table
    features: tuple[int, ...]
    target: int | None
    task: Literal["class", "number", "none"]
    two: bool
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Columns:
    """What was read so far, row after row."""

    features: array[float]
    numbers: array[float]
    words: list[str]
    dropped: int = 0


class CSV(Dataset):
    """A text file with a row for each sample, its columns split by commas (or another character).

    Fields: `features`, the numeric columns [batch, n]; for a target that is a class `label`, its classes in sorted
    order (and, where there are two, `target`: the label as a float column); for a target that is a number `target`,
    a float column [batch, 1]. What a column holds is decided by the first 1,000 rows. UTF-8, quoting as in RFC 4180.
    """

    path: str = arg(doc="the file, relative to the spec")
    target: str | int | None = arg(None, doc="the column to predict: its name, or its number from 0")
    features: tuple[str | int, ...] | None = arg(None, doc="the columns to predict from; none: all numeric ones")
    classes: bool | None = arg(None, doc="whether the target is a class; none: if it is text", keyword=True)
    delimiter: str | None = arg(None, doc='what splits columns; none: a tab for .tsv, else ","', keyword=True)
    header: bool = arg(True, doc="whether the first line holds the names of the columns", keyword=True)
    drop_missing: bool = arg(False, doc="leave out rows with missing values, not refuse them", keyword=True)
    standardize: bool = arg(False, doc="bring each feature to mean 0 and deviation 1", keyword=True)

    def types(self, base: Path) -> dict[str, TensorType]:
        plan = self._plan(base)
        fields = {}
        if plan.features:
            fields["features"] = field_type("float32", len(plan.features))
        if plan.task == "class":
            fields["label"] = field_type("int64")
        if plan.task == "number" or plan.two:
            fields["target"] = field_type("float32", 1)
        return fields

    def load(self, base: Path) -> Loaded:
        plan = self._plan(base)
        columns = self._read(plan)
        name = plan.table.path.name
        fields = _arrays(plan, columns)
        origins = {"features": f"{len(plan.features)} columns of {name}"}
        classes = {}
        if plan.target is not None:
            origins["label"] = origins["target"] = f"column `{plan.table.names[plan.target]}` of {name}"
        if plan.task == "class":
            classes["label"] = _sorted_classes(columns.words)
        notes = plan.notes
        if columns.dropped:
            rows = "row" if columns.dropped == 1 else "rows"
            notes += (f"left out of {name}: {columns.dropped:,} {rows} with missing values",)
        return Loaded(fields, notes, classes, origins)

    def standardized(self) -> tuple[str, ...]:
        return ("features",) if self.standardize else ()

    def _plan(self, base: Path) -> _Plan:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise DataError("a delimiter is a single character", at="delimiter")
        table = open_table(locate(base, self.path, "path"), self.delimiter, self.header)
        target = None if self.target is None else table.column(self.target, "target")
        features, notes = self._features(table, target)
        if not features and target is None:
            raise DataError(f"{table.path.name} has no numeric column", at="path")
        if target is None:
            return _Plan(table, features, None, "none", False, notes)
        if table.kinds[target] == "empty":
            raise DataError(f"column `{table.names[target]}` of {table.path.name} has no values", at="target")
        text = table.kinds[target] == "text"
        if text and self.classes is False:
            raise DataError(f"column `{table.names[target]}` of {table.path.name} holds text, not numbers", at="target")
        is_class = text if self.classes is None else self.classes
        words = {row[target].strip() for _, row in table.sample if not is_missing(row[target])}
        return _Plan(table, features, target, "class" if is_class else "number", is_class and len(words) == 2, notes)

    def _features(self, table: Table, target: int | None) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The columns to predict from, and a remark on those that were left out."""
        if self.features is None:
            rest = [i for i in range(len(table.names)) if i != target]
            # A column without a name is the row number that data frames write.
            chosen = tuple(i for i in rest if table.kinds[i] == "number" and table.names[i])
            left = ", ".join(f"`{table.names[i]}`" for i in rest if i not in chosen)
            return chosen, (f"left out of {table.path.name}: columns that are no numbers ({left})",) * bool(left)
        chosen = tuple(table.column(name, "features") for name in self.features)
        for i in chosen:
            if i == target:
                raise DataError(f"column `{table.names[i]}` is the target, and cannot be a feature", at="features")
            if table.kinds[i] != "number":
                what = "has no values" if table.kinds[i] == "empty" else "holds text, not numbers"
                raise DataError(f"column `{table.names[i]}` of {table.path.name} {what}", at="features")
        return chosen, ()

    def _read(self, plan: _Plan) -> _Columns:
        table, columns = plan.table, _Columns(array("f"), array("f"), [])
        used = (*plan.features, *(() if plan.target is None else (plan.target,)))
        for line, row in table.rows():
            gap = next((i for i in used if is_missing(row[i])), None)
            if gap is not None:
                if not self.drop_missing:
                    raise DataError(
                        f"line {line} of {table.path.name} has no value in column `{table.names[gap]}`",
                        at="path",
                        helps=("drop_missing=true leaves out rows with missing values",),
                    )
                columns.dropped += 1
                continue
            columns.features.extend(to_number(row[i], table, line, i) for i in plan.features)
            if plan.task == "number" and plan.target is not None:
                columns.numbers.append(to_number(row[plan.target], table, line, plan.target))
            elif plan.target is not None:
                columns.words.append(row[plan.target].strip())
            check_size((len(columns.features),), 4, table.path.name, "path")
        return columns


def _arrays(plan: _Plan, columns: _Columns) -> dict[str, np.ndarray]:
    import numpy as np

    fields: dict[str, np.ndarray] = {}
    if plan.features:
        fields["features"] = np.array(columns.features, dtype="float32").reshape(-1, len(plan.features))
    if plan.task == "class":
        number = {word: i for i, word in enumerate(_sorted_classes(columns.words))}
        fields["label"] = np.array([number[word] for word in columns.words], dtype="int64")
        if plan.two and len(number) <= 2:
            fields["target"] = fields["label"].astype("float32").reshape(-1, 1)
    if plan.task == "number":
        fields["target"] = np.array(columns.numbers, dtype="float32").reshape(-1, 1)
    return fields


def _sorted_classes(words: list[str]) -> tuple[str, ...]:
    """The distinct words; as numbers where all of them are."""
    distinct = set(words)
    try:
        return tuple(sorted(distinct, key=lambda word: (float(word), word)))
    except ValueError:
        return tuple(sorted(distinct))
