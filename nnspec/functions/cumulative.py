"""Sums, products and extremes of all elements up to each."""

from __future__ import annotations

from math import inf, nan
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axis
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import DType, TensorType, is_float


class _Cumulative(Function):
    """What both share: a dimension to go along; integers and bools become int."""

    dim: int = arg(doc="the dimension to go along")
    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        axis(self, x, self.dim)
        return x.with_dtype(self._type(x))

    def _type(self, x: TensorType) -> str:
        return self.dtype or (x.dtype if is_float(x.dtype) else "int64")

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call(f"torch.{type(self).__name__}", *inputs, options.pop("dim"), **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y = g.cast(x, self._type(kind))
        return self.along(g, y, kind.rank, kind.dims[self.dim], self._type(kind)) if kind.rank else y

    def along(self, g: OnnxGraph, x: str, rank: int, size: Size, dtype: str) -> str:
        """The result for a value with dimensions. Abstract: `cumsum` and `cumprod` say it."""
        raise NotImplementedError


class cumsum(_Cumulative):
    """The sum of all elements along `dim` up to each, itself included: the shape stays. Integers and bools become int.

    Source: `torch.cumsum`.
    """

    keeps = ()

    examples = (
        Example("cumsum(x, 1)", x="float[N, T]"),
        Example("cumsum(x, dim=-1)", x="bool[N, T]"),
        Example("cumsum(x, 0, dtype=float)", x="int[T, 3]"),
    )

    def along(self, g: OnnxGraph, x: str, rank: int, size: Size, dtype: str) -> str:
        return str(g.node("CumSum", x, g.constant(self.dim)))


class cumprod(_Cumulative):
    """The product of all elements along `dim` up to each, itself included: the shape stays. Integers become int.

    Source: `torch.cumprod`.
    """

    examples = (
        Example("cumprod(x, 1)", x="float[N, T]"),
        Example("cumprod(x, dim=0)", x="int[3, N]"),
    )

    def along(self, g: OnnxGraph, x: str, rank: int, size: Size, dtype: str) -> str:
        """ONNX has no such operator: rows of a triangle, the products of which are taken."""
        at = self.dim % rank
        row, triangle = _triangle(g, x, at, rank, size)
        rows = g.node("Where", triangle, row, g.constant(1, dtype))
        return reduce(g, "ReduceProd", rows, [at + 1], keepdims=False)


def _triangle(g: OnnxGraph, x: str, at: int, rank: int, size: Size) -> tuple[str, str]:
    """x with a new dimension `at`, for the place that one stands at, and where those along the next are not beyond."""
    place = g.node("Range", g.constant(0), g.size(size), g.constant(1))
    before = g.node("LessOrEqual", place, g.node("Unsqueeze", place, g.constant([1])))
    triangle = g.node("Reshape", before, g.shape([size, size, *[1] * (rank - at - 1)]))
    return g.node("Unsqueeze", x, g.constant([at])), triangle


class _Extreme(Function):
    """The extreme of all elements up to each, and where it stands."""

    keeps = ()

    dim: int = arg(doc="the dimension to go along")
    op: ClassVar[str]
    least: ClassVar[float]
    """What is beyond all numbers on the other side."""

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        x = expect_tensor(self, x)
        axis(self, x, self.dim)
        return x, x.with_dtype("int64")

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *inputs, self.dim)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        """Rows of a triangle, as for `cumprod`; the place is that of the last that equals the extreme, or is nan."""
        kind = g.type(x)
        if not kind.rank:
            return x, g.constant(0)
        dtype = kind.dtype if is_float(kind.dtype) else "int64"
        at = self.dim % kind.rank
        row, triangle = _triangle(g, g.cast(x, dtype), at, kind.rank, kind.dims[at])
        y, same = self._extremes(g, row, triangle, at, dtype)
        places = g.cast(g.node("And", triangle, same), "int32")
        place = g.node("ArgMax", places, axis=at + 1, keepdims=0, select_last_index=1)
        return g.cast(g.node("Squeeze", y, g.constant([at + 1])), kind.dtype), place

    def _extremes(self, g: OnnxGraph, row: str, triangle: str, at: int, dtype: str) -> tuple[str, str]:
        """The extremes, with the dimension that they are taken along, and which elements are one."""
        bound = self.least if is_float(dtype) else -(2**63) if self.least < 0 else 2**63 - 1
        beyond = g.constant(bound, dtype)
        if not is_float(dtype):
            y = reduce(g, self.op, g.node("Where", triangle, row, beyond), [at + 1])
            return y, g.node("Equal", row, y)
        unknown = g.node("IsNaN", row)
        y = reduce(g, self.op, g.node("Where", g.node("And", triangle, g.node("Not", unknown)), row, beyond), [at + 1])
        missed = g.cast(g.node("And", triangle, unknown), "int32")
        spoilt = g.cast(reduce(g, "ReduceMax", missed, [at + 1]), "bool")
        known = g.node("And", g.node("Not", spoilt), g.node("Equal", row, y))
        same = g.node("Or", known, g.node("And", spoilt, unknown))
        return g.node("Where", spoilt, g.constant(nan, dtype), y), same


class cummax(_Extreme):
    """The largest of all elements along `dim` up to each, and where it stands, the last of equals: a pair.

    Source: `torch.cummax`.
    """

    op, least = "ReduceMax", -inf

    examples = (
        Example("cummax(x, 1)", x="float[N, T]"),
        Example("cummax(x, dim=-2)", x="int8[N, T, 3]"),
        Example("cummax(x, 0)", x="bool[T]"),
    )


class cummin(_Extreme):
    """The smallest of all elements along `dim` up to each, and where it stands, the last of equals: a pair.

    Source: `torch.cummin`.
    """

    op, least = "ReduceMin", inf

    examples = (
        Example("cummin(x, 1)", x="float[N, T]"),
        Example("cummin(x, dim=-2)", x="int[N, T, 3]"),
    )


class logcumsumexp(Function):
    """The logarithm of the sum of exponentials of all elements along `dim` up to each, without overflow.

    Source: `torch.logcumsumexp`.
    """

    dim: int = arg(doc="the dimension to go along")

    examples = (
        Example("logcumsumexp(x, 1)", x="float[N, T]"),
        Example("logcumsumexp(100 * x, dim=0)", x="float64[T, 3]"),
        Example("logcumsumexp(x, 0)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        axis(self, x, self.dim)
        return x

    def torch(self, *inputs: Any) -> Code:
        return call("torch.logcumsumexp", *inputs, self.dim)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        """Rows of a triangle, as for `cumprod`; the largest of each is taken off before."""
        kind = g.type(x)
        if not kind.rank:
            return x
        dtype, at = kind.dtype, self.dim % kind.rank
        row, triangle = _triangle(g, x, at, kind.rank, kind.dims[at])
        shown = g.node("Where", triangle, row, g.constant(-inf, dtype))
        most = reduce(g, "ReduceMax", shown, [at + 1])
        finite = g.node("Less", g.node("Abs", most), g.constant(inf, dtype))
        most = g.node("Where", finite, most, g.constant(0.0, dtype))
        total = reduce(g, "ReduceSum", g.node("Exp", g.node("Sub", shown, most)), [at + 1])
        return g.node("Squeeze", g.node("Add", g.node("Log", total), most), g.constant([at + 1]))
