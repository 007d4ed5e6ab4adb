"""Largest and smallest: of pairs, along a dimension with their places, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._elementwise import Pair
from nnspec.functions._operands import axis, expect_numbers
from nnspec.functions._positions import as_scalar, as_vector, listed
from nnspec.functions._reduction import Choice, Place, extreme, nan_first, place_of
from nnspec.functions.reduction import amax, amin
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, Scalar, TensorType, is_float

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class maximum(Pair):
    """The larger of two elements, broadcast: [N, D] and [D] to [N, D].

    Source: `torch.maximum`.
    """

    op, of_bools = "Max", "Or"

    examples = (
        Example("maximum(x, y)", x="float[N, 8]", y="float[8]"),
        Example("maximum(x, y)", x="int8[N]", y="int[N]"),
        Example("maximum(x, y)", x="bool[N]", y="bool[N]"),
    )


class minimum(Pair):
    """The smaller of two elements, broadcast: [N, D] and [D] to [N, D].

    Source: `torch.minimum`.
    """

    op, of_bools = "Min", "And"

    examples = (
        Example("minimum(x, y)", x="float[N, 8]", y="float[N, 1]"),
        Example("minimum(x, y)", x="uint8[N]", y="float[]"),
    )


class _Bound(Pair):
    """One bound of `clamp`: a number, or a tensor that broadcasts."""

    def result(self, x: Operand, other: Operand) -> str:
        dtype = super().result(x, other)
        if dtype == "bool" and isinstance(other, Scalar):
            expect_numbers(self, x)
        return dtype


class clamp_min(_Bound):
    """`x`, but at least `min`: a number, or a tensor that broadcasts with it.

    Source: `torch.clamp_min`.
    """

    scalars = ("min",)
    op, of_bools = "Max", "Or"

    examples = (
        Example("clamp_min(x, 0)", x="float[N, 8]"),
        Example("clamp_min(x, T)", x="int[N, T]"),
        Example("clamp_min(x, y)", x="float[N, 4]", y="float[4]"),
    )

    def infer(self, rules: Rules, x: Operand, min: Operand) -> TensorType:
        return super().infer(rules, x, min)


class clamp_max(_Bound):
    """`x`, but at most `max`: a number, or a tensor that broadcasts with it.

    Source: `torch.clamp_max`.
    """

    scalars = ("max",)
    op, of_bools = "Min", "And"

    examples = (
        Example("clamp_max(x, 0)", x="float[N, 8]"),
        Example("clamp_max(x, 0.5)", x="int[N]"),
        Example("clamp_max(x, y)", x="float[N, 4]", y="float[4]"),
    )

    def infer(self, rules: Rules, x: Operand, max: Operand) -> TensorType:
        return super().infer(rules, x, max)


class _Extreme(Choice):
    """An extreme of all elements; with `dim` of those along it, as a pair with its places."""

    op: ClassVar[str]

    def memory(self, m: Tape, *inputs: Any) -> Any:
        ordered = isinstance(m.output, tuple)
        return m.op(m.output, *inputs, keeps=(), keeps_output=(1,)) if ordered else m.op(m.output, *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        gone = () if not kind.rank else range(kind.rank) if self.dim is None else (self.dim,)
        y = extreme(g, self.op, x, gone, kind.dtype, keepdims=self.keepdim)
        if self.dim is None:
            return y
        return y, place_of(g, x, self.dim, keepdim=self.keepdim, largest=self.op == "ReduceMax")


class max(_Extreme):
    """The largest element; with `dim` the largest along it and where they stand, the first of equals.

    [N, D] to a pair of [N] and int[N] for `dim=1`; `amax` gives the first alone. Source: `torch.max`.
    """

    op = "ReduceMax"

    examples = (
        Example("max(x)", x="float[N, 8]"),
        Example("max(x, 1)", x="float[N, 8, T]"),
        Example("max(x, dim=-1, keepdim=true)", x="int[N, 5]"),
    )


class min(_Extreme):
    """The smallest element; with `dim` the smallest along it and where they stand, the first of equals.

    [N, D] to a pair of [N] and int[N] for `dim=1`; `amin` gives the first alone. Source: `torch.min`.
    """

    op = "ReduceMin"

    examples = (
        Example("min(x)", x="float[N, 8]"),
        Example("min(x, 1)", x="float[N, 8, T]"),
        Example("min(x, dim=-1, keepdim=true)", x="int8[N, 5]"),
    )


class argmin(Place):
    """Where the smallest element stands along `dim`, the first of equals: [N, C] to int[N] for `dim=1`.

    Without `dim` it is the position among all elements in order. Source: `torch.argmin`.
    """

    largest = False

    examples = (
        Example("argmin(x, dim=-1)", x="float[N, 8]"),
        Example("argmin(x, 1, keepdim=true)", x="int[N, T, 8]"),
        Example("argmin(x)", x="float[N, 8]"),
    )


class _Ordering(Function):
    """What sorting shares: values and places, both along one dimension."""

    def along(self, x: TensorType) -> int:
        """The dimension."""
        dim: int = self.__dict__["dim"]
        return axis(self, x, dim)

    def ordered(self, g: OnnxGraph, x: str, count: str, *, largest: bool) -> tuple[str, str]:
        """Values and places."""
        kind_ = g.type(x)
        compute = kind_.dtype if is_float(kind_.dtype) else "int64"
        row, at = as_vector(g, g.cast(x, compute), kind_.rank), self.along(kind_)
        y, places = g.node("TopK", nan_first(g, row, compute), count, outputs=2, axis=at, largest=int(largest))
        if is_float(compute):
            y = g.node("GatherElements", row, places, axis=at)
        y = y if compute == kind_.dtype else g.cast(y, kind_.dtype)
        return as_scalar(g, y, kind_.rank), as_scalar(g, places, kind_.rank)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, keeps=(), keeps_output=(1,))


class topk(_Ordering):
    """The k largest elements along `dim`, in order, and where they stand: [N, C] to [N, k] and int[N, k].

    Source: `torch.topk`.
    """

    k: Size = arg(doc="how many")
    dim: int = arg(-1, doc="the dimension to look along")
    largest: bool = arg(True, doc="the largest, or else the smallest")
    sorted: bool = arg(True, doc="in order; false leaves the order to torch, and ONNX gives them in order all the same")

    examples = (
        Example("topk(x, 2)", x="float[N, 8]"),
        Example("topk(x, 1)", x="float[]"),
        Example("topk(x, k=K, dim=1, largest=false)", x="float[N, 6, T]", y="float[K]", assume="K <= 6"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        at = self.along(expect_numbers(self, x))
        dims = listed(x)
        name = f"`topk` cannot find {show(self.k)} elements in dimension {at} of {x}"
        rules.require_at_least(self.k, 0, name, code="NNS411", at="k")
        rules.require_at_least(dims[at], self.k, name, code="NNS411", at="k")
        if not x.rank:
            rules.require_at_least(self.k, 1, name, code="NNS411", at="k")
        y = x.with_dims(*dims[:at], self.k, *dims[at + 1 :]) if x.rank else x
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
    stable: bool = arg(False, doc="whether equals must keep their order, as they do in any case", keyword=True)

    examples = (
        Example("sort(x)", x="float[N, 8]"),
        Example("sort(x, 0, descending=true)", x="int[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        self.along(expect_tensor(self, x))
        return x, x.with_dtype("int64")

    def torch(self, *inputs: Any) -> Code:
        return call("torch.sort", *inputs, **(self.options() | {"stable": True}))

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
        return call("torch.argsort", *inputs, **(self.options() | {"stable": True}))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return super().onnx(g, x)[1]


class msort(Function):
    """Elements in order along the first dimension; `sort` says where they stood as well.

    Source: `torch.msort`.
    """

    examples = (
        Example("msort(x)", x="float[8, N]"),
        Example("msort(x)", x="int8[N]"),
        Example("msort(x)", x="bool[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return sort(dim=0, descending=False, stable=False).onnx(g, x)[0]


class aminmax(Function):
    """The smallest and the largest element, of all or along a dimension: [N, D] to a pair of [N] for `dim=1`.

    Source: `torch.aminmax`.
    """

    dim: int | None = arg(None, doc="the dimension to reduce; all of them when left out", keyword=True)
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1", keyword=True)

    examples = (
        Example("aminmax(x)", x="float[N, 8]"),
        Example("aminmax(x, dim=1, keepdim=true)", x="int8[N, 8]"),
        Example("aminmax(x, keepdim=true)", x="bool[N, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        least = amin(dim=self.dim, keepdim=self.keepdim).infer(rules, x)
        return least, least

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return tuple(one(dim=self.dim, keepdim=self.keepdim).onnx(g, x) for one in (amin, amax))
