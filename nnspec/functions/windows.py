"""Windows, by which stretches of a signal are weighed: curves that rise from the edges to the middle."""

from __future__ import annotations

from math import pi
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import polynomial
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, torch_dtype
from nnspec.types import DType, TensorType, is_float, show_dtype


class _Window(Function):
    """What windows share. A window of one element is 1."""

    window_length: Size = arg(doc="how many elements")
    periodic: bool = arg(True, doc="one turn of a curve that goes on; without it both ends are alike")
    dtype: DType = arg("float32", doc="the element type", keyword=True)

    def infer(self, rules: Rules) -> TensorType:
        if not is_float(self.dtype):
            message = f"`{type(self).__name__}` makes floats, not {show_dtype(self.dtype)}"
            raise ShapeError(message, code="NNS406", at="dtype")
        return TensorType(self.dtype, checked_sizes(self, rules, (self.window_length,), at="window_length"))

    def torch(self, *inputs: Any) -> Code:
        # By position, since torch takes further numbers only together with those before them.
        names = [name for name, field in self.fields.items() if not field.keyword]
        given = [name for name, _ in self.given() if name in names]
        numbers = [self.__dict__[name] for name in names[: names.index(given[-1]) + 1]]
        dtype = {} if self.dtype == "float32" else {"dtype": torch_dtype(self.dtype)}
        return call(f"torch.{type(self).__name__}", *numbers, **dtype, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        length = g.size(self.window_length)
        place = g.cast(g.node("Range", g.constant(0), length, g.constant(1)), "float64")
        last = length if self.periodic else g.node("Sub", length, g.constant(1))
        # From 0 at the first place to 1 at the last, or to what would come next.
        share = g.node("Div", place, g.cast(g.node("Max", last, g.constant(1)), "float64"))
        alone = g.node("Equal", length, g.constant(1))
        return g.cast(g.node("Where", alone, _number(g, 1), self.curve(g, share)), self.dtype)

    def curve(self, g: OnnxGraph, share: str) -> str:
        """The elements, in float64, from how far along the window they stand. Abstract: each window says it."""
        raise NotImplementedError


def _number(g: OnnxGraph, value: float) -> str:
    return g.constant(value, "float64")


def _cosines(g: OnnxGraph, share: str, *factors: float) -> str:
    """A sum of cosines: none, of one turn, of two turns over the window."""
    y = _number(g, factors[0])
    for turns, factor in enumerate(factors[1:], 1):
        wave = g.node("Cos", g.node("Mul", share, _number(g, 2 * pi * turns)))
        y = g.node("Add", y, g.node("Mul", wave, _number(g, factor)))
    return y


class hann_window(_Window):
    """Half a cosine's wave, from 0 up to 1: `0.5 - 0.5 * cos(2 * pi * i / n)`.

    Source: `torch.hann_window`.
    """

    examples = (
        Example("hann_window(8)"),
        Example("hann_window(T, periodic=false)", x="float[T]"),
    )

    def curve(self, g: OnnxGraph, share: str) -> str:
        return _cosines(g, share, 0.5, -0.5)


class hamming_window(_Window):
    """A cosine's wave that does not fall to 0: `alpha - beta * cos(2 * pi * i / n)`.

    Source: `torch.hamming_window`.
    """

    alpha: float = arg(0.54, doc="the middle of the wave")
    beta: float = arg(0.46, doc="how high it goes")

    examples = (
        Example("hamming_window(8)"),
        Example("hamming_window(T, false, alpha=0.6, beta=0.4)", x="float[T]"),
        Example("hamming_window(5, dtype=float64)"),
    )

    def curve(self, g: OnnxGraph, share: str) -> str:
        return _cosines(g, share, self.alpha, -self.beta)


class blackman_window(_Window):
    """Two cosines' waves: `0.42 - 0.5 * cos(2 * pi * i / n) + 0.08 * cos(4 * pi * i / n)`.

    Source: `torch.blackman_window`.
    """

    examples = (
        Example("blackman_window(8)"),
        Example("blackman_window(T, false)", x="float[T]"),
    )

    def curve(self, g: OnnxGraph, share: str) -> str:
        return _cosines(g, share, 0.42, -0.5, 0.08)


class bartlett_window(_Window):
    """A triangle, from 0 up to 1: `1 - abs(2 * i / n - 1)`.

    Source: `torch.bartlett_window`.
    """

    examples = (
        Example("bartlett_window(8)"),
        Example("bartlett_window(T, false)", x="float[T]"),
    )

    def curve(self, g: OnnxGraph, share: str) -> str:
        return str(g.node("Sub", _number(g, 1), g.node("Abs", _centred(g, share))))


def _centred(g: OnnxGraph, share: str) -> str:
    """From -1 at the beginning to 1 at the end."""
    return str(g.node("Sub", g.node("Mul", share, _number(g, 2)), _number(g, 1)))


class kaiser_window(_Window):
    """A bell made of Bessel's function: `I0(beta * sqrt(1 - (2 * i / n - 1) ** 2)) / I0(beta)`.

    Source: `torch.kaiser_window`.
    """

    beta: float = arg(12.0, ge=0, le=80, doc="how narrow the bell is; more than 80 overflows")

    examples = (
        Example("kaiser_window(8)"),
        Example("kaiser_window(T, false, beta=5)", x="float[T]"),
        Example("kaiser_window(T, beta=30)", x="float[T]"),
    )

    def curve(self, g: OnnxGraph, share: str) -> str:
        """I0 is a power series of the square of its argument, of which as many terms are taken as count at `beta`."""
        centred = _centred(g, share)
        square = g.node("Sub", _number(g, 1), g.node("Mul", centred, centred))
        terms = [1.0]
        while terms[-1] > 1e-20 * max(terms):
            terms.append(terms[-1] * (self.beta / 2 / len(terms)) ** 2)
        return polynomial(g, square, [term / sum(terms) for term in terms], "float64")
