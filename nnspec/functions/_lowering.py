"""Pieces of ONNX lowerings that several functions need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.dims import Dim, Size
from nnspec.layer import OnnxGraph
from nnspec.types import Scalar, TensorType, promote

END = 2**63 - 1
"""The end of any dimension, for Slice."""

_NARROW = {"int8": (2**8, -(2**7)), "int16": (2**16, -(2**15)), "uint8": (2**8, 0)}
"""How many numbers a type holds, and the least of them."""

LARGEST = {
    "float16": 65504.0,
    "bfloat16": float.fromhex("0x1.fep127"),
    "float32": float.fromhex("0x1.fffffep127"),
    "float64": float.fromhex("0x1.fffffffffffffp1023"),
}
"""The largest number of a type."""


def kind(g: OnnxGraph, value: Any) -> TensorType | Scalar:
    """The type of an operand: a value of the graph, a number, or a size."""
    return g.type(value) if isinstance(value, str) else Scalar(value)


def tensor(g: OnnxGraph, value: Any, dtype: str) -> str:
    """An operand as a value of that element type; narrow integers become int32, in which they are computed."""
    compute = wide(dtype)
    if isinstance(value, str):
        if compute != dtype and promote(g.type(value).dtype, dtype) != dtype:
            # What does not fit wraps, and only then is widened.
            return g.cast(g.cast(value, dtype), compute)
        return g.cast(value, compute)
    if isinstance(value, Dim):
        size = g.size(value)
        return size if dtype == "int64" else g.cast(size, compute)
    if compute != dtype:
        bits, low = _NARROW[dtype]
        value = (int(value) - low) % bits + low
    return g.constant(value, compute)


def wide(dtype: str) -> str:
    """The type to compute in: run-times have few kernels for the narrow integers, and int32 wraps into them exactly."""
    return "int32" if dtype in _NARROW else dtype


def computed(g: OnnxGraph, op: str, operands: Sequence[Any], dtype: str, **attributes: Any) -> str:
    """A node over operands of one element type, whose result is of that type too."""
    y: str = g.node(op, *(tensor(g, x, dtype) for x in operands), **attributes)
    return narrowed(g, y, dtype)


def narrowed(g: OnnxGraph, y: str, dtype: str) -> str:
    """A result that was computed in `wide(dtype)` as one of that type."""
    return y if wide(dtype) == dtype else g.cast(y, dtype)


def towards_zero(g: OnnxGraph, x: str) -> str:
    """Floats without what stands behind the point."""
    return str(g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Abs", x))))


def polynomial(g: OnnxGraph, x: str, coefficients: Sequence[float], dtype: str) -> str:
    """The value of a polynomial, its coefficients given from the constant up (Horner's way)."""
    y = g.constant(coefficients[-1], dtype)
    for coefficient in coefficients[-2::-1]:
        y = g.node("Add", g.node("Mul", y, x), g.constant(coefficient, dtype))
    return y


def negative(g: OnnxGraph, x: str, dtype: str) -> str:
    """Where the sign of floats is a minus, that of zero too."""
    zero = g.constant(0.0, dtype)
    shown = g.node("Where", g.node("Equal", x, zero), g.node("Reciprocal", x), x)
    return str(g.node("Less", shown, zero))


def reshaped(g: OnnxGraph, x: str, before: Sequence[Size], after: Sequence[Size]) -> str:
    """x in another shape, its sizes as constants where that can be said: a copied dimension is 0, one may be -1."""
    if tuple(before) == tuple(after):
        return x
    constants: list[int] = []
    for position, size in enumerate(after):
        if isinstance(size, int):
            constants.append(size)
        elif position < len(before) and before[position] == size:
            constants.append(0)
        else:
            constants.append(-1)
    plain = constants.count(-1) <= 1 and 0 not in (*after, *before)
    return str(g.node("Reshape", x, g.constant(constants) if plain else g.shape(after)))


def choose(g: OnnxGraph, condition: str, x: Any, y: Any, dtype: str) -> str:
    """Where: numbers by a bool tensor, for all element types."""
    if dtype == "bool":
        numbers: str = g.node("Where", condition, tensor(g, x, "int32"), tensor(g, y, "int32"))
        return g.cast(numbers, dtype)
    return narrowed(g, g.node("Where", condition, tensor(g, x, dtype), tensor(g, y, dtype)), dtype)
