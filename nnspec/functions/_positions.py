"""What functions ask of tensors that hold positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.dims import Size
from nnspec.functions._scattering import Scatter
from nnspec.layer import Function, OnnxGraph, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType, is_int, show_dtype


def expect_positions(
    function: Function, operand: Any, input: int = 1, *, only: str = "", what: str = "positions"
) -> TensorType:
    """The tensor of positions, which must be of int or int32 (or of one type only, where torch takes no other)."""
    index = expect_tensor(function, operand, input)
    if index.dtype not in ((only,) if only else ("int32", "int64")):
        raise ShapeError(
            f"`{type(function).__name__}` needs {what} of type int, but they are {index}",
            code="NNS406",
            label=f"is of type {show_dtype(index.dtype)}",
            input=input,
            helps=("convert them: `to(index, int)`",) if is_int(index.dtype) else (),
        )
    return index


def listed(x: TensorType) -> tuple[Size, ...]:
    """Its dimensions; what has none counts as a vector of one element."""
    return x.dims or (1,)


def as_vector(g: OnnxGraph, x: str, rank: int) -> str:
    """A value without dimensions as a vector of one element; others as they are."""
    return x if rank else str(g.node("Reshape", x, g.constant([1])))


def as_scalar(g: OnnxGraph, x: str, rank: int) -> str:
    """The inverse: a vector of one element as a value of rank 0."""
    return x if rank else str(g.node("Reshape", x, g.constant([], "int64")))


def along(g: OnnxGraph, vector: str, dims: Sequence[Size], axis: int, count: Size, dtype: str) -> Scatter:
    """Writing slices into values of shape `dims`: where each of them goes along `axis`, a vector of `count` says."""
    wanted = [count if i == axis else size for i, size in enumerate(dims)]
    column = g.node("Reshape", vector, g.constant([-1, *[1] * (len(wanted) - axis - 1)]))
    index = g.node("Expand", column, g.shape(wanted)) if len(wanted) > 1 else vector
    return Scatter(g, index, axis, dims, wanted, dtype)


def joint(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...]:
    """The broadcast of shapes that are known to broadcast."""
    rank = max(map(len, shapes))
    columns = ([s[axis] for s in shapes if len(s) >= -axis] for axis in range(-rank, 0))
    return tuple(next((d for d in column if d != 1), 1) for column in columns)
