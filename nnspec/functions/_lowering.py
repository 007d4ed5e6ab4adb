"""Pieces of ONNX lowerings that several functions need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.dims import Dim, Size
from nnspec.layer import OnnxGraph
from nnspec.types import Scalar, TensorType

END = 2**63 - 1
"""The end of any dimension, for Slice."""

_NARROW = ("int8", "int16", "uint8")


def kind(g: OnnxGraph, value: Any) -> TensorType | Scalar:
    """The type of an operand: a value of the graph, a number, or a size."""
    return g.type(value) if isinstance(value, str) else Scalar(value)


def tensor(g: OnnxGraph, value: Any, dtype: str) -> str:
    """An operand as a value of that element type."""
    if isinstance(value, str):
        return g.cast(value, dtype)
    if isinstance(value, Dim):
        size = g.size(value)
        return size if dtype == "int64" else g.cast(size, dtype)
    return g.constant(value, dtype)


def wide(dtype: str) -> str:
    """The type to compute in: run-times have few kernels for the narrow integers, and int32 wraps into them exactly."""
    return "int32" if dtype in _NARROW else dtype


def computed(g: OnnxGraph, op: str, operands: Sequence[Any], dtype: str, **attributes: Any) -> str:
    """A node over operands of one element type, whose result is of that type too."""
    compute = wide(dtype)
    y: str = g.node(op, *(tensor(g, x, compute) for x in operands), **attributes)
    return y if compute == dtype else g.cast(y, dtype)


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
    compute = "int32" if dtype == "bool" else wide(dtype)
    z: str = g.node("Where", condition, tensor(g, x, compute), tensor(g, y, compute))
    return z if compute == dtype else g.cast(z, dtype)
