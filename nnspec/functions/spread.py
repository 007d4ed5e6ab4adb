"""How far numbers lie apart: variance and standard deviation."""

from __future__ import annotations

from math import floor
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axes
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import counted, expect_float, volume
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType


class var(Function):
    """The variance over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.var`.
    """

    overloaded = True
    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to reduce; all of them when left out")
    correction: int | float | None = arg(
        1,
        ge=-(2**31),
        le=2**31,
        doc="what is taken off the number of elements that is divided by; none: 1",
        keyword=True,
    )
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1", keyword=True)
    unbiased: bool | None = arg(None, doc="an older way to say `correction`: true is 1, false is 0", keyword=True)

    examples: ClassVar[tuple[Example, ...]] = (
        Example("var(x)", x="float[N, 8]"),
        Example("var(x, dim=1)", x="float[N, T, 8]"),
        Example("var(x, dim=(2, 3), correction=0, keepdim=true)", x="float[N, 3, H, W]"),
        Example("var(x, dim=0, correction=0)", x="float[]"),
        Example("var(x, dim=1, correction=1.5)", x="float[N, 3]"),
        Example("var(x, dim=1, unbiased=false)", x="float[N, T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        gone = self._gone(x)
        if self.unbiased is not None and "correction" in dict(self.given()):
            raise ShapeError(
                f"`{type(self).__name__}` takes `correction` or `unbiased`, not both", code="NNS304", at="unbiased"
            )
        count, off = self._count(x, gone), self._correction()
        fewest = floor(off) + 1
        rules.require_at_least(
            count,
            fewest,
            f"`{type(self).__name__}` of {counted(count, 'element')} with correction {off:g} divides by nothing",
            code="NNS403",
            label=f"needs at least {fewest} element{'s' * (fewest != 1)}",
            at="dim",
            helps=("`correction=0` divides by their number",),
        )
        if self.keepdim:
            return x.with_dims(*(1 if i in gone else d for i, d in enumerate(x.dims)))
        return x.with_dims(*(d for i, d in enumerate(x.dims) if i not in gone))

    def _gone(self, x: TensorType) -> tuple[int, ...]:
        return tuple(number for number in axes(self, x, self.dim) if number < x.rank)

    def _correction(self) -> float:
        if self.unbiased is not None:
            return int(self.unbiased)
        return 1 if self.correction is None else self.correction

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
        gone = self._gone(kind)
        centred = g.node("Sub", x, reduce(g, "ReduceMean", x, gone))
        square = reduce(g, "ReduceSum", g.node("Mul", centred, centred), gone, keepdims=self.keepdim)
        count = g.cast(g.size(self._count(kind, gone)), kind.dtype)
        return g.node("Div", square, g.node("Sub", count, g.constant(float(self._correction()), kind.dtype)))


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


class var_mean(var):
    """The variance and the mean over some dimensions, or all, as a pair.

    Source: `torch.var_mean`.
    """

    examples: ClassVar[tuple[Example, ...]] = (
        Example("var_mean(x)", x="float[N, 8]"),
        Example("var_mean(x, dim=1, correction=0)", x="float[N, T, 8]"),
        Example("var_mean(x, (0, 1), keepdim=true)", x="float64[N, 5]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> Any:
        spread = super().infer(rules, x)
        return spread, spread

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        gone = self._gone(kind)
        mean = reduce(g, "ReduceMean", x, gone, keepdims=self.keepdim) if gone else x
        return super().onnx(g, x), mean


class std_mean(var_mean):
    """The standard deviation and the mean over some dimensions, or all, as a pair.

    Source: `torch.std_mean`.
    """

    examples = (
        Example("std_mean(x)", x="float[N, 8]"),
        Example("std_mean(x, dim=1, correction=0)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        spread, mean = super().onnx(g, x)
        return g.node("Sqrt", spread), mean
