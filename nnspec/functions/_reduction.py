"""What reductions share: dimensions that go, or stay with size 1."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import LARGEST, wide
from nnspec.functions._operands import axes, axis, expect_numbers
from nnspec.layer import Code, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor, volume
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, is_float


def left(x: TensorType, gone: Collection[int], keepdim: bool) -> tuple[Size, ...]:
    """The shape that is left of x, some dimensions of which go, or stay with size 1."""
    if keepdim:
        return tuple(1 if i in gone else size for i, size in enumerate(x.dims))
    return tuple(size for i, size in enumerate(x.dims) if i not in gone)


class Reduction(Function):
    """A reduction of any dimensions by one operator of ONNX."""

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to reduce; all of them when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")

    op: ClassVar[str]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return TensorType(self.result(x), left(x, axes(self, x, self.dim), self.keepdim))

    def result(self, x: TensorType) -> str:
        """The element type of the result. Raises `ShapeError` for what torch does not reduce."""
        return x.dtype

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        if self.__dict__.get("keepdim"):
            # torch has no form with `keepdim` alone.
            options = {"dim": self.dim} | options
        return call(f"{self.namespace}.{type(self).__name__}", *inputs, **options)

    def gone(self, x: TensorType) -> tuple[int, ...]:
        """The dimensions to reduce: a scalar has none, whatever torch lets one say."""
        return axes(self, x, self.dim) if x.rank else ()

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype = self.result(kind)
        compute = "int32" if dtype == "bool" else wide(dtype)
        y, gone = g.cast(x, compute), self.gone(kind)
        if gone:
            y = reduce(g, self.op, y, gone, keepdims=self.keepdim)
        return y if compute == dtype else g.cast(y, dtype)


class Choice(Function):
    """One of all elements; with `dim` one of those along it, as a pair with its place."""

    dim: int | None = arg(None, doc="the dimension to look along; all elements when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    def infer(self, rules: Rules, x: TensorType) -> Any:
        x = self.accepted(x)
        if self.dim is None:
            if self.keepdim:
                name = type(self).__name__
                raise ShapeError(
                    f"`{name}(keepdim=true)` needs a dimension",
                    code="NNS405",
                    label="no dimension to keep",
                    at="keepdim",
                )
            return x.with_dims()
        y = x.with_dims(*left(x, (axis(self, x, self.dim),), self.keepdim))
        return y, y.with_dtype("int64")

    def accepted(self, x: Any) -> TensorType:
        """The operand. Raises `ShapeError` for what torch does not choose from."""
        return expect_tensor(self, x)


class Place(Function):
    """Where an extreme stands along a dimension, or among all elements in order; the first of equals."""

    keeps = ()
    dim: int | None = arg(None, doc="the dimension to look along; all elements in order when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    largest: ClassVar[bool]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_numbers(self, x)
        gone = range(x.rank) if self.dim is None else (axis(self, x, self.dim),)
        return TensorType("int64", left(x, gone, self.keepdim))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return place_of(g, x, self.dim, keepdim=self.keepdim, largest=self.largest)


def in_line(g: OnnxGraph, x: str, kind: TensorType, dim: int | None) -> tuple[str, int, Size]:
    """A value with the dimension to look along and its size: all elements in order where none is said, or none is."""
    if dim is None or not kind.rank:
        return (x if kind.rank == 1 else str(g.node("Reshape", x, g.constant([-1])))), 0, volume(kind.dims)
    return x, dim % kind.rank, kind.dims[dim]


def nan_first(g: OnnxGraph, x: str, dtype: str, *, largest: bool = True) -> str:
    """Floats in whose order nan comes as the largest of all (or the smallest), as it does in torch.

    Run-times do not say where they put it. What is infinite becomes the largest number to make room.
    """
    if not is_float(dtype):
        return x
    op, sign = ("Min", 1) if largest else ("Max", -1)
    room = g.node(op, x, g.constant(sign * LARGEST[dtype], dtype))
    return str(g.node("Where", g.node("IsNaN", x), g.constant(sign * inf, dtype), room))


def extreme(g: OnnxGraph, op: str, x: str, gone: Sequence[int], dtype: str, *, keepdims: bool) -> str:
    """The largest or smallest element along dimensions, bools among them, and nan where there is one."""
    if not gone:
        return x
    compute = "int32" if dtype == "bool" else wide(dtype)
    y = reduce(g, op, g.cast(x, compute), gone, keepdims=keepdims)
    if not is_float(dtype):
        return g.cast(y, dtype)
    known = g.node("Where", g.node("IsNaN", x), x, g.constant(0.0, dtype))
    return str(g.node("Add", y, reduce(g, "ReduceSum", known, gone, keepdims=keepdims)))


def place_of(g: OnnxGraph, x: str, dim: int | None, *, keepdim: bool, largest: bool) -> str:
    """Where the largest (or smallest) element stands, the first of equals, in all of x or along a dimension."""
    kind = g.type(x)
    fast = ("int32",) if largest else ()
    whole = "int32" if largest and kind.dtype != "int64" else "int64"
    dtype = kind.dtype if is_float(kind.dtype) else whole
    y, at, _ = in_line(g, g.cast(x, dtype), kind, dim)
    y = nan_first(g, y, dtype, largest=largest)
    keep = keepdim and dim is not None and kind.rank > 0
    if is_float(dtype) or dtype in fast:
        place = g.node("ArgMax" if largest else "ArgMin", y, axis=at, keepdims=int(keep))
    else:  # Not all run-times have those for all integers.
        _, place = g.node("TopK", y, g.constant([1]), outputs=2, axis=at, largest=int(largest))
        place = place if keep else g.node("Squeeze", place, g.constant([at]))
    return str(
        g.node("Reshape", place, g.constant([1] * kind.rank)) if keepdim and dim is None and kind.rank else place
    )
