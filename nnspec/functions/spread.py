"""How far numbers lie apart: variance and standard deviation."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._operands import axes
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_float, volume
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType


class var(Function):
    """The variance over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.var`.
    """

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to reduce; all of them when left out")
    correction: int = arg(1, ge=0, doc="what is taken off the number of elements that is divided by", keyword=True)
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1", keyword=True)

    examples = (
        Example("var(x)", x="float[N, 8]"),
        Example("var(x, dim=1)", x="float[N, T, 8]"),
        Example("var(x, dim=(2, 3), correction=0, keepdim=true)", x="float[N, 3, H, W]"),
        Example("var(x, dim=0, correction=0)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        gone = axes(self, x, self.dim) if x.rank else ()
        count = self._count(x, gone)
        rules.require_at_least(
            count,
            self.correction + 1,
            f"`{type(self).__name__}` of {show(count)} elements with correction {self.correction} divides by nothing",
            code="NNS403",
            label=f"needs at least {self.correction + 1} elements",
            at="dim",
            helps=("`correction=0` divides by their number",),
        )
        if self.keepdim:
            return x.with_dims(*(1 if i in gone else d for i, d in enumerate(x.dims)))
        return x.with_dims(*(d for i, d in enumerate(x.dims) if i not in gone))

    def _count(self, x: TensorType, gone: tuple[int, ...]) -> Size:
        return volume(x.dims[i] for i in gone)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        if options:
            # torch has no form without `dim`.
            options = {"dim": self.dim} | options
        return call(f"torch.{type(self).__name__}", *inputs, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        gone = axes(self, kind, self.dim) if kind.rank else ()
        centred = g.node("Sub", x, reduce(g, "ReduceMean", x, gone))
        square = reduce(g, "ReduceSum", g.node("Mul", centred, centred), gone, keepdims=self.keepdim)
        return g.node("Div", square, g.cast(g.size(self._count(kind, gone) - self.correction), kind.dtype))


class std(var):
    """The standard deviation, the root of the variance, over some dimensions, or all.

    Source: `torch.std`.
    """

    examples = (
        Example("std(x)", x="float[N, 8]"),
        Example("std(x, -1, keepdim=true)", x="float[N, T, 8]"),
        Example("std(x, dim=1, correction=0)", x="float64[N, T]"),
        Example("std(x, dim=-1, correction=0, keepdim=true)", x="float[]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Sqrt", super().onnx(g, x))
