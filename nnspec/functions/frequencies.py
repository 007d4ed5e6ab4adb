"""Which frequencies a Fourier transform gives, and in which order: fftfreq, fftshift and their like."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axis
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.functions.moving import roll
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import DType, TensorType, is_float, show_dtype


class _Shift(Function):
    """Dimensions shifted round by half of their size."""

    namespace = "torch.fft"
    keeps = ()
    of_complex = "parts"

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions that are shifted; all when left out")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if not self._dims(x):
            raise ShapeError(f"`{type(self).__name__}` needs a dimension to shift", code="NNS402", input=0)
        return x

    def _dims(self, x: TensorType) -> list[int]:
        if self.dim is None or not x.rank:
            return list(range(x.rank))
        return [axis(self, x, each) for each in (self.dim if isinstance(self.dim, tuple) else (self.dim,))]

    def shift(self, size: Size) -> Size:
        """How far a dimension of that size is shifted. Abstract: each function says it."""
        raise NotImplementedError

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dims = self._dims(kind)
        return roll(shifts=tuple(self.shift(kind.dims[at]) for at in dims), dims=tuple(dims)).onnx(g, x)


class fftshift(_Shift):
    """The frequency 0 brought to the middle: dimensions shifted by half of their size.

    Source: `torch.fft.fftshift`.
    """

    examples = (
        Example("abs(fftshift(fft2(x), dim=(1, 2)))", x="float[N, H, W]"),
        Example("fftshift(x)", x="int[N, 5]"),
    )

    def shift(self, size: Size) -> Size:
        return size // 2


class ifftshift(_Shift):
    """The frequency 0 brought from the middle to the front: what `fftshift` does, taken back.

    Source: `torch.fft.ifftshift`.
    """

    examples = (
        Example("ifftshift(fftshift(x))", x="float[N, 5]"),
        Example("ifftshift(x, dim=-1)", x="float[N, T]"),
    )

    def shift(self, size: Size) -> Size:
        return (size + 1) // 2


class _Frequencies(Function):
    """The frequencies that a transform of n numbers gives, in turns over the distance of two numbers."""

    namespace = "torch.fft"

    n: Size = arg(doc="how long the signal is")
    d: float = arg(1.0, doc="how far apart its numbers are")
    dtype: DType = arg("float32", doc="the element type", keyword=True)

    def infer(self, rules: Rules) -> TensorType:
        name = type(self).__name__
        if not is_float(self.dtype):
            raise ShapeError(f"`{name}` makes floats, not {show_dtype(self.dtype)}", code="NNS406", at="dtype")
        rules.require_at_least(self.n, 1, f"`{name}` is about one number at least", code="NNS411", at="n")
        return TensorType(self.dtype, checked_sizes(self, rules, (self.count(),), at="n"))

    def count(self) -> Size:
        """How many there are. Abstract: each function says it."""
        raise NotImplementedError

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call(f"torch.fft.{type(self).__name__}", options.pop("n"), **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        length = g.cast(g.node("Mul", g.cast(g.size(self.n), "float64"), g.constant(self.d, "float64")), "float64")
        return g.cast(g.node("Div", g.cast(self.turns(g), "float64"), length), self.dtype)

    def turns(self, g: OnnxGraph) -> str:
        """How often each turns in the whole signal. Abstract: each function says it."""
        raise NotImplementedError


class fftfreq(_Frequencies):
    """The frequencies that `fft` gives, the negative ones last: float[n].

    Source: `torch.fft.fftfreq`.
    """

    examples = (
        Example("fftfreq(8)"),
        Example("fftfreq(T, d=0.1)", x="float[N, T]"),
        Example("fftfreq(5, dtype=float64)"),
    )

    def count(self) -> Size:
        return self.n

    def turns(self, g: OnnxGraph) -> str:
        one, half = g.constant(1), g.size((self.n + 1) // 2)
        negative = g.node("Range", g.node("Neg", g.size(self.n // 2)), g.constant(0), one)
        return str(g.node("Concat", g.node("Range", g.constant(0), half, one), negative, axis=0))


class rfftfreq(_Frequencies):
    """The frequencies that `rfft` gives: float[n // 2 + 1].

    Source: `torch.fft.rfftfreq`.
    """

    examples = (
        Example("rfftfreq(400, 1 / 16000)"),
        Example("rfftfreq(T)", x="float[N, T]"),
    )

    def count(self) -> Size:
        return self.n // 2 + 1

    def turns(self, g: OnnxGraph) -> str:
        return str(g.node("Range", g.constant(0), g.size(self.count()), g.constant(1)))
