"""What lies between neighbours: their differences, and the area under the line through them."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import END
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
        raise ShapeError(f"`{name}` needs a tensor with dimensions, but its input is {x}", code="NNS402", input=input)
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
    )

    def infer(
        self, rules: Rules, x: TensorType, prepend: TensorType | None = None, append: TensorType | None = None
    ) -> TensorType:
        x, at = _expect_row(self, x, self.dim)
        size, dtype = x.dims[at], x.dtype
        for position, name, more in ((1, "prepend", prepend), (2, "append", append)):
            if more is not None:
                size = size + self._fitting(rules, x, at, expect_tensor(self, more, position), name, position)
                dtype = promote(dtype, more.dtype)
        times = "" if self.n == 1 else f" taken {self.n} times"
        message = f"differences{times} need more than {show(size)} elements in dimension {at} of {x}"
        rules.require_at_least(size, self.n, message, code="NNS403", at="n" if self.n > 1 else "dim")
        return TensorType(dtype, (*x.dims[:at], rules.simplify(size - self.n), *x.dims[at + 1 :]))

    def _fitting(self, rules: Rules, x: TensorType, at: int, more: TensorType, name: str, position: int) -> Size:
        """How many elements an operand adds, which must have the other dimensions of x."""
        message = f"the {name} of `diff`, {more}, does not fit {x} but for dimension {at}"
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

    order = ("y", "x", "dx", "dim")

    dx: int | float = arg(1, doc="the distance of neighbours, where no places are given", keyword=True)
    dim: int = arg(-1, doc="the dimension that y lies along", keyword=True)

    def infer(self, rules: Rules, y: TensorType, x: TensorType | None = None) -> TensorType:
        name = type(self).__name__
        y, at = _expect_row(self, y, self.dim)
        message = f"`{name}` needs two neighbours in dimension {at} of {y}"
        rules.require_at_least(y.dims[at], 2, message, code="NNS403", at="dim")
        dims = self.result(rules, y, at)
        if x is None:
            if y.dtype == "bool":
                raise ShapeError(f"`{name}` needs numbers, but its input is {y}", code="NNS406", input=0)
            return TensorType(as_float(y.dtype), dims)
        if "dx" in dict(self.given()):
            raise ShapeError(f"`{name}` takes the places `x` or their distance `dx`, not both", code="NNS304", at="dx")
        x = expect_tensor(self, x, 1)
        if x.dims not in ((y.dims[at],), y.dims):
            raise ShapeError(
                f"the places of `{name}` are {x}, but they are as many as {y} has in dimension {at}, or as y",
                code="NNS402",
                input=1,
            )
        if "bool" in (x.dtype, y.dtype):
            raise ShapeError(f"`{name}` needs numbers, but its inputs are {y} and {x}", code="NNS406")
        return TensorType(as_float(result_type(y, x)), dims)

    def result(self, rules: Rules, y: TensorType, at: int) -> tuple[Size, ...]:
        """The shape of the result. Abstract."""
        raise NotImplementedError

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *(v for v in inputs if v is not None), **self.options())

    def onnx(self, g: OnnxGraph, y: str, x: str | None = None) -> Any:
        kind = g.type(y)
        at = self.dim % kind.rank
        dtype = as_float(kind.dtype if x is None else result_type(kind, g.type(x)))
        exact = kind.dtype if is_float(kind.dtype) else "int64"
        pairs = g.cast(g.node("Add", *_without_ends(g, g.cast(y, exact), at)), dtype)
        if x is not None:
            pairs = g.node("Mul", pairs, self._widths(g, x, kind.rank, at, dtype))
        elif self.dx != 1:
            pairs = g.node("Mul", pairs, g.constant(float(self.dx), dtype))
        return self.summed(g, g.node("Mul", pairs, g.constant(0.5, dtype)), at)

    def _widths(self, g: OnnxGraph, x: str, rank: int, at: int, dtype: str) -> str:
        places = g.type(x)
        along = at if places.rank == rank else 0
        exact = places.dtype if is_float(places.dtype) else "int64"
        widths: str = g.cast(g.node("Sub", *_without_ends(g, g.cast(x, exact), along)), dtype)
        if places.rank == rank or rank == at + 1:
            return widths
        return str(g.node("Reshape", widths, g.constant([-1, *[1] * (rank - at - 1)])))

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        """What is made of the areas along dimension `at`. Abstract."""
        raise NotImplementedError


class trapezoid(_Trapezoids):
    """The area under the line through the elements along a dimension: [N, T] to [N].

    They stand at the places x, a vector or as many as y, or at equal distances. Source: `torch.trapezoid`.
    """

    examples = (
        Example("trapezoid(y)", y="float[N, 8]"),
        Example("trapezoid(y, x)", y="float[N, T, 3]", x="float[3]"),
        Example("trapezoid(y, x, dim=0)", y="int[8, N]", x="float[8, N]"),
        Example("trapezoid(y, dx=0.5, dim=0)", y="int8[5, N]"),
    )

    def result(self, rules: Rules, y: TensorType, at: int) -> tuple[Size, ...]:
        return (*y.dims[:at], *y.dims[at + 1 :])

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        return reduce(g, "ReduceSum", areas, [at], keepdims=False)


class cumulative_trapezoid(_Trapezoids):
    """The area under the line through the elements along a dimension, up to each but the first: [N, T] to [N, T - 1].

    They stand at the places x, a vector or as many as y, or at equal distances. Source: `torch.cumulative_trapezoid`.
    """

    examples = (
        Example("cumulative_trapezoid(y)", y="float[N, 8]"),
        Example("cumulative_trapezoid(y, x, dim=1)", y="float[N, 4, T]", x="float[4]"),
        Example("cumulative_trapezoid(y, dx=2, dim=0)", y="int[T, N]", assume="T >= 2"),
    )

    def result(self, rules: Rules, y: TensorType, at: int) -> tuple[Size, ...]:
        return (*y.dims[:at], rules.simplify(y.dims[at] - 1), *y.dims[at + 1 :])

    def summed(self, g: OnnxGraph, areas: str, at: int) -> str:
        return str(g.node("CumSum", areas, g.constant(at)))
