"""Values as operands: what the graph holds for them, and functions applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import Span, error
from nnspec.dims import Dim, DimTooLarge
from nnspec.elaborate.absent import check_given, check_one
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.session import FUNCTION_STEPS
from nnspec.elaborate.shape_faults import shape_fault
from nnspec.elaborate.values import Fault, Inexact, Owned, ParamRef, Tensor, describe, is_number, show_value
from nnspec.layer import Function, Operation, ShapeError
from nnspec.layer_complex import refuse_complex
from nnspec.syntax.literals import Whole
from nnspec.types import Scalar, TensorType

OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_divide", "%": "remainder"}
OPERATORS |= {"@": "matmul", "**": "pow"}
"""Operators between tensors, and the functions that they mean."""

_MOST_SHOWN = 8
"""Numbers of a list that a message repeats."""


def operand(frame: Frame, cls: type[Operation], name: str, value: Any, span: Span) -> tuple[Any, ir.Operand]:
    """A value as the shape rule sees it, and as the graph holds it."""
    if isinstance(value, Tensor):
        return value.type, ir.Ref(value.id)
    if isinstance(value, Owned):
        tensor = frame.read(value, span)
        return tensor.type, ir.Ref(tensor.id)
    if isinstance(value, Inexact):
        value = at_run_time(frame, value, span)
        return value.type, ir.Ref(value.id)
    if value is None:
        return None, None
    if isinstance(value, (tuple, list)):
        if value and name not in cls.scalars and all(map(is_number, value)):
            raise _numbers(cls, value, span)
        parts = [operand(frame, cls, name, v, span) for v in value]
        return tuple(p[0] for p in parts), tuple(p[1] for p in parts)
    if name in cls.scalars and (is_number(value) or isinstance(value, (bool, Dim))):
        number = float(value) if isinstance(value, (Fraction, Whole)) else value
        return Scalar(number), number
    helps: tuple[str, ...] = ()
    if isinstance(value, ParamRef):
        helps = ("a parameter that a block is given is there to tie with: `weight=...`",)
    if is_number(value):
        helps = (
            f"a tensor of equal numbers is `full((N, 1), {show_value(value)})`",
            f"a function that waits for what flows in stands in braces: `{{ {cls.__name__}(...) }}`",
        )
    message = f"`{cls.__name__}` needs a tensor, not {describe(value)}"
    raise Fault(error("NNS311", message, span, "not a tensor", helps=helps))


def _numbers(cls: type[Operation], values: Sequence[Any], span: Span) -> Fault:
    """The fault of numbers in a list where a tensor of them is wanted."""
    shown = ", ".join(map(show_value, values[:_MOST_SHOWN])) + (", ..." if len(values) > _MOST_SHOWN else "")
    dtype = ", dtype=float" if all(isinstance(value, int) for value in values) else ""
    helps = (f"a tensor of them is `cat([full((1,), w{dtype}) for w in [{shown}]], dim=0)`",)
    message = f"`{cls.__name__}` needs a tensor, not the number {show_value(values[0])} in a list"
    return Fault(error("NNS311", message, span, "not a tensor", helps=helps))


def allocate(frame: Frame, result: Any, span: Span, previous: int | None) -> tuple[Any, Any]:
    """New graph values for a shape rule's result: the handles, and their numbers in the same nesting."""
    if isinstance(result, TensorType):
        tensor = frame.builder(span).value(result, span, previous)
        return tensor, tensor.id
    parts = [allocate(frame, part, span, previous) for part in result]
    return type(result)(p[0] for p in parts), tuple(p[1] for p in parts)


def outputs_of(ids: Any) -> tuple[Any, ...]:
    """The numbers of a node's outputs, as the graph holds them."""
    return (ids,) if isinstance(ids, int) or len(ids) == 1 else ids


def first_tensor(values: Sequence[Any]) -> int | None:
    """The number of the first tensor among operands: what a shape trace goes back to."""
    for value in values:
        if isinstance(value, Tensor):
            return value.id
        if isinstance(value, (tuple, list)):
            found = first_tensor(value)
            if found is not None:
                return found
    return None


def trim(pairs: list[tuple[Any, ir.Operand]]) -> tuple[ir.Operand, ...]:
    """What the graph holds for operands, less the optional ones at the end that are not given."""
    operands = [p[1] for p in pairs]
    while operands and operands[-1] is None:
        operands.pop()
    return tuple(operands)


def apply_function(
    frame: Frame, function: Function, values: Sequence[Any], span: Span, at: Span, spans: dict[str, Span] | None = None
) -> Any:
    """Add a function's node; `at` is the place that a fault is about."""
    cls = type(function)
    frame.session.step(span, frame.title, FUNCTION_STEPS)
    check_one(cls, cls.__name__, list(values), at)
    check_given(frame, cls, cls.__name__, list(values), span)
    names = cls.input_names()
    pairs = [
        operand(frame, cls, names[min(i, len(names) - 1)].lstrip("*"), value, span) for i, value in enumerate(values)
    ]
    try:
        refuse_complex(function, [p[0] for p in pairs])
        result = function.infer(frame.proof, *(p[0] for p in pairs))
    except ShapeError as fault:
        raise shape_fault(frame, fault, at, spans=spans, sources=tuple(values)) from None
    except DimTooLarge as fault:
        raise Fault(error("NNS310", f"this size is too large to reason about: {fault}", span)) from None
    tensors, ids = allocate(frame, result, span, first_tensor(values))
    node = ir.Op(cls.__name__, trim(pairs), dict(function.given()), outputs_of(ids), span)
    frame.builder(span).nodes.append(node)
    return tensors


def apply_named(
    frame: Frame, name: str, values: tuple[Any, ...], span: Span, at: Span | None = None, **options: Any
) -> Any:
    """Add the node of the library's function of a name."""
    function = registry.find("function", name)
    assert function is not None, name
    return apply_function(frame, function(**options), values, span, at or span)


def size_tensor(frame: Frame, size: Dim, span: Span) -> Tensor:
    """A symbolic size as a number that is known at run time: a tensor without dimensions."""
    tensor: Tensor = apply_named(frame, "full", (), span, size=(), fill_value=size, dtype="float32")
    return tensor


def at_run_time(frame: Frame, value: Any, span: Span) -> Any:
    """A number that is made of symbols as a tensor; what is known now stays what it is."""
    if isinstance(value, Inexact):
        parts = (at_run_time(frame, value.left, span), at_run_time(frame, value.right, span))
        return apply_named(frame, OPERATORS[value.op], parts, span)
    return size_tensor(frame, value, span) if isinstance(value, Dim) else value
