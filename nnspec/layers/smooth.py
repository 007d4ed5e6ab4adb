"""Smooth activations made of exponentials, functions of each element by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Smooth(Layer):
    """An activation of float tensors of any shape."""

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x


class Mish(_Smooth):
    """`x * tanh(softplus(x))`.

    Source: `torch.nn.Mish`; Misra (arXiv:1908.08681).
    """

    examples = (
        Example("Mish", x="float[N, 8]"),
        Example("Mish", x="float[N, 8, H, W]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Mul", x, g.node("Tanh", g.node("Softplus", x)))


class Softsign(_Smooth):
    """`x / (1 + abs(x))`.

    Source: `torch.nn.Softsign`.
    """

    examples = (
        Example("Softsign", x="float[N, 8]"),
        Example("Softsign", x="float[N, T, 8]"),
    )

    def memory(self, m: Tape, *inputs: Any) -> Any:
        size = m.op(m.output, m.op(m.output, *inputs), keeps=())
        return m.op(m.output, *inputs, size)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Softsign", x)


class LogSigmoid(_Smooth):
    """The logarithm of `Sigmoid`, worked out without losing small numbers.

    Source: `torch.nn.LogSigmoid`.
    """

    examples = (
        Example("LogSigmoid", x="float[N, 8]"),
        Example("LogSigmoid", x="float[N, T, 8]"),
    )

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, extra=[m.output])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Neg", g.node("Softplus", g.node("Neg", x)))


class Tanhshrink(_Smooth):
    """`x - tanh(x)`.

    Source: `torch.nn.Tanhshrink`.
    """

    examples = (
        Example("Tanhshrink", x="float[N, 8]"),
        Example("Tanhshrink", x="float[N, T, 8]"),
    )

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, m.op(m.output, *inputs, keeps=(), keeps_output=True), keeps=())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Sub", x, g.node("Tanh", x))


class CELU(_Smooth):
    """`x` where it is positive, `alpha * (exp(x / alpha) - 1)` elsewhere: an `ELU` whose slope does not jump.

    Source: `torch.nn.CELU`; Barron (arXiv:1704.07483).
    """

    alpha: float = arg(1.0, gt=0, doc="minus the value far below zero")

    examples = (
        Example("CELU", x="float[N, 8]"),
        Example("CELU(alpha=0.5)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if dtype == "float32":
            return g.node("Celu", x, alpha=self.alpha)
        zero, alpha = g.constant(0.0, dtype), g.constant(self.alpha, dtype)
        bent = g.node("Sub", g.node("Exp", g.node("Div", x, alpha)), g.constant(1.0, dtype))
        below = g.node("Min", g.node("Mul", bent, alpha), zero)
        return g.node("Add", g.node("Max", x, zero), below)


class SELU(_Smooth):
    """A scaled `ELU` that keeps mean and variance of its input near 0 and 1.

    Source: `torch.nn.SELU`; Klambauer et al., Self-normalizing neural networks (arXiv:1706.02515).
    """

    examples = (
        Example("SELU", x="float[N, 8]"),
        Example("SELU", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Selu", x, alpha=1.6732632423543772, gamma=1.0507009873554805)
