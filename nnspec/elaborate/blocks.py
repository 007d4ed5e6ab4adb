"""Blocks: binding hyperparameters, matching inputs, elaborating a body once for each kind of use, and calling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.dims import DimTooLarge, Size, substitute
from nnspec.elaborate import freeze
from nnspec.elaborate.binding import given_text, missing_argument, pair_up, unknown_argument
from nnspec.elaborate.calls import Flowing, shared_fault
from nnspec.elaborate.carried import carry_requirements, carry_ties
from nnspec.elaborate.crossing import crossing
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.extern import check_argument, run_extern
from nnspec.elaborate.frame import Frame, GraphBuilder
from nnspec.elaborate.inputs import check_hyperparameter, input_statements
from nnspec.elaborate.matching import bind_inputs, default_of
from nnspec.elaborate.operands import allocate, first_tensor
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import BODY_STEPS, MAX_DEPTH, MAX_STEPS, Session
from nnspec.elaborate.values import (
    UNKNOWN,
    BlockRecipe,
    Fault,
    Owned,
    ParamRef,
    Silent,
    Tensor,
)
from nnspec.facts import Facts
from nnspec.syntax import ast
from nnspec.types import TensorType


@dataclass(slots=True)
class Elaborated:
    """A body elaborated for inputs of certain types."""

    failed: bool = False
    module: int = -1
    method: int = -1
    outputs: tuple[Any, ...] = ()
    """Types in the callee's symbols, nested as they are returned."""
    requires: tuple[ir.Requirement, ...] = ()
    outer_ties: tuple[tuple[str, str, Span], ...] = ()
    uses_training: bool = False
    unfolded: int = 0
    context: tuple[int, tuple[tuple[str, Size], ...]] | None = None
    """Whose facts it leaned on, if it did: it holds only there."""
    members: dict[str, int] = field(default_factory=dict)


# --- hyperparameters -------------------------------------------------------------------------------------------------


def bind_block(frame: Frame, block: ast.Definition, node: ast.Call) -> BlockRecipe:
    """The recipe of `Block(arguments)`."""
    names = [h.name.id for h in block.hyperparameters]
    pairs = pair_up(block.name.id, names, node.arguments)
    for name, argument in pairs:
        if name not in names:
            raise unknown_argument(block.name.id, names, argument)
    given = {name: (evaluate(frame, a.value), a.value.span) for name, a in pairs}
    exprs = {
        name: frame.session.text(a.value.span)
        for name, a in pairs
        if not isinstance(a.value, (ast.Number, ast.Constant, ast.String))
    }
    return complete_block(frame.session, block, given, exprs, node.span, given_text(frame, node.arguments))


def complete_block(
    session: Session,
    block: ast.Definition,
    given: dict[str, tuple[Any, Span]],
    exprs: dict[str, str],
    span: Span,
    written: str = "",
) -> BlockRecipe:
    """A block with all its hyperparameters: the given ones checked, as `written`, the others from their defaults."""
    scope = Frame(session, "a default", file=session.home(block))
    values: dict[str, Any] = {}
    missing = []
    for hyper in block.hyperparameters:
        name = hyper.name.id
        if name in given:
            value, place = given[name]
            value = crossing(value, place)
        elif hyper.default is not None:
            value, place = evaluate(scope, hyper.default), hyper.default.span
        else:
            missing.append(name)
            continue
        value = check_hyperparameter(block, hyper, value, place)
        if isinstance(block, ast.Extern):
            check_argument(block, name, value, place)
        values[name] = scope.scope[name] = value
    if missing:
        raise missing_argument(block.name.id, missing, {}, span, written)
    return BlockRecipe(block, values, exprs, span)


# --- calling ---------------------------------------------------------------------------------------------------------


def call_block(frame: Frame, place: Place, flowing: Flowing, span: Span) -> Any:
    """Feed values to a block in its place."""
    try:
        return _call(frame, place, flowing, span)
    except DimTooLarge as fault:
        raise Fault(error("NNS310", f"this size is too large to reason about: {fault}", span)) from None


def _call(frame: Frame, place: Place, flowing: Flowing, span: Span) -> Any:
    recipe = place.recipe
    assert isinstance(recipe, BlockRecipe)
    if recipe.bare:
        recipe = complete_block(frame.session, recipe.block, {}, {}, recipe.span)
        place.recipe = recipe
    expected = freeze.expected_module(frame, place, span)
    inputs = gather_inputs(frame, recipe.block, flowing, span)
    callee = make_callee(frame, recipe, span)
    operands = bind_inputs(frame, callee, recipe.block, inputs, span)
    binding: dict[str, Size] = dict(callee.facts.binding)
    result = _elaborated(frame, callee, recipe, operands, binding, expected, span)
    frame.uses_training |= result.uses_training
    if result.failed:
        frame.failed = True
        raise Silent
    if place.module is None:
        place.module = result.module
        place.use = (span, None)
    elif place.module != result.module:
        raise shared_fault(place, span, freeze.difference(frame.session, place.module, result.module))
    carry_requirements(frame, result.requires, binding, recipe, span)
    carry_ties(frame, place, recipe, result.outer_ties)
    types = tuple(_outward(frame, t, binding) for t in result.outputs)
    previous = first_tensor([v for v in inputs.values() if v is not None])
    values, ids = allocate(frame, types, span, previous)
    graph = frame.builder(span)
    node_inputs = tuple(_operand(v) for v in inputs.values())
    graph.nodes.append(ir.Call(place.path, node_inputs, ids, result.method, binding, span))
    grow(frame, result.unfolded, span)
    return values[0] if len(values) == 1 else values


def grow(frame: Frame, operations: int, span: Span) -> None:
    """Count what a call adds to the network once it is written out."""
    frame.unfolded += operations
    if frame.unfolded > MAX_STEPS:
        raise Fault(
            error(
                "NNS310",
                f"written out, this network would have more than {MAX_STEPS:,} operations",
                span,
                "one too many",
                notes=("blocks that use each other twice double with every level",),
            )
        )


def _operand(value: Any) -> ir.Operand:
    if isinstance(value, (list, tuple)):
        return tuple(map(_operand, value))
    return ir.Ref(value.id) if isinstance(value, Tensor) else None


def _outward(frame: Frame, type_: Any, binding: dict[str, Size]) -> Any:
    if isinstance(type_, (tuple, list)):
        return type(type_)(_outward(frame, t, binding) for t in type_)
    if not binding:
        return type_
    return TensorType(type_.dtype, tuple(frame.proof.simplify(substitute(d, binding)) for d in type_.dims))


def gather_inputs(frame: Frame, block: ast.Definition, flowing: Flowing, span: Span) -> dict[str, Any]:
    """Flowing values by input name, in order; None for optional ones that are left out."""
    statements = input_statements(block)
    names = [s.name.id for s in statements]
    positional, named = flowing
    if any(isinstance(s, ast.Broken) for s in block.body.statements) and len(positional) + len(named) != len(names):
        raise Silent  # an input may be among what could not be read
    if len(positional) > len(names):
        raise Fault(
            error(
                "NNS412",
                f"`{block.name.id}` takes {len(names)} input{'s' if len(names) != 1 else ''}, "
                f"but {len(positional)} flow in",
                span,
                "too many inputs",
                others=(Label(block.head, "declared here"),),
                helps=_as_list(statements),
            )
        )
    values = dict(zip(names, positional, strict=False))
    for name, value in named.items():
        if name not in names or name in values:
            title = f"`{block.name.id}`"
            message = f"{title} is given `{name}` twice" if name in values else f"{title} has no input `{name}`"
            raise Fault(error("NNS412", message, span, f"`{name}`", helps=(f"its inputs are {', '.join(names)}",)))
        values[name] = value
    for statement in statements:
        name = statement.name.id
        if values.get(name) is None and statement.default is None:
            taken = names[: len(positional)]
            helps = (f"what flows in is `{taken[0]}`: inputs are given in their order, or by name",) if taken else ()
            raise Fault(
                error(
                    "NNS412",
                    f"`{block.name.id}` needs its input `{name}`",
                    span,
                    f"no `{name}` flows in",
                    others=(Label(statement.span, "declared here"),),
                    helps=helps,
                )
            )
    given = {s.name.id: _given(frame, s, values.get(s.name.id)) for s in statements}
    return {name: _read(frame, value, span) for name, value in given.items()}


def _as_list(statements: Sequence[ast.Input]) -> tuple[str, ...]:
    """What helps when several tensors flow into a block that takes a list."""
    lists = any(isinstance(s.type, ast.ListType) for s in statements)
    return ("several tensors for one input are a list: `[a, b] -> ...`",) if lists else ()


def _given(frame: Frame, statement: ast.Input, value: Any) -> Any:
    return default_of(frame, statement) if value is None else value


def _read(frame: Frame, value: Any, span: Span) -> Any:
    """A value that flows in; params and buffers, also those in lists, as tensors."""
    if isinstance(value, (list, tuple)):
        return type(value)(_read(frame, part, span) for part in value)
    return frame.read(value, span) if isinstance(value, Owned) else value


def make_callee(frame: Frame, recipe: BlockRecipe, span: Span) -> Frame:
    """A frame for a block's body, its hyperparameters bound."""
    facts = Facts(frame.facts, {})
    home = frame.session.home(recipe.block)
    callee = Frame(frame.session, f"`{recipe.title}`", file=home, facts=facts, mode=frame.mode)
    callee.graph = GraphBuilder()
    callee.called_at = span
    callee.caller = frame
    callee.block = recipe.block
    for name, value in recipe.arguments.items():
        inward = ParamRef("", value.type, value.span, outer=name) if isinstance(value, ParamRef) else value
        callee.scope[name] = inward
        callee.fixed[name] = "hyperparameter"
    return callee


def _elaborated(
    frame: Frame,
    callee: Frame,
    recipe: BlockRecipe,
    types: list[Any],
    binding: dict[str, Size],
    expected: int | None,
    span: Span,
) -> Elaborated:
    """The body elaborated for these inputs: an earlier result if one holds here."""
    session = frame.session
    key = (recipe.key(), frame.mode, tuple(types), expected)
    context = (id(frame.facts), tuple(binding.items()))
    known = session.elaborated.setdefault(key, [])
    for result in known:
        if result.context is None or result.context == context:
            return result
    if session.depth >= MAX_DEPTH:
        raise Fault(
            error(
                "NNS310",
                f"blocks are nested more than {MAX_DEPTH} deep",
                span,
                f"`{recipe.title}` again",
                helps=("a block that uses itself needs a hyperparameter that ends it",),
            )
        )
    session.step(span, f"`{recipe.title}`", BODY_STEPS)
    session.depth += 1
    try:
        result = elaborate_body(callee, recipe, types, expected)
    finally:
        session.depth -= 1
    if callee.facts.used_parent:
        result.context = context
        session.keep.append(frame.facts)
    known.append(result)
    return result


def elaborate_body(callee: Frame, recipe: BlockRecipe, types: Sequence[Any], expected: int | None) -> Elaborated:
    """Run a body whose inputs are bound, and freeze what it owns and computes."""
    block = recipe.block
    callee.expected = expected
    inputs = input_statements(block)
    callee.session.ran.add(id(block.body))
    if isinstance(block, ast.Extern):
        run_extern(callee, block)
    else:
        callee.session.run(callee, block.body.statements[len(inputs) :])
    check_outputs(callee, block)
    result = Elaborated(uses_training=callee.uses_training)
    values = [value for _, value, _ in callee.outputs]
    if callee.failed or any(v is UNKNOWN for v in values):
        result.failed = True
        return result
    try:
        module = freeze.module(callee, recipe, expected)
    except Fault as fault:
        callee.report(fault.diagnostic)
        module = None
    if module is None:
        result.failed = True
        return result
    result.module = module
    result.outputs = tuple(_types(v) for v in values)
    result.requires = tuple(callee.requires)
    assert callee.graph is not None
    result.unfolded = callee.unfolded + len(callee.graph.nodes)
    result.outer_ties = tuple(callee.outer_ties)
    result.method = freeze.method(callee, module, inputs, types, values)
    return result


def check_outputs(callee: Frame, block: ast.Definition) -> None:
    """A block returns something; several outputs and those of a model have names."""
    if not callee.outputs:
        if not callee.failed:
            callee.report(
                error(
                    "NNS213",
                    f"{block.kind} `{block.name.id}` has no output",
                    block.head,
                    "nothing comes out of this",
                    helps=("say what it returns: `output y = ...`",),
                )
            )
        callee.failed = True
        return
    names = [name for name, _, _ in callee.outputs]
    for name, _, span in callee.outputs:
        if not name and (block.kind == "model" or len(names) > 1):
            why = "outputs of a model have names" if block.kind == "model" else "several outputs have names"
            callee.report(error("NNS213", why, span, "no name", helps=("write `output name = ...`",)))


def _types(value: Any) -> Any:
    """The type of an output, in its nesting: lists stay lists."""
    return type(value)(_types(v) for v in value) if isinstance(value, (tuple, list)) else value.type
