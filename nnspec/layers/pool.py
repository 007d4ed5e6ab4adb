"""Pools: a maximum or a mean over windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float, expect_rank, volume
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

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


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
        first = output if isinstance(output, TensorType) else output[0]
        return "" if self.ceil_mode else derive_windows(inputs[0], first, self._windows())

    def _attributes(self) -> dict[str, Any]:
        windows = self._windows()
        return {"kernel_shape": [w.kernel for w in windows], "strides": [w.stride for w in windows]}


class _MaxPool(_Pool):
    dilation: int | tuple[int, ...] = arg(1, ge=1, doc="spacing of the window's elements")
    return_indices: bool = arg(False, doc="give the places of the maxima as well, for `MaxUnpool`: (y, indices)")
    ceil_mode: bool = arg(False, doc="count a last window that reaches over the end")

    def infer(self, rules: Rules, x: TensorType) -> Any:
        y = super().infer(rules, x)
        return (y, y.with_dtype("int64")) if self.return_indices else y

    def memory(self, m: Tape, *inputs: Any) -> Any:
        y = m.output[0] if self.return_indices else m.output
        found = m.op((y, y.with_dtype("int64")), *inputs, keeps_output=True)
        return found if self.return_indices else found[0]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind, windows = g.type(x), self._windows()
        y, unbatched = batched(g, x, self.rank + 2)
        before, after = [w.before for w in windows], [w.reach for w in windows]
        attributes = self._attributes() | {"dilations": [w.dilation for w in windows]}
        if self.ceil_mode:
            # Runtimes differ on ceil_mode: padding enough for the last window and rounding down says the same.
            y = pad(g, y, before, after, "zeros", g.constant(float("-inf"), kind.dtype))
        else:
            attributes["pads"] = before * 2
        if not self.return_indices:
            return unbatched(g.node("MaxPool", y, **attributes))
        y, places = g.node("MaxPool", y, outputs=2, **attributes)
        lead, tail = (before, after) if self.ceil_mode else ([0] * self.rank, [0] * self.rank)
        return unbatched(y), unbatched(_own_places(g, places, kind.dims[-self.rank :], lead, tail))


def _own_places(g: OnnxGraph, places: str, sizes: Sequence[Size], before: list[int], after: list[int]) -> str:
    """Places in a whole batch of padded planes, as ONNX counts them, as places in the plane that torch was given."""
    padded = [b + size + a for b, size, a in zip(before, sizes, after, strict=True)]
    places = g.node("Mod", places, g.size(volume(padded)))
    if not any((*before, *after)):
        return places
    own = ""
    for axis, (size, lead) in enumerate(zip(sizes, before, strict=True)):
        inner = volume(padded[axis + 1 :])
        place = g.node("Div", places, g.size(inner)) if inner != 1 else places
        places = g.node("Mod", places, g.size(inner)) if inner != 1 else places
        place = g.node("Sub", place, g.constant(lead)) if lead else place
        own = g.node("Add", g.node("Mul", own, g.size(size)), place) if own else place
    return own


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
        Example("MaxPool1d(2, return_indices=true)", x="float[N, 3, L]"),
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
        Example("MaxPool2d(2, return_indices=true)", x="float[N, 3, H, W]"),
        Example("MaxPool2d(3, 2, (0, 1), return_indices=true, ceil_mode=true)", x="float[N, 3, H, W]"),
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
        Example("MaxPool3d(2, return_indices=true)", x="float[2, D, 4, W]"),
    )


class _AvgPool(_Pool):
    ceil_mode: bool = arg(False, doc="count a last window that reaches over the end")
    count_include_pad: bool = arg(True, doc="divide by the window's size with its padding")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        y, unbatched = batched(g, x, self.rank + 2)
        return unbatched(self.averages(g, y, g.type(x)))

    def averages(self, g: OnnxGraph, y: str, x: TensorType) -> str:
        """The means over windows of a value of the type x, with a batch dimension at least."""
        divisor: int | None = getattr(self, "divisor_override", None)
        windows = self._windows()
        before, after = [w.before for w in windows], [w.after for w in windows]
        if not self.ceil_mode and divisor is None:
            attributes = self._attributes() | {"count_include_pad": int(self.count_include_pad)}
            return str(g.node("AveragePool", y, **attributes, pads=before + after))
        # Sums over windows, of the values and (for the divisor) of what counts, on an input padded by hand: runtimes
        # differ on how padding and windows that reach over the end are counted.
        end = [w.reach for w in windows] if self.ceil_mode else after
        # The empty name keeps ONNX Runtime from making one node of both, whose pads it then finds too large.
        mean = str(g.node("AveragePool", pad(g, y, before, end, "zeros", ""), **self._attributes()))
        if divisor is not None:
            scale = prod(w.kernel for w in windows) / divisor
            return str(g.node("Mul", mean, g.constant(scale, x.dtype)))
        share = g.node("AveragePool", self._counted(g, x, before, after, end), **self._attributes())
        return str(g.node("Div", mean, share))

    def _counted(self, g: OnnxGraph, x: TensorType, before: list[int], after: list[int], end: list[int]) -> str:
        """Ones where an element counts, zeros around them; `end` is all that is put behind."""
        one = g.node("Reshape", g.constant(1.0, x.dtype), g.constant([1] * (self.rank + 2)))
        ones = g.node("Expand", one, g.shape([1, 1, *x.dims[-self.rank :]]))
        if not self.count_include_pad:
            return pad(g, ones, before, end, "zeros")
        ones = pad(g, ones, before, after, "zeros", g.constant(1.0, x.dtype))
        return pad(g, ones, [0] * self.rank, [e - a for e, a in zip(end, after, strict=True)], "zeros")


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
