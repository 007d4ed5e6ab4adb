"""Diagonals: taken out of matrices, put into them, and summed."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, maximum, minimum, show
from nnspec.functions._lowering import wide
from nnspec.functions._operands import axis, shape_text
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor, volume
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, is_float


def length(rows: Size, columns: Size, offset: int) -> Size:
    """How long a diagonal is: of [H, W] and `offset` 1 it is `min(H, W - 1)`; nothing outside of the matrix."""
    whole = minimum(rows, columns - offset) if offset >= 0 else minimum(rows + offset, columns)
    return maximum(0, whole)


def pair(function: Function, x: TensorType, dim1: int, dim2: int, *, extra: int = 0) -> tuple[int, int]:
    """The two different dimensions that a diagonal goes through, from the front."""
    wide_x = x.with_dims(*x.dims, *[1] * extra)
    if wide_x.rank < 2:
        raise ShapeError(
            f"`{type(function).__name__}` needs a matrix, but its input is {x}",
            code="NNS402",
            label="fewer than 2 dimensions",
            input=0,
        )
    first, second = axis(function, wide_x, dim1, "dim1"), axis(function, wide_x, dim2, "dim2")
    if first == second:
        raise ShapeError(
            f"`{type(function).__name__}` goes through two dimensions, but both are {first}",
            code="NNS411",
            at="dim2",
            label=f"dimension {first} twice",
        )
    return first, second


def to_end(rank: int, first: int, second: int) -> list[int]:
    """The order of dimensions in which two come last."""
    return [*(i for i in range(rank) if i not in (first, second)), first, second]


def inverse(order: list[int]) -> list[int]:
    """The order that takes another one back."""
    return [order.index(i) for i in range(len(order))]


def transposed(g: OnnxGraph, x: str, order: list[int]) -> str:
    """The dimensions in another order."""
    return x if order == sorted(order) else str(g.node("Transpose", x, perm=order))


def lower_diagonal(g: OnnxGraph, x: str, dims: tuple[Size, ...], first: int, second: int, offset: int) -> str:
    """The elements at equal distances of the flattened matrices."""
    rank = len(dims)
    rows, columns = dims[first], dims[second]
    lead = [size for i, size in enumerate(dims) if i not in (first, second)]
    flat = g.node("Reshape", transposed(g, x, to_end(rank, first, second)), g.shape([*lead, rows * columns]))
    start = offset if offset >= 0 else -offset * columns
    places = g.node("Range", g.constant(0), g.size(length(rows, columns, offset)), g.constant(1))
    places = g.node("Add", g.node("Mul", places, g.size(columns + 1)), g.size(start))
    return str(g.node("Gather", flat, places, axis=rank - 2))


def lower_embedded(
    g: OnnxGraph, x: str, into: str, dtype: str, order: list[int], sizes: tuple[Size, Size, Size], offset: int
) -> str:
    """`into` (of which `order` brings the matrices to the end) with x as the diagonal; `sizes`: x's, rows, columns."""
    count, rows, columns = sizes
    row = g.node("Range", g.constant(0), g.size(rows), g.constant(1))
    column = g.node("Range", g.constant(0), g.size(columns), g.constant(1))
    upright = g.node("Unsqueeze", g.node("Add", row, g.constant(offset)) if offset else row, g.constant([1]))
    there = g.node("Equal", upright, column)
    place = g.node("Add", row, g.constant(offset)) if offset < 0 else row
    last = g.node("Sub", g.size(count), g.constant(1))
    place = g.node("Max", g.node("Min", place, last), g.constant(0))
    compute = "int32" if dtype == "bool" else wide(dtype)
    spread = g.node("Unsqueeze", g.node("Gather", g.cast(x, compute), place, axis=-1), g.constant([-1]))
    y = transposed(g, g.node("Where", there, spread, into), inverse(order))
    return y if compute == dtype else g.cast(y, dtype)


class diagonal(Function):
    """The diagonal of the matrices in two dimensions, as a new last one: [H, W] to [min(H, W)], [N, T, T] to [N, T].

    A diagonal that lies outside is empty. Source: `torch.diagonal`.
    """

    offset: int = arg(0, doc="how far right of the main diagonal it stands; left of it when negative")
    dim1: int = arg(0, doc="the dimension of rows")
    dim2: int = arg(1, doc="the dimension of columns")

    examples = (
        Example("diagonal(x)", x="float[H, W]"),
        Example("diagonal(x, dim1=-2, dim2=-1)", x="float[N, T, T]"),
        Example("diagonal(x, 1, 2, 0)", x="int[H, N, 5]"),
        Example("diagonal(x, offset=-2)", x="bool[H, W]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        first, second = pair(self, x, self.dim1, self.dim2)
        rest = (d for i, d in enumerate(x.dims) if i not in (first, second))
        return x.with_dims(*rest, rules.simplify(length(x.dims[first], x.dims[second], self.offset)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        first, second = pair(self, kind, self.dim1, self.dim2)
        return lower_diagonal(g, x, kind.dims, first, second, self.offset)


class diag_embed(Function):
    """Matrices with the last dimension of x as their diagonal, zeros elsewhere: [N, T] to [N, T, T].

    With an `offset` they are as much larger. Source: `torch.diag_embed`.
    """

    offset: int = arg(0, doc="how far right of the main diagonal it stands; left of it when negative")
    dim1: int = arg(-2, doc="the dimension of rows, in the result")
    dim2: int = arg(-1, doc="the dimension of columns, in the result")

    examples = (
        Example("diag_embed(x)", x="float[N, T]"),
        Example("diag_embed(x, 1, 0, 2)", x="int[N, T]"),
        Example("diag_embed(x, offset=-2, dim1=-1, dim2=0)", x="bool[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if not x.rank:
            raise ShapeError("`diag_embed` needs a vector, and a scalar has no dimension", code="NNS402", input=0)
        order, size = self._order(x), rules.simplify(x.dims[-1] + abs(self.offset))
        dims = (*x.dims[:-1], size, size)
        return x.with_dims(*(dims[i] for i in inverse(order)))

    def _order(self, x: TensorType) -> list[int]:
        return to_end(x.rank + 1, *pair(self, x, self.dim1, self.dim2, extra=1))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return embedded(g, x, kind.dtype, self._order(kind), kind.dims[-1], self.offset)


def embedded(g: OnnxGraph, x: str, dtype: str, order: list[int], count: Size, offset: int) -> str:
    """Zeros with x as the diagonal."""
    size = count + abs(offset)
    zero = g.constant(0, "int32" if dtype == "bool" else wide(dtype))
    return lower_embedded(g, x, zero, dtype, order, (count, size, size), offset)


class diag(Function):
    """The diagonal of a matrix, [H, W] to [min(H, W)]; or a matrix with a vector as its diagonal, [T] to [T, T].

    Source: `torch.diag`.
    """

    diagonal: int = arg(0, doc="how far right of the main diagonal it stands; left of it when negative")

    examples = (
        Example("diag(x)", x="float[H, W]"),
        Example("diag(x, 1)", x="float[T]"),
        Example("diag(x, diagonal=-1)", x="int[3, W]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank not in (1, 2):
            raise ShapeError(
                f"`diag` needs a vector or a matrix, but its input is {x}",
                code="NNS402",
                input=0,
                helps=("`diagonal` and `diag_embed` take more dimensions",) if x.rank else (),
            )
        if x.rank == 1:
            size = rules.simplify(x.dims[0] + abs(self.diagonal))
            return x.with_dims(size, size)
        return x.with_dims(rules.simplify(length(x.dims[0], x.dims[1], self.diagonal)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        if kind.rank == 1:
            return embedded(g, x, kind.dtype, [0, 1], kind.dims[0], self.diagonal)
        return lower_diagonal(g, x, kind.dims, 0, 1, self.diagonal)


class diagflat(Function):
    """A matrix with all elements of x, in order, as its diagonal: [N, 3] to [3 * N, 3 * N].

    Source: `torch.diagflat`.
    """

    offset: int = arg(0, doc="how far right of the main diagonal they stand; left of it when negative")

    examples = (
        Example("diagflat(x)", x="float[N, 3]"),
        Example("diagflat(x, -1)", x="int[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        size = rules.simplify(volume(x.dims) + abs(self.offset))
        return x.with_dims(size, size)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        flat = x if kind.rank == 1 else g.node("Reshape", x, g.constant([-1]))
        if kind.dtype != wide(kind.dtype) or kind.dtype == "bool":
            flat = g.node("Reshape", g.cast(x, "int32"), g.constant([-1]))
        return embedded(g, flat, kind.dtype, [0, 1], volume(kind.dims), self.offset)


class diagonal_scatter(Function):
    """x with another tensor as the diagonal of its matrices: what `diagonal` would take out again.

    Source: `torch.diagonal_scatter`.
    """

    offset: int = arg(0, doc="how far right of the main diagonal it stands; left of it when negative")
    dim1: int = arg(0, doc="the dimension of rows")
    dim2: int = arg(1, doc="the dimension of columns")

    examples = (
        Example("diagonal_scatter(x, y)", x="float[T, T]", y="float[T]"),
        Example("diagonal_scatter(x, y, 1, -1, -2)", x="int[N, 4, 3]", y="int[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType, src: TensorType) -> TensorType:
        x, src = expect_tensor(self, x), expect_tensor(self, src, 1)
        wanted = diagonal(self.offset, self.dim1, self.dim2).infer(rules, x).dims
        message = f"`diagonal_scatter` needs a diagonal of shape {shape_text(wanted)}, but it is {src}"
        if src.rank != len(wanted):
            raise ShapeError(message, code="NNS402", input=1)
        for i, (size, other) in enumerate(zip(src.dims, wanted, strict=True)):
            label = f"{show(size)} should be {show(other)}"
            rules.require_equal(size, other, message, label=label, input=1, axis=i)
        return x

    def onnx(self, g: OnnxGraph, x: str, src: str) -> Any:
        kind = g.type(x)
        order = to_end(kind.rank, *pair(self, kind, self.dim1, self.dim2))
        rows, columns = kind.dims[order[-2]], kind.dims[order[-1]]
        count = length(rows, columns, self.offset)
        if count == 0:
            return x
        compute = "int32" if kind.dtype == "bool" else wide(kind.dtype)
        into = transposed(g, g.cast(x, compute), order)
        given = g.cast(g.cast(src, kind.dtype), compute)
        if self.offset and isinstance(count, Dim):
            # Gather takes nothing from an empty diagonal, not even what is not used.
            given = g.node("Pad", given, g.constant([0] * (2 * kind.rank - 3) + [1]))
        return lower_embedded(g, given, into, kind.dtype, order, (count, rows, columns), self.offset)


class trace(Function):
    """The sum of a matrix's diagonal; integers sum to int.

    Source: `torch.trace`.
    """

    examples = (
        Example("trace(x)", x="float[T, T]"),
        Example("trace(x)", x="int8[3, W]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank != 2 or x.dtype == "bool":
            what = "numbers" if x.dtype == "bool" else "a matrix"
            code = "NNS406" if x.dtype == "bool" else "NNS402"
            raise ShapeError(f"`trace` needs {what}, but its input is {x}", code=code, input=0)
        return TensorType(self._type(x), ())

    def _type(self, x: TensorType) -> str:
        return x.dtype if is_float(x.dtype) else "int64"

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        found = lower_diagonal(g, g.cast(x, self._type(kind)), kind.dims, 0, 1, 0)
        return reduce(g, "ReduceSum", found, [0], keepdims=False)
