"""Reductions: one number for all elements, or for those along some dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import wide
from nnspec.functions._operands import axes, axis, expect_numbers
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import DType, TensorType, is_float, show_dtype


class _Reduction(Function):
    """What all reductions share."""

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to reduce; all of them when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")

    op: ClassVar[str]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return TensorType(self.result(x), self.reduced(expect_tensor(self, x)))

    def result(self, x: TensorType) -> str:
        """The element type of the result."""
        return x.dtype

    def reduced(self, x: TensorType) -> tuple[Size, ...]:
        """The shape of the result."""
        gone = axes(self, x, self.dim)
        if self.keepdim:
            return tuple(1 if i in gone else d for i, d in enumerate(x.dims))
        return tuple(d for i, d in enumerate(x.dims) if i not in gone)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        if self.keepdim:
            # torch has no form with `keepdim` alone.
            options = {"dim": self.dim} | options
        return call(f"torch.{type(self).__name__}", *inputs, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype = self.result(kind)
        compute = "int32" if dtype == "bool" else wide(dtype)
        y = g.cast(x, compute)
        gone = axes(self, kind, self.dim) if kind.rank else ()
        if gone:
            y = reduce(g, self.op, y, gone, keepdims=self.keepdim)
        return y if compute == dtype else g.cast(y, dtype)


class sum(_Reduction):
    """The sum over some dimensions, or all: [N, T, D] to [N, D] for `dim=1`. Integers and bools sum to int.

    Source: `torch.sum`.
    """

    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)
    op = "ReduceSum"

    examples = (
        Example("sum(x)", x="float[N, 8]"),
        Example("sum(x, dim=1)", x="float[N, T, 8]"),
        Example("sum(x, (0, -1), keepdim=true)", x="int8[N, T, 8]"),
        Example("sum(x, keepdim=true)", x="bool[N, 3]"),
        Example("sum(x, dim=0, dtype=float)", x="int[N, 3]"),
        Example("sum(x)", x="float[]"),
    )

    def result(self, x: TensorType) -> str:
        return self.dtype or (x.dtype if is_float(x.dtype) else "int64")


class mean(_Reduction):
    """The mean over some dimensions, or all, of float tensors: [N, T, D] to [N, D] for `dim=1`.

    Source: `torch.mean`.
    """

    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)
    op = "ReduceMean"

    examples = (
        Example("mean(x)", x="float[N, 8]"),
        Example("mean(x, dim=(2, 3))", x="float[N, 3, H, W]"),
        Example("mean(x, dim=-1, keepdim=true)", x="float64[N, T, 8]"),
        Example("mean(x, dtype=float)", x="int[N]"),
    )

    def result(self, x: TensorType) -> str:
        dtype = self.dtype or x.dtype
        if not is_float(dtype):
            raise ShapeError(
                f"`mean` needs a float tensor, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(dtype)}",
                input=0,
                helps=("say the type of the result: `mean(x, dtype=float)`",),
            )
        return dtype


class _Extreme(_Reduction):
    """The largest or smallest element; bools have an order too."""

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *inputs, **self.options())


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


class argmax(Function):
    """Where the largest element stands along `dim`, the first of equals: [N, C] to int[N] for `dim=1`.

    Without `dim` it is the position among all elements in order. Source: `torch.argmax`.
    """

    dim: int | None = arg(None, doc="the dimension to look along; all elements in order when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    examples = (
        Example("argmax(x, dim=-1)", x="float[N, 8]"),
        Example("argmax(x, 1, keepdim=true)", x="int[N, T, 8]"),
        Example("argmax(x)", x="float[N, 8]"),
        Example("argmax(x, dim=0)", x="uint8[N, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_numbers(self, x)
        if self.dim is None:
            return TensorType("int64", (1,) * x.rank if self.keepdim else ())
        gone = axis(self, x, self.dim)
        kept: Sequence[Size] = (1,) if self.keepdim and x.rank else ()
        return TensorType("int64", (*x.dims[:gone], *kept, *x.dims[gone + 1 :]))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y = g.cast(x, "int32" if kind.dtype in ("uint8", "int8", "int16") else kind.dtype)
        dim, keep = self.dim, self.keepdim
        if dim is None or not kind.rank:
            y = g.node("Reshape", y, g.constant([-1]))
            dim, keep = 0, False
        if kind.dtype == "int64":
            y = _first_largest(g, y, dim, keep=keep)
        else:
            y = g.node("ArgMax", y, axis=dim, keepdims=int(keep))
        if self.dim is None and self.keepdim and kind.rank:
            return g.node("Reshape", y, g.constant([1] * kind.rank))
        return y


def _first_largest(g: OnnxGraph, x: str, dim: int, *, keep: bool) -> str:
    """ArgMax by TopK, which run-times have for 64-bit integers too; of equals the first comes first."""
    _, place = g.node("TopK", x, g.constant([1]), outputs=2, axis=dim)
    return str(place if keep else g.node("Squeeze", place, g.constant([dim])))


def _expect_dimension(function: _Reduction) -> None:
    """Refuse an empty list of dimensions, of which torch's functions do not make the same."""
    if function.dim == ():
        name = type(function).__name__
        raise ShapeError(f"`{name}(dim=())` names no dimension to reduce", code="NNS411", at="dim")


class logsumexp(_Extreme):
    """The logarithm of the sum of exponentials over some dimensions, without overflow: [N, C] to [N] for `dim=1`.

    Source: `torch.logsumexp`.
    """

    dim: int | tuple[int, ...] = arg(doc="the dimensions to reduce")
    op = "ReduceLogSumExp"

    examples = (
        Example("logsumexp(x, 1)", x="float[N, 8]"),
        Example("logsumexp(x, dim=(1, 2), keepdim=true)", x="float[N, T, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        _expect_dimension(self)
        return super().infer(rules, expect_float(self, x))


class _OneAtMost(_Reduction):
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


class _Truth(_Reduction):
    """Whether elements are true; numbers that are not zero count as true."""

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        _expect_dimension(self)
        return super().infer(rules, x)

    def result(self, x: TensorType) -> str:
        return "uint8" if x.dtype == "uint8" else "bool"

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y = g.cast(g.cast(x, "bool"), "int32")
        gone = axes(self, kind, self.dim) if kind.rank else ()
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
