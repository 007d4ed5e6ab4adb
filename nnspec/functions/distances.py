"""Distances between vectors."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.functions._operands import as_float, broadcast, expect_numbers, result_type, same_type, shape_text
from nnspec.functions.norms import length
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_rank, expect_tensor
from nnspec.types import Operand, TensorType


def pairs(function: Function, rules: Rules, x1: TensorType, x2: TensorType, first: int = 0) -> TensorType:
    """The type of the distances between two tensors of vectors, which broadcast; they are inputs `first` and behind."""
    dtype = as_float(result_type(expect_numbers(function, x1, first), expect_numbers(function, x2, first + 1)))
    return TensorType(dtype, broadcast(rules, x1, x2)[:-1])


def between(g: OnnxGraph, x1: str, x2: str, p: float, eps: float, *, keepdim: bool = False) -> str:
    """The distances of vectors along the last dimension: the p-norm of `x1 - x2 + eps`."""
    kinds = (g.type(x1), g.type(x2))
    dtype, rank = as_float(result_type(*kinds)), max(kind.rank for kind in kinds)
    difference = g.node("Add", g.node("Sub", g.cast(x1, dtype), g.cast(x2, dtype)), g.constant(eps, dtype))
    return length(g, difference, p, (rank - 1,) if rank else (), dtype, keepdims=keepdim)


class pairwise_distance(Function):
    """The distance between vectors along the last dimension, the p-norm of `x1 - x2 + eps`: [N, D] and [N, D] to [N].

    Both broadcast. Source: `torch.nn.functional.pairwise_distance`.
    """

    namespace = "F"

    p: float = arg(2.0, doc="the power: 2 for the root of the sum of squares, 1 for the sum, inf for the largest")
    eps: float = arg(1e-6, doc="added to the differences, so that no distance is 0")
    keepdim: bool = arg(False, doc="keep the last dimension, with size 1")

    examples = (
        Example("pairwise_distance(x, y)", x="float[N, 8]", y="float[N, 8]"),
        Example("pairwise_distance(x, y, p=1, keepdim=true)", x="float[N, T, 8]", y="float[N, 1, 8]"),
        Example("pairwise_distance(x, y, inf, 0)", x="float[8]", y="float[N, 8]"),
    )

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType) -> TensorType:
        kind = pairs(self, rules, x1, x2)
        keeps = self.keepdim and (x1.rank or x2.rank)
        return kind.with_dims(*kind.dims, 1) if keeps else kind

    def onnx(self, g: OnnxGraph, x1: str, x2: str) -> Any:
        return between(g, x1, x2, self.p, self.eps, keepdim=self.keepdim)


class cdist(Function):
    """All distances between two sets of vectors: [..., P, D] and [..., R, D] to [..., P, R], the front broadcasts.

    Source: `torch.cdist`.
    """

    p: float = arg(2.0, ge=0, doc="the power, as in `norm`")
    compute_mode: Literal[
        "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"
    ] = arg(
        "use_mm_for_euclid_dist_if_necessary", doc="whether torch may multiply matrices for p of 2, which is faster"
    )

    examples = (
        Example("cdist(x, y)", x="float[N, P, 8]", y="float[N, R, 8]"),
        Example("cdist(x, y, p=1)", x="float[P, 3]", y="float[N, 4, 3]"),
        Example("cdist(x, y, inf)", x="float[P, 3]", y="float[4, 3]"),
    )

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType) -> TensorType:
        for position, x in enumerate((x1, x2)):
            _expect_vectors(self, x, position)
        dtype = same_type(self, (x1, x2))
        rules.require_equal(
            x1.dims[-1],
            x2.dims[-1],
            f"`cdist` needs vectors of one size, but its inputs are {shape_text(x1.dims)} and {shape_text(x2.dims)}",
        )
        batch = rules.broadcast(x1.dims[:-2], x2.dims[:-2])
        return TensorType(dtype, (*batch, x1.dims[-2], x2.dims[-2]))

    def onnx(self, g: OnnxGraph, x1: str, x2: str) -> Any:
        return _all_pairs(g, x1, x2, self.p)


class pdist(Function):
    """The distances between all pairs of N vectors, those of the first one first: [N, D] to [N * (N - 1) / 2].

    Source: `torch.nn.functional.pdist`.
    """

    namespace = "F"

    p: float = arg(2.0, ge=0, doc="the power, as in `norm`")

    examples = (
        Example("pdist(x)", x="float[N, 8]"),
        Example("pdist(x, 1)", x="float[4, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        _expect_vectors(self, expect_rank(self, x, "N, D"), 0)
        count = x.dims[0]
        return x.with_dims(rules.simplify(count * (count - 1) // 2))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        places = g.node("Range", g.constant(0), g.size(g.type(x).dims[0]), g.constant(1))
        later = g.node("Less", g.node("Unsqueeze", places, g.constant([1])), places)
        flat = g.constant([-1])
        return g.node("Compress", g.node("Reshape", _all_pairs(g, x, x, self.p), flat), g.node("Reshape", later, flat))


def _expect_vectors(function: Function, operand: Operand, position: int) -> None:
    x = expect_tensor(function, operand, position)
    name = type(function).__name__
    if x.dtype not in ("float32", "float64"):
        raise ShapeError(
            f"torch has `{name}` for float32 and float64 only, but its input is {x}",
            code="NNS406",
            input=position,
            helps=("convert it: `to(x, float)`",),
        )
    if x.rank < 2:
        raise ShapeError(f"`{name}` needs sets of vectors, [..., P, D], but its input is {x}", code="NNS402")


def _all_pairs(g: OnnxGraph, x1: str, x2: str, p: float) -> str:
    """The distances between the vectors of two sets."""
    dtype, rank = g.type(x1).dtype, max(g.type(x1).rank, g.type(x2).rank)
    rows = g.node("Unsqueeze", x1, g.constant([-2]))
    columns = g.node("Unsqueeze", x2, g.constant([-3]))
    return length(g, g.node("Sub", rows, columns), p, (rank,), dtype, keepdims=False)
