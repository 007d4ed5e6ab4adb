"""Lower-case blocks: functions of the author's own, whose bodies become part of the body that calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.elaborate.binding import pair_up, unknown_argument
from nnspec.elaborate.blocks import check_outputs, complete_block, gather_inputs, make_callee
from nnspec.elaborate.calls import Flowing
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.inputs import input_statements
from nnspec.elaborate.matching import bind_inputs
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import BODY_STEPS, MAX_DEPTH
from nnspec.elaborate.values import UNKNOWN, BlockFunction, Fault, Silent
from nnspec.syntax import ast


def call_block_function(
    frame: Frame, value: BlockFunction, arguments: Sequence[ast.Argument], flowing: Flowing, span: Span
) -> Any:
    """Apply a lower-case block: its inputs are its first arguments, in order; its body becomes part of this one."""
    block = value.block
    session = frame.session
    names = [s.name.id for s in input_statements(block)]
    positional = list(flowing[0])
    named = dict(flowing[1])
    given: dict[str, tuple[Any, Span]] = {}
    hyper = [h.name.id for h in block.hyperparameters]
    rest: list[ast.Argument] = []
    for argument in arguments:
        if argument.name is None and len(positional) < len(names):
            positional.append(evaluate(frame, argument.value))
        elif argument.name in names:
            named[argument.name] = evaluate(frame, argument.value)
        else:
            rest.append(argument)
    if rest and any(isinstance(s, ast.Broken) for s in block.body.statements):
        raise Silent  # an input may be among what could not be read
    for argument in rest:
        if argument.name is None:
            raise _by_position(frame, block.name.id, len(names), hyper, argument)
    for name, argument in pair_up(block.name.id, hyper, rest):
        if name not in hyper:
            raise unknown_argument(block.name.id, [*names, *hyper], argument)
        given[name] = (evaluate(frame, argument.value), argument.value.span)
    recipe = complete_block(session, block, given, {}, span)
    inputs = gather_inputs(frame, block, (positional, named), span)
    if session.depth >= MAX_DEPTH:
        raise Fault(error("NNS310", f"blocks are nested more than {MAX_DEPTH} deep", span, f"`{recipe.title}` again"))
    callee = make_callee(frame, recipe, span)
    callee.facts = frame.facts
    callee.proof = frame.proof
    callee.requires = frame.requires
    callee.graph = frame.graph
    callee.scans = frame.scans
    bind_inputs(frame, callee, block, inputs, span, inline=True)
    session.step(span, f"`{recipe.title}`", BODY_STEPS)
    session.depth += 1
    session.ran.add(id(block.body))
    try:
        session.run(callee, block.body.statements[len(names) :])
    finally:
        session.depth -= 1
    check_outputs(callee, block)
    frame.uses_training |= callee.uses_training
    owned = _owned(callee.root)
    if owned is not None:
        raise Fault(
            error(
                "NNS214",
                f"`{block.name.id}` is a function, and a function owns no layers",
                owned.span,
                f"`{owned.name}` would have to be kept somewhere",
                helps=("give the block a capitalised name",),
            )
        )
    values = [v for _, v, _ in callee.outputs]
    if callee.failed or any(v is UNKNOWN for v in values):
        frame.failed = True
        raise Silent
    return values[0] if len(values) == 1 else tuple(values)


def _owned(place: Place) -> Place | None:
    """The first layer or parameter at or below a place; a chain of functions owns none."""
    if place.kind not in ("group", "chain", "repeat"):
        return place
    return next((found for found in map(_owned, place.children.values()) if found is not None), None)


def _by_position(frame: Frame, title: str, inputs: int, hyper: list[str], argument: ast.Argument) -> Fault:
    """The fault of a value behind a function's inputs: hyperparameters of a function have names."""
    value = frame.session.text(argument.value.span)
    named = f"{hyper[0]}={value}" if len(hyper) == 1 else ""
    return Fault(
        error(
            "NNS305",
            f"`{title}` takes {inputs} input{'s' if inputs != 1 else ''} by position"
            f"{', and its hyperparameters by name' if hyper else ''}",
            argument.span,
            "one too many",
            helps=(f"its hyperparameters are {', '.join(hyper)}",) if len(hyper) > 1 else (),
            fixes=(Fix(f"write `{named}`", (Edit(argument.span, named),)),) if named else (),
        )
    )
