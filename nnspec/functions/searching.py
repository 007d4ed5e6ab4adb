"""Where numbers belong among others that are in order, whether they are among them, how many lie where."""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import kind, tensor, wide
from nnspec.functions._operands import expect_dtype, expect_numbers, expect_tensors, result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_rank, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import Operand, Scalar, TensorType, is_float


def _expect_comparable(function: Function, *operands: Operand) -> None:
    """Refuse operands that torch would compare as bools."""
    expect_tensors(function, operands)
    if result_type(*operands) == "bool":
        raise ShapeError(
            f"`{type(function).__name__}` needs numbers, but its operands are {' and '.join(map(str, operands))}",
            code="NNS406",
            label="bools",
            helps=("convert them, as with `to(x, int)`",),
        )


class _Search(Function):
    """How many elements of a sequence in order lie below numbers, all of which are compared with all of it in ONNX."""

    keeps = ()

    out_int32: bool = arg(False, doc="count in int32, not int", keyword=True)
    right: bool = arg(False, doc="count those that are equal, too", keyword=True)

    def found(self, dims: tuple[Size, ...]) -> TensorType:
        """The type of the result."""
        return TensorType("int32" if self.out_int32 else "int64", dims)

    def count(self, g: OnnxGraph, values: Any, sequence: str, row: str, *, right: bool) -> Any:
        """The places of values among those of a sequence (`row`, in its type); nan lies above all."""
        dtype = result_type(kind(g, values), g.type(sequence))
        column = g.node("Unsqueeze", tensor(g, values, dtype), g.constant([-1]))
        row = g.cast(row, wide(dtype))
        if g.type(sequence).rank > 1:
            row = g.node("Unsqueeze", row, g.constant([-2]))
        below = g.node("LessOrEqual" if right else "Less", row, column)
        if is_float(dtype):
            below = g.node("Or", below, g.node("IsNaN", column))
        places = reduce(g, "ReduceSum", g.cast(below, "int32"), [-1], keepdims=False)
        return places if self.out_int32 else g.cast(places, "int64")


class bucketize(_Search):
    """For each number how many boundaries, a vector in order, lie below it: [N] and [B] to int[N].

    Source: `torch.bucketize`.
    """

    scalars = ("x",)

    examples = (
        Example("bucketize(x, b)", x="float[N, T]", b="float[1]"),
        Example("bucketize(x, arange(B), right=true)", x="float[N]", b="float[B]"),
        Example("bucketize(x, arange(5), out_int32=true)", x="int8[N, 3]"),
        Example("bucketize(0.5, msort(b))", b="float64[B]"),
    )

    def infer(self, rules: Rules, x: Operand, boundaries: TensorType) -> TensorType:
        _expect_comparable(self, x, expect_rank(self, boundaries, "B", input=1))
        return self.found(x.dims if isinstance(x, TensorType) else ())

    def onnx(self, g: OnnxGraph, x: Any, boundaries: str) -> Any:
        return self.count(g, x, boundaries, boundaries, right=self.right)


class searchsorted(_Search):
    """For each value how many elements of a sequence in order lie below it: [S] and [N, V] to int[N, V].

    A sequence with more dimensions is one for each row of values: [N, S] and [N, V] to int[N, V].
    Source: `torch.searchsorted`.
    """

    order = ("sorted_sequence", "values")
    scalars = ("values",)

    side: Literal["left", "right"] | None = arg(None, doc='"right" is another way to say `right=true`', keyword=True)

    examples = (
        Example("searchsorted(msort(s), x)", s="float[S]", x="float[N, T]"),
        Example('searchsorted(s, x, side="right")', s="float[N, 1]", x="float[N, T]"),
        Example("searchsorted(s, x, right=true, out_int32=true, sorter=argsort(s))", s="float[N, S]", x="float[N, 3]"),
        Example("searchsorted(arange(S), 2)", s="float[S]"),
    )

    def infer(
        self, rules: Rules, sorted_sequence: TensorType, values: Operand, sorter: TensorType | None = None
    ) -> TensorType:
        sequence = expect_tensor(self, sorted_sequence)
        _expect_comparable(self, sequence, values)
        if self.right and self.side == "left":
            raise ShapeError(
                '`searchsorted` is given `right=true` and `side="left"`',
                code="NNS304",
                label="the opposite of `right=true`",
                at="side",
            )
        dims = values.dims if isinstance(values, TensorType) else ()
        if not sequence.rank or (sequence.rank > 1 and sequence.rank != len(dims)):
            rows = f", or a sequence for each row of {values}" if dims else ""
            raise ShapeError(
                f"`searchsorted` needs a vector{rows}, but that is {sequence}",
                code="NNS402",
                label="neither",
                input=0,
            )
        message = f"`searchsorted` finds no sequence in {sequence} for each row of {values}"
        for i, size in enumerate(sequence.dims[:-1]):
            rules.require_equal(size, dims[i], message, input=0, axis=i)
        if sorter is not None:
            self._check_sorter(rules, sequence, sorter)
        return self.found(dims)

    def _check_sorter(self, rules: Rules, sequence: TensorType, sorter: TensorType) -> None:
        order = expect_dtype(self, sorter, "int64", "sorter", 2)
        message = f"the sorter of `searchsorted`, {order}, has a place for each element of {sequence}"
        if order.rank != sequence.rank:
            raise ShapeError(message, code="NNS402", input=2)
        for i, (a, b) in enumerate(zip(sequence.dims, order.dims, strict=True)):
            rules.require_equal(a, b, message, input=2, axis=i)

    def torch(self, *inputs: Any) -> Code:
        sequence, values, *rest = inputs
        given = {"sorter": rest[0]} if rest and rest[0] is not None else {}
        return call("torch.searchsorted", sequence, values, **self.options(), **given)

    def onnx(self, g: OnnxGraph, sorted_sequence: str, values: Any, sorter: str | None = None) -> Any:
        row = sorted_sequence
        if sorter is not None:
            row = g.node("GatherElements", row, sorter, axis=-1)
        return self.count(g, values, sorted_sequence, row, right=self.right or self.side == "right")


class isin(Function):
    """Which elements are among those of another tensor; one of both may be a number.

    Source: `torch.isin`.
    """

    scalars = ("elements", "test_elements")
    keeps = ()

    assume_unique: bool = arg(
        False, doc="whether no number stands twice in either, of which torch makes use", keyword=True
    )
    invert: bool = arg(False, doc="which are not", keyword=True)

    examples = (
        Example("isin(x, y)", x="int[N, 8]", y="int[3]"),
        Example("isin(x, y, invert=true)", x="int8[N]", y="float[T, 2]"),
        Example("isin(x, 2)", x="int[N]"),
        Example("isin(0, x)", x="int[N]"),
    )

    def infer(self, rules: Rules, elements: Operand, test_elements: Operand) -> TensorType:
        expect_tensors(self, (elements, test_elements))
        for position, x in enumerate((elements, test_elements)):
            if isinstance(x, TensorType):
                expect_numbers(self, x, position)
            elif isinstance(x, Scalar) and isinstance(x.value, bool):
                raise ShapeError(f"`isin` needs numbers, not {x}", code="NNS406", label="a bool", input=position)
        return TensorType("bool", elements.dims if isinstance(elements, TensorType) else ())

    def onnx(self, g: OnnxGraph, elements: Any, test_elements: Any) -> Any:
        types = kind(g, elements), kind(g, test_elements)
        dtype = result_type(*types)
        if not isinstance(test_elements, str):
            same = g.node("Equal", tensor(g, elements, dtype), tensor(g, test_elements, dtype))
            return g.node("Not", same) if self.invert else same
        row = g.node("Reshape", tensor(g, test_elements, dtype), g.constant([-1]))
        column = g.node("Unsqueeze", tensor(g, elements, dtype), g.constant([-1]))
        same = g.cast(g.node("Equal", column, row), "int32")
        found = g.cast(reduce(g, "ReduceMax", same, [-1], keepdims=False), "bool")
        return g.node("Not", found) if self.invert else found


class histc(Function):
    """How many elements lie in each of `bins` equal stretches from `min` to `max`, as floats: [N, D] to [bins].

    Source: `torch.histc`.
    """

    keeps = ()
    bins: int = arg(100, ge=1, le=2**24, doc="how many stretches")
    min: float = arg(0.0, doc="where the first one begins")
    max: float = arg(0.0, doc="where the last one ends; if it is `min`, both are found among the elements")

    examples = (
        Example("histc(x, 5, -2, 3)", x="float[N, 8]"),
        Example("histc(x, bins=7)", x="float64[N]"),
        Example("histc(x, 3)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        if not (isfinite(self.min) and isfinite(self.max) and self.min <= self.max):
            raise ShapeError(
                f"`histc` cannot count from {self.min:g} to {self.max:g}",
                code="NNS304",
                at="max",
                label="not after `min`",
            )
        return x.with_dims(self.bins)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        row = g.node("Reshape", x, g.constant([-1]))
        low, high = self._ends(g, row, dtype)
        width = g.node("Sub", high, low)
        scaled = g.node("Mul", g.node("Sub", row, low), g.constant(float(self.bins), dtype))
        inside = g.node("And", g.node("GreaterOrEqual", row, low), g.node("LessOrEqual", row, high))
        # What lies outside is counted behind the last, which is cut off.
        beyond = g.constant(float(self.bins), dtype)
        place = g.cast(g.node("Where", inside, g.node("Div", scaled, width), beyond), "int64")
        last = g.node("Min", place, g.constant(self.bins - 1))
        place = g.node("Where", inside, last, g.constant(self.bins))
        ones = g.node("Expand", g.constant([1]), g.node("Shape", row))
        empty = g.node("Expand", g.constant([0]), g.constant([self.bins + 1]))
        counts = g.node("ScatterElements", empty, place, ones, axis=0, reduction="add")
        kept = g.node("Slice", counts, g.constant([0]), g.constant([self.bins]))
        return g.cast(kept, dtype)

    def _ends(self, g: OnnxGraph, row: str, dtype: str) -> tuple[str, str]:
        """The ends of the first and the last stretch; equal elements get one of width 2 around them."""
        if self.min != self.max:
            return g.constant(self.min, dtype), g.constant(self.max, dtype)
        low, high = (reduce(g, op, row, [0]) for op in ("ReduceMin", "ReduceMax"))
        one, zero = g.constant(1.0, dtype), g.constant(0.0, dtype)
        room = g.node("Where", g.node("Equal", low, high), one, zero)
        return g.node("Sub", low, room), g.node("Add", high, room)
