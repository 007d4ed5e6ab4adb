"""Pools: a maximum or a mean over windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.layers._lowering import batched, pad, reduce
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

_LARGEST_TABLE = 2**16
"""Of weights that are written into an ONNX file instead of being worked out by it."""


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


class AvgPool2d(_Pool):
    """The mean over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.AvgPool2d`.
    """

    rank = 2
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    stride: int | tuple[int, int] | None = arg(None, ge=1, doc="step of the window; none: the window's size")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="zeros added on every side, at most half of the window")
    ceil_mode: bool = arg(False, doc="count a last window that reaches over the end")
    count_include_pad: bool = arg(True, doc="divide by the window's size with its padding")
    divisor_override: int | None = arg(None, ge=1, doc="divide by this number instead")

    examples = (
        Example("AvgPool2d(2)", x="float[N, 3, 8, 8]"),
        Example("AvgPool2d(3, stride=2, padding=1)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(3, stride=2, padding=1, count_include_pad=false)", x="float[N, 3, H, W]"),
        Example("AvgPool2d((3, 2), stride=2, padding=(1, 1), ceil_mode=true)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(2, stride=3, padding=1, ceil_mode=true, divisor_override=3)", x="float[N, 3, H, W]"),
        Example("AvgPool2d(2)", x="float[3, 6, 4]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        y, unbatched = batched(g, x, 4)
        windows = self._windows()
        before, after = [w.before for w in windows], [w.after for w in windows]
        if not self.ceil_mode and self.divisor_override is None:
            attributes = self._attributes() | {"count_include_pad": int(self.count_include_pad)}
            return unbatched(g.node("AveragePool", y, **attributes, pads=before + after))
        # Sums over windows, of the values and (for the divisor) of what counts, on an input padded by hand: runtimes
        # differ on how padding and windows that reach over the end are counted.
        extra = [w.stride - 1 if self.ceil_mode else 0 for w in windows]
        end = [a + e for a, e in zip(after, extra, strict=True)]
        mean = g.node("AveragePool", pad(g, y, before, end, "zeros"), **self._attributes())
        dtype = g.type(x).dtype
        if self.divisor_override is not None:
            scale = windows[0].kernel * windows[1].kernel / self.divisor_override
            mean = g.node("Mul", mean, g.constant(scale, dtype))
        else:
            one = g.constant([[[[1.0]]]], dtype)
            ones = g.node("Expand", one, g.shape([1, 1, *g.type(x).dims[-2:]]))
            if self.count_include_pad:
                ones = pad(g, ones, before, after, "zeros", g.constant(1.0, dtype))
                before, end = [0, 0], extra
            share = g.node("AveragePool", pad(g, ones, before, end, "zeros"), **self._attributes())
            mean = self._drop_outside(g, x, mean)
            return unbatched(g.node("Div", mean, self._drop_outside(g, x, share)))
        return unbatched(self._drop_outside(g, x, mean))


class AdaptiveAvgPool2d(Layer):
    """The mean over as many windows as the output has places: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.AdaptiveAvgPool2d`.
    """

    output_size: int | tuple[int | None, int | None] = arg(ge=1, doc="height and width of the output; none: unchanged")

    examples = (
        Example("AdaptiveAvgPool2d(1)", x="float[N, 3, H, W]"),
        Example("AdaptiveAvgPool2d((2, 4))", x="float[N, 3, 6, 8]"),
        Example("AdaptiveAvgPool2d(3)", x="float[N, 3, 7, 8]"),
        Example("AdaptiveAvgPool2d((none, 2))", x="float[N, 3, H, W]"),
        Example("AdaptiveAvgPool2d((5, 1))", x="float[3, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[2], UNBATCHED[2])
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x.with_dims(*x.dims[:-2], *self._sizes(x))

    def _sizes(self, x: TensorType) -> list[Size]:
        wanted = (self.output_size,) * 2 if isinstance(self.output_size, int) else self.output_size
        return [size if want is None else want for want, size in zip(wanted, x.dims[-2:], strict=True)]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y, unbatched = batched(g, x, 4)
        pairs = list(zip(kind.dims[-2:], self._sizes(kind), strict=True))
        # ONNX Runtime has pools of float64 no more than of integers.
        if kind.dtype != "float64":
            if all(out == 1 for _, out in pairs):
                return unbatched(g.node("GlobalAveragePool", y))
            steps = _whole_steps(pairs)
            if len(steps) == 2:
                return unbatched(g.node("AveragePool", y, kernel_shape=steps, strides=steps))
        (height, rows), (width, columns) = pairs
        if rows != height:
            y = self._resize(g, y, -2, height, rows, kind.dtype)
        if columns != width:
            y = self._resize(g, y, -1, width, columns, kind.dtype)
        return unbatched(y)

    def _resize(self, g: OnnxGraph, x: str, axis: int, size: Size, out: Size, dtype: str) -> str:
        """Average one dimension down (or up) to `out` places, by a product with a matrix of weights."""
        if out == 1:
            return reduce(g, "ReduceMean", x, [axis])
        matrix = self._averages(g, size, out, dtype)
        if axis == -2:
            return str(g.node("MatMul", matrix, x))
        return str(g.node("MatMul", x, g.node("Transpose", matrix, perm=[1, 0])))

    def _averages(self, g: OnnxGraph, size: Size, out: Size, dtype: str) -> str:
        """[out, size]: row i averages from `i * size // out` to `ceil((i + 1) * size / out)`."""
        if isinstance(size, int) and isinstance(out, int) and size * out <= _LARGEST_TABLE:
            spans = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
            rows = [[1 / (end - start) if start <= j < end else 0.0 for j in range(size)] for start, end in spans]
            return g.constant(rows, dtype)
        zero, one = g.constant(0), g.constant(1)
        length, count = g.size(size), g.size(out)
        place = g.node("Unsqueeze", g.node("Range", zero, count, one), g.constant([1]))
        start = g.node("Div", g.node("Mul", place, length), count)
        following = g.node("Mul", g.node("Add", place, one), length)
        end = g.node("Div", g.node("Add", following, g.node("Sub", count, one)), count)
        position = g.node("Range", zero, length, one)
        inside = g.node("And", g.node("GreaterOrEqual", position, start), g.node("Less", position, end))
        return str(g.node("Div", g.cast(inside, dtype), g.cast(g.node("Sub", end, start), dtype)))


def _whole_steps(pairs: Sequence[tuple[Size, Size]]) -> list[int]:
    """The windows of those dimensions whose windows are all alike."""
    numbers = [(size, out) for size, out in pairs if isinstance(size, int) and isinstance(out, int)]
    return [size // out for size, out in numbers if size % out == 0]
