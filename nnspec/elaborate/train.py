"""A `train` section: data, loss, optimizer, metrics and settings, checked against the model and the data's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.overrides import Written
from nnspec.elaborate.session import Session
from nnspec.elaborate.train_fields import match_inputs, schema, sized
from nnspec.elaborate.train_graphs import CLOCK, Names, check_functions, loss_graph, mentioned_names, metric_graphs
from nnspec.elaborate.train_objects import (
    OBJECTS,
    OPTIONAL,
    bind_object,
    class_of,
    record,
    set_objects_aside,
    setting_object,
)
from nnspec.elaborate.train_optimizer import check_group_names, parameters
from nnspec.elaborate.train_section import Section, is_none, written
from nnspec.elaborate.train_settings import check_monitored, plain_settings
from nnspec.elaborate.train_statements import check_bindings, check_complete, check_overrides, check_used, collect
from nnspec.elaborate.train_together import check_together
from nnspec.elaborate.train_transforms import Transforms, check_validation, field_transforms
from nnspec.elaborate.train_updates import parts_of, prepare, update_of
from nnspec.elaborate.values import BlockRecipe, Fault, Record, Silent
from nnspec.syntax import ast
from nnspec.training.average import Average
from nnspec.training.dataset import Dataset
from nnspec.training.settings import Settings
from nnspec.types import TensorType


def elaborate_train(
    session: Session,
    node: ast.Train,
    entry: ir.Entry,
    recipe: BlockRecipe,
    *,
    base: Path,
    overrides: Mapping[str, Written],
    to_run: bool = False,
) -> ir.Training | None:
    """The training of a model, or None when the section has errors.

    Data whose file is missing is a fault only `to_run`: a spec can be checked where its data is not.
    """
    number = entry.methods.get("train", entry.methods["infer"])
    section = Section(session, node, (entry, session.methods[number], recipe), base, overrides)
    found = None
    try:
        found = _elaborate(section, to_run)
    except Fault as fault:
        section.fail(fault)
    except Silent:
        pass
    if not section.computed:
        check_functions(section)
    return found


def check_names(session: Session, node: ast.Train, overrides: Mapping[str, Written] | None = None) -> None:
    """Report unknown settings, data, optimizers, losses and metrics of a section whose model has errors."""
    section = Section(session, node, None, Path(), overrides or {})
    _read(section)
    for name, kind in OBJECTS.items():
        value = written(section, name)
        if value is None or (name in OPTIONAL and is_none(value)):
            continue
        if not (isinstance(value, ast.Name) and value.id in section.objects):
            with suppress(Silent):
                try:
                    cls = class_of(section, name, kind, value)
                    if name == "optimizer":
                        check_group_names(section, cls)
                except Fault as fault:
                    section.fail(fault)
    check_functions(section)


def chosen_optimizer(session: Session, node: ast.Train, entry: ir.Entry, recipe: BlockRecipe) -> ir.Record | None:
    """The optimizer that a section names; faults in the section are not reported, and mean that there is none."""
    section = Section(session, node, (entry, session.methods[entry.methods["infer"]], recipe), Path(), {})
    for statement in node.body.statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.target, ast.Name):
            section.settings.setdefault(statement.target.id, statement)
            section.bindings.append(statement)
    set_objects_aside(section)
    bind_numbers(section)
    with suppress(Fault, Silent):
        written_as = section.settings.get("optimizer")
        if written_as is not None:
            return record(section, "optimizer", bind_object(section, "optimizer", "optimizer", written_as.value))
    return None


def _read(section: Section) -> None:
    """Sort the statements, and report what is misspelt or lacking."""
    collect(section)
    meant = check_bindings(section)
    check_complete(section, meant, ("data",) if section.updates else ("data", "loss", "optimizer"))
    set_objects_aside(section)


def _elaborate(section: Section, to_run: bool) -> ir.Training | None:
    given = read(section, to_run)
    parts = parts_of(section)
    found = parameters(section)
    prepared = [prepare(part, found) for part in parts]
    if given.raw is None:
        return None
    inputs, names, types = _tensors(section, given.transforms.fields, parts)
    losses = [loss_graph(part, names, types) for part in parts]
    metrics = metric_graphs(section, names, types)
    updates = [update_of(part, each, loss) for part, each, loss in zip(parts, prepared, losses, strict=True)]
    return training(section, given, inputs, names, updates, metrics)


class Given(NamedTuple):
    """What a section says besides its losses: data, how it is made ready, and for how long and how one trains."""

    data: Dataset | None
    validation: Dataset | None
    average: Average | None
    settings: dict[str, Any]
    raw: dict[str, TensorType] | None
    """The fields as they are stored; None when that is not known."""
    transforms: Transforms
    known: dict[str, TensorType] | None
    """The fields of the data to validate on, where they are known."""


def read(section: Section, to_run: bool) -> Given:
    """Read all of a section but its losses and metrics; faults are reported."""
    _read(section)
    check_overrides(section)
    bind_numbers(section)
    data, validation = setting_object(section, "data"), setting_object(section, "validation")
    section.data = data
    average = setting_object(section, "average")
    settings = plain_settings(section)
    raw = None if data is None else schema(section, "data", data, to_run)
    if section.models is not None and raw is not None:
        section.method = replace(section.method, input_names=tuple(raw))
    known = None if validation is None else schema(section, "validation", validation, to_run)
    return Given(data, validation, average, settings, raw, field_transforms(section, raw), known)


def training(
    section: Section,
    given: Given,
    inputs: dict[str, str],
    names: Names,
    updates: Sequence[ir.Update | None],
    metrics: Sequence[ir.Metric],
) -> ir.Training | None:
    """The section as the IR has it; None when anything in it is at fault."""
    check_monitored(section, given.settings, metrics, [u.name for u in updates if u is not None and u.name])
    if given.validation is not None and given.raw is not None:
        used = dict.fromkeys((*inputs.values(), *(name for kind, name in names if kind == "data")))
        check_validation(section, given.raw, given.known, used)
    if not section.failed:
        check_used(section)
    made = [update for update in updates if update is not None]
    parts = {part.node.name.id: part for part in section.parts if isinstance(part.node, ast.Update)}
    placed = [(parts.get(update.name, section), update) for update in made]
    check_together(section, given.settings, placed, metrics, given.average)
    if len(made) < len(updates) or section.failed or given.data is None:
        return None
    return ir.Training(
        entry=0,
        data=record(section, "data", given.data),
        fields=given.transforms.fields,
        inputs=inputs,
        names=names,
        updates=tuple(made),
        metrics=tuple(metrics),
        settings=given.settings,
        span=section.node.span,
        validation=None if given.validation is None else record(section, "validation", given.validation),
        transforms=given.transforms.always,
        augment=given.transforms.augment,
        average=None if given.average is None else record(section, "average", given.average),
        models=() if section.models is None else tuple(section.models.recipes),
        places={"train": section.head, **_places(section)},
    )


def _places(section: Section) -> dict[str, Span]:
    """Where plain settings are written, by name."""
    prefix = "settings."
    return {name.removeprefix(prefix): span for name, span in section.spans.items() if name.startswith(prefix)}


def _tensors(
    section: Section, fields: dict[str, TensorType], parts: Sequence[Section]
) -> tuple[dict[str, str], Names, list[TensorType]]:
    """The fields that feed the model, and what loss and metrics mention, with its types."""
    inputs, sizes = match_inputs(section, fields)
    outputs = {
        name: sized(section.method.graph, operand, sizes)
        for name, operand in zip(section.method.output_names, section.method.graph.outputs, strict=True)
        if isinstance(operand, ir.Ref)
    }
    section.offered = (*outputs, *fields)
    section.computed = True
    names = mentioned_names(section, outputs, fields, parts)
    types = {"model": outputs, "data": fields, "clock": CLOCK}
    return inputs, names, [types[kind][name] for kind, name in names]


def bind_numbers(section: Section) -> None:
    """What settings may use: the model's hyperparameters, plain settings, and bindings that need no tensor."""
    section.frame.scope = {"model": Record(section.recipe.arguments)}
    nodes = [(b.target.id, b.value) for b in section.bindings if isinstance(b.target, ast.Name)]
    for name in Settings.fields:
        node = written(section, name) if name not in Settings.records else None
        if node is not None:
            nodes.append((name, node))
    for name, node in sorted(nodes, key=lambda pair: pair[1].span.start):
        # A tensor is no fault here: bindings are worked out again where there are tensors, and reported there.
        with suppress(Fault, Silent):
            section.frame.scope[name] = evaluate(section.frame, node)
