"""Pools: a maximum or a mean over windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.layers._lowering import batched, pad
from nnspec.layers._window import (
    AXES,
    BATCHED,
    UNBATCHED,
    Window,
    count_windows,
    derive_windows,
    each,
    refuse_wide_padding,
)
from nnspec.types import TensorType


class _Pool(Layer):
    """What pools with a window share."""

    rank: ClassVar[int]

    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the window")
    stride: int | tuple[int, ...] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, ...] = arg(0, ge=0, doc="what is added at both ends, at most half of the window")
    ceil_mode: bool

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        refuse_wide_padding(self, each(self.kernel_size, self.rank), each(self.padding, self.rank))
        return x.with_dims(*x.dims[: -self.rank], *self._sizes(rules, x))

    def _sizes(self, rules: Rules, x: TensorType) -> list[Size]:
        return [
            count_windows(rules, axis, size, window, ceil=self.ceil_mode)
            for axis, size, window in zip(AXES[self.rank], x.dims[-self.rank :], self._windows(), strict=True)
        ]

    def _windows(self) -> list[Window]:
        stride = self.kernel_size if self.stride is None else self.stride
        columns = (self.kernel_size, stride, getattr(self, "dilation", 1), self.padding)
        rows = zip(*(each(c, self.rank) for c in columns), strict=True)
        return [Window(kernel, stride, dilation, padding, padding) for kernel, stride, dilation, padding in rows]

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        return "" if self.ceil_mode else derive_windows(inputs[0], output, self._windows())

    def _attributes(self) -> dict[str, Any]:
        windows = self._windows()
        return {"kernel_shape": [w.kernel for w in windows], "strides": [w.stride for w in windows]}

    def _drop_outside(self, g: OnnxGraph, x: str, y: str) -> str:
        """Cut off the windows that start behind the input, which torch does not count in `ceil_mode`."""
        for axis, (size, window) in enumerate(zip(g.type(x).dims[-self.rank :], self._windows(), strict=True)):
            if self.ceil_mode and window.may_start_outside:
                count = g.shape([(size + window.before - 1) // window.stride + 1])
                y = g.node("Slice", y, g.constant([0]), count, g.constant([axis - self.rank]))
        return y


class _MaxPool(_Pool):
    dilation: int | tuple[int, ...] = arg(1, ge=1, doc="spacing of the window's elements")
    ceil_mode: bool = arg(False, keyword=True, doc="count a last window that reaches over the end")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        windows = self._windows()
        y, unbatched = batched(g, x, self.rank + 2)
        before = [w.before for w in windows]
        attributes = self._attributes() | {"dilations": [w.dilation for w in windows]}
        if not self.ceil_mode:
            return unbatched(g.node("MaxPool", y, **attributes, pads=before * 2))
        # Runtimes differ on ceil_mode: padding enough for the last window and rounding down says the same.
        lowest = g.constant(float("-inf"), g.type(x).dtype)
        y = pad(g, y, before, [w.after + w.stride - 1 for w in windows], "zeros", lowest)
        return unbatched(self._drop_outside(g, x, g.node("MaxPool", y, **attributes)))


class MaxPool1d(_MaxPool):
    """The maximum over windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.MaxPool1d`.
    """

    rank = 1
    kernel_size: int | tuple[int] = arg(ge=1, doc="size of the window")
    stride: int | tuple[int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int] = arg(0, ge=0, doc="what is added at both ends, at most half of the window")
    dilation: int | tuple[int] = arg(1, ge=1, doc="spacing of the window's elements")

    examples = (
        Example("MaxPool1d(2)", x="float[N, 3, 8]"),
        Example("MaxPool1d(3, stride=2, padding=1, dilation=1)", x="float[N, 3, L]"),
        Example("MaxPool1d(2, stride=3, padding=1, ceil_mode=true)", x="float[N, 3, L]"),
        Example("MaxPool1d(3, dilation=2)", x="float[4, 9]"),
    )


class MaxPool2d(_MaxPool):
    """The maximum over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.MaxPool2d`.
    """

    rank = 2
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    stride: int | tuple[int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="what is added on every side, at most half of the window")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the window's elements")

    examples = (
        Example("MaxPool2d(2)", x="float[N, 3, 8, 8]"),
        Example("MaxPool2d(3, stride=2, padding=1)", x="float[N, 3, H, W]"),
        Example("MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), ceil_mode=true)", x="float[N, 3, H, W]"),
        Example("MaxPool2d(2, stride=3, padding=1, ceil_mode=true)", x="float[N, 3, H, W]"),
        Example("MaxPool2d(2, dilation=3)", x="float[3, 9, 8]"),
    )


class MaxPool3d(_MaxPool):
    """The maximum over windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.MaxPool3d`.
    """

    rank = 3
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the window: one number, or one for each dimension")
    stride: int | tuple[int, int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, int, int] = arg(0, ge=0, doc="what is added on every side, at most half of the window")
    dilation: int | tuple[int, int, int] = arg(1, ge=1, doc="spacing of the window's elements")

    examples = (
        Example("MaxPool3d(2)", x="float[N, 3, 4, 8, 8]"),
        Example("MaxPool3d((1, 3, 2), stride=2, padding=(0, 1, 1), ceil_mode=true)", x="float[N, 2, D, H, W]"),
        Example("MaxPool3d(2, dilation=2)", x="float[2, 5, 5, 5]"),
    )


class _AvgPool(_Pool):
    ceil_mode: bool = arg(False, doc="count a last window that reaches over the end")
    count_include_pad: bool = arg(True, doc="divide by the window's size with its padding")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        y, unbatched = batched(g, x, self.rank + 2)
        divisor: int | None = getattr(self, "divisor_override", None)
        windows = self._windows()
        before, after = [w.before for w in windows], [w.after for w in windows]
        if not self.ceil_mode and divisor is None:
            attributes = self._attributes() | {"count_include_pad": int(self.count_include_pad)}
            return unbatched(g.node("AveragePool", y, **attributes, pads=before + after))
        # Sums over windows, of the values and (for the divisor) of what counts, on an input padded by hand: runtimes
        # differ on how padding and windows that reach over the end are counted.
        extra = [w.stride - 1 if self.ceil_mode else 0 for w in windows]
        end = [a + e for a, e in zip(after, extra, strict=True)]
        mean = g.node("AveragePool", pad(g, y, before, end, "zeros"), **self._attributes())
        if divisor is not None:
            scale = prod(w.kernel for w in windows) / divisor
            mean = g.node("Mul", mean, g.constant(scale, g.type(x).dtype))
            return unbatched(self._drop_outside(g, x, mean))
        share = g.node("AveragePool", self._counted(g, x, before, after, extra), **self._attributes())
        return unbatched(g.node("Div", self._drop_outside(g, x, mean), self._drop_outside(g, x, share)))

    def _counted(self, g: OnnxGraph, x: str, before: list[int], after: list[int], extra: list[int]) -> str:
        """Ones where an element counts, zeros around them."""
        kind = g.type(x)
        one = g.node("Reshape", g.constant(1.0, kind.dtype), g.constant([1] * (self.rank + 2)))
        ones = g.node("Expand", one, g.shape([1, 1, *kind.dims[-self.rank :]]))
        if self.count_include_pad:
            ones = pad(g, ones, before, after, "zeros", g.constant(1.0, kind.dtype))
            return pad(g, ones, [0] * self.rank, extra, "zeros")
        return pad(g, ones, before, [a + e for a, e in zip(after, extra, strict=True)], "zeros")


class AvgPool1d(_AvgPool):
    """The mean over windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.AvgPool1d`.
    """

    rank = 1
    kernel_size: int | tuple[int] = arg(ge=1, doc="size of the window")
    stride: int | tuple[int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int] = arg(0, ge=0, doc="zeros added at both ends, at most half of the window")

    examples = (
        Example("AvgPool1d(2)", x="float[N, 3, 8]"),
        Example("AvgPool1d(3, stride=2, padding=1, count_include_pad=false)", x="float[N, 3, L]"),
        Example("AvgPool1d(3, stride=2, padding=1, ceil_mode=true)", x="float[N, 3, L]"),
        Example("AvgPool1d(2)", x="float[3, 6]"),
    )


class AvgPool2d(_AvgPool):
    """The mean over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.AvgPool2d`.
    """

    rank = 2
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    stride: int | tuple[int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="zeros added on every side, at most half of the window")
    divisor_override: int | None = arg(None, ge=1, doc="divide by this number instead")

    examples = (
        Example("AvgPool2d(2)", x="float[N, 3, 8, 8]"),
        Example("AvgPool2d(3, stride=2, padding=1)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(3, stride=2, padding=1, count_include_pad=false)", x="float[N, 3, H, W]"),
        Example("AvgPool2d((3, 2), stride=2, padding=(1, 1), ceil_mode=true)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(2, stride=3, padding=1, ceil_mode=true, divisor_override=3)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(2)", x="float[3, 6, 4]"),
    )


class AvgPool3d(_AvgPool):
    """The mean over windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.AvgPool3d`.
    """

    rank = 3
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the window: one number, or one for each dimension")
    stride: int | tuple[int, int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, int, int] = arg(0, ge=0, doc="zeros added on every side, at most half of the window")
    divisor_override: int | None = arg(None, ge=1, doc="divide by this number instead")

    examples = (
        Example("AvgPool3d(2)", x="float[N, 3, 4, 8, 8]"),
        Example("AvgPool3d((1, 3, 2), stride=2, padding=(0, 1, 1), ceil_mode=true)", x="float[N, 2, D, 6, W]"),
        Example("AvgPool3d(2, divisor_override=3)", x="float[2, 4, 4, 4]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        y = super().infer(rules, x)
        for axis, size, kernel in zip(AXES[3], x.dims[-3:], each(self.kernel_size, 3), strict=True):
            # Torch's CPU kernel for three dimensions wants this without the padding.
            rules.require_at_least(
                size,
                kernel,
                f"kernel {kernel} does not fit an input of {axis} {show(size)} without its padding",
                code="NNS403",
                at="kernel_size",
            )
        return y
