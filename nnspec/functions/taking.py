"""Elements by their numbers: of the flattened tensor, or along a dimension with broadcasting."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axis
from nnspec.functions._positions import expect_positions, joint
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import TensorType


class take(Function):
    """For each number in `index` the element of the flattened x: the shape is that of `index`.

    Source: `torch.take`.
    """

    examples = (
        Example("take(x, i % 12)", x="float[3, 4]", i="int[N, T]"),
        Example("take(x, index=i % 2)", x="int[N, 2]", i="int[]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*expect_positions(self, index, only="int64").dims)

    def onnx(self, g: OnnxGraph, x: str, index: str) -> Any:
        return g.node("Gather", g.node("Reshape", x, g.constant([-1])), index)


class take_along_dim(Function):
    """For each position in `indices` the element that it names along `dim`: as `gather`, but the others broadcast.

    So [N, T, D] and int[N, K, 1] give [N, K, D] for `dim=1`. Without `dim` both are flattened first.
    Source: `torch.take_along_dim`.
    """

    order = ("x", "indices", "dim")

    dim: int | None = arg(None, doc="the dimension that positions are of; the flattened tensor when left out")

    examples = (
        Example("take_along_dim(x, argsort(x, 1), 1)", x="float[N, 4]"),
        Example("take_along_dim(x, i % 3, dim=1)", x="float[N, 3, D]", i="int[N, K, 1]"),
        Example("take_along_dim(x, i % 4, -1)", x="int[1, 4]", i="int[N, 2]"),
        Example("take_along_dim(x, i % 6)", x="float[2, 3]", i="int[N]"),
    )

    def infer(self, rules: Rules, x: TensorType, indices: TensorType) -> TensorType:
        x, indices = expect_tensor(self, x), expect_positions(self, indices, only="int64")
        if self.dim is None:
            return x.with_dims(rules.simplify(volume(indices.dims)))
        if x.rank != indices.rank or not x.rank:
            raise ShapeError(
                f"`take_along_dim` needs a tensor with dimensions and as many of positions, not {x} and {indices}",
                code="NNS402",
                input=1,
            )
        at = axis(self, x, self.dim)
        rest = rules.broadcast(*((*d[:at], *d[at + 1 :]) for d in (x.dims, indices.dims)))
        return x.with_dims(*rest[:at], indices.dims[at], *rest[at:])

    def torch(self, *inputs: Any) -> Code:
        return call("torch.take_along_dim", *inputs, **self.options())

    def onnx(self, g: OnnxGraph, x: str, indices: str) -> Any:
        known, positions = g.type(x), g.type(indices)
        if self.dim is None:
            flat = g.constant([-1])
            return g.node("Gather", g.node("Reshape", x, flat), g.node("Reshape", indices, flat))
        at = axis(self, known, self.dim)
        rest = joint([(*d[:at], *d[at + 1 :]) for d in (known.dims, positions.dims)])

        def spread(value: str, dims: tuple[Size, ...]) -> str:
            whole = (*rest[:at], dims[at], *rest[at:])
            return value if tuple(dims) == whole else str(g.node("Expand", value, g.shape(whole)))

        return g.node("GatherElements", spread(x, known.dims), spread(indices, positions.dims), axis=at)
