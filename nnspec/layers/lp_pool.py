"""Pools of power means: the p-norm of each window."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.layers._lowering import batched
from nnspec.layers._window import each
from nnspec.layers.pool import AvgPool1d, AvgPool2d, AvgPool3d
from nnspec.types import TensorType, is_float


class _LPPool(Layer):
    """What these share: torch takes the mean of powers over windows, times the window's size."""

    rank: ClassVar[int]
    mean: ClassVar[type[AvgPool1d | AvgPool2d | AvgPool3d]]

    norm_type: float = arg(doc="the power: 2 for the root of the sum of squares, 1 for the sum")
    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the window")
    stride: int | tuple[int, ...] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    ceil_mode: bool = arg(False, doc="count a last window that reaches over the end")

    def accept(self, *inputs: Any) -> None:
        self._mean().accept(_powers(expect_tensor(self, inputs[0])))

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if self.norm_type == 0:
            message = f"`{type(self).__name__}` has no root for a power of 0"
            raise ShapeError(message, code="NNS304", at="norm_type", helps=("use a power such as 2",))
        return self._mean().infer(rules, _powers(x))

    def _mean(self) -> AvgPool1d | AvgPool2d | AvgPool3d:
        """The pool of means over the same windows, which calls itself by this layer's name."""
        named: type[Any] = type(type(self).__name__, (self.mean,), {})
        pool: AvgPool1d | AvgPool2d | AvgPool3d = named(self.kernel_size, self.stride, ceil_mode=self.ceil_mode)
        return pool

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        return self._mean().derivation(inputs, output)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = _powers(g.type(x))
        y, unbatched = batched(g, x, self.rank + 2)
        y = y if g.type(x) == kind else g.cast(y, kind.dtype)
        powers = y if self.norm_type == 1 else g.node("Pow", y, g.constant(self.norm_type, kind.dtype))
        mean = self._mean().averages(g, powers, kind)
        # A window that reaches over the end counts as a full one: so does torch.
        total = g.node("Mul", mean, g.constant(float(prod(each(self.kernel_size, self.rank))), kind.dtype))
        root = total if self.norm_type == 1 else g.node("Pow", total, g.constant(1 / self.norm_type, kind.dtype))
        return unbatched(root)


def _powers(x: TensorType) -> TensorType:
    """The type of an input's powers: whole numbers become float."""
    return x if is_float(x.dtype) else x.with_dtype("float32")


class LPPool1d(_LPPool):
    """The p-norm of windows of one dimension: [N, C, L] or [C, L]; powers are those of the elements with their signs.

    Source: `torch.nn.LPPool1d`.
    """

    rank = 1
    mean = AvgPool1d
    kernel_size: int = arg(ge=1, doc="size of the window")
    stride: int | None = arg(None, ge=1, doc="step of the window; none: the window's size")

    examples = (
        Example("LPPool1d(2, 2)", x="float[N, 3, L]"),
        Example("LPPool1d(1, 2, stride=3, ceil_mode=true)", x="float[N, 3, L]"),
        Example("LPPool1d(4.0, 2)", x="float[3, 6]"),
    )


class LPPool2d(_LPPool):
    """The p-norm of windows of two dimensions: [N, C, H, W] or [C, H, W]; powers are of the elements with their signs.

    Source: `torch.nn.LPPool2d`.
    """

    rank = 2
    mean = AvgPool2d
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    stride: int | tuple[int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")

    examples = (
        Example("LPPool2d(2, 2)", x="float[N, 3, H, W]"),
        Example("LPPool2d(2, (3, 2), stride=(2, 1), ceil_mode=true)", x="float[N, 3, H, W]"),
        Example("LPPool2d(2, 2)", x="float[3, 6, 4]"),
        Example("LPPool2d(2, 2)", x="int[N, 1, 4, W]"),
    )


class LPPool3d(_LPPool):
    """The p-norm of windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.LPPool3d`.
    """

    rank = 3
    mean = AvgPool3d
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the window: one number, or one for each dimension")
    stride: int | tuple[int, int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")

    examples = (
        Example("LPPool3d(2, 2)", x="float[N, 3, D, 6, W]"),
        Example("LPPool3d(2, (1, 2, 2), stride=2, ceil_mode=true)", x="float[2, 4, 5, 4]"),
    )
