"""Compile-time functions of the language: `range`, `len`, `min`, `make_divisible`, ..."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nnspec.diagnostics import Span, error
from nnspec.dims import Dim, maximum, minimum
from nnspec.elaborate.arithmetic import binary, bounded, number
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.session import MAX_LIST
from nnspec.elaborate.values import Fault, describe, is_number, is_size
from nnspec.initializers import calculate_gain

Builtin = Callable[[Frame, list[Any], Span], Any]

BUILTINS: dict[str, Builtin] = {}
CONSTANTS: dict[str, Any] = {"inf": math.inf, "pi": math.pi}


def _builtin(name: str) -> Callable[[Builtin], Builtin]:
    def register(function: Builtin) -> Builtin:
        BUILTINS[name] = function
        return function

    return register


def _wrong(name: str, wants: str, span: Span) -> Fault:
    return Fault(error("NNS309", f"`{name}` takes {wants}", span, "not what it takes"))


def _list(name: str, args: list[Any], span: Span) -> list[Any]:
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        return list(args[0])
    raise _wrong(name, "one list", span)


@_builtin("range")
def _range(frame: Frame, args: list[Any], span: Span) -> Any:
    if not 1 <= len(args) <= 3 or not all(is_size(a) for a in args):
        raise _wrong("range", "one to three whole numbers", span)
    symbolic = next((a for a in args if isinstance(a, Dim)), None)
    if symbolic is not None:
        raise Fault(
            error(
                "NNS308",
                f"a loop over `range({symbolic})` needs a fixed number",
                span,
                f"`{symbolic}` is not known at compile time",
                helps=("give the input a fixed size there", "or use `arange` for a tensor of positions"),
            )
        )
    if len(args) == 3 and args[2] == 0:
        raise Fault(error("NNS312", "the step of `range` is zero", span))
    numbers = range(*args)
    if len(numbers) > MAX_LIST:
        raise Fault(error("NNS310", f"a list holds at most {MAX_LIST:,} items, not {len(numbers):,}", span, "too long"))
    return bounded(frame, list(numbers), span)


@_builtin("len")
def _len(frame: Frame, args: list[Any], span: Span) -> Any:
    if len(args) != 1 or not isinstance(args[0], (list, tuple, str, dict)):
        raise _wrong("len", "one list, tuple or string", span)
    return len(args[0])


@_builtin("enumerate")
def _enumerate(frame: Frame, args: list[Any], span: Span) -> Any:
    return bounded(frame, list(enumerate(_list("enumerate", args, span))), span)


@_builtin("zip")
def _zip(frame: Frame, args: list[Any], span: Span) -> Any:
    if not args or not all(isinstance(a, (list, tuple)) for a in args):
        raise _wrong("zip", "lists", span)
    if len({len(a) for a in args}) > 1:
        sizes = " and ".join(str(len(a)) for a in args)
        raise Fault(error("NNS309", f"`zip` needs lists of one length, not {sizes}", span, "lengths differ"))
    return bounded(frame, list(zip(*args, strict=True)), span)


@_builtin("reversed")
def _reversed(frame: Frame, args: list[Any], span: Span) -> Any:
    return bounded(frame, _list("reversed", args, span)[::-1], span)


@_builtin("sum")
def _sum(frame: Frame, args: list[Any], span: Span) -> Any:
    total: Any = 0
    for item in bounded(frame, _list("sum", args, span), span):
        total = binary(frame, "+", total, item, span)
    return total


def _extreme(name: str) -> Builtin:
    def builtin(frame: Frame, args: list[Any], span: Span) -> Any:
        items = bounded(frame, _list(name, args, span) if len(args) == 1 else args, span)
        if items and all(is_size(i) for i in items):
            return frame.proof.simplify((minimum if name == "min" else maximum)(*items))
        if not items or not all(is_number(i) for i in items):
            raise _wrong(name, "numbers, or one list of them", span)
        return min(items) if name == "min" else max(items)

    return builtin


BUILTINS["min"] = _extreme("min")
BUILTINS["max"] = _extreme("max")


def _rounding(name: str, function: Callable[[Any], int]) -> Builtin:
    def builtin(frame: Frame, args: list[Any], span: Span) -> Any:
        if len(args) == 1 and isinstance(args[0], Dim):
            return args[0]
        if len(args) != 1 or not is_number(args[0]) or args[0] in (math.inf, -math.inf):
            raise _wrong(name, "one number", span)
        return number(function(args[0]), span)

    return builtin


for _name, _function in (("int", int), ("round", round), ("floor", math.floor), ("ceil", math.ceil)):
    BUILTINS[_name] = _rounding(_name, _function)


@_builtin("make_divisible")
def _make_divisible(frame: Frame, args: list[Any], span: Span) -> Any:
    """Round a width to a multiple of a divisor, never below 90 % of it (MobileNet's rule)."""
    numbers = all(is_number(a) and abs(a) != math.inf for a in args)
    if not 1 <= len(args) <= 3 or not numbers or (len(args) > 1 and args[1] <= 0):
        raise _wrong("make_divisible", "a width, a divisor and a smallest width", span)
    value = args[0]
    divisor = args[1] if len(args) > 1 else 8
    smallest = args[2] if len(args) > 2 else divisor
    rounded = max(smallest, int(value + Fraction(divisor) / 2) // divisor * divisor)
    return number(rounded + divisor if rounded < Fraction(9, 10) * Fraction(value) else rounded, span)


@_builtin("calculate_gain")
def _calculate_gain(frame: Frame, args: list[Any], span: Span) -> Any:
    """torch.nn.init's: the gain that goes with the function behind a layer."""
    numbers = len(args) == 1 or (len(args) == 2 and args[0] == "leaky_relu" and is_number(args[1]))
    gain = calculate_gain(args[0], *map(float, args[1:])) if numbers and isinstance(args[0], str) else None
    if gain is None:
        raise _wrong("calculate_gain", 'the name of a function such as "relu", or "leaky_relu" and its slope', span)
    return gain


def _real(name: str, function: Callable[[float], float]) -> Builtin:
    def builtin(frame: Frame, args: list[Any], span: Span) -> Any:
        if len(args) != 1 or not is_number(args[0]):
            got = describe(args[0]) if args else "nothing"
            raise Fault(error("NNS309", f"`{name}` takes one number, not {got}", span))
        try:
            return function(float(args[0]))
        except ValueError:
            raise Fault(error("NNS309", f"`{name}` of {args[0]} is not a number", span)) from None
        except OverflowError:
            raise Fault(error("NNS310", f"`{name}` of {args[0]} is too large for a number", span)) from None

    return builtin


NUMERIC: dict[str, Builtin] = {
    name: _real(name, function)
    for name, function in (
        ("sqrt", math.sqrt),
        ("log", math.log),
        ("exp", math.exp),
        ("sin", math.sin),
        ("cos", math.cos),
    )
}
NUMERIC["abs"] = lambda frame, args, span: abs(args[0])
"""Functions that are the library's on tensors and ours on numbers."""
