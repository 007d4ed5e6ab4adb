"""Layers that make a distribution of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.layer import Code, Example, Layer, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_axis, expect_float, expect_rank
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Softmax(Layer):
    """What both forms share. torch's `dim=None`, a deprecated guess, is not offered."""

    keeps = ("output",)

    dim: int = arg(doc="the dimension whose elements sum to one")

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        # As in torch, a tensor without dimensions has one for this.
        expect_axis(self, x if x.rank else x.with_dims(1), "dim", self.dim)
        return x

    def torch(self) -> Code:
        return call(f"nn.{type(self).__name__}", dim=self.dim)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self.lower(g, x, g.type(x).rank)

    def lower(self, g: OnnxGraph, x: str, rank: int) -> str:
        """The operator for a value of that rank. It wants a dimension; torch takes a number without one."""
        if rank:
            return self.operator(g, x, self.dim)
        first = g.constant([0])
        return str(g.node("Squeeze", self.operator(g, g.node("Unsqueeze", x, first), 0), first))

    def operator(self, g: OnnxGraph, x: str, axis: int) -> str:
        """ONNX's operator of the layer's name."""
        return str(g.node(type(self).__name__, x, axis=axis))


class Softmax(_Softmax):
    """Positive numbers that sum to one along `dim`: `exp(x) / sum(exp(x))`.

    Source: `torch.nn.Softmax`.
    """

    examples = (
        Example("Softmax(-1)", x="float[N, 10]"),
        Example("Softmax(dim=1)", x="float[N, 5, T]"),
        Example("Softmax(0)", x="float[]"),
    )


class LogSoftmax(_Softmax):
    """The logarithm of `Softmax`, worked out without losing small numbers.

    Source: `torch.nn.LogSoftmax`.
    """

    examples = (
        Example("LogSoftmax(-1)", x="float[N, 10]"),
        Example("LogSoftmax(dim=0)", x="float[T, 5]"),
        Example("LogSoftmax(-1)", x="float[]"),
    )


class Softmin(_Softmax):
    """`Softmax` of the opposite: the smallest score gets the largest share.

    Source: `torch.nn.Softmin`.
    """

    examples = (
        Example("Softmin(-1)", x="float[N, 10]"),
        Example("Softmin(dim=1)", x="float[N, 5, T]"),
    )

    def operator(self, g: OnnxGraph, x: str, axis: int) -> str:
        return str(g.node("Softmax", g.node("Neg", x), axis=axis))

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return super().memory(m, m.op(m.output, *inputs, keeps=()))


class Softmax2d(Layer):
    """`Softmax` over the channels at every place: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.Softmax2d`.
    """

    keeps = ("output",)

    examples = (
        Example("Softmax2d", x="float[N, 3, H, W]"),
        Example("Softmax2d", x="float[C, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C, H, W", "C, H, W")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Softmax", x, axis=-3)
