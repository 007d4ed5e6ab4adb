"""Triangles of matrices."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import wide
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


class _Triangle(Function):
    """A triangle of the last two dimensions, zeros elsewhere."""

    keeps = ()

    diagonal: Size = arg(0, doc="how far right of the main diagonal the border stands")
    upper: ClassVar[int]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank < 2:
            raise ShapeError(
                f"`{type(self).__name__}` needs a matrix, but its input is {x}",
                code="NNS402",
                label="fewer than 2 dimensions",
                input=0,
            )
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        # Run-times have Trilu for 64-bit numbers and bools, but for no other integers.
        compute = "int64" if wide(dtype) == "int32" else dtype
        y = g.node("Trilu", g.cast(x, compute), g.size(self.diagonal), upper=self.upper)
        return y if compute == dtype else g.cast(y, dtype)


class tril(_Triangle):
    """The lower triangle of the last two dimensions, zeros elsewhere; the shape stays.

    Source: `torch.tril`.
    """

    upper = 0

    examples = (
        Example("tril(x)", x="float[N, T, T]"),
        Example("tril(x, -1)", x="bool[T, T]"),
        Example("tril(x, diagonal=2)", x="int32[4, 5]"),
    )


class triu(_Triangle):
    """The upper triangle of the last two dimensions, zeros elsewhere; the shape stays.

    Source: `torch.triu`.
    """

    upper = 1

    examples = (
        Example("triu(x)", x="float[N, T, T]"),
        Example("triu(x, 1)", x="bool[T, T]"),
        Example("triu(x, T - 2)", x="int[T, T]"),
    )
