"""Largest and smallest: of pairs, along a dimension with their places, in order."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import computed, kind, wide
from nnspec.functions._operands import axis, broadcast, expect_numbers, expect_tensors, result_type
from nnspec.functions.reduction import argmax
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._lowering import reduce
from nnspec.types import Operand, TensorType


class _OfPair(Function):
    """One of two elements, broadcast; types are promoted."""

    op: ClassVar[str]
    of_bools: ClassVar[str]

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        expect_tensors(self, (x,))
        expect_tensors(self, (other,))
        return TensorType(result_type(x, other), broadcast(rules, x, other))

    def onnx(self, g: OnnxGraph, x: Any, other: Any) -> Any:
        dtype = result_type(kind(g, x), kind(g, other))
        return computed(g, self.of_bools if dtype == "bool" else self.op, (x, other), dtype)


class maximum(_OfPair):
    """The larger of two elements, broadcast: [N, D] and [D] to [N, D].

    Source: `torch.maximum`.
    """

    op, of_bools = "Max", "Or"

    examples = (
        Example("maximum(x, y)", x="float[N, 8]", y="float[8]"),
        Example("maximum(x, y)", x="int8[N]", y="int[N]"),
        Example("maximum(x, y)", x="bool[N]", y="bool[N]"),
    )


class minimum(_OfPair):
    """The smaller of two elements, broadcast: [N, D] and [D] to [N, D].

    Source: `torch.minimum`.
    """

    op, of_bools = "Min", "And"

    examples = (
        Example("minimum(x, y)", x="float[N, 8]", y="float[N, 1]"),
        Example("minimum(x, y)", x="uint8[N]", y="float[]"),
    )


class _Bound(Function):
    """One bound of `clamp`: a number, or a tensor that broadcasts."""

    op: ClassVar[str]

    def onnx(self, g: OnnxGraph, x: str, bound: Any) -> Any:
        return computed(g, self.op, (x, bound), result_type(kind(g, x), kind(g, bound)))


class clamp_min(_Bound):
    """`x`, but at least `min`: a number, or a tensor that broadcasts with it.

    Source: `torch.clamp_min`.
    """

    scalars = ("min",)
    op = "Max"

    examples = (
        Example("clamp_min(x, 0)", x="float[N, 8]"),
        Example("clamp_min(x, T)", x="int[N, T]"),
        Example("clamp_min(x, y)", x="float[N, 4]", y="float[4]"),
    )

    def infer(self, rules: Rules, x: TensorType, min: Operand) -> TensorType:
        expect_tensors(self, (expect_numbers(self, x), min))
        return TensorType(result_type(x, min), broadcast(rules, x, min))


class clamp_max(_Bound):
    """`x`, but at most `max`: a number, or a tensor that broadcasts with it.

    Source: `torch.clamp_max`.
    """

    scalars = ("max",)
    op = "Min"

    examples = (
        Example("clamp_max(x, 0)", x="float[N, 8]"),
        Example("clamp_max(x, 0.5)", x="int[N]"),
        Example("clamp_max(x, y)", x="float[N, 4]", y="float[4]"),
    )

    def infer(self, rules: Rules, x: TensorType, max: Operand) -> TensorType:
        expect_tensors(self, (expect_numbers(self, x), max))
        return TensorType(result_type(x, max), broadcast(rules, x, max))


class _Extreme(Function):
    """An extreme of all elements; with `dim` of those along it, as a pair with its places."""

    dim: int | None = arg(None, doc="the dimension to look along; all elements when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    op: ClassVar[str]
    sign: ClassVar[int]

    def infer(self, rules: Rules, x: TensorType) -> Any:
        x = expect_numbers(self, x)
        if self.dim is None:
            if self.keepdim:
                raise ShapeError(
                    f"`{type(self).__name__}(keepdim=true)` needs a dimension", code="NNS405", at="keepdim"
                )
            return x.with_dims()
        gone = axis(self, x, self.dim)
        kept: tuple[Size, ...] = (1,) if self.keepdim and x.rank else ()
        y = x.with_dims(*x.dims[:gone], *kept, *x.dims[gone + 1 :])
        return y, y.with_dtype("int64")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype, rank = g.type(x).dtype, g.type(x).rank
        compute = wide(dtype)
        y = g.cast(x, compute)
        axes = list(range(rank)) if self.dim is None else [self.dim]
        extreme = reduce(g, self.op, y, axes, keepdims=self.keepdim) if rank else y
        extreme = extreme if compute == dtype else g.cast(extreme, dtype)
        if self.dim is None:
            return extreme
        return extreme, place_of(g, x, self.dim, keep=self.keepdim, sign=self.sign)


def place_of(g: OnnxGraph, x: str, dim: int | None, *, keep: bool, sign: int) -> str:
    """Where the largest (or smallest) element stands, the first of equals."""
    if sign > 0:
        return str(argmax(dim=dim, keepdim=keep).onnx(g, x))
    dtype, rank = g.type(x).dtype, g.type(x).rank
    y = g.cast(x, "int64" if wide(dtype) == "int32" else dtype)
    if dim is None or not rank:
        flat = g.node("Reshape", y, g.constant([-1]))
        place = _first(g, flat, 0, dtype, keep=False)
        return str(g.node("Reshape", place, g.constant([1] * rank))) if keep and rank else place
    return _first(g, y, dim, dtype, keep=keep)


def _first(g: OnnxGraph, x: str, dim: int, dtype: str, *, keep: bool) -> str:
    if dtype in ("float16", "float32", "float64"):
        return str(g.node("ArgMin", x, axis=dim, keepdims=int(keep)))
    _, place = g.node("TopK", x, g.constant([1]), outputs=2, axis=dim, largest=0)
    return str(place if keep else g.node("Squeeze", place, g.constant([dim])))


class max(_Extreme):
    """The largest element; with `dim` the largest along it and where they stand, the first of equals.

    [N, D] to a pair of [N] and int[N] for `dim=1`; `amax` gives the first alone. Source: `torch.max`.
    """

    op, sign = "ReduceMax", 1

    examples = (
        Example("max(x)", x="float[N, 8]"),
        Example("max(x, 1)", x="float[N, 8, T]"),
        Example("max(x, dim=-1, keepdim=true)", x="int[N, 5]"),
    )


class min(_Extreme):
    """The smallest element; with `dim` the smallest along it and where they stand, the first of equals.

    [N, D] to a pair of [N] and int[N] for `dim=1`; `amin` gives the first alone. Source: `torch.min`.
    """

    op, sign = "ReduceMin", -1

    examples = (
        Example("min(x)", x="float[N, 8]"),
        Example("min(x, 1)", x="float[N, 8, T]"),
        Example("min(x, dim=-1, keepdim=true)", x="int8[N, 5]"),
    )


class argmin(Function):
    """Where the smallest element stands along `dim`, the first of equals: [N, C] to int[N] for `dim=1`.

    Without `dim` it is the position among all elements in order. Source: `torch.argmin`.
    """

    dim: int | None = arg(None, doc="the dimension to look along; all elements in order when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    examples = (
        Example("argmin(x, dim=-1)", x="float[N, 8]"),
        Example("argmin(x, 1, keepdim=true)", x="int[N, T, 8]"),
        Example("argmin(x)", x="float[N, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return argmax(**self.__dict__).infer(rules, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return place_of(g, x, self.dim, keep=self.keepdim, sign=-1)


class _Ordering(Function):
    """What sorting shares: values and places, both along one dimension."""

    def along(self, x: TensorType) -> int:
        """The dimension."""
        dim: int = self.__dict__["dim"]
        return axis(self, expect_numbers(self, x), dim)

    def ordered(self, g: OnnxGraph, x: str, count: str, *, largest: bool) -> tuple[str, str]:
        """Values and places."""
        dtype = g.type(x).dtype
        compute = "int64" if wide(dtype) == "int32" else dtype
        at = self.along(g.type(x))
        y, places = g.node("TopK", g.cast(x, compute), count, outputs=2, axis=at, largest=int(largest))
        return (y if compute == dtype else g.cast(y, dtype)), places


class topk(_Ordering):
    """The k largest elements along `dim`, in order, and where they stand: [N, C] to [N, k] and int[N, k].

    Source: `torch.topk`.
    """

    k: Size = arg(doc="how many")
    dim: int = arg(-1, doc="the dimension to look along")
    largest: bool = arg(True, doc="the largest, or else the smallest")

    examples = (
        Example("topk(x, 2)", x="float[N, 8]"),
        Example("topk(x, k=K, dim=1, largest=false)", x="float[N, 6, T]", y="float[K]", assume="K <= 6"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        at = self.along(x)
        if not x.rank:
            raise ShapeError("`topk` needs a dimension to look along", code="NNS402", input=0)
        name = f"`topk` cannot find {show(self.k)} elements in dimension {at} of {x}"
        rules.require_at_least(self.k, 0, name, code="NNS411", at="k")
        rules.require_at_least(x.dims[at], self.k, name, code="NNS411", at="k")
        y = x.with_dims(*x.dims[:at], self.k, *x.dims[at + 1 :])
        return y, y.with_dtype("int64")

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("torch.topk", *inputs, options.pop("k"), **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self.ordered(g, x, g.shape([self.k]), largest=self.largest)


class sort(_Ordering):
    """Elements in order along `dim`, and where they stood; equals keep their order.

    Source: `torch.sort`, with `stable=True`.
    """

    dim: int = arg(-1, doc="the dimension to sort along")
    descending: bool = arg(False, doc="the largest first")

    examples = (
        Example("sort(x)", x="float[N, 8]"),
        Example("sort(x, 0, descending=true)", x="int[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        self.along(x)
        return x, x.with_dtype("int64")

    def torch(self, *inputs: Any) -> Code:
        return call("torch.sort", *inputs, **self.options(), stable=True)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind_ = g.type(x)
        if not kind_.rank:
            return x, g.constant(0)
        return self.ordered(g, x, g.shape([kind_.dims[self.along(kind_)]]), largest=self.descending)


class argsort(sort):
    """Where the elements stand that would be in order along `dim`; equals keep their order.

    Source: `torch.argsort`, with `stable=True`.
    """

    examples = (
        Example("argsort(x)", x="float[N, 8]"),
        Example("argsort(x, dim=0, descending=true)", x="int[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> Any:
        return super().infer(rules, x)[1]

    def torch(self, *inputs: Any) -> Code:
        return call("torch.argsort", *inputs, **self.options(), stable=True)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return super().onnx(g, x)[1]
