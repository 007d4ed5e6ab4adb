"""Sums and products of all elements up to each."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axis
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_tensor
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
        place = g.node("Range", g.constant(0), g.size(size), g.constant(1))
        before = g.node("LessOrEqual", place, g.node("Unsqueeze", place, g.constant([1])))
        triangle = g.node("Reshape", before, g.shape([size, size, *[1] * (rank - at - 1)]))
        wide = g.node("Unsqueeze", x, g.constant([at]))
        rows = g.node("Where", triangle, wide, g.constant(1, dtype))
        return reduce(g, "ReduceProd", rows, [at + 1], keepdims=False)
