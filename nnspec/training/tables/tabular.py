"""What data sets of rows and columns share: which columns become which fields, categories, and missing values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded
from nnspec.training.fault import DataError
from nnspec.training.tables.fields import FieldPlan, Part, field_array, listed, origin_of, sorted_words, words_of
from nnspec.training.tables.gaps import Gaps
from nnspec.training.tables.table import DATE_HELP, KINDS, Cells, Table, Use, Wanted
from nnspec.types import TensorType

if TYPE_CHECKING:
    from typing_extensions import Self

    from nnspec.training.dataset import Array

MAX_ONE_HOT = 1_000
"""Most columns of 0 and 1 that are made of one."""

_NUMBERS = ("number", "bool")
_Given = Mapping[int, "tuple[str, ...]"]
_HINTED = 5
_MOSTLY = 0.9
"""Of a column with this share of numbers, or more, what is none is taken for a mistake."""


@dataclass(frozen=True, slots=True)
class _Plan:
    table: Table
    fields: dict[str, FieldPlan]
    notes: tuple[str, ...]
    targets: tuple[int, ...]
    """Columns that are predicted, whose gaps nothing can fill."""


class Tabular(Dataset):
    """A table whose columns become fields."""

    path: str = arg(doc="the file, relative to the spec")
    target: str | int | tuple[str | int, ...] | None = arg(
        None, doc="the column to predict: its name, or its number from 0; several if they hold numbers"
    )
    features: tuple[str | int, ...] | None = arg(None, doc="the columns to predict from; none: all numeric ones")
    classes: bool | None = arg(None, doc="whether the target is a class; none: if it is text", keyword=True)
    one_hot: tuple[str | int, ...] = arg(
        (), doc="columns that `features` has as columns of 0 and 1, one for each of their words", keyword=True
    )
    columns: dict[str, str | int | tuple[str | int, ...]] = arg(
        {},
        doc='further fields and their columns: (age="age", place=["x", "y"]); none of these is a feature unless '
        "`features` says so",
        keyword=True,
    )
    words: dict[str, tuple[str, ...]] = arg(
        {},
        doc='the words of columns, in the order of their numbers: (sex=["female", "male"]); else those in the file',
        keyword=True,
    )
    integers: tuple[str, ...] = arg((), doc="those of `columns` whose whole numbers stay whole: int64", keyword=True)
    drop_missing: bool = arg(False, doc="leave out rows with missing values, not refuse them", keyword=True)
    fill: float | str | dict[str, float | str] | None = arg(
        None,
        doc='what stands for a missing value, for all columns or each by name: "mean", "median", "most_frequent", or '
        "a constant",
        keyword=True,
    )
    standardize: bool = arg(
        False,
        doc="bring each feature to mean 0 and deviation 1 by the training part, columns of 0 and 1 as well",
        keyword=True,
    )

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: plan.type() for name, plan in self._plan(base).fields.items()}

    def advice(self) -> dict[str, str]:
        if self.target is None or self.classes is not None or (isinstance(self.target, tuple) and len(self.target) > 1):
            return {}
        return {"label": "`classes=true` makes a class of the target, whose values are numbers"}

    def made_of(self, base: Path, field: str) -> tuple[str, ...]:
        plan = self._plan(base)
        parts = plan.fields[field].parts if field in plan.fields else ()
        names = listed(plan.table.names[part.column] for part in parts)
        return (f"`{field}` is made of {names}", *(plan.notes if field == "features" else ())) if names else ()

    def load(self, base: Path) -> Loaded:
        plan = self._plan(base)
        cells, notes, _ = self._read(plan)
        table = plan.table
        fields: dict[str, Array] = {name: field_array(table, field, cells) for name, field in plan.fields.items()}
        classes = {
            name: words_of(field.parts[0], cells)
            for name, field in plan.fields.items()
            if field.dtype == "int64" and len(field.parts) == 1 and field.parts[0].use == "category"
        }
        if "target" in fields and len(classes.get("label", ())) > 2:  # a third one, behind the rows that were looked at
            del fields["target"]
        origins = {name: origin_of(table, field.parts) for name, field in plan.fields.items()}
        return Loaded(fields, (*plan.notes, *notes), classes, origins)

    def standardized(self) -> tuple[str, ...]:
        return ("features",) if self.standardize else ()

    def table(self, base: Path) -> Table:
        """The table, opened: names and kinds of its columns."""
        raise NotImplementedError

    def settled(self, base: Path) -> Self:
        """The same with what the file decided written out, so that another file is read in the same way."""
        plan = self._plan(base)
        titles = plan.table.title
        parts = {name: field.parts for name, field in plan.fields.items()}
        counted = [part for each in parts.values() for part in each if part.use == "category"]
        changes: dict[str, Any] = {
            "target": tuple(map(titles, plan.targets)) or None,
            "features": tuple(titles(part.column) for part in parts.get("features", ()) if not part.one_hot),
            "one_hot": tuple(titles(part.column) for part in parts.get("features", ()) if part.one_hot),
            "columns": {
                name: (
                    titles(parts[name][0].column)
                    if plan.fields[name].flat
                    else tuple(titles(p.column) for p in parts[name])
                )
                for name in self.columns
            },
        }
        if len(plan.targets) == 1:
            changes |= {"target": titles(plan.targets[0]), "classes": "label" in parts}
        if counted or self.fill is not None:
            cells, _, values = self._read(plan, deciding=True)
            words = {titles(part.column): words_of(part, cells) for part in counted}
            changes |= {"words": words, "fill": values or self.fill}
        return self.replace(**changes)

    def following(self, first: Dataset, base: Path) -> Dataset:
        if not isinstance(first, Tabular):
            return self
        said, settled = dict(self.given()), first.settled(base)
        return self.replace(**{name: getattr(settled, name) for name in Tabular.fields if name not in said})

    def _read(
        self, plan: _Plan, *, deciding: bool = False
    ) -> tuple[dict[Wanted, Cells], tuple[str, ...], dict[str, float | str]]:
        """The columns in use without gaps, what was done about these, and what they were filled with.

        The `deciding` ones are those that words and fills are made of, and all where gaps decide about rows.
        """
        gaps = Gaps(plan.table, self.fill, self.drop_missing)
        targets = frozenset(plan.targets)
        wanted = dict.fromkeys((part.column, part.use) for field in plan.fields.values() for part in field.parts)
        optional = frozenset(each for each in wanted if gaps.optional(each, targets))
        if deciding and not self.drop_missing:
            wanted = {w: None for w in wanted if w[1] == "category" or (w in optional and gaps.strategy(w) is not None)}
        cells, notes = gaps.close(plan.table.read(wanted, optional), targets) if wanted else ({}, ())
        return cells, notes, gaps.values

    def elsewhere(self, path: str, fields: Collection[str]) -> Self:
        aimed = any(name in fields for name in ("label", "target"))
        targets = self.target if isinstance(self.target, tuple) else (self.target,)
        further = {name: columns for name, columns in self.columns.items() if name in fields}
        features, one_hot = (self.features, self.one_hot) if "features" in fields else ((), ())
        named = (
            each for columns in further.values() for each in (columns if isinstance(columns, tuple) else (columns,))
        )
        used = {*(features or ()), *one_hot, *named, *(targets if aimed else ())}
        fill = {n: each for n, each in self.fill.items() if n in used} if isinstance(self.fill, dict) else self.fill
        return self.replace(
            path=path,
            target=self.target if aimed else None,
            classes=self.classes if aimed else None,
            features=features,
            one_hot=one_hot,
            columns=further,
            integers=tuple(name for name in self.integers if name in further),
            words={name: words for name, words in self.words.items() if name in used},
            fill=fill,
            drop_missing=self.drop_missing and aimed,  # what is predicted has a row for each that was given
        )

    # --- which columns become what -----------------------------------------------------------------------------------

    def _plan(self, base: Path) -> _Plan:
        table = self.table(base)
        given = () if self.target is None else self.target if isinstance(self.target, tuple) else (self.target,)
        targets = tuple(table.column(name, "target") for name in given)
        words = {table.column(name, "words"): each for name, each in self.words.items()}
        one_hot = self._one_hot(table, targets, words)
        further = self._further(table, words)
        taken = {*targets, *(part.column for field in further.values() for part in field.parts)}
        taken |= {part.column for part in one_hot}
        features, notes = self._features(table, targets, taken)
        parts = (*(Part(i, "number") for i in features), *one_hot)
        fields = {"features": FieldPlan(parts, "float32", False)} if parts else {}
        fields |= self._target(table, targets, words)
        clash = next((name for name in further if name in fields), None)
        if clash is not None:
            raise DataError(f"`{clash}` is a field already", at="columns", helps=("give it another name",))
        if not fields and not further:
            raise DataError(f"{table.name} has no numeric column", at="path", helps=_text_help(table))
        fields |= further
        return _Plan(table, fields, notes, targets)

    def _features(
        self, table: Table, targets: tuple[int, ...], taken: set[int]
    ) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """The numeric columns to predict from, and a remark on those that were left out."""
        if self.features is None:
            rest = [i for i in range(len(table.names)) if i not in taken]
            # A column without a name is the row number that data frames write.
            chosen = tuple(i for i in rest if table.kinds[i] in _NUMBERS and table.names[i])
            left = [i for i in rest if i not in chosen]
            _check_chosen(table, chosen, left)
            return chosen, _left_out(table, left)
        chosen = tuple(table.column(name, "features") for name in self.features)
        for i in chosen:
            if i in targets:
                raise DataError(f"column `{table.names[i]}` is the target, and cannot be a feature", at="features")
            if table.kinds[i] != "empty" or not self._constant(table, i):
                _check_number(table, i, "features")
        return chosen, ()

    def _constant(self, table: Table, column: int) -> bool:
        """Whether a column without any values is filled with a number all the same."""
        return isinstance(Gaps(table, self.fill, self.drop_missing).strategy((column, "number")), float)

    def _one_hot(self, table: Table, targets: tuple[int, ...], words: _Given) -> tuple[Part, ...]:
        parts = []
        for name in self.one_hot:
            column = table.column(name, "one_hot")
            if column in targets:
                raise DataError(f"column `{table.names[column]}` is the target, and cannot be a feature", at="one_hot")
            _check_words(table, column, "one_hot")
            known = words.get(column) or self._words_of(table, column)
            if len(known) > MAX_ONE_HOT:
                raise DataError(
                    f"column `{name}` of {table.name} has {len(known):,} different values; one-hot is for "
                    f"{MAX_ONE_HOT:,} at most",
                    at="one_hot",
                    helps=(f'as numbers for an Embedding: columns=(words="{name}")',),
                )
            parts.append(Part(column, "category", known, one_hot=True))
        return tuple(parts)

    def _words_of(self, table: Table, column: int) -> tuple[str, ...]:
        """The words of a column, sorted, with the one that stands for missing values."""
        whole: Wanted = (column, "category")
        cells = table.read([whole], frozenset([whole]))[whole]
        return sorted_words((*cells.words, *Gaps(table, self.fill, False).added_word(column, cells)))

    def _target(self, table: Table, targets: tuple[int, ...], words: _Given) -> dict[str, FieldPlan]:
        if not targets:
            return {}
        if len(targets) > 1:
            for i in targets:
                helps = (f'a class is a field of its own: columns=(kind="{table.names[i]}")',)
                _check_number(table, i, "target", helps if table.kinds[i] == "text" else ())
            return {"target": FieldPlan(tuple(Part(i, "number") for i in targets), "float32", False)}
        column, kind = targets[0], table.kinds[targets[0]]
        text = kind in ("text", "bool")
        if kind in ("empty", "date", "other") or (text and self.classes is False):
            _check_number(table, column, "target")
        if not (text if self.classes is None else self.classes):
            return {"target": FieldPlan((Part(column, "number"),), "float32", False)}
        part = Part(column, "category", words.get(column))
        fields = {"label": FieldPlan((part,), "int64", True)}
        if len(part.words or table.sample_words(column)) == 2:
            fields["target"] = FieldPlan((part,), "float32", False)
        return fields

    def _further(self, table: Table, words: _Given) -> dict[str, FieldPlan]:
        unknown = next((name for name in self.integers if name not in self.columns), None)
        if unknown is not None:
            raise DataError(f"`{unknown}` is no field of `columns`", at="integers")
        fields = {}
        for name, columns in self.columns.items():
            flat = not isinstance(columns, tuple)
            chosen = [table.column(c, "columns") for c in (columns if isinstance(columns, tuple) else (columns,))]
            if not chosen:
                raise DataError(f"the field `{name}` has no columns", at="columns")
            text = [i for i in chosen if table.kinds[i] == "text" or i in words]
            if text and len(text) < len(chosen):
                other = next(i for i in chosen if i not in text)
                raise DataError(
                    f"the field `{name}` has a column of text (`{table.names[text[0]]}`) and one that is none "
                    f"(`{table.names[other]}`)",
                    at="columns",
                    helps=("make them two fields",),
                )
            whole = name in self.integers
            use: Use = "category" if text else "integer" if whole else "number"
            for i in chosen:
                if not text:
                    _check_number(table, i, "columns")
            parts = tuple(Part(i, use, words.get(i)) for i in chosen)
            fields[name] = FieldPlan(parts, "float32" if use == "number" else "int64", flat)
        return fields


def _check_chosen(table: Table, chosen: tuple[int, ...], left: list[int]) -> None:
    """Refuse features that nobody named where they are hardly what is meant."""
    again = next((i for i in chosen if table.names.count(table.names[i]) > 1), None)
    if again is not None:
        name = table.names[again]
        places = " and ".join(str(i) for i, each in enumerate(table.names) if each == name)
        raise DataError(
            f"{table.name} has several columns `{name}`: {places} (from 0)",
            at="path",
            helps=("give them names of their own, or say which are meant by their numbers: features=[...]",),
        )
    for i in left:
        odd = table.odd(i) if table.kinds[i] == "text" else None
        if odd is not None and odd.share >= _MOSTLY:
            raise DataError(
                f"column `{table.names[i]}` of {table.name} {KINDS['text']}",
                at="path",
                notes=(str(odd),),
                helps=("correct the value, or name the columns to predict from: features=[...]",),
            )


def _check_number(table: Table, column: int, at: str, helps: tuple[str, ...] = ()) -> None:
    kind = table.kinds[column]
    if kind not in _NUMBERS:
        title, odd = table.title(column), table.odd(column) if kind == "text" else None
        if odd is not None:
            notes = (str(odd),)
            message = f"column `{table.names[column]}` of {table.name} {KINDS[kind]}"
            raise DataError(message, at=at, notes=notes, helps=("correct the value",))
        if kind == "date":
            helps = (DATE_HELP,)
        elif kind == "text" and at == "features":
            helps = (f'one_hot=["{title}"] makes columns of 0 and 1 of it',)
        elif kind == "text" and not helps and at == "target":
            helps = ("it is a class then: leave `classes=false` out",)
        raise DataError(f"column `{table.names[column]}` of {table.name} {KINDS[kind]}", at=at, helps=helps)


def _check_words(table: Table, column: int, at: str) -> None:
    kind = table.kinds[column]
    if kind in ("empty", "date", "other"):
        helps = (DATE_HELP,) if kind == "date" else ()
        raise DataError(f"column `{table.names[column]}` of {table.name} {KINDS[kind]}", at=at, helps=helps)


def _left_out(table: Table, columns: list[int]) -> tuple[str, ...]:
    if not columns:
        return ()
    texts = [f'"{table.title(i)}"' for i in columns if table.kinds[i] == "text"]
    hint = f"; one_hot=[{', '.join(texts)}] makes columns of 0 and 1 of text" if 0 < len(texts) <= _HINTED else ""
    names = listed(table.names[i] for i in columns)
    return (f"left out of {table.name}: columns that are no numbers ({names}){hint}",)


def _text_help(table: Table) -> tuple[str, ...]:
    texts = [f'"{table.title(i)}"' for i, kind in enumerate(table.kinds) if kind == "text"][:_HINTED]
    return (f"one_hot=[{', '.join(texts)}] makes columns of 0 and 1 of text",) if texts else ()
