"""Products of tensors over chosen dimensions, of vectors in space, and of many matrices."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import narrowed, tensor, wide
from nnspec.functions._operands import axes, axis, expect_numbers, same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor, volume
from nnspec.types import Operand, TensorType, promote


class tensordot(Function):
    """Sums of products over dimensions of both: for `dims=1` the last of x and the first of y, as in matrix products.

    A pair of lists names them: `([1, 2], [0, 1])`. What is left of x stands before what is left of y.
    Source: `torch.tensordot`.
    """

    dims: int | tuple[tuple[int, ...], tuple[int, ...]] = arg(
        2, doc="how many dimensions, last of x and first of y; or which ones of each"
    )

    examples = (
        Example("tensordot(x, y, dims=1)", x="float[N, T, 3]", y="float[3, 5]"),
        Example("tensordot(x, y, ([1, -1], [2, 0]))", x="float[N, T, 3]", y="float[3, 5, T]"),
        Example("tensordot(x, y)", x="int[2, 3]", y="int[2, 3, N]"),
        Example("tensordot(x, y, dims=0)", x="float[N]", y="float[T]", macs=4),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_numbers(self, x), expect_numbers(self, other, 1)
        dtype = same_type(self, (x, other))
        left, right = self._pairs(x, other)
        for a, b in zip(left, right, strict=True):
            size, wanted = x.dims[a], other.dims[b]
            rules.require_equal(
                size,
                wanted,
                f"`tensordot` pairs dimension {a} of {x} with dimension {b} of {other}, which differ",
                label=f"{show(size)} and {show(wanted)} should be the same",
                at="dims",
            )
        rest = [[d for i, d in enumerate(t.dims) if i not in gone] for t, gone in ((x, left), (other, right))]
        return TensorType(dtype, (*rest[0], *rest[1]))

    def _pairs(self, x: TensorType, other: TensorType) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if isinstance(self.dims, int):
            if not 0 <= self.dims <= min(x.rank, other.rank):
                message = f"`tensordot` cannot take {self.dims} dimensions of {x} and {other}"
                raise ShapeError(message, code="NNS411", at="dims")
            return tuple(range(x.rank - self.dims, x.rank)), tuple(range(self.dims))
        left, right = (
            axes(self, t, given, "dims") if given else () for t, given in zip((x, other), self.dims, strict=True)
        )
        if len(left) != len(right):
            message = f"`tensordot` pairs dimensions, but is given {len(left)} of one and {len(right)} of the other"
            raise ShapeError(message, code="NNS402", at="dims")
        return left, right

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x, other = inputs
        assert isinstance(x, TensorType)
        assert isinstance(other, TensorType)
        left, _ = self._pairs(x, other)
        return volume(output.dims) * volume(x.dims[i] for i in left)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.tensordot", *inputs, dims=self.dims)

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        kinds = g.type(x), g.type(other)
        left, right = self._pairs(*kinds)
        rest = [[i for i in range(t.rank) if i not in gone] for t, gone in zip(kinds, (left, right), strict=True)]
        outside = [[t.dims[i] for i in kept] for t, kept in zip(kinds, rest, strict=True)]
        shared = volume(kinds[0].dims[i] for i in left)
        dtype = kinds[0].dtype
        rows = self._matrix(g, tensor(g, x, dtype), [*rest[0], *left], [volume(outside[0]), shared])
        columns = self._matrix(g, tensor(g, other, dtype), [*right, *rest[1]], [shared, volume(outside[1])])
        y = g.node("Reshape", g.node("MatMul", rows, columns), g.shape([*outside[0], *outside[1]]))
        return narrowed(g, y, dtype)

    def _matrix(self, g: OnnxGraph, x: str, order: list[int], sizes: list[Size]) -> str:
        y = x if order == sorted(order) else g.node("Transpose", x, perm=order)
        return str(g.node("Reshape", y, g.shape(sizes)))


class kron(Function):
    """Kronecker's product, each element of x times all of the other: [a, b] and [c, d] to [a * c, b * d].

    Source: `torch.kron`.
    """

    examples = (
        Example("kron(x, y)", x="float[N, 2]", y="float[3, T]"),
        Example("kron(x, y)", x="int[T]", y="float[2, 3]"),
        Example("kron(x, y)", x="bool[2, N]", y="bool[3]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_tensor(self, x), expect_tensor(self, other, 1)
        left, right = self._aligned(x, other)
        dims = (rules.simplify(a * b) for a, b in zip(left, right, strict=True))
        return TensorType(promote(x.dtype, other.dtype), tuple(dims))

    def _aligned(self, x: TensorType, other: TensorType) -> list[tuple[Size, ...]]:
        rank = max(x.rank, other.rank)
        return [(*[1] * (rank - t.rank), *t.dims) for t in (x, other)]

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        kinds = g.type(x), g.type(other)
        left, right = self._aligned(*kinds)
        dtype = promote(kinds[0].dtype, kinds[1].dtype)
        compute = "int32" if dtype == "bool" else wide(dtype)
        spread = [
            g.node("Reshape", g.cast(g.cast(value, dtype), compute), g.shape([d for pair in pairs for d in pair]))
            for value, pairs in ((x, [(d, 1) for d in left]), (other, [(1, d) for d in right]))
        ]
        whole = [a * b for a, b in zip(left, right, strict=True)]
        y = g.node("Reshape", g.node("Mul", *spread), g.shape(whole))
        return y if compute == dtype else g.cast(y, dtype)


class cross(Function):
    """The cross product of vectors in space: [..., 3] and [..., 3] to [..., 3], the other dimensions broadcast.

    Source: `torch.linalg.cross`.
    """

    namespace = "torch.linalg"

    dim: int = arg(-1, doc="the dimension of the three coordinates", keyword=True)

    examples = (
        Example("cross(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example("cross(x, y, dim=1)", x="float[N, 3, T]", y="float[1, 3, 1]"),
        Example("cross(x, y, dim=0)", x="int[3, N]", y="int[3, N]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_numbers(self, x), expect_numbers(self, other, 1)
        dtype = same_type(self, (x, other))
        if x.rank != other.rank or not x.rank:
            raise ShapeError(f"`cross` needs vectors of one rank, not {x} and {other}", code="NNS402", input=1)
        at = axis(self, x, self.dim)
        for position, operand in enumerate((x, other)):
            size = operand.dims[at]
            message = f"`cross` needs three coordinates, but dimension {at} of {operand} has size {show(size)}"
            rules.require_equal(size, 3, message, label=f"{show(size)} should be 3", input=position, axis=at)
        return TensorType(dtype, rules.broadcast(x.dims, other.dims))

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        dtype, at = g.type(x).dtype, axis(self, g.type(x), self.dim)
        left, right = tensor(g, x, dtype), tensor(g, other, dtype)

        def product(first: list[int], second: list[int]) -> str:
            parts = (g.node("Gather", v, g.constant(order), axis=at) for v, order in ((left, first), (right, second)))
            return str(g.node("Mul", *parts))

        return narrowed(g, g.node("Sub", product([1, 2, 0], [2, 0, 1]), product([2, 0, 1], [1, 2, 0])), dtype)


class vecdot(Function):
    """Sums of products along one dimension: [N, D] and [N, D] to [N]; the other dimensions broadcast.

    Source: `torch.linalg.vecdot`.
    """

    namespace = "torch.linalg"

    dim: int = arg(-1, doc="the dimension to sum along", keyword=True)

    examples = (
        Example("vecdot(x, y)", x="float[N, T, 3]", y="float[N, T, 3]"),
        Example("vecdot(x, y, dim=1)", x="float[N, 3, T]", y="float[3, 1]"),
    )

    def infer(self, rules: Rules, x: TensorType, y: TensorType) -> TensorType:
        x, y = expect_float(self, x), expect_float(self, y, 1)
        whole = TensorType(same_type(self, (x, y)), rules.broadcast(x.dims, y.dims))
        if not whole.rank:
            return whole
        at = axis(self, whole, self.dim)
        return whole.with_dims(*whole.dims[:at], *whole.dims[at + 1 :])

    def onnx(self, g: OnnxGraph, x: str, y: str) -> Any:
        product = g.node("Mul", x, y)
        if not g.type(x).rank and not g.type(y).rank:
            return product
        return g.node("ReduceSum", product, g.constant([self.dim]), keepdims=0)


class multi_dot(Function):
    """The product of several matrices, in the order that costs least: [a, b], [b, c] and [c, d] to [a, d].

    The first may be a vector, which is a row, and the last one, a column. Source: `torch.linalg.multi_dot`.
    """

    namespace = "torch.linalg"
    sequences = ("tensors",)

    examples = (
        Example("multi_dot([x, y])", x="float[N, 3]", y="float[3, T]"),
        Example("multi_dot([x, y, z])", x="float[2, 3]", y="float[3, 40]", z="float[40, 2]"),
        Example("multi_dot([x, y, x])", x="float[4]", y="float[4, 4]"),
        Example("multi_dot([w, x, y, z])", w="float[N, 3]", x="float[3, T]", y="float[T, 2]", z="float[2, 5]"),
    )

    def infer(self, rules: Rules, tensors: Any) -> TensorType:
        if not isinstance(tensors, tuple) or len(tensors) < 2:
            raise ShapeError("`multi_dot` needs a list of two matrices at least", code="NNS402", input=0)
        last = len(tensors) - 1
        for position, operand in enumerate(tensors):
            x = expect_numbers(self, operand)
            ranks = (1, 2) if position in (0, last) else (2,)
            if x.rank not in ranks:
                words = "a vector or a matrix" if len(ranks) == 2 else "a matrix"
                raise ShapeError(f"`multi_dot` needs {words} as number {position + 1}, not {x}", code="NNS402", input=0)
        dtype = same_type(self, tensors)
        for a, b in itertools.pairwise(tensors):
            message = f"`multi_dot` cannot multiply {shape_text(a.dims)} by {shape_text(b.dims)}"
            left, right = a.dims[-1], b.dims[0]
            rules.require_equal(left, right, message, label=f"{show(left)} and {show(right)} should be the same")
        ends = (*tensors[0].dims[:-1], *(tensors[-1].dims[1:]))
        return TensorType(dtype, ends)

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        tensors = inputs[0]
        assert isinstance(tensors, tuple)
        sizes = _chain(tensors)
        return _cost(sizes, 0, len(sizes) - 1, _splits(sizes))

    def onnx(self, g: OnnxGraph, tensors: Sequence[str]) -> Any:
        kinds = [g.type(x) for x in tensors]
        dtype = kinds[0].dtype
        splits = _splits(_chain(kinds))
        values = [tensor(g, x, dtype) for x in tensors]

        def product(start: int, end: int) -> str:
            if end - start == 1:
                return values[start]
            at = splits[start, end]
            return str(g.node("MatMul", product(start, at), product(at, end)))

        return narrowed(g, product(0, len(values)), dtype)


def _chain(tensors: Sequence[Any]) -> list[Size]:
    """The sizes of matrices that are multiplied: number i is [sizes[i], sizes[i + 1]]."""
    first, last = tensors[0], tensors[-1]
    inside = [x.dims[0] for x in tensors[1:]]
    return [first.dims[0] if first.rank == 2 else 1, *inside, last.dims[1] if last.rank == 2 else 1]


def _splits(sizes: Sequence[Size]) -> dict[tuple[int, int], int]:
    """Where each run of matrices is taken apart so that numbers cost least; from the left where they are unknown."""
    count = len(sizes) - 1
    best: dict[tuple[int, int], int] = {(i, i + 1): 0 for i in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            end = start + length
            splits[start, end] = end - 1
            if all(isinstance(size, int) for size in sizes):
                ways = {
                    at: best[start, at] + best[at, end] + int(sizes[start]) * int(sizes[at]) * int(sizes[end])  # type: ignore[arg-type]
                    for at in range(start + 1, end)
                }
                splits[start, end] = min(ways, key=lambda at: ways[at])
                best[start, end] = ways[splits[start, end]]
    return splits


def _cost(sizes: Sequence[Size], start: int, end: int, splits: dict[tuple[int, int], int]) -> Size:
    if end - start < 2:
        return 0
    at = splits[start, end]
    here = sizes[start] * sizes[at] * sizes[end]
    return here + _cost(sizes, start, at, splits) + _cost(sizes, at, end, splits)
