"""Statements of a body, one after the other; one that fails is reported and what it binds is unknown from there on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.diagnostics import error
from nnspec.elaborate import members, operators  # noqa: F401 - they register what they handle
from nnspec.elaborate.absent import absent_helps
from nnspec.elaborate.asserts import run_assert
from nnspec.elaborate.bound import bound_names, broken_names
from nnspec.elaborate.expressions import (
    assign_local,
    condition,
    evaluate,
    iterate,
    operand_value,
    restore_targets,
    save_targets,
    unpack,
)
from nnspec.elaborate.flows import label_name, plant
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.inputs import check_value
from nnspec.elaborate.parameters import declare
from nnspec.elaborate.place import Place, kind_of
from nnspec.elaborate.scan import results_for, run_yield
from nnspec.elaborate.settings import note_settings
from nnspec.elaborate.values import (
    UNKNOWN,
    Fault,
    Owned,
    Recipe,
    Silent,
    Tensor,
    Undecided,
    describe,
    kind_word,
)
from nnspec.syntax import ast

_RUN: dict[type, Callable[[Frame, Any], None]] = {}


def _runs(*nodes: type) -> Callable[[Callable[[Frame, Any], None]], Callable[[Frame, Any], None]]:
    def register(function: Callable[[Frame, Any], None]) -> Callable[[Frame, Any], None]:
        for node in nodes:
            _RUN[node] = function
        return function

    return register


def run(frame: Frame, statements: Sequence[ast.Statement]) -> None:
    """Run statements in order; a fault of one is reported, and the others go on."""
    for position, statement in enumerate(statements):
        try:
            _RUN[type(statement)](frame, statement)
        except Fault as fault:
            frame.report(fault.diagnostic)
            if frame.session.exhausted:
                raise Silent from None
            _skip(frame, (statement,))
            if isinstance(statement, ast.Assert):
                _skip(frame, statements[position + 1 :])
                return
        except Silent:
            if frame.session.exhausted:
                raise
            _skip(frame, (statement,))


def _skip(frame: Frame, statements: Sequence[ast.Statement]) -> None:
    """What a fault leaves undone (the rest of its statement, what needs its value): only names are looked at."""
    frame.failed = True
    for statement in statements:
        frame.session.check_names(frame, statement)
        _poison(frame, statement)


def run_inner(frame: Frame, body: ast.Body) -> None:
    """Run a body that stands inside another."""
    frame.session.ran.add(id(body))
    run(frame, body.statements)


def _poison(frame: Frame, statement: ast.Statement) -> None:
    """What a failed statement would have bound is unknown."""
    names = bound_names(statement)
    if isinstance(statement, ast.Broken):
        names = broken_names(frame, statement)
    for name in names:
        frame.scope[name] = UNKNOWN
    if isinstance(statement, ast.Output):
        frame.outputs.append((statement.name.id if statement.name else "_", UNKNOWN, statement.span))


@_runs(ast.Broken)
def _broken(frame: Frame, node: ast.Broken) -> None:
    raise Silent


@_runs(ast.Input)
def _input(frame: Frame, node: ast.Input) -> None:
    before = () if frame.block is None else frame.block.body.statements
    if all(isinstance(s, (ast.Input, ast.Broken)) for s in before if s.span.start < node.span.start):
        raise Silent  # what stands in front of it could not be read, and was reported
    raise Fault(
        error(
            "NNS216",
            "inputs come first in a body",
            node.span,
            "after other statements",
            helps=("move it to the top of the body",),
        )
    )


@_runs(ast.Parameter)
def _parameter(frame: Frame, node: ast.Parameter) -> None:
    declare(frame, node)


@_runs(ast.Yield)
def _yield(frame: Frame, node: ast.Yield) -> None:
    run_yield(frame, node)


@_runs(ast.Settings)
def _settings(frame: Frame, node: ast.Settings) -> None:
    note_settings(frame, node)


@_runs(ast.Update)
def _update(frame: Frame, node: ast.Update) -> None:
    raise Fault(error("NNS217", "`update` stands in a `train` section", node.span, "outside of `train`"))


# --- bindings --------------------------------------------------------------------------------------------------------


@_runs(ast.Assign)
def _assign(frame: Frame, node: ast.Assign) -> None:
    if isinstance(node.value, ast.Scan) and isinstance(node.target, ast.Targets):
        value: Any = results_for(frame, node.value, node.target)
    else:
        value = operand_value(frame, node.value)
    if isinstance(value, Undecided):
        raise Fault(
            error("NNS308", f"`{value.text}` is not known at compile time", node.value.span, "neither true nor false")
        )
    if node.type is not None:
        _check_type(frame, node, value)
    _bind(frame, node.target, value, node)


def _check_type(frame: Frame, node: ast.Assign, value: Any) -> None:
    assert node.type is not None
    if isinstance(value, Owned):
        value = frame.read(value, node.value.span)
    if not isinstance(value, (Tensor, list, tuple)):
        raise Fault(error("NNS413", f"only tensors have types, and this is {describe(value)}", node.type.span))
    check_value(frame, node.type, value, node.value.span, f"`{frame.session.text(node.target.span)}`")


def _bind(frame: Frame, target: ast.Target, value: Any, node: ast.Assign) -> None:
    if isinstance(target, ast.Targets):
        for part, item in zip(target.items, unpack(value, len(target.items), target.span), strict=True):
            _bind(frame, part, item, node)
        return
    name = target.id
    if isinstance(value, Recipe):
        _bind_layer(frame, target, value, node)
        return
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, Recipe) for v in value):
        _bind_layers(frame, target, value, node)
        return
    if isinstance(value, Place):
        raise Fault(
            error(
                "NNS205",
                f"`{value.path}` is a layer that has a name: it takes no second one",
                node.span,
                "named again here",
            )
        )
    _check_kind(frame, target, value)
    frame.bind(name, value, target.span)
    if isinstance(value, Tensor) and frame.graph is not None and name != "_":
        frame.graph.hint(value, name)


def _check_kind(frame: Frame, target: ast.Name, value: Any) -> None:
    """A name may be bound again to a value of its kind."""
    old = frame.scope.get(target.id)
    if old is None or old is UNKNOWN or value is None or target.id in frame.fixed:
        return
    if kind_word(old) != kind_word(value):
        raise Fault(
            error(
                "NNS203",
                f"`{target.id}` is {describe(old)} and becomes {describe(value)}",
                target.span,
                "bound to another kind of value",
                helps=("choose another name",),
            )
        )


def _bind_layer(frame: Frame, target: ast.Name, recipe: Recipe, node: ast.Assign) -> None:
    if frame.graph is None:
        frame.bind(target.id, recipe, target.span)
        return
    if recipe.bare:
        raise Fault(
            error(
                "NNS204",
                f"`{target.id} = {recipe.title}` does not say whether it is a layer or a kind of layer",
                node.value.span,
                "without `()`",
                helps=(f"a layer that is shared by its uses: `{target.id} = {recipe.title}()`",),
            )
        )
    _check_kind(frame, target, recipe)
    frame.bind(target.id, UNKNOWN, target.span)
    place = plant(frame.home.child(target.id, kind_of(recipe), "bound", node.span), recipe)
    frame.scope[target.id] = place
    frame.fixed[target.id] = "layer"


def _bind_layers(frame: Frame, target: ast.Name, recipes: Sequence[Recipe], node: ast.Assign) -> None:
    if frame.graph is None:
        frame.bind(target.id, recipes, target.span)
        return
    bare = next((r for r in recipes if r.bare), None)
    if bare is not None:
        raise Fault(
            error(
                "NNS204",
                f"`{bare.title}` in this list does not say whether it is a layer or a kind of layer",
                node.value.span,
                "without `()`",
                helps=(f"a layer that is shared by its uses: `{bare.title}()`",),
            )
        )
    _check_kind(frame, target, recipes[0])
    frame.bind(target.id, UNKNOWN, target.span)
    group = frame.home.child(target.id, "group", "bound", node.span)
    frame.scope[target.id] = [
        plant(group.child(str(i), kind_of(r), "position", node.span), r) for i, r in enumerate(recipes)
    ]
    frame.fixed[target.id] = "layer"


@_runs(ast.Group)
def _group(frame: Frame, node: ast.Group) -> None:
    name = label_name(frame, node.label)
    assert name is not None
    outer = frame.home
    frame.home = outer.group(name, node.label.span)
    try:
        run_inner(frame, node.body)
    finally:
        frame.home = outer


@_runs(ast.Output)
def _output(frame: Frame, node: ast.Output) -> None:
    if frame.in_loop:
        raise Fault(error("NNS213", "an output cannot stand in a loop", node.span, "in a loop"))
    if frame.yielded is not None:
        help_ = "give it out of the scan by `yield`, or as a state"
        raise Fault(error("NNS213", "an output cannot stand in a scan", node.span, "in a scan", helps=(help_,)))
    name = node.name.id if node.name else ""
    if node.value is not None:
        value = evaluate(frame, node.value)
        if not name and isinstance(node.value, ast.Name):
            name = node.value.id if frame.root_kind == "model" else ""
    else:
        assert node.name is not None
        value = evaluate(frame, node.name)
    if isinstance(value, Owned):
        value = frame.read(value, node.span)
    if not _is_output(value):
        helps = absent_helps(frame, node.span) if value is None else ()
        message = f"an output is a tensor, not {describe(value)}"
        raise Fault(error("NNS311", message, node.span, "not a tensor", helps=helps))
    place = node.value.span if node.value is not None else node.span
    if node.type is not None:
        check_value(frame, node.type, value, place, f"output `{name}`")
    if name and any(name == other for other, _, _ in frame.outputs):
        raise Fault(error("NNS202", f"there are two outputs `{name}`", node.span, "named again here"))
    frame.outputs.append((name, value, place))
    if name and isinstance(value, Tensor) and frame.graph is not None:
        frame.graph.hint(value, name)
    if name and node.value is not None and name not in frame.fixed:
        frame.scope[name] = value


def _is_output(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return bool(value) and all(map(_is_output, value))
    return isinstance(value, Tensor)


# --- control ---------------------------------------------------------------------------------------------------------


@_runs(ast.If)
def _if(frame: Frame, node: ast.If) -> None:
    if condition(frame, node.test, "this `if`"):
        run_inner(frame, node.then)
    elif node.orelse is not None:
        run_inner(frame, node.orelse)


@_runs(ast.For)
def _for(frame: Frame, node: ast.For) -> None:
    items = iterate(frame, node.iterable)
    hidden = save_targets(frame, node.target)
    frame.in_loop += 1
    try:
        for item in items:
            frame.session.step(node.span, f"the loop over `{frame.session.text(node.iterable.span)}`")
            assign_local(frame, node.target, item)
            run_inner(frame, node.body)
    finally:
        frame.in_loop -= 1
        restore_targets(frame, hidden)


@_runs(ast.Assert)
def _assert(frame: Frame, node: ast.Assert) -> None:
    run_assert(frame, node)
