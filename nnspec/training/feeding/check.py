"""Compares the data that was loaded with what the spec says about it, before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nnspec import ir, registry
from nnspec.dims import Dim, show
from nnspec.functions.classification import ClassLoss
from nnspec.training import build
from nnspec.training.dataset import Array, Lazy, Loaded, field_type
from nnspec.training.fault import DataError
from nnspec.training.inputs import graph_bounds, index_bounds
from nnspec.types import TensorType


def used_fields(training: ir.Training) -> tuple[str, ...]:
    """Fields that the model, the loss or a metric takes, in order of first use."""
    names = [*training.inputs.values(), *(name for kind, name in training.names if kind == "data")]
    return tuple(dict.fromkeys(names))


def check_fields(training: ir.Training, loaded: Loaded, program: ir.Program | None = None) -> None:
    """Raise `DataError` for a field that is missing or is not what the spec was checked with, or for bad values."""
    symbols: dict[str, tuple[int, str]] = {}
    for name in used_fields(training):
        if name not in loaded.fields:
            there = ", ".join(f"`{n}`" for n in loaded.fields)
            raise DataError(f"the data has no field `{name}`", code="NNS604", notes=(f"its fields: {there}",))
        array, what = loaded.fields[name], _named(loaded, name)
        if name in training.fields:
            _check_type(_transformed(training, loaded, name), len(array), training.fields[name], what, symbols)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and not np.isfinite(array).all():
            sample = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(f"{what} is not finite in sample {sample:,} (counted from 0)")
    if len(loaded) == 0:
        raise DataError("the data has no samples")
    for name, classes, ignored in _class_targets(training):
        reason = f"the loss has scores for {classes:,} classes"
        _check_range(loaded, name, classes, reason, "the model's last layer", ignored)
    for field, bound in _index_fields(training, program):
        _check_range(loaded, field, bound, f"the model looks it up in {bound:,} rows", "the embedding")
    if loaded.validation is not None:
        check_fields(training, replace(loaded, fields=loaded.validation, validation=None), program)


def check_classes(training: ir.Training, loaded: Loaded, validation: Loaded) -> None:
    """Raise `DataError` for a class that has another number in the data to validate on."""
    for name in used_fields(training):
        here, there = loaded.classes.get(name), validation.classes.get(name)
        if here != there and here is not None and there is not None:
            shown = (", ".join(f"`{word}`" for word in words[:20]) for words in (here, there))
            raise DataError(
                f"the classes of `{name}` are others in the data to validate on",
                code="NNS604",
                notes=tuple(map("{}: {}".format, ("trained on", "validated on"), shown)),
            )


def _named(loaded: Loaded, name: str) -> str:
    origin = loaded.origins.get(name)
    return f"field `{name}` ({origin})" if origin else f"field `{name}`"


def _transformed(training: ir.Training, loaded: Loaded, name: str) -> TensorType:
    """The type of a field as the model sees it."""
    array = loaded.fields[name]
    type_ = field_type("float32" if name in loaded.divisor else str(array.dtype), *array.shape[1:])
    for record in training.transforms.get(name, ()):
        type_ = build.transform(record).infer(type_)
    return type_


def _check_type(
    found: TensorType, count: int, type_: TensorType, what: str, symbols: dict[str, tuple[int, str]]
) -> None:
    if found.dtype != type_.dtype or found.rank != type_.rank:
        raise DataError(f"{what} is {found}, and the spec was checked with {type_}", code="NNS604")
    for axis, (dim, given) in enumerate(zip(type_.dims, found.dims, strict=True)):
        size = given if axis and isinstance(given, int) else count
        if isinstance(dim, Dim):
            fixed, where = symbols.setdefault(show(dim), (size, what))
            if size != fixed:
                raise DataError(f"`{show(dim)}` is {fixed:,} in {where} and {size:,} in {what}", code="NNS604")
        elif size != dim:
            raise DataError(f"{what} is {found}, and the spec was checked with {type_}", code="NNS604")


def _class_targets(training: ir.Training) -> Iterator[tuple[str, int, int]]:
    """Fields that number classes for the loss, how many classes it has scores for, and the number that it ignores."""
    for update in training.updates:
        yield from _class_targets_of(training, update.loss)


def _class_targets_of(training: ir.Training, graph: ir.Graph) -> Iterator[tuple[str, int, int]]:
    fields = {
        value: name
        for value, (kind, name) in zip(graph.inputs, training.names, strict=False)
        if kind == "data" and value is not None
    }
    for node in graph.nodes:
        cls = registry.find("function", node.function) if isinstance(node, ir.Op) else None
        if isinstance(node, ir.Op) and cls is not None and issubclass(cls, ClassLoss):
            scores, target = node.inputs[:2]
            if isinstance(scores, ir.Ref) and isinstance(target, ir.Ref) and target.id in fields:
                loss, kind = cls(**node.attributes), graph.values[scores.id].type
                classes = kind.dims[loss.class_axis(kind)]
                if isinstance(classes, int) and "int" in graph.values[target.id].type.dtype:
                    yield fields[target.id], classes, loss.ignore_index


def _index_fields(training: ir.Training, program: ir.Program | None) -> Iterator[tuple[str, int]]:
    if program is None:
        return
    for name, bound in index_bounds(program, program.entries[training.entry]).items():
        if name in training.inputs:
            yield training.inputs[name], bound
    method = program.methods[program.entries[training.entry].methods["infer"]]
    for update in training.updates if training.models else ():
        for position, bound in graph_bounds(program, method, update.loss).items():
            kind, name = training.names[position]
            if kind == "data":
                yield name, bound


def _values(array: Array) -> np.ndarray:
    """All values of a field; of one that is read later its bounds, if they are known."""
    return np.array(array.bounds or (), dtype=array.dtype) if isinstance(array, Lazy) else array


def _check_range(loaded: Loaded, name: str, bound: int, reason: str, where: str, ignored: int | None = None) -> None:
    array, what = _values(loaded.fields[name]), _named(loaded, name)
    array = array if ignored is None else array[array != ignored]
    if not array.size:
        return
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0:
        raise DataError(f"{what} goes down to {lowest:,}; class numbers and indices start from 0", code="NNS604")
    if highest >= bound:
        raise DataError(
            f"{what} goes up to {highest:,}, and {reason} (0 to {bound - 1:,})",
            code="NNS604",
            helps=(f"let {where} have {highest + 1:,}",),
        )
