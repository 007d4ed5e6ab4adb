"""Sliding windows: how many fit along a dimension, for convolutions and pools alike."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.dims import Size, minimum, show
from nnspec.layer import Operation, Rules, ShapeError
from nnspec.types import TensorType

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the spatial dimensions by their number."""

AXIS = {"depth": -3, "height": -2, "width": -1, "length": -1}
"""Where in a shape each of them is."""

UNBATCHED = {1: "C, L", 2: "C, H, W", 3: "C, D, H, W"}
BATCHED = {n: f"N, {layout}" for n, layout in UNBATCHED.items()}


def each(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


class Window:
    """One dimension's window: its kernel, step, spacing, and what is added in front of and behind the input."""

    __slots__ = ("after", "before", "dilation", "kernel", "stride")

    def __init__(self, kernel: int, stride: int, dilation: int, before: int, after: int) -> None:
        self.kernel = kernel
        self.stride = stride
        self.dilation = dilation
        self.before = before
        self.after = after

    @property
    def span(self) -> int:
        """How many positions the kernel reaches over, gaps included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def padding(self) -> int:
        """What is added at both ends together."""
        return self.before + self.after

    @property
    def may_start_outside(self) -> bool:
        """Whether with `ceil_mode` a last window could start behind the input; torch drops that one."""
        return self.after + self.stride - 1 > self.span - 1

    @property
    def reach(self) -> int:
        """What must be added behind the input for as many windows to fit whole as `ceil_mode` counts."""
        return min(self.after + self.stride - 1, self.span - 1)


def count_windows(rules: Rules, axis: str, size: Size, window: Window, *, ceil: bool = False) -> Size:
    """How many windows fit, as torch counts them; refuses a kernel that is larger than its input."""
    room = size + window.padding + (window.stride - 1 if ceil else 0)
    if rules.at_least(room, window.span) is not True:
        _require_room(rules, axis, size, window, room)
    count = (room - window.span) // window.stride + 1
    if ceil and window.may_start_outside:
        count = minimum(count, (size + window.before - 1) // window.stride + 1)
    return count


def derive_windows(x: TensorType, y: TensorType, windows: Sequence[Window]) -> str:
    """The sum behind the first size that changed in a way that is not plain: `(14 - 5) / 1 + 1 = 10`."""
    rank = len(windows)
    for size, count, window in zip(x.dims[-rank:], y.dims[-rank:], windows, strict=True):
        if not isinstance(size, int) or size == count or (size == count * window.stride and not window.padding):
            continue
        room = f"{size}{f' + {window.padding}' if window.padding else ''} - {window.span}"
        sign = "//" if (size + window.padding - window.span) % window.stride else "/"
        return f"({room}) {sign} {window.stride} + 1 = {show(count)}"
    return ""


def _require_room(rules: Rules, axis: str, size: Size, window: Window, room: Size) -> None:
    kernel = f"kernel {window.kernel}"
    if window.dilation > 1:
        kernel += f" with dilation {window.dilation}, which reaches over {window.span},"
    given = f"{axis} {show(size)}"
    if window.padding:
        given += f", padded to {show(size + window.padding)}"
    helps: tuple[str, ...] = ()
    if isinstance(size, int):
        missing = window.span - size
        helps = (f"use a smaller kernel, or padding={window.before + (missing - window.padding + 1) // 2}",)
    rules.require_at_least(
        room,
        window.span,
        f"{kernel} does not fit an input of {given}",
        code="NNS403",
        label=f"needs a {axis} of at least {window.span - window.padding}",
        at="kernel_size",
        helps=helps,
        axis=AXIS[axis],
    )


def refuse_wide_padding(layer: Operation, kernel: Sequence[int], padding: Sequence[int]) -> None:
    """Pools take at most half of the kernel as padding, so that no window is all padding."""
    for k, p in zip(kernel, padding, strict=True):
        if p > k // 2:
            raise ShapeError(
                f"padding {p} of `{type(layer).__name__}` is more than half of kernel {k}",
                code="NNS304",
                label="a window could hold nothing but padding",
                at="padding",
                helps=(f"use padding={k // 2} or less",),
            )
