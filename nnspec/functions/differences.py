"""What lies between neighbours: their differences, and the area under the line through them."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import END, narrowed, tensor, wide
from nnspec.functions._operands import as_float, axis, result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, is_float, promote


def _expect_row(function: Function, x: Any, dim: int, input: int = 0) -> tuple[TensorType, int]:
    """The operand, which must have dimensions, and the one that is meant."""
    x = expect_tensor(function, x, input)
    if not x.rank:
        name = type(function).__name__
        raise ShapeError(
            f"`{name}` needs a tensor with dimensions, but its input is {x}",
            code="NNS402",
            label="has no dimensions",
            input=input,
        )
    return x, axis(function, x, dim)


def _without_ends(g: OnnxGraph, x: str, at: int) -> tuple[str, str]:
    """All along a dimension but the first, and all but the last."""
    place, one = g.constant([at]), g.constant([1])
    after = g.node("Slice", x, one, g.constant([END]), place)
    return after, g.node("Slice", x, g.constant([0]), g.constant([-1]), place)


class diff(Function):
    """The differences of neighbours along a dimension: [N, T] to [N, T - 1]. Of bools it is whether they differ.

    Source: `torch.diff`.
    """

    order = ("x", "n", "dim", "prepend", "append")

    n: int = arg(1, ge=0, le=1000, doc="how often differences are taken")
    dim: int = arg(-1, doc="the dimension that neighbours lie along")

    examples = (
        Example("diff(x)", x="float[N, 8]"),
        Example("diff(x, 2, 0)", x="uint8[8, N]"),
        Example("diff(x, dim=1)", x="bool[N, T]", assume="T >= 2"),
        Example("diff(x, prepend=y, append=z)", x="float[N, T]", y="float[N, 1]", z="int[N, 2]"),
        Example("diff(x, 0, append=y)", x="float[N, T]", y="float[N, 2]"),
    )

    def infer(
        self, rules: Rules, x: TensorType, prepend: TensorType | None = None, append: TensorType | None = None
    ) -> TensorType:
        x, at = _expect_row(self, x, self.dim)
        size, dtype = x.dims[at], x.dtype
        for position, word, more in ((1, "prepend", prepend), (2, "append", append)):
            if more is not None:
                size = size + self._fitting(rules, x, at, expect_tensor(self, more, position), word, position)
                dtype = promote(dtype, more.dtype)
        if not self.n:  # Then torch puts nothing to x.
            return x
        times = "" if self.n == 1 else f" taken {self.n} times"
        message = f"differences{times} need {self.n} elements, and dimension {at} of {x} has {show(size)}"
        rules.require_at_least(size, self.n, message, code="NNS403", at="n" if self.n > 1 else "dim")
        return TensorType(dtype, (*x.dims[:at], rules.simplify(size - self.n), *x.dims[at + 1 :]))

    def _fitting(self, rules: Rules, x: TensorType, at: int, more: TensorType, word: str, position: int) -> Size:
        """How many elements an operand adds, which must have the other dimensions of x."""
        message = f"`diff` cannot {word} {more} to {x} in dimension {at}"
        if more.rank != x.rank:
            raise ShapeError(message, code="NNS402", input=position)
        for i, (a, b) in enumerate(zip(x.dims, more.dims, strict=True)):
            if i != at:
                rules.require_equal(a, b, message, input=position, axis=i)
        return more.dims[at]

    def torch(self, *inputs: Any) -> Code:
        x, *more = inputs
        given = {name: v for name, v in zip(("prepend", "append"), more, strict=False) if v is not None}
        return call("torch.diff", x, **self.options(), **given)

    def onnx(self, g: OnnxGraph, x: str, prepend: str | None = None, append: str | None = None) -> Any:
        if not self.n:
            return x
        kind = g.type(x)
        parts = [part for part in (prepend, x, append) if part is not None]
        dtype = kind.dtype
        for part in parts:
            dtype = promote(dtype, g.type(part).dtype)
        # Narrow integers are worked out as wider ones, and wrap at the end as they would in between.
        compute = dtype if dtype == "bool" or is_float(dtype) else "int64"
        at = self.dim % kind.rank
        values = [g.cast(part, compute) for part in parts]
        y = values[0] if len(values) == 1 else g.node("Concat", *values, axis=at)
        for _ in range(self.n):
            y = g.node("Xor" if dtype == "bool" else "Sub", *_without_ends(g, y, at))
        return g.cast(y, dtype) if compute != dtype else y


class _Trapezoids(Function):
    """The areas of the trapezoids under the line through y, at places x or at equal distances."""

    overloaded = True
    order = ("y", "x", "dx", "dim")

    dx: int | float = arg(1, doc="the distance of neighbours, where no places are given", keyword=True)
    dim: int = arg(-1, doc="the dimension that y lies along", keyword=True)

    def infer(self, rules: Rules, y: TensorType, x: TensorType | None = None) -> TensorType:
        name = type(self).__name__
        y, at = _expect_row(self, y, self.dim)
        message = f"`{name}` needs an element in dimension {at} of {y}"
        rules.require_at_least(y.dims[at], 1, message, code="NNS403", at="dim")
        if x is None:
            if y.dtype == "bool":
                raise ShapeError(f"`{name}` needs numbers, but its input is {y}", code="NNS406", label="bools", input=0)
            return TensorType(as_float(y.dtype), self.result(rules, y.dims, at))
        if "dx" in dict(self.given()):
            raise ShapeError(
                f"`{name}` takes the places `x` or their distance `dx`, not both",
                code="NNS304",
                label="the places are given",
                at="dx",
            )
        x = expect_tensor(self, x, 1)
        if "bool" in (x.dtype, y.dtype):
            raise ShapeError(f"`{name}` needs numbers, but its inputs are {y} and {x}", code="NNS406", label="bools")
        return TensorType(as_float(result_type(y, x)), self.result(rules, self._placed(rules, y, x, at), at))

    def _placed(self, rules: Rules, y: TensorType, x: TensorType, at: int) -> tuple[Size, ...]:
        """The shape that y has at the places x: a vector along the dimension, or a tensor that broadcasts with y."""
        along = 0 if x.rank == 1 else at - y.rank + x.rank
        message = f"the places of `{type(self).__name__}`, {x}, are not as many as {y} has in dimension {at}"
        if not 1 <= x.rank <= y.rank or along < 0:
            raise ShapeError(message, code="NNS402", input=1)
        rules.require_equal(x.dims[along], y.dims[at], message, input=1, axis=along)
        if x.rank == 1:
            return y.dims
        one = [(*t.dims[:i], 1, *t.dims[i + 1 :]) for t, i in ((y, at), (x, along))]
        rest = rules.broadcast(*one)
        return (*rest[:at], y.dims[at], *rest[at + 1 :])

    def result(self, rules: Rules, dims: tuple[Size, ...], at: int) -> tuple[Size, ...]:
        """The shape of the result, for y of that shape. Abstract."""
        raise NotImplementedError

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *(v for v in inputs if v is not None), **self.options())

    def onnx(self, g: OnnxGraph, y: str, x: str | None = None) -> Any:
        kind = g.type(y)
        at = self.dim % kind.rank
        if x is None:
            return self.even(g, y, kind, at, as_float(kind.dtype))
        dtype = result_type(kind, g.type(x))
        pairs = g.cast(_of_neighbours(g, "Add", y, at, kind.dtype), wide(dtype))
        widths = g.cast(self._widths(g, x, kind.rank, at), wide(dtype))
        products = narrowed(g, g.node("Mul", pairs, widths), dtype)
        return self.halved(g, self.summed(g, g.cast(products, _summing(dtype)), at), as_float(dtype))

    def _widths(self, g: OnnxGraph, x: str, rank: int, at: int) -> str:
        places = g.type(x)
        vector = places.rank == 1
        widths = _of_neighbours(g, "Sub", x, 0 if vector else at - rank + places.rank, places.dtype)
        if not vector or rank == at + 1:
            return widths
        return str(g.node("Reshape", widths, g.constant([-1, *[1] * (rank - at - 1)])))

    def halved(self, g: OnnxGraph, total: str, dtype: str) -> str:
        """Half of a sum, in a float type."""
        return str(g.node("Mul", g.cast(total, dtype), g.constant(0.5, dtype)))

    def even(self, g: OnnxGraph, y: str, kind: TensorType, at: int, dtype: str) -> str:
        """The result at equal distances. Abstract."""
        raise NotImplementedError

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        """What is made of the areas along dimension `at`. Abstract."""
        raise NotImplementedError


def _summing(dtype: str) -> str:
    """The type that torch sums numbers in."""
    return dtype if is_float(dtype) else "int64"


def _of_neighbours(g: OnnxGraph, op: str, x: str, at: int, dtype: str) -> str:
    """The sums or differences of neighbours, in their own type."""
    return narrowed(g, g.node(op, *_without_ends(g, g.cast(x, wide(dtype)), at)), dtype)


class trapezoid(_Trapezoids):
    """The area under the line through the elements along a dimension: [N, T] to [N].

    They stand at the places x, a vector or as many as y, or at equal distances. Source: `torch.trapezoid`.
    """

    examples = (
        Example("trapezoid(y)", y="float[N, 8]"),
        Example("trapezoid(y, x)", y="float[N, T, 3]", x="float[3]"),
        Example("trapezoid(y, x, dim=0)", y="int[8, N]", x="float[8, N]"),
        Example("trapezoid(y, x, dim=1)", y="float[2, 8, 1]", x="float[8, N]"),
        Example("trapezoid(y, dx=0.5, dim=0)", y="int8[5, N]"),
    )

    def result(self, rules: Rules, dims: tuple[Size, ...], at: int) -> tuple[Size, ...]:
        return (*dims[:at], *dims[at + 1 :])

    def even(self, g: OnnxGraph, y: str, kind: TensorType, at: int, dtype: str) -> str:
        """All of them, less half of the first and the last."""
        total = g.cast(self.summed(g, g.cast(y, _summing(kind.dtype)), at), dtype)
        compute = g.cast(y, wide(kind.dtype))
        ends = g.node("Add", *(g.node("Gather", compute, g.constant(place), axis=at) for place in (0, -1)))
        area = g.node("Sub", total, self.halved(g, narrowed(g, ends, kind.dtype), dtype))
        return str(area if self.dx == 1 else g.node("Mul", area, g.constant(float(self.dx), dtype)))

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        return reduce(g, "ReduceSum", areas, [at], keepdims=False)


class cumulative_trapezoid(_Trapezoids):
    """The area under the line through the elements along a dimension, up to each but the first: [N, T] to [N, T - 1].

    They stand at the places x, a vector or as many as y, or at equal distances. Source: `torch.cumulative_trapezoid`.
    """

    examples = (
        Example("cumulative_trapezoid(y)", y="float[N, 8]"),
        Example("cumulative_trapezoid(y, x, dim=1)", y="float[N, 4, T]", x="float[4]"),
        Example("cumulative_trapezoid(y, dx=2, dim=0)", y="int[T, N]"),
    )

    def result(self, rules: Rules, dims: tuple[Size, ...], at: int) -> tuple[Size, ...]:
        return (*dims[:at], rules.simplify(dims[at] - 1), *dims[at + 1 :])

    def even(self, g: OnnxGraph, y: str, kind: TensorType, at: int, dtype: str) -> str:
        pairs = _of_neighbours(g, "Add", y, at, kind.dtype)
        scaled = dtype if isinstance(self.dx, float) else kind.dtype
        if self.dx != 1:
            pairs = g.node("Mul", g.cast(pairs, wide(scaled)), tensor(g, self.dx, scaled))
            pairs = narrowed(g, pairs, scaled)
        return self.halved(g, self.summed(g, g.cast(pairs, _summing(scaled)), at), dtype)

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        return str(g.node("CumSum", areas, g.constant(at)))
