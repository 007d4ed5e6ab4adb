"""A shape that another tensor has, or that has at least so many dimensions."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.dims import Size
from nnspec.functions._lowering import reshaped
from nnspec.functions.repeating import expand
from nnspec.functions.shaping import reshape
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, method
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


class _Least(Function):
    """Dimensions of size 1 added until there are enough."""

    reshapes = True

    before: ClassVar[tuple[int, ...]]
    """For each rank that is too small, how many of the new dimensions stand in front."""

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*self._dims(x))

    def _dims(self, x: TensorType) -> tuple[Size, ...]:
        if x.rank >= len(self.before):
            return x.dims
        front = self.before[x.rank]
        return (*[1] * front, *x.dims, *[1] * (len(self.before) - x.rank - front))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return reshaped(g, x, kind.dims, self._dims(kind))


class atleast_1d(_Least):
    """A vector of one element for a tensor without dimensions; others as they are.

    Source: `torch.atleast_1d`.
    """

    before = (0,)

    examples = (
        Example("atleast_1d(x)", x="float[]"),
        Example("atleast_1d(x)", x="int[N, 3]"),
    )


class atleast_2d(_Least):
    """A row for a vector: [T] to [1, T]; what has two dimensions or more as it is.

    Source: `torch.atleast_2d`.
    """

    before = (0, 1)

    examples = (
        Example("atleast_2d(x)", x="float[T]"),
        Example("atleast_2d(x)", x="bool[]"),
    )


class atleast_3d(_Least):
    """[1, T, 1] for [T] and [H, W, 1] for [H, W]; what has three dimensions or more as it is.

    Source: `torch.atleast_3d`.
    """

    before = (0, 1, 0)

    examples = (
        Example("atleast_3d(x)", x="float[T]"),
        Example("atleast_3d(x)", x="int[H, W]"),
        Example("atleast_3d(x)", x="float[N, 1, H, W]"),
    )


class expand_as(Function):
    """Dimensions of size 1 repeated, and new ones in front, so that the shape is that of another tensor.

    Source: `torch.Tensor.expand_as`.
    """

    examples = (
        Example("expand_as(x, y)", x="float[1, 3]", y="float[N, 3]"),
        Example("x -> expand_as(y)", x="bool[T, 1]", y="int[N, T, 4]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_tensor(self, x), expect_tensor(self, other, 1)
        try:
            return expand(other.dims).infer(rules, x)
        except ShapeError as fault:
            message = f"`expand_as` cannot give {x} the shape of {other}"
            raise ShapeError(message, code=fault.code, label=fault.label, fact=fault.fact, sizes=fault.sizes) from None

    def torch(self, *inputs: Any) -> Code:
        return method("expand_as", *inputs)

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        dims = g.type(other).dims
        return g.node("Expand", x, g.shape(dims)) if dims else x


class reshape_as(Function):
    """The same elements, in order, in the shape of another tensor.

    Source: `torch.Tensor.reshape_as`.
    """

    reshapes = True

    examples = (
        Example("reshape_as(x, y)", x="float[N, 6]", y="float[N, 2, 3]"),
        Example("x -> reshape_as(y)", x="int[N, T]", y="bool[T, N]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_tensor(self, x), expect_tensor(self, other, 1)
        try:
            return reshape(other.dims).infer(rules, x)
        except ShapeError as fault:
            message = f"`reshape_as` cannot give {x} the shape of {other}"
            raise ShapeError(message, code=fault.code, label=fault.label, fact=fault.fact, sizes=fault.sizes) from None

    def torch(self, *inputs: Any) -> Code:
        return method("reshape_as", *inputs)

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        return reshaped(g, x, g.type(x).dims, g.type(other).dims)
