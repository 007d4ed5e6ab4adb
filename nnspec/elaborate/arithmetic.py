"""Compile-time arithmetic: exact numbers, sizes with symbols, and three-valued conditions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from nnspec.diagnostics import Span, error
from nnspec.dims import Dim, DimTooLarge, Size, conditional, floordiv, mod, show, symbols
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.session import MAX_LIST, MAX_STEPS
from nnspec.elaborate.values import (
    BlockFunction,
    ChainRecipe,
    Fault,
    FunctionValue,
    Inexact,
    Recipe,
    RepeatRecipe,
    Undecided,
    content,
    describe,
    is_number,
    is_size,
    show_value,
)
from nnspec.syntax.literals import Float, Whole

_LIMIT = 2**63
_LARGEST_POWER = 8
"""Of a symbol."""
_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def binary(frame: Frame, op: str, left: Any, right: Any, span: Span) -> Any:
    """`left op right` for compile-time values."""
    if is_number(left) and is_number(right):
        result = number(_numbers(op, left, right, span), span)
        floats = any(isinstance(value, (Float, Whole)) for value in (left, right))
        if isinstance(result, float) or not floats:
            return result
        return Whole(result) if isinstance(result, int) else Float(result)
    if all(is_number(value) or isinstance(value, (Dim, Inexact)) for value in (left, right)):
        return _sizes(frame, op, left, right, span)
    if op == "+" and type(left) is type(right) and isinstance(left, (list, tuple, str)):
        return bounded(frame, left + right, span)
    if op == "*" and isinstance(left, (list, tuple, str)) and is_size(right) and isinstance(right, int):
        if len(left) * right > MAX_LIST:
            raise _too_long(span)
        return bounded(frame, left * right, span)
    if op == "*" and isinstance(left, Recipe):
        return repeat(frame, left, right, span)
    raise Fault(
        error(
            "NNS309", f"`{op}` does not go between {describe(left)} and {describe(right)}", span, "cannot be computed"
        )
    )


def repeat(frame: Frame, recipe: Recipe, count: Any, span: Span) -> Recipe:
    """`recipe * count`."""
    if isinstance(count, Dim):
        raise Fault(
            error(
                "NNS316",
                f"a layer cannot be repeated `{show(count)}` times: the number of copies must be known",
                span,
                "not a fixed number",
            )
        )
    if not is_size(count) or count < 0:
        raise Fault(
            error(
                "NNS316",
                f"a layer is repeated a whole number of times, not {describe(count)}",
                span,
                "not a count",
            )
        )
    copies = count * _work(recipe)
    if copies > MAX_STEPS:
        message = f"this asks for {copies:,} layers, and at most {MAX_STEPS:,} are made"
        raise Fault(error("NNS310", message, span, "too many copies"))
    frame.session.step(span, f"`{recipe.title} * {count}`", copies)
    return RepeatRecipe(recipe, count, span)


def _work(recipe: Recipe) -> int:
    """How many layers and functions a copy of a recipe holds, those inside blocks left out."""
    if isinstance(recipe, RepeatRecipe):
        return recipe.count * _work(recipe.of)
    if isinstance(recipe, ChainRecipe):
        return max(1, sum(_work(link.what) if isinstance(link.what, Recipe) else 1 for link in recipe.links))
    return 1


def _numbers(op: str, left: Any, right: Any, span: Span) -> Any:
    if op in ("/", "//", "%") and right == 0:
        raise Fault(error("NNS312", "division by zero", span, f"{show_value(right)} divides here"))
    if op == "/":
        return left / right if isinstance(left, float) or isinstance(right, float) else Fraction(left, right)
    if op == "**":
        return _power(left, right, span)
    if op == "@":
        raise Fault(error("NNS309", "`@` goes between tensors, not numbers", span))
    try:
        return _OPS[op](left, right)
    except OverflowError:
        raise _too_large(span) from None


def _power(left: Any, right: Any, span: Span) -> Any:
    if isinstance(left, float) or not isinstance(right, int):
        try:
            result = float(left) ** float(right)
        except (OverflowError, ZeroDivisionError):
            raise _too_large(span) from None
        if isinstance(result, complex):
            raise Fault(error("NNS309", "a root of a negative number is not a number", span))
        return result
    if left == 0 and right < 0:
        raise Fault(error("NNS312", "division by zero", span))
    if (abs(left) > 1 and abs(right) * math.log2(abs(left)) > 64) or abs(right) > 4096:
        raise _too_large(span)
    return Fraction(left) ** right


def number(value: Any, span: Span) -> Any:
    """A number in its plainest form: a whole fraction is an int; 64 bits are the limit."""
    if value != value:
        raise Fault(error("NNS309", "the result is not a number: infinities cancel", span, "undefined"))
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    if isinstance(value, int) and not -_LIMIT <= value < _LIMIT:
        raise _too_large(span)
    if isinstance(value, Fraction) and max(abs(value.numerator), value.denominator) >= 1 << 256:
        try:
            value = float(value)
        except OverflowError:
            raise _too_large(span) from None
    return value


def _too_large(span: Span) -> Fault:
    return Fault(error("NNS310", "this number does not fit in 64 bits", span, "too large"))


def _too_long(span: Span) -> Fault:
    return Fault(error("NNS310", f"a list holds at most {MAX_LIST:,} items", span, "too long"))


def bounded(frame: Frame, value: Any, span: Span) -> Any:
    """A list, tuple or string that is not too long, lists inside it included; making it counts as work."""
    items = len(value)
    if not isinstance(value, str):
        stack = [v for v in value if isinstance(v, (list, tuple))]
        while stack and items <= MAX_LIST:
            inner = stack.pop()
            items += len(inner)
            stack += [v for v in inner if isinstance(v, (list, tuple))]
    if items > MAX_LIST:
        raise _too_long(span)
    frame.session.step(span, "lists and strings", items // 16)
    return value


def _sizes(frame: Frame, op: str, left: Any, right: Any, span: Span) -> Any:
    odd = next((v for v in (left, right) if isinstance(v, Inexact)), None)
    if odd is not None:
        return _inexact(op, left, right, odd.fault)
    if op in ("/", "//", "%") and right == 0:
        raise Fault(error("NNS312", "division by zero", span))
    whole = (
        is_size(left) and is_size(right) and (op != "**" or (isinstance(right, int) and 0 <= right <= _LARGEST_POWER))
    )
    if not whole or op == "@":
        message = f"`{op}` of `{show_value(left)}` and `{show_value(right)}` is not a whole number for every size"
        return _inexact(op, left, right, Fault(error("NNS307", message, span, "not a size")))
    try:
        return _dims(frame, op, left, right, span)
    except DimTooLarge as fault:
        raise Fault(error("NNS310", f"this size is too large to reason about: {fault}", span)) from None


def _inexact(op: str, left: Any, right: Any, fault: Fault) -> Inexact:
    """A number that is known at run time, if that can be computed; else the fault."""
    if op not in ("+", "-", "*", "/", "**"):
        raise fault
    return Inexact(op, left, right, fault)


def _dims(frame: Frame, op: str, left: Any, right: Any, span: Span) -> Any:
    if op == "/":
        quotient = frame.facts.quotient(left, right)
        return Inexact(op, left, right, _remainder(left, right, span)) if quotient is None else quotient
    if op == "//":
        return frame.proof.simplify(floordiv(left, right))
    if op == "%":
        return frame.proof.simplify(mod(left, right))
    if op == "**":
        result = 1
        for _ in range(right):
            result = result * left
        return result
    return _OPS[op](left, right)


def _remainder(left: Size, right: Size, span: Span) -> Fault:
    """The fault of a division that perhaps leaves a rest; it names the assert."""
    a, b = show_value(left), show_value(right)
    wrapped = f"({a})" if " " in a else a
    proof = f"if it always is, say so before: `assert {wrapped} % {b} == 0`"
    if isinstance(left, int):
        proof = f"next to a tensor it is a number: `x * ({wrapped} / {b})`"
    return Fault(
        error(
            "NNS404",
            f"`{wrapped} / {b}` is not known to be a whole number",
            span,
            f"cannot show that {wrapped} % {b} == 0",
            helps=(proof, "or round down with `//`"),
        )
    )


def compare(frame: Frame, op: str, left: Any, right: Any, span: Span) -> Any:
    """One comparison of compile-time values: a bool, or `Undecided`."""
    if op in ("in", "not in"):
        if not isinstance(right, (list, tuple, str, dict)):
            raise Fault(error("NNS309", f"`in` needs a list on its right, not {describe(right)}", span))
        if not isinstance(right, dict):
            bounded(frame, right, span)
        if isinstance(right, str):
            return (str(left) in right) == (op == "in")
        answers = [_equal(frame, left, item) for item in right]
        return _decided(True if True in answers else None if None in answers else False, "in", op, left, right)
    if is_size(left) and is_size(right) and (isinstance(left, Dim) or isinstance(right, Dim)):
        answer = frame.facts.compare(op, left, right)
        if answer is None:
            text = f"{show(left)} {op} {show(right)}"
            return Undecided(text, symbols(left) | symbols(right), (op, left, right))
        return answer
    if op in ("==", "!="):
        return _decided(_equal(frame, left, right), "==", op, left, right)
    if (is_number(left) and is_number(right)) or (isinstance(left, str) and isinstance(right, str)):
        return _ORDER[op](left, right)
    raise Fault(error("NNS309", f"`{op}` cannot compare {describe(left)} with {describe(right)}", span))


def _decided(answer: bool | None, positive: str, op: str, left: Any, right: Any) -> bool | Undecided:
    """The answer to `left op right`, given the one to its positive form."""
    if answer is None:
        return Undecided(f"{show_value(left)} {op} {show_value(right)}", _symbols(left) | _symbols(right))
    return answer == (op == positive)


def _symbols(value: Any) -> frozenset[str]:
    if isinstance(value, (list, tuple)):
        return frozenset().union(*map(_symbols, value))
    return symbols(value) if isinstance(value, Dim) else frozenset()


def _equal(frame: Frame, left: Any, right: Any) -> bool | None:
    """Whether values are equal by content; None when that depends on symbols."""
    if isinstance(left, Recipe) and isinstance(right, Recipe):
        return left.key() == right.key()
    if is_size(left) and is_size(right):
        return frame.facts.compare("==", left, right)
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, (list, tuple)) and type(left) is type(right):
        answers = [_equal(frame, a, b) for a, b in zip(left, right, strict=False)]
        if len(left) != len(right) or False in answers:
            return False
        return None if None in answers else True
    if isinstance(left, (FunctionValue, BlockFunction)):
        return bool(content(left) == content(right))
    return bool(left == right)


def undecided(condition: Undecided, span: Span, what: str) -> Fault:
    """The fault of a condition that must be known and is not."""
    names = " and ".join(f"`{s}`" for s in sorted(condition.symbols)) or "a symbol"
    return Fault(
        error(
            "NNS308",
            f"{what} depends on `{condition.text}`, which is not known at compile time",
            span,
            f"undecided: {names} may have any size",
            helps=(
                f"state it as a fact before: `assert {condition.text}`",
                "or give the input a fixed size there",
            ),
        )
    )


def choose(test: Undecided, then: Any, orelse: Any, span: Span) -> Any:
    """`then if test else orelse` of sizes where the test is undecided: an opaque size."""
    if not is_size(then) or not is_size(orelse) or test.comparison is None:
        raise undecided(test, span, "this choice")
    op, left, right = test.comparison
    return conditional(op, left, right, then, orelse)
