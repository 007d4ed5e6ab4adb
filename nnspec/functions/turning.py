"""Rows and columns turned round: rot90, fliplr, flipud."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._lowering import END
from nnspec.functions._operands import axis
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


class rot90(Function):
    """Quarter turns of the plane of two dimensions, from the first towards the second: [H, W] to [W, H].

    Source: `torch.rot90`.
    """

    k: int = arg(1, doc="how many quarter turns; the other way round when negative")
    dims: tuple[int, int] = arg((0, 1), doc="the two dimensions of the plane")

    examples = (
        Example("rot90(x)", x="float[H, W]"),
        Example("rot90(x, 2, (2, 3))", x="float[N, 3, H, W]"),
        Example("rot90(x, k=-1, dims=[-1, 1])", x="int[N, 3, W]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank < 2:
            raise ShapeError(f"`rot90` needs a plane, but its input is {x}", code="NNS402", input=0)
        return x.with_dims(*(x.dims[i] for i in self._order(x)))

    def _plane(self, x: TensorType) -> tuple[int, int]:
        first, second = (axis(self, x, d, "dims") for d in self.dims)
        if first == second:
            raise ShapeError(f"`rot90` turns two dimensions, but both are {first}", code="NNS411", at="dims")
        return first, second

    def _order(self, x: TensorType) -> list[int]:
        first, second = self._plane(x)
        order = list(range(x.rank))
        if self.k % 2:
            order[first], order[second] = second, first
        return order

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("torch.rot90", *inputs, **({"k": self.k} | options if options else {}))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        first, second = self._plane(kind)
        order, turns = self._order(kind), self.k % 4
        y = g.node("Transpose", x, perm=order) if turns % 2 else x
        return turned(g, y, {0: [], 1: [first], 2: [first, second], 3: [second]}[turns])


class _Turned(Function):
    """One dimension turned round."""

    at: ClassVar[int]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank <= self.at:
            least = f"{self.at + 1} dimension{'s' if self.at else ''}"
            raise ShapeError(
                f"`{type(self).__name__}` needs at least {least}, but its input is {x}", code="NNS402", input=0
            )
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return turned(g, x, [self.at])


class fliplr(_Turned):
    """The columns (dimension 1) in reverse order: `flip(x, 1)`; the shape stays.

    Source: `torch.fliplr`.
    """

    at = 1

    examples = (
        Example("fliplr(x)", x="float[N, T, 3]"),
        Example("fliplr(x)", x="bool[H, W]"),
    )


class flipud(_Turned):
    """The rows (dimension 0) in reverse order: `flip(x, 0)`; the shape stays.

    Source: `torch.flipud`.
    """

    at = 0

    examples = (
        Example("flipud(x)", x="float[N, 3]"),
        Example("flipud(x)", x="int[T]"),
    )


def turned(g: OnnxGraph, x: str, dims: list[int]) -> str:
    """Dimensions in reverse order."""
    if not dims:
        return x
    back = [-1] * len(dims)
    return str(g.node("Slice", x, g.constant(back), g.constant([-END] * len(dims)), g.constant(dims), g.constant(back)))
