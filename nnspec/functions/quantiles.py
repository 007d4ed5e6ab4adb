"""What stands in the middle of numbers in order, or at another place among them, and what is the most frequent."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan
from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._operands import axes, axis, expect_numbers, same_type
from nnspec.functions._reduction import Choice, in_line, left
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import Operand, Scalar, TensorType, is_float, show_dtype


class _Chosen(Choice):
    """An element that is chosen by its value; it stands where the first of its equals does."""

    keeps = ()

    last: ClassVar[bool] = False
    """Whether it is the last of its equals instead."""

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype = kind.dtype if is_float(kind.dtype) else "int64"
        row, at, size = in_line(g, g.cast(x, dtype), kind, self.dim)
        value = self.value(g, row, at, size, dtype)
        whole = self.dim is None or not kind.rank
        same = g.node("Equal", row, value)
        if is_float(dtype):
            same = g.node("Or", same, g.node("And", g.node("IsNaN", row), g.node("IsNaN", value)))
        keep = self.keepdim and not whole
        found = g.cast(value if keep else g.node("Squeeze", value, g.constant([at])), kind.dtype)
        if self.dim is None:
            return found
        end = {"select_last_index": 1} if self.last else {}
        return found, g.node("ArgMax", g.cast(same, "int32"), axis=at, keepdims=int(keep), **end)

    def value(self, g: OnnxGraph, x: str, at: int, size: Size, dtype: str) -> str:
        """The element, for a value of float type or int64 with dimension `at`, which stays. Abstract."""
        raise NotImplementedError


def _smallest(g: OnnxGraph, x: str, at: int, count: Size, dtype: str) -> str:
    """The `count` smallest elements in order; nan comes last, as something infinite."""
    if is_float(dtype):
        x = g.node("Where", g.node("IsNaN", x), g.constant(inf, dtype), x)
    y, _ = g.node("TopK", x, g.shape([count]), outputs=2, axis=at, largest=0)
    return str(y)


def _known(g: OnnxGraph, x: str, at: int) -> str:
    """How many elements are numbers, not nan."""
    return reduce(g, "ReduceSum", g.cast(g.node("Not", g.node("IsNaN", x)), "int64"), [at])


class _Middle(_Chosen):
    """The element in the middle."""

    def accepted(self, x: Any) -> TensorType:
        return expect_numbers(self, x)


class median(_Middle):
    """The element in the middle, the lower of two; with `dim` those along it and where they stand, the first of equals.

    [N, D] to a pair of [N] and int[N] for `dim=1`; nan if there is one. Of equals torch does not say which it finds.
    Source: `torch.median`.
    """

    examples = (
        Example("median(x)", x="float[N, 8]"),
        Example("median(x, 1)", x="float[N, T]"),
        Example("median(x, dim=-1, keepdim=true)", x="float64[N, 5]"),
        Example("median(x)", x="int8[N]"),
        Example("median(x, 0)", x="float[]"),
    )

    def value(self, g: OnnxGraph, x: str, at: int, size: Size, dtype: str) -> str:
        lower = _smallest(g, x, at, (size + 1) // 2, dtype)
        y = str(g.node("Gather", lower, g.constant([-1]), axis=at))
        if not is_float(dtype):
            return y
        gap = g.node("Less", _known(g, x, at), g.size(size))
        return str(g.node("Where", gap, g.constant(nan, dtype), y))


class nanmedian(_Middle):
    """The `median` of the elements that are numbers, not nan; nan only where there are none.

    Source: `torch.nanmedian`.
    """

    examples = (
        Example("nanmedian(x)", x="float[N, 8]"),
        Example("nanmedian(x, 1)", x="float[N, T]"),
        Example("nanmedian(x)", x="int[N, 3]"),
    )

    def value(self, g: OnnxGraph, x: str, at: int, size: Size, dtype: str) -> str:
        if not is_float(dtype):
            return median(dim=self.dim, keepdim=self.keepdim).value(g, x, at, size, dtype)
        known, one = _known(g, x, at), g.constant(1)
        middle = g.node("Div", g.node("Sub", g.node("Max", known, one), one), g.constant(2))
        y = g.node("GatherElements", _smallest(g, x, at, size, dtype), middle, axis=at)
        return str(g.node("Where", g.node("Equal", known, g.constant(0)), g.constant(nan, dtype), y))


class kthvalue(_Chosen):
    """The `k`-th smallest element along a dimension, and where it stands: [N, C] to [N] and int[N].

    Of equals it is the first, which torch leaves open; nan counts as the largest of all. Source: `torch.kthvalue`.
    """

    order = ("x", "k", "dim", "keepdim")

    k: Size = arg(doc="which one, the smallest being 1")
    dim: int = arg(-1, doc="the dimension to look along")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")

    examples = (
        Example("kthvalue(x, 3)", x="float[N, 8]"),
        Example("kthvalue(x, T, 1, keepdim=true)", x="float[N, T, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> Any:
        x = expect_numbers(self, x)
        at = axis(self, x, self.dim)
        size = x.dims[at] if x.rank else 1
        message = f"`kthvalue` has no element number {show(self.k)} in dimension {at} of {x}"
        error = {"code": "NNS411", "at": "k", "label": f"must be from 1 to {show(size)}"}
        rules.require_at_least(self.k, 1, message, **error)
        rules.require_at_least(size, self.k, message, **error)
        return super().infer(rules, x)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("torch.kthvalue", *inputs, options.pop("k"), **options)

    def value(self, g: OnnxGraph, x: str, at: int, size: Size, dtype: str) -> str:
        y = str(g.node("Gather", _smallest(g, x, at, self.k, dtype), g.constant([-1]), axis=at))
        if not is_float(dtype):
            return y
        beyond = g.node("Less", _known(g, x, at), g.size(self.k))
        return str(g.node("Where", beyond, g.constant(nan, dtype), y))


class mode(_Chosen):
    """The most frequent element along a dimension, the smallest of several, and where the last of them stands.

    Source: `torch.mode`. In ONNX all elements along the dimension are compared with each other.
    """

    dim: int = arg(-1, doc="the dimension to look along")
    keepdim: bool = arg(False, doc="keep the reduced dimension, with size 1")
    last = True

    examples = (
        Example("mode(x)", x="int[N, 8]"),
        Example("mode(x, 0, keepdim=true)", x="float[8, N]"),
        Example("mode(x)", x="bool[N, 3]"),
    )

    def value(self, g: OnnxGraph, x: str, at: int, size: Size, dtype: str) -> str:
        column, row = (g.node("Unsqueeze", x, g.constant([at + i])) for i in (1, 0))
        count = reduce(g, "ReduceSum", g.cast(g.node("Equal", column, row), "int32"), [at + 1], keepdims=False)
        frequent = g.node("Equal", count, reduce(g, "ReduceMax", count, [at]))
        beyond = g.constant(inf if is_float(dtype) else 2**63 - 1, dtype)
        return reduce(g, "ReduceMin", g.node("Where", frequent, x, beyond), [at])


class quantile(Function):
    """The number below which a share `q` of the elements lies, between two of them where need be; nan if one is nan.

    [N, D] to [N] for `dim=1`; a vector of shares gives a dimension in front: [Q, N]. Source: `torch.quantile`.
    """

    scalars = ("q",)

    dim: int | None = arg(None, doc="the dimension to reduce; all of them when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")
    interpolation: Literal["linear", "lower", "higher", "nearest", "midpoint"] = arg(
        "linear", doc="what to do between two elements", keyword=True
    )

    examples: ClassVar[tuple[Example, ...]] = (
        Example("quantile(x, 0.3)", x="float[N, 8]"),
        Example("quantile(x, 0.75, dim=1, keepdim=true)", x="float[N, T]"),
        Example("quantile(x, sigmoid(q), -1)", x="float[N, T]", q="float[3]"),
        Example('quantile(x, 0.4, 0, interpolation="nearest")', x="float64[N, 3]"),
        Example('quantile(x, 1, interpolation="lower")', x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType, q: Operand) -> TensorType:
        x = expect_tensor(self, x)
        if x.dtype not in ("float32", "float64"):
            raise ShapeError(
                f"`{type(self).__name__}` needs float or float64, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}",
                input=0,
                helps=("convert it: `to(x, float)`",),
            )
        gone = axes(self, x, self.dim)
        return x.with_dims(*self._shares(x, q), *left(x, gone, self.keepdim))

    def _shares(self, x: TensorType, q: Operand) -> tuple[Size, ...]:
        """The dimensions of q, checked."""
        name = type(self).__name__
        if isinstance(q, Scalar):
            if isinstance(q.value, Dim) or not 0 <= q.value <= 1:
                raise ShapeError(
                    f"the share `q` of `{name}` lies between 0 and 1, but it is {q}",
                    code="NNS405",
                    label="not between 0 and 1",
                    input=1,
                )
            return ()
        q = expect_tensor(self, q, 1)
        same_type(self, (x, q))
        if q.rank > 1:
            raise ShapeError(
                f"`{name}` takes one share or a vector of them, not {q}",
                code="NNS402",
                label="neither a number nor a vector",
                input=1,
            )
        return q.dims

    def onnx(self, g: OnnxGraph, x: str, q: Any) -> Any:
        kind = g.type(x)
        row, at, size = in_line(g, x, kind, self.dim)
        rank = 1 if self.dim is None or not kind.rank else kind.rank
        share = g.node("Reshape", q, g.constant([-1])) if isinstance(q, str) else g.constant([float(q)], kind.dtype)
        if rank - at > 1:
            share = g.node("Reshape", share, g.constant([-1, *[1] * (rank - at - 1)]))
        y = self.placed(g, row, share, at, size, kind.dtype)
        if not isinstance(q, str) or not g.type(q).rank:
            y = y if self.keepdim and rank == kind.rank else g.node("Squeeze", y, g.constant([at]))
            return g.node("Reshape", y, g.constant([1] * kind.rank)) if self.keepdim and self.dim is None else y
        if at:
            y = g.node("Transpose", y, perm=[at, *(i for i in range(rank) if i != at)])
        if not self.keepdim or not kind.rank:
            return y
        new = list(range(1, kind.rank + 1)) if self.dim is None else [at + 1]
        return g.node("Unsqueeze", y, g.constant(new))

    def placed(self, g: OnnxGraph, x: str, share: str, at: int, size: Size, dtype: str) -> str:
        """The quantiles in the place of dimension `at`; the shares lie along it."""
        order = _smallest(g, x, at, size, dtype)
        place = g.node("Mul", share, g.cast(g.size(size - 1), dtype))

        def element(where: str) -> str:
            flat = g.node("Reshape", g.cast(where, "int64"), g.constant([-1]))
            return str(g.node("Gather", order, flat, axis=at))

        gap = g.node("Less", _known(g, x, at), g.size(size))
        return str(g.node("Where", gap, g.constant(nan, dtype), self.between(g, place, element, dtype)))

    def between(self, g: OnnxGraph, place: str, element: Callable[[str], str], dtype: str) -> str:
        """The number at a place between whole ones."""
        if self.interpolation in _WHOLE:
            return element(g.node(_WHOLE[self.interpolation], place))
        floor = g.node("Floor", place)
        low, high = element(floor), element(g.node("Ceil", place))
        half = g.constant(0.5, dtype)
        weight = half if self.interpolation == "midpoint" else g.node("Sub", place, floor)
        way = g.node("Sub", high, low)
        forth = g.node("Add", low, g.node("Mul", weight, way))
        back = g.node("Sub", high, g.node("Mul", way, g.node("Sub", g.constant(1.0, dtype), weight)))
        return str(g.node("Where", g.node("Less", weight, half), forth, back))


_WHOLE = {"lower": "Floor", "higher": "Ceil", "nearest": "Round"}
"""How a place becomes a whole one."""


class nanquantile(quantile):
    """The `quantile` of the elements that are numbers, not nan; nan only where there are none.

    Source: `torch.nanquantile`.
    """

    examples = (
        Example("nanquantile(x, 0.3)", x="float[N, 8]"),
        Example("nanquantile(x / x, sigmoid(q), 1, keepdim=true)", x="int[N, T]", q="float[3]"),
        Example('nanquantile(x, 0.4, 0, interpolation="midpoint")', x="float64[N, 3]"),
    )

    def placed(self, g: OnnxGraph, x: str, share: str, at: int, size: Size, dtype: str) -> str:
        order, known = _smallest(g, x, at, size, dtype), _known(g, x, at)
        last = g.node("Sub", g.node("Max", known, g.constant(1)), g.constant(1))
        place = g.node("Mul", share, g.cast(last, dtype))

        def element(where: str) -> str:
            return str(g.node("GatherElements", order, g.cast(where, "int64"), axis=at))

        none = g.node("Equal", known, g.constant(0))
        return str(g.node("Where", none, g.constant(nan, dtype), self.between(g, place, element, dtype)))
