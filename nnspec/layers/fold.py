"""Windows as columns, and columns put back as windows."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Operation, Rules
from nnspec.layers._expect import expect_float, expect_rank, quotient_text, volume
from nnspec.layers._lowering import batched, pad
from nnspec.layers._window import AXES, AXIS, Window, count_windows, each
from nnspec.types import TensorType


class Columns:
    """Windows over two dimensions of places, and their elements as columns of a matrix: for layers and functions."""

    __slots__ = ("operation", "windows")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        given = (getattr(operation, name) for name in ("kernel_size", "stride", "dilation", "padding"))
        rows = zip(*(each(value, 2) for value in given), strict=True)
        self.windows = [Window(kernel, stride, dilation, p, p) for kernel, stride, dilation, p in rows]

    @property
    def elements(self) -> int:
        """Of one window."""
        return self.windows[0].kernel * self.windows[1].kernel

    def counts(self, rules: Rules, places: tuple[Size, ...]) -> list[Size]:
        """How many windows lie one below and one beside the other."""
        triples = zip(AXES[2], places, self.windows, strict=True)
        return [count_windows(rules, axis, size, window) for axis, size, window in triples]

    def numbers(self, places: tuple[Size, ...]) -> list[Size]:
        """The same where they are known to fit."""
        pairs = zip(places, self.windows, strict=True)
        return [(size + window.padding - window.span) // window.stride + 1 for size, window in pairs]

    def padded(self, places: tuple[Size, ...]) -> list[Size]:
        """The sizes with what is added around them."""
        return [size + window.padding for size, window in zip(places, self.windows, strict=True)]

    def positions(self, g: OnnxGraph, axis: int, count: Size) -> str:
        """[kernel, count]: which place of a padded dimension is element i of window j."""
        window = self.windows[axis]
        inside = g.constant([[i * window.dilation] for i in range(window.kernel)])
        if isinstance(count, int):
            starts = g.constant([j * window.stride for j in range(count)])
        else:
            starts = g.node("Range", g.constant(0), g.size(count), g.constant(1))
            starts = g.node("Mul", starts, g.constant(window.stride)) if window.stride > 1 else starts
        return str(g.node("Add", inside, starts))


def unfolded(operation: Operation, rules: Rules, x: TensorType) -> TensorType:
    """The type of the columns."""
    columns = Columns(operation)
    counts = columns.counts(rules, x.dims[-2:])
    return x.with_dims(*x.dims[:-3], x.dims[-3] * columns.elements, rules.simplify(volume(counts)))


def lower_unfold(g: OnnxGraph, operation: Operation, x: str) -> str:
    """Rows of all windows are gathered, then columns of these: the same bits for all numbers."""
    columns, kind = Columns(operation), g.type(x)
    counts = columns.numbers(kind.dims[-2:])
    y, unbatched = batched(g, x, 4)
    around = [window.before for window in columns.windows]
    y = pad(g, y, around, around, "zeros") if any(around) else y
    y = g.node("Gather", y, columns.positions(g, 0, counts[0]), axis=2)
    y = g.node("Gather", y, columns.positions(g, 1, counts[1]), axis=4)
    y = g.node("Transpose", y, perm=[0, 1, 2, 4, 3, 5])
    lead = kind.dims[0] if kind.rank == 4 else 1
    return unbatched(str(g.node("Reshape", y, g.shape([lead, kind.dims[-3] * columns.elements, volume(counts)]))))


def folded(operation: Operation, rules: Rules, x: TensorType, sizes: tuple[Size, ...]) -> TensorType:
    """The type of what the columns add up to."""
    columns = Columns(operation)
    name = type(operation).__name__
    for axis, size in zip(AXES[2], sizes, strict=True):
        message = f"`{name}` would leave nothing of a {axis} of {show(size)}"
        rules.require_at_least(size, 1, message, code="NNS403", at="output_size", axis=AXIS[axis])
    channels = rules.exact(
        x.dims[-2],
        columns.elements,
        f"`{name}` needs {columns.elements} rows a channel, one for each element of a window, but its input is {x}",
        code="NNS404",
        label=f"{quotient_text(x.dims[-2], columns.elements)} must be whole",
        at="kernel_size",
    )
    counts = columns.counts(rules, sizes)
    shape = " x ".join(map(show, sizes))
    rules.require_equal(
        x.dims[-1],
        volume(counts),
        f"an output of {shape} has {' x '.join(map(show, counts))} windows, but `{name}` is given the columns {x}",
        label=f"needs {show(rules.simplify(volume(counts)))} columns",
        input=0,
        axis=-1,
    )
    return x.with_dims(*x.dims[:-2], channels, *sizes)


def lower_fold(g: OnnxGraph, operation: Operation, x: str, sizes: tuple[Size, ...]) -> str:
    """Elements are added up in a padded plane of zeros, each in its place, and the padding is cut off."""
    columns, kind = Columns(operation), g.type(x)
    y, unbatched = batched(g, x, 3)
    counts, whole = columns.numbers(sizes), columns.padded(sizes)
    lead = [kind.dims[0] if kind.rank == 3 else 1, kind.dims[-2] // columns.elements]
    # A place's number in its plane, for [kernel, kernel, count, count].
    down = g.node("Mul", columns.positions(g, 0, counts[0]), g.size(whole[1]))
    down = g.node("Unsqueeze", down, g.constant([1, 3]))
    across = g.node("Unsqueeze", columns.positions(g, 1, counts[1]), g.constant([0, 2]))
    places = g.node("Reshape", g.node("Add", down, across), g.constant([1, 1, -1]))
    # Runtimes do not add up halves.
    wide = kind.dtype if kind.dtype in ("float32", "float64") else "float32"
    flat = g.node("Reshape", g.cast(y, wide), g.shape([*lead, columns.elements * volume(counts)]))
    zeros = g.node("Expand", g.constant(0.0, wide), g.shape([*lead, volume(whole)]))
    places = g.node("Expand", places, g.node("Shape", flat))
    plane = g.node("ScatterElements", zeros, places, flat, axis=2, reduction="add")
    plane = g.node("Reshape", plane, g.shape([*lead, *whole]))
    before = [window.before for window in columns.windows]
    if any(before):
        ends = g.shape([size + b for size, b in zip(sizes, before, strict=True)])
        plane = g.node("Slice", plane, g.constant(before), ends, g.constant([2, 3]))
    return unbatched(plane if wide == kind.dtype else g.cast(plane, kind.dtype))


class Unfold(Layer):
    """Makes a column of each window, all channels of it one below the other: [N, C, H, W] to [N, C * kh * kw, L].

    There are as many columns as a convolution would have places. Source: `torch.nn.Unfold`.
    """

    keeps = ()

    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the window's elements")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="zeros added on every side")
    stride: int | tuple[int, int] = arg(1, ge=1, doc="step of the window")

    examples = (
        Example("Unfold(2)", x="float[N, 3, H, W]"),
        Example("Unfold((2, 3), dilation=2, padding=(1, 2), stride=(1, 2))", x="float[N, C, H, W]"),
        Example("Unfold(3, padding=1, stride=2)", x="float[3, 5, 6]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C, H, W", "C, H, W")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return unfolded(self, rules, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return lower_unfold(g, self, x)


class Fold(Layer):
    """Adds columns up to what `Unfold` would have made them of: [N, C * kh * kw, L] to [N, C, H, W].

    Where windows overlap there are sums. Source: `torch.nn.Fold`.
    """

    keeps = ()

    output_size: int | tuple[int, int] = arg(ge=1, doc="height and width of the output")
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the window's elements")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="what is cut off on every side, as `Unfold` added it")
    stride: int | tuple[int, int] = arg(1, ge=1, doc="step of the window")

    examples = (
        Example("Fold((4, 5), 2)", x="float[N, 12, 12]"),
        Example("Fold(6, (2, 3), dilation=2, padding=(1, 2), stride=(1, 2))", x="float[N, 12, 18]"),
        Example("Fold((4, 6), 2, stride=2)", x="float[8, 6]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C * K, L", "C * K, L")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return folded(self, rules, x, each(self.output_size, 2))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return lower_fold(g, self, x, each(self.output_size, 2))
