"""Updates that a `train` section makes in turn: each with its parameters, its loss and its optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy
from typing import Any, NamedTuple

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Label, error
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.train_graphs import noted_name
from nnspec.elaborate.train_objects import set_objects_aside
from nnspec.elaborate.train_optimizer import Steps, steps
from nnspec.elaborate.train_section import Section, is_given, written
from nnspec.elaborate.train_settings import some_settings
from nnspec.elaborate.train_statements import check_bindings, check_complete, collect
from nnspec.elaborate.values import Fault, Silent
from nnspec.patterns import Found, is_pattern, matches
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.settings import NOTED, Turn

OWN = ("schedule_unit", "clip_grad_norm", "clip_grad_value")
"""Plain settings of a section that an update may have of its own."""

UPDATE = ("params", "loss", "optimizer", "schedule", *Turn.fields, *OWN)
"""What an update may set."""

ELSEWHERE = ("loss", "optimizer", "schedule")
"""What stands in the updates, if there are any, and not around them."""


def parts_of(section: Section) -> list[Section]:
    """The updates of a section, or the section itself where it has none: what has a loss and an optimizer."""
    if not section.updates:
        return [section]
    for name in ELSEWHERE:
        if is_given(section, name):
            span = section.settings[name].span if name in section.settings else section.head
            message = f"this section has updates, and each of them has its own `{name}`"
            section.fail(Fault(error("NNS616", message, span, "in no `update`", helps=("move it into an `update`",))))
    for group in section.groups:
        message = "this section has updates, and each of them says how its parameters are trained"
        section.fail(Fault(error("NNS616", message, group.span, "in no `update`", helps=("move it into an `update`",))))
    known: dict[str, ast.Update] = {}
    for node in section.updates:
        if node.name.id in NOTED:
            section.fail(noted_name("an update", node.name.id, node.name.span))
        first = known.setdefault(node.name.id, node)
        if first is not node:
            message = f"there are two updates `{node.name.id}`"
            others = (Label(first.name.span, "first here"),)
            section.fail(Fault(error("NNS202", message, node.name.span, "again here", others=others)))
    section.parts = [_part(section, node) for node in known.values()]
    return section.parts


def _part(section: Section, node: ast.Update) -> Section:
    part = section.part(node)
    part.frame = copy(section.frame)
    part.frame.scope = dict(section.frame.scope)
    collect(part, UPDATE)
    meant = check_bindings(part, UPDATE)
    check_complete(part, meant, ("params", "loss", "optimizer"))
    set_objects_aside(part)
    for binding in part.bindings:
        # As in a section: what is a tensor is worked out, and reported, where there are tensors.
        with suppress(Fault, Silent):
            if isinstance(binding.target, ast.Name):
                part.frame.scope[binding.target.id] = evaluate(part.frame, binding.value)
    return part


# --- whose parameters ------------------------------------------------------------------------------------------------


def trained_by(part: Section, found: Sequence[Found]) -> tuple[tuple[str, ...], list[Found]]:
    """The patterns of what an update trains, and the parameters that they mean; () and all of them for a section."""
    node = written(part, "params") if isinstance(part.node, ast.Update) else None
    if node is None:
        return (), list(found)
    patterns = []
    for item in _items(node):
        try:
            patterns.append(_pattern(part, item, found))
        except Fault as fault:
            part.fail(fault)
        except Silent:
            part.frame.failed = True
    return tuple(patterns), [each for each in found if any(matches(p, each.path) for p in patterns)]


def _items(node: ast.Expr) -> Iterator[ast.Expr]:
    if isinstance(node, ast.Tuple):
        for argument in node.items:
            yield from _items(argument.value)
    elif isinstance(node, ast.List):
        for item in node.items:
            yield from _items(item)
    else:
        yield node


def _pattern(part: Section, node: ast.Expr, found: Sequence[Found]) -> str:
    """The pattern that one of `params` says: a model, what is in one, or a pattern of names."""
    if isinstance(node, ast.Broken):
        raise Silent
    path = _path(node)
    text = path if path is not None else evaluate(part.frame, node)
    if not isinstance(text, str) or not is_pattern(text):
        helps = ('write a model, a layer of one, or a pattern of names: `params = (D, "G.head.*")`',)
        raise Fault(
            error("NNS617", "`params` says which parameters are trained", node.span, "no parameters", helps=helps)
        )
    names = [each.path for each in found]
    pattern = text if path is None or text in names else f"{text}.*"
    if not any(matches(pattern, name) for name in names):
        raise Fault(_no_parameters(node, text, names))
    return pattern


def _path(node: ast.Expr) -> str | None:
    """`G.head` as a path."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _path(node.value)
        return None if before is None else f"{before}.{node.name}"
    return None


def _no_parameters(node: ast.Expr, text: str, names: Sequence[str]) -> Diagnostic:
    tops = {name[: name.rfind(".")] for name in names if "." in name}
    known = [*dict.fromkeys(name.partition(".")[0] for name in names), *tops]
    close = suggest(text, known)
    helps = (f"did you mean `{close}`?",) if close else (f"there are {', '.join(sorted(known)[:8])}",) if known else ()
    return error("NNS617", f"no parameter is meant by `{text}`", node.span, "matches nothing", helps=helps)


# --- an update as a whole --------------------------------------------------------------------------------------------


class Prepared(NamedTuple):
    """All of an update but its loss."""

    params: tuple[str, ...]
    steps: Steps
    settings: dict[str, Any]


def prepare(part: Section, found: Sequence[Found]) -> Prepared:
    """Read an update, or what a section says of its only one; `found` are the parameters that there are."""
    if not isinstance(part.node, ast.Update):
        return Prepared((), steps(part, found), {})
    patterns, own = trained_by(part, found)
    return Prepared(patterns, steps(part, own), some_settings(part, (*Turn.fields, *OWN)))


def update_of(
    part: Section, prepared: Prepared, loss: ir.Graph | None, held: ir.Graph | None = None
) -> ir.Update | None:
    """The update as the IR has it; None when it is at fault."""
    optimizer, groups, schedule = prepared.steps
    if loss is None or optimizer is None:
        return None
    if not isinstance(part.node, ast.Update):
        return ir.Update(loss, optimizer, groups, schedule)
    settings = dict(prepared.settings)
    return ir.Update(
        loss,
        optimizer,
        groups,
        schedule,
        name=part.node.name.id,
        span=part.node.name.span,
        params=prepared.params,
        every=settings.pop("every", 1),
        settings=settings,
        held=held,
    )
