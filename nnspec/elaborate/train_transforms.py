"""Transforms of the data's fields: what is always done to them, and what is done in training only."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from nnspec import ir
from nnspec.diagnostics import error
from nnspec.elaborate.train_fields import input_names
from nnspec.elaborate.train_objects import bind_object, chosen, record
from nnspec.elaborate.train_section import Section, is_none, translated, written
from nnspec.elaborate.values import Fault, Silent
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.transform import Transform
from nnspec.types import TensorType

Records = dict[str, tuple[ir.Record, ...]]


class Transforms(NamedTuple):
    """The fields as the model sees them, and what is done to them for that."""

    fields: dict[str, TensorType]
    always: Records
    augment: Records


def field_transforms(section: Section, fields: dict[str, TensorType] | None) -> Transforms:
    """The fields, transformed; when no data tells them (None), the transforms themselves are looked at all the same."""
    found = {} if fields is None else dict(fields)
    always = _records(section, "transform", found, known=fields is not None)
    augment = _records(section, "augment", found, known=fields is not None)
    return Transforms(found, always, augment)


def _records(section: Section, setting: str, fields: dict[str, TensorType], *, known: bool) -> Records:
    """What one of the two settings says, field by field; `fields` become what they are afterwards."""
    records: Records = {}
    try:
        for field, node in _by_field(section, setting, fields, known=known):
            path = f"{setting}.{field}"
            items = _items(section, node)
            made = [bind_object(section, f"{path}.{i}", "transform", item) for i, item in enumerate(items)]
            records[field] = tuple(record(section, f"{path}.{i}", each) for i, each in enumerate(made))
            if known:
                fields[field] = _through(section, setting, field, made, fields[field])
    except Fault as fault:
        section.fail(fault)
    except Silent:
        section.frame.failed = True
    return records


def _items(section: Section, node: ast.Expr) -> tuple[ast.Expr, ...]:
    """The transforms of a list, or the only one."""
    node = chosen(section, node)
    if isinstance(node, ast.List):
        return node.items
    if isinstance(node, ast.Tuple) and all(item.name is None for item in node.items):
        return tuple(item.value for item in node.items)
    return (node,)


def _by_field(
    section: Section, setting: str, fields: dict[str, TensorType], *, known: bool
) -> list[tuple[str, ast.Expr]]:
    """Fields with what is done to them: by name, or a bare list for what the only input of the model takes."""
    node = written(section, setting)
    if node is None:
        return []
    node = chosen(section, node)
    if is_none(node):
        return []
    if not isinstance(node, ast.Tuple) or not node.items or any(item.name is None for item in node.items):
        return [(_only_field(section, setting, node, known=known), node)]
    found: dict[str, ast.Expr] = {}
    for item in node.items:
        assert item.name is not None
        place = item.name_span or item.span
        if item.name in found:
            raise Fault(error("NNS306", f"`{setting}` is given `{item.name}` twice", place, "given again here"))
        if known and item.name not in fields:
            close = suggest(item.name, fields)
            helps = (f"did you mean `{close}`?",) if close else (f"its fields are {', '.join(fields)}",)
            raise Fault(error("NNS613", f"the data has no field `{item.name}`", place, "no field", helps=helps))
        found[item.name] = item.value
    return list(found.items())


def _only_field(section: Section, setting: str, node: ast.Expr, *, known: bool) -> str:
    """The field that feeds the only input of the model."""
    inputs = section.method.input_names
    if len(inputs) != 1:
        helps = (f"say for which field: `{setting} = ({inputs[0]}=[...])`",)
        message = f"the model has {len(inputs)} inputs, and this is for one field"
        raise Fault(error("NNS613", message, node.span, "for which field?", helps=helps))
    return input_names(section, None).get(inputs[0], inputs[0])


def _through(section: Section, setting: str, field: str, made: list[Transform], type_: TensorType) -> TensorType:
    """The type of a field behind transforms; one that does not fit is a fault at its place."""
    before = type_
    for number, transform in enumerate(made):
        path = f"{setting}.{field}.{number}"
        if transform.random and setting == "transform":
            name = type(transform).__name__
            message = f"`{name}` draws random numbers, and `transform` holds for validation and prediction as well"
            helps = (f"write it in `augment`, which is for training only: `augment = ({field}=[{name}(...)])`",)
            raise Fault(error("NNS613", message, section.spans[path], "is random", helps=helps))
        if setting == "augment" and type(transform).fit is not Transform.fit:
            name = type(transform).__name__
            message = f"`{name}` measures the data, once, and `augment` is done anew to each batch"
            helps = ("write it in `transform`: what brings numbers to scale there comes after `augment`",)
            raise Fault(error("NNS613", message, section.spans[path], "measures", helps=helps))
        type_ = translated(section, path, partial(transform.infer, type_))
    if setting == "augment" and type_ != before:
        message = f"`augment` makes {type_} of the field `{field}`, and what is validated stays {before}"
        helps = ("what changes the size of a field is for `transform`, which always holds",)
        raise Fault(error("NNS613", message, section.spans[f"augment.{field}.{len(made) - 1}"], helps=helps))
    return type_


def check_validation(
    section: Section, fields: dict[str, TensorType], other: dict[str, TensorType] | None, used: Iterable[str]
) -> None:
    """Report a field in use that the data to validate on lacks, or that is of another type there."""
    if other is None:
        return
    for name in used:
        type_, found = fields[name], other.get(name)
        if found == type_:
            continue
        has = f"is {found} there" if found is not None else "is not there"
        message = f"the data to validate on has other fields: `{name}` is {type_}, and {has}"
        section.fail(Fault(error("NNS608", message, section.spans["validation"], "other fields")))
        return
