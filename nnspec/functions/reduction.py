"""Reductions: one number for all elements, or for those along some dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._operands import as_float, axes
from nnspec.functions._reduction import Place, Reduction, extreme, left
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import DType, TensorType, category, is_float, show_dtype


class sum(Reduction):
    """The sum over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`. Integers and bools sum to int.

    Source: `torch.sum`.
    """

    of_complex = "parts"
    keeps: ClassVar[tuple[str, ...] | None] = ()

    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)
    op = "ReduceSum"

    examples: ClassVar[tuple[Example, ...]] = (
        Example("sum(x)", x="float[N, 8]"),
        Example("sum(x, dim=1)", x="float[N, T, 8]"),
        Example("sum(x, (0, -1), keepdim=true)", x="int8[N, T, 8]"),
        Example("sum(x, keepdim=true)", x="bool[N, 3]"),
        Example("sum(x, dim=0, dtype=float)", x="int[N, 3]"),
        Example("sum(x)", x="float[]"),
    )

    def result(self, x: TensorType) -> str:
        return self.dtype or (x.dtype if category(x.dtype) > 1 else "int64")


class nansum(sum):
    """The `sum` of the elements that are numbers, not nan.

    Source: `torch.nansum`.
    """

    keeps = ("x",)
    of_complex = ""

    examples = (
        Example("nansum(x / x)", x="int[N, 8]"),
        Example("nansum(x, dim=(0, 1), keepdim=true)", x="float[N, T]"),
        Example("nansum(x, dim=1)", x="bool[N, T]"),
        Example("nansum(x, dtype=float)", x="float64[N]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype, gone = self.result(kind), self.gone(kind)
        y = g.cast(x, dtype)
        if is_float(kind.dtype) and is_float(dtype):
            y = g.node("Where", g.node("IsNaN", y), g.constant(0.0, dtype), y)
        return reduce(g, "ReduceSum", y, gone, keepdims=self.keepdim) if gone else y


class count_nonzero(Function):
    """How many elements are not zero, along some dimensions or of all: [N, T] to int[N] for `dim=1`.

    Source: `torch.count_nonzero`.
    """

    keeps = ()

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to count along; all of them when left out")

    examples = (
        Example("count_nonzero(x)", x="int[N, 8]"),
        Example("count_nonzero(x, dim=1)", x="bool[N, T]"),
        Example("count_nonzero(x, (0, -1))", x="float[N, T, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return TensorType("int64", left(expect_tensor(self, x), axes(self, x, self.dim), False))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y, gone = g.cast(g.cast(x, "bool"), "int64"), axes(self, kind, self.dim) if kind.rank else ()
        return reduce(g, "ReduceSum", y, gone, keepdims=False) if gone else y


class mean(Reduction):
    """The mean over some dimensions, or all, of float tensors: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.mean`.
    """

    of_complex = "parts"
    keeps: ClassVar[tuple[str, ...] | None] = ()

    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)
    op = "ReduceMean"

    examples: ClassVar[tuple[Example, ...]] = (
        Example("mean(x)", x="float[N, 8]"),
        Example("mean(x, dim=(2, 3))", x="float[N, 3, H, W]"),
        Example("mean(x, dim=-1, keepdim=true)", x="float64[N, T, 8]"),
        Example("mean(x, dtype=float)", x="int[N]"),
    )

    def result(self, x: TensorType) -> str:
        dtype = self.dtype or x.dtype
        if category(dtype) < 2:
            raise ShapeError(
                f"`{type(self).__name__}` needs a float tensor, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(dtype)}",
                input=0,
                helps=(f"say the type of the result: `{type(self).__name__}(x, dtype=float)`",),
            )
        return dtype


class nanmean(mean):
    """The `mean` of the elements that are numbers, not nan; nan only where there are none.

    Source: `torch.nanmean`.
    """

    keeps = ("x",)
    of_complex = ""

    examples = (
        Example("nanmean(x / x)", x="int[N, 8]"),
        Example("nanmean(x, dim=(0, 1), keepdim=true)", x="float[N, T]"),
        Example("nanmean(x, dim=1)", x="float64[N, T]"),
    )

    def result(self, x: TensorType) -> str:
        return super().result(expect_float(self, x))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype, gone = self.result(kind), self.gone(kind)
        y = g.cast(x, dtype)
        if not gone:
            return y
        zero, unknown = g.constant(0.0, dtype), g.node("IsNaN", y)
        total = reduce(g, "ReduceSum", g.node("Where", unknown, zero, y), gone, keepdims=self.keepdim)
        count = g.node("Where", unknown, zero, g.constant(1.0, dtype))
        return g.node("Div", total, reduce(g, "ReduceSum", count, gone, keepdims=self.keepdim))


class _Extreme(Reduction):
    """The largest or smallest element; bools have an order too."""

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *inputs, **self.options())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return extreme(g, self.op, x, self.gone(kind), kind.dtype, keepdims=self.keepdim)


class amax(_Extreme):
    """The largest element over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.amax`.
    """

    op = "ReduceMax"

    examples = (
        Example("amax(x)", x="float[N, 8]"),
        Example("amax(x, dim=(1, 2))", x="float[N, T, 8]"),
        Example("amax(x, -1, keepdim=true)", x="int[N, 3]"),
        Example("amax(x, dim=0)", x="bool[N, 3]"),
        Example("amax(x, keepdim=true)", x="uint8[N, 3]"),
    )


class amin(_Extreme):
    """The smallest element over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.amin`.
    """

    op = "ReduceMin"

    examples = (
        Example("amin(x)", x="float[N, 8]"),
        Example("amin(x, dim=(1, 2))", x="float[N, T, 8]"),
        Example("amin(x, -1, keepdim=true)", x="int[N, 3]"),
    )


class argmax(Place):
    """Where the largest element stands along `dim`, the first of equals: [N, C] to int[N] for `dim=1`.

    Without `dim` it is the position among all elements in order. Source: `torch.argmax`.
    """

    largest = True

    examples = (
        Example("argmax(x, dim=-1)", x="float[N, 8]"),
        Example("argmax(x, 1, keepdim=true)", x="int[N, T, 8]"),
        Example("argmax(x)", x="float[N, 8]"),
        Example("argmax(x, dim=0)", x="uint8[N, 8]"),
    )


def _expect_dimension(function: Reduction) -> None:
    """Refuse an empty list of dimensions, of which torch's functions do not make the same."""
    if function.dim == ():
        name = type(function).__name__
        raise ShapeError(f"`{name}(dim=())` names no dimension to reduce", code="NNS411", at="dim")


class logsumexp(Reduction):
    """The logarithm of the sum of exponentials over some dimensions, without overflow: [N, C] to [N] for `dim=1`.

    Source: `torch.logsumexp`.
    """

    dim: int | tuple[int, ...] = arg(doc="the dimensions to reduce")
    op = "ReduceLogSumExp"

    examples = (
        Example("logsumexp(x, 1)", x="float[N, 8]"),
        Example("logsumexp(x, dim=(1, 2), keepdim=true)", x="float[N, T, 8]"),
        Example("logsumexp(x, 0)", x="int[N, T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        _expect_dimension(self)
        return super().infer(rules, x)

    def result(self, x: TensorType) -> str:
        return as_float(x.dtype)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.logsumexp", *inputs, **self.options())


class _OneAtMost(Reduction):
    """A reduction that torch has for one dimension or all."""

    dim: int | None = arg(None, doc="the dimension to reduce; all of them when left out")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if self.keepdim and self.dim is None:
            raise ShapeError(f"`{type(self).__name__}(keepdim=true)` needs a dimension", code="NNS405", at="keepdim")
        return super().infer(rules, x)


class prod(_OneAtMost):
    """The product along a dimension, or of all elements: [N, D] to [N] for `dim=1`. Integers and bools become int.

    Source: `torch.prod`.
    """

    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)
    op = "ReduceProd"

    examples = (
        Example("prod(x)", x="float[N, 3]"),
        Example("prod(x, dim=1, keepdim=true)", x="int[N, 3]"),
        Example("prod(x, -1, dtype=float)", x="bool[N, 3]"),
    )

    def result(self, x: TensorType) -> str:
        return self.dtype or (x.dtype if is_float(x.dtype) else "int64")


class _Truth(Reduction):
    """Whether elements are true; numbers that are not zero count as true."""

    keeps = ()

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        _expect_dimension(self)
        return super().infer(rules, x)

    def result(self, x: TensorType) -> str:
        return "uint8" if x.dtype == "uint8" else "bool"

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y = g.cast(g.cast(x, "bool"), "int32")
        gone = self.gone(kind)
        return g.cast(reduce(g, self.op, y, gone, keepdims=self.keepdim) if gone else y, self.result(kind))


class any(_Truth):
    """Whether one or more elements are true, along some dimensions or of all: [N, T] to [N] for `dim=1`.

    Source: `torch.any`.
    """

    op = "ReduceMax"

    examples = (
        Example("any(x)", x="bool[N, T]"),
        Example("any(x, dim=1)", x="int[N, T]"),
        Example("any(x, (0, 1), keepdim=true)", x="float[N, T]"),
    )


class all(_Truth):
    """Whether all elements are true, along some dimensions or of all: [N, T] to [N] for `dim=1`.

    Source: `torch.all`.
    """

    op = "ReduceMin"

    examples = (
        Example("all(x)", x="bool[N, T]"),
        Example("all(x, dim=1)", x="bool[N, T]"),
        Example("all(x, -1, keepdim=true)", x="uint8[N, 3]"),
    )
