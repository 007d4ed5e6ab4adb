"""Pools with as many windows as the output has places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Example, Layer, OnnxGraph, Rules, Unsupported
from nnspec.layers._expect import expect_float, expect_rank, volume
from nnspec.layers._lowering import batched, reduce
from nnspec.layers._window import BATCHED, UNBATCHED
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape

_LARGEST_TABLE = 2**16
"""Of weights that are written into an ONNX file instead of being worked out by it."""

_MOST_PLACES = 256
"""Of an output whose windows are written out one by one."""


class _AdaptivePool(Layer):
    """What these share: an output of a given size; place `i` of `n` sees from `i * size // n` on."""

    rank: ClassVar[int]
    windowed: ClassVar[str]
    """ONNX's operator for windows that are all alike."""

    output_size: int | tuple[int | None, ...] = arg(ge=1, doc="size of the output")

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x.with_dims(*x.dims[: -self.rank], *self._sizes(x))

    def _sizes(self, x: TensorType) -> list[Size]:
        wanted = (self.output_size,) * self.rank if isinstance(self.output_size, int) else self.output_size
        return [size if want is None else want for want, size in zip(wanted, x.dims[-self.rank :], strict=True)]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        y, unbatched = batched(g, x, self.rank + 2)
        pairs = list(zip(kind.dims[-self.rank :], self._sizes(kind), strict=True))
        # ONNX Runtime has pools of float64 no more than of integers.
        if kind.dtype != "float64":
            if all(out == 1 for _, out in pairs):
                return unbatched(self.whole(g, y))
            steps = _whole_steps(pairs)
            if len(steps) == self.rank:
                return unbatched(g.node(self.windowed, y, kernel_shape=steps, strides=steps))
        for axis, (size, out) in enumerate(pairs, -self.rank):
            if size != out:
                y = self.resized(g, y, axis, size, out, kind.dtype)
        return unbatched(y)

    def whole(self, g: OnnxGraph, x: str) -> str:
        """An output of one place. Abstract."""
        raise NotImplementedError

    def resized(self, g: OnnxGraph, x: str, axis: int, size: Size, out: Size, dtype: str) -> str:
        """One dimension brought down (or up) to `out` places. Abstract."""
        raise NotImplementedError


class _AdaptiveAvgPool(_AdaptivePool):
    windowed = "AveragePool"

    def whole(self, g: OnnxGraph, x: str) -> str:
        return str(g.node("GlobalAveragePool", x))

    def resized(self, g: OnnxGraph, x: str, axis: int, size: Size, out: Size, dtype: str) -> str:
        """A product with a matrix of weights."""
        if out == 1:
            return reduce(g, "ReduceMean", x, [axis])
        matrix = self._averages(g, size, out, dtype)
        if axis == -2:
            return str(g.node("MatMul", matrix, x))
        columns = g.node("Transpose", matrix, perm=[1, 0])
        if axis == -1:
            return str(g.node("MatMul", x, columns))
        last = [*range(self.rank + 2 + axis), *range(self.rank + 3 + axis, self.rank + 2), self.rank + 2 + axis]
        back = [last.index(i) for i in range(len(last))]
        y = g.node("MatMul", g.node("Transpose", x, perm=last), columns)
        return str(g.node("Transpose", y, perm=back))

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

    def memory(self, m: Tape, *inputs: Any) -> Any:
        sizes = m.output.dims[-self.rank :]
        return m.op(m.output, *inputs, keeps=() if set(sizes) == {1} else inputs)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean over as many windows as the output has places: [N, C, L] or [C, L].

    Source: `torch.nn.AdaptiveAvgPool1d`.
    """

    rank = 1
    output_size: int | tuple[int] = arg(ge=1, doc="length of the output")

    examples = (
        Example("AdaptiveAvgPool1d(1)", x="float[N, 3, L]"),
        Example("AdaptiveAvgPool1d(3)", x="float[N, 3, L]"),
        Example("AdaptiveAvgPool1d(4)", x="float[3, 8]"),
    )


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean over as many windows as the output has places: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.AdaptiveAvgPool2d`.
    """

    rank = 2
    output_size: int | tuple[int | None, int | None] = arg(ge=1, doc="height and width of the output; none: unchanged")

    examples = (
        Example("AdaptiveAvgPool2d(1)", x="float[N, 3, H, W]"),
        Example("AdaptiveAvgPool2d((2, 4))", x="float[N, 3, 6, 8]"),
        Example("AdaptiveAvgPool2d(3)", x="float[N, 3, 7, 8]"),
        Example("AdaptiveAvgPool2d((none, 2))", x="float[N, 3, H, W]"),
        Example("AdaptiveAvgPool2d((5, 1))", x="float[3, H, W]"),
    )


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean over as many windows as the output has places: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.AdaptiveAvgPool3d`.
    """

    rank = 3
    output_size: int | tuple[int | None, int | None, int | None] = arg(
        ge=1, doc="depth, height and width of the output; none: unchanged"
    )

    examples = (
        Example("AdaptiveAvgPool3d(1)", x="float[N, 3, D, H, W]"),
        Example("AdaptiveAvgPool3d((2, none, 3))", x="float[N, 3, 5, H, 4]"),
    )


class _AdaptiveMaxPool(_AdaptivePool):
    windowed = "MaxPool"

    return_indices: bool = arg(False, doc="give the places of the maxima as well, for `MaxUnpool`: (y, indices)")

    def infer(self, rules: Rules, x: TensorType) -> Any:
        y = super().infer(rules, x)
        return (y, y.with_dtype("int64")) if self.return_indices else y

    def memory(self, m: Tape, *inputs: Any) -> Any:
        y = m.output[0] if self.return_indices else m.output
        found = m.op((y, y.with_dtype("int64")), *inputs, keeps_output=True)
        return found if self.return_indices else found[0]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self._with_places(g, x) if self.return_indices else super().onnx(g, x)

    def _with_places(self, g: OnnxGraph, x: str) -> tuple[str, str]:
        """The maxima and their places in a plane, one dimension after the other, the last one first: as torch has it,
        the first of equals is taken."""
        kind = g.type(x)
        y, unbatched = batched(g, x, self.rank + 2)
        sizes = kind.dims[-self.rank :]
        numbers = g.node("Range", g.constant(0), g.size(volume(sizes)), g.constant(1))
        plane = g.node("Reshape", numbers, g.shape([1, 1, *sizes]))
        places = g.node("Expand", plane, g.node("Shape", y))
        for axis, size, out in reversed(list(zip(range(2, self.rank + 2), sizes, self._sizes(kind), strict=True))):
            if size != out:
                y, places = self._largest(g, y, places, axis, size, out, kind.dtype)
        return unbatched(y), unbatched(places)

    def _largest(
        self, g: OnnxGraph, y: str, places: str, axis: int, size: Size, out: Size, dtype: str
    ) -> tuple[str, str]:
        """The largest of each window along one dimension, and what is in their positions of `places`."""
        values, found = [], []
        for start, end in self._windows(g, size, out):
            part, there = (g.node("Slice", v, start, end, g.constant([axis])) for v in (y, places))
            # Runtimes find the place of a maximum among few types.
            wide = part if dtype in ("float32", "float64") else g.cast(part, "float32")
            first = g.node("ArgMax", wide, axis=axis, keepdims=1)
            values.append(g.node("GatherElements", part, first, axis=axis))
            found.append(g.node("GatherElements", there, first, axis=axis))
        if len(values) == 1:
            return values[0], found[0]
        return g.node("Concat", *values, axis=axis), g.node("Concat", *found, axis=axis)

    def _windows(self, g: OnnxGraph, size: Size, out: Size) -> list[tuple[str, str]]:
        """Where each window begins and ends."""
        if not isinstance(out, int) or out > _MOST_PLACES:
            raise Unsupported(f"`{type(self).__name__}` to more than {_MOST_PLACES} places has no form in ONNX")
        return [(g.shape([size * i // out]), g.shape([(size * (i + 1) + out - 1) // out])) for i in range(out)]

    def whole(self, g: OnnxGraph, x: str) -> str:
        return reduce(g, "ReduceMax", x, list(range(-self.rank, 0)))

    def resized(self, g: OnnxGraph, x: str, axis: int, size: Size, out: Size, dtype: str) -> str:
        """The maximum of each place's window, written out one by one."""
        if out == 1:
            return reduce(g, "ReduceMax", x, [axis])
        windows = self._windows(g, size, out)
        places = [reduce(g, "ReduceMax", g.node("Slice", x, *w, g.constant([axis])), [axis]) for w in windows]
        return str(g.node("Concat", *places, axis=axis))


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maximum over as many windows as the output has places: [N, C, L] or [C, L].

    Source: `torch.nn.AdaptiveMaxPool1d`.
    """

    rank = 1
    output_size: int | tuple[int] = arg(ge=1, doc="length of the output")

    examples = (
        Example("AdaptiveMaxPool1d(1)", x="float[N, 3, L]"),
        Example("AdaptiveMaxPool1d(3)", x="float[N, 3, L]"),
        Example("AdaptiveMaxPool1d(4)", x="float[3, 8]"),
        Example("AdaptiveMaxPool1d(2, return_indices=true)", x="float[N, 3, L]"),
    )


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maximum over as many windows as the output has places: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.AdaptiveMaxPool2d`.
    """

    rank = 2
    output_size: int | tuple[int | None, int | None] = arg(ge=1, doc="height and width of the output; none: unchanged")

    examples = (
        Example("AdaptiveMaxPool2d(1)", x="float[N, 3, H, W]"),
        Example("AdaptiveMaxPool2d((2, 4))", x="float[N, 3, 6, 8]"),
        Example("AdaptiveMaxPool2d((3, none))", x="float[3, H, W]"),
        Example("AdaptiveMaxPool2d((2, 3), return_indices=true)", x="float[N, 3, H, W]"),
        Example("AdaptiveMaxPool2d((none, 1), return_indices=true)", x="float[3, H, W]"),
    )


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The maximum over as many windows as the output has places: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.AdaptiveMaxPool3d`.
    """

    rank = 3
    output_size: int | tuple[int | None, int | None, int | None] = arg(
        ge=1, doc="depth, height and width of the output; none: unchanged"
    )

    examples = (
        Example("AdaptiveMaxPool3d(1)", x="float[N, 3, D, H, W]"),
        Example("AdaptiveMaxPool3d((2, none, 3))", x="float[N, 3, 5, H, 4]"),
        Example("AdaptiveMaxPool3d(2, return_indices=true)", x="float[2, D, 3, W]"),
    )


def _whole_steps(pairs: Sequence[tuple[Size, Size]]) -> list[int]:
    """The windows of those dimensions whose windows are all alike."""
    numbers = [(size, out) for size, out in pairs if isinstance(size, int) and isinstance(out, int)]
    return [size // out for size, out in numbers if size % out == 0]
