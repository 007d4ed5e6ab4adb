"""Complex numbers in ONNX, where they are floats with a last dimension of two: taken apart, joined, computed with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nnspec.functions._lowering import tensor
from nnspec.layer import OnnxGraph
from nnspec.layers._lowering import reduce
from nnspec.types import is_complex, real_part


class Number(NamedTuple):
    """A value as its two parts; of a real one the second is None."""

    real: str
    imaginary: str | None

    def each(self, change: Callable[[str], str]) -> Number:
        """Both parts changed."""
        return Number(change(self.real), None if self.imaginary is None else change(self.imaginary))


def apart(g: OnnxGraph, x: Any, dtype: str) -> Number:
    """The parts of an operand (a value of the graph, a number or a size), in the precision of that complex type."""
    if not isinstance(x, str) or not is_complex(g.type(x).dtype):
        return Number(tensor(g, x, real_part(dtype)), None)
    x = widened(g, x, dtype)
    return Number(*(str(g.node("Gather", x, g.constant(number), axis=-1)) for number in (0, 1)))


def widened(g: OnnxGraph, x: str, dtype: str) -> str:
    """A complex operand with parts in the precision of that type, still as one value."""
    return x if real_part(g.type(x).dtype) == real_part(dtype) else g.cast(x, real_part(dtype))


def joined(g: OnnxGraph, real: str, imaginary: str) -> str:
    """One value of both parts, which have one shape."""
    last = g.constant([-1])
    return str(g.node("Concat", g.node("Unsqueeze", real, last), g.node("Unsqueeze", imaginary, last), axis=-1))


def paired(g: OnnxGraph, real: str, imaginary: str) -> str:
    """The same of parts that broadcast with each other."""
    shape = g.node("Shape", g.node("Add", real, imaginary))
    return joined(g, g.node("Expand", real, shape), g.node("Expand", imaginary, shape))


def conjugate(g: OnnxGraph, x: str, dtype: str) -> str:
    """A complex value with the opposite imaginary parts."""
    return str(g.node("Mul", x, g.constant([1, -1], real_part(dtype))))


def magnitude(g: OnnxGraph, x: str, dtype: str) -> str:
    """The absolute values of a complex value; squares in float64 neither overflow nor vanish."""
    return g.cast(reduce(g, "ReduceL2", g.cast(x, "float64"), (-1,), keepdims=False), real_part(dtype))


def summed(g: OnnxGraph, op: str, a: Number, b: Number) -> str:
    """`Add` or `Sub` of two, of which one at least is complex."""
    real: str = g.node(op, a.real, b.real)
    if a.imaginary is not None and b.imaginary is not None:
        return joined(g, real, g.node(op, a.imaginary, b.imaginary))
    imaginary = a.imaginary or b.imaginary
    assert imaginary is not None
    if a.imaginary is None and op == "Sub":
        imaginary = g.node("Neg", imaginary)
    return paired(g, real, imaginary)


def product(g: OnnxGraph, a: Number, b: Number) -> str:
    """The product of two, of which one at least is complex."""
    if a.imaginary is None:
        a, b = b, a
    assert a.imaginary is not None
    if b.imaginary is None:
        return joined(g, g.node("Mul", a.real, b.real), g.node("Mul", a.imaginary, b.real))
    real = g.node("Sub", g.node("Mul", a.real, b.real), g.node("Mul", a.imaginary, b.imaginary))
    return joined(g, real, g.node("Add", g.node("Mul", a.real, b.imaginary), g.node("Mul", a.imaginary, b.real)))


def quotient(g: OnnxGraph, a: Number, b: Number, dtype: str) -> str:
    """The quotient of two, of which one at least is complex; squares in float64 neither overflow nor vanish."""
    if b.imaginary is None:
        assert a.imaginary is not None
        return joined(g, g.node("Div", a.real, b.real), g.node("Div", a.imaginary, b.real))
    a, b = (number.each(lambda part: g.cast(part, "float64")) for number in (a, b))
    assert b.imaginary is not None
    square = g.node("Add", g.node("Mul", b.real, b.real), g.node("Mul", b.imaginary, b.imaginary))
    above = product(g, a, Number(b.real, g.node("Neg", b.imaginary)))
    return g.cast(g.node("Div", above, g.node("Unsqueeze", square, g.constant([-1]))), real_part(dtype))
