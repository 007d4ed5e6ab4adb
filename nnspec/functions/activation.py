"""Activations as functions; their ONNX forms are those of the layers of the same sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.functions._operands import as_float, axis, expect_numbers
from nnspec.layer import Example, Function, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers.activation import ELU, GELU, Hardswish, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from nnspec.layers.softmax import LogSoftmax, Softmax, Softmin
from nnspec.types import DType, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Activation(Function):
    """An activation of float tensors of any shape, with the arguments of a layer."""

    namespace = "F"
    layer: ClassVar[type[Layer]]

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_float(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self.layer(**self.__dict__).onnx(g, x)


class relu(_Activation):
    """`max(x, 0)`, for numbers of any type.

    Source: `torch.nn.functional.relu`.
    """

    layer = ReLU

    keeps = ("output",)

    examples = (
        Example("relu(x)", x="float[N, 8]"),
        Example("relu(x)", x="int[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_numbers(self, x)


class leaky_relu(_Activation):
    """`x` where it is positive, `negative_slope * x` elsewhere.

    Source: `torch.nn.functional.leaky_relu`.
    """

    negative_slope: float = arg(0.01, doc="slope below zero")
    layer = LeakyReLU

    examples = (
        Example("leaky_relu(x)", x="float[N, 8]"),
        Example("leaky_relu(x, 0.2)", x="float[N, T, 8]"),
    )


class elu(_Activation):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    Source: `torch.nn.functional.elu`; Clevert, Unterthiner and Hochreiter (arXiv:1511.07289).
    """

    alpha: float = arg(1.0, doc="minus the value far below zero")
    layer = ELU

    examples = (
        Example("elu(x)", x="float[N, 8]"),
        Example("elu(x, alpha=0.5)", x="float[N, T, 8]"),
    )


class gelu(_Activation):
    """`x` times the share of a normal distribution below it; `approximate="tanh"` is the formula of GPT-2.

    Source: `torch.nn.functional.gelu`; Hendrycks and Gimpel (arXiv:1606.08415).
    """

    approximate: Literal["none", "tanh"] = arg("none", doc="exact, or a formula with tanh")
    layer = GELU

    examples = (
        Example("gelu(x)", x="float[N, 8]"),
        Example('gelu(x, approximate="tanh")', x="float[N, T, 8]"),
    )


class silu(_Activation):
    """`x * sigmoid(x)`, also known as swish.

    Source: `torch.nn.functional.silu`; Elfwing, Uchibe and Doya (arXiv:1702.03118).
    """

    layer = SiLU

    examples = (
        Example("silu(x)", x="float[N, 8]"),
        Example("silu(x)", x="float[N, T, 8]"),
    )


class softplus(_Activation):
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x` is above the threshold.

    Source: `torch.nn.functional.softplus`.
    """

    beta: float = arg(1.0, gt=0, doc="how sharp the bend is")
    threshold: float = arg(20.0, doc="above it the function is taken as linear")
    layer = Softplus

    examples = (
        Example("softplus(x)", x="float[N, 8]"),
        Example("softplus(x, 2.0, threshold=1.5)", x="float[N, T, 8]"),
    )


class hardswish(_Activation):
    """`x * clamp(x + 3, 0, 6) / 6`, a cheap cousin of `silu`.

    Source: `torch.nn.functional.hardswish`; Howard et al., Searching for MobileNetV3 (arXiv:1905.02244).
    """

    layer = Hardswish

    examples = (
        Example("hardswish(x)", x="float[N, 8]"),
        Example("hardswish(x)", x="float[N, 8, H, W]"),
    )


class _Squashing(_Activation):
    """An activation that makes floats of integers."""

    namespace = "torch"

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype(as_float(x.dtype))


class sigmoid(_Squashing):
    """`1 / (1 + exp(-x))`; integers become float.

    Source: `torch.sigmoid`.
    """

    layer = Sigmoid

    keeps = ("output",)

    examples = (
        Example("sigmoid(x)", x="float[N, 8]"),
        Example("sigmoid(x)", x="int[T]"),
    )


class tanh(_Squashing):
    """The hyperbolic tangent; integers become float.

    Source: `torch.tanh`.
    """

    layer = Tanh

    keeps = ("output",)

    examples = (
        Example("tanh(x)", x="float[N, 8]"),
        Example("tanh(x)", x="int[T]"),
    )


class _Softmax(_Activation):
    """What all forms share: a dimension that exists, and a type to compute in."""

    layer: ClassVar[type[Softmax | LogSoftmax | Softmin]]

    dim: int = arg(doc="the dimension whose elements sum to one")
    dtype: DType | None = arg(None, doc="convert to this type before", keyword=True)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x) if self.dtype else expect_float(self, x)
        axis(self, x, self.dim)
        return x.with_dtype(self.dtype or x.dtype)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0] if inputs[0].type == m.output else m.op(m.output, *inputs, keeps=())
        return self.layer(dim=self.dim).memory(m, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        y = g.cast(x, self.dtype) if self.dtype else x
        return self.layer(dim=self.dim).lower(g, y, g.type(x).rank)


class softmax(_Softmax):
    """Positive numbers that sum to one along `dim`: `exp(x) / sum(exp(x))`.

    Source: `torch.nn.functional.softmax`.
    """

    layer = Softmax

    examples = (
        Example("softmax(x, dim=-1)", x="float[N, 8]"),
        Example("softmax(x, 1)", x="float[N, 5, T]"),
        Example("softmax(x, dim=-1, dtype=float)", x="float16[N, 8]"),
    )


class log_softmax(_Softmax):
    """The logarithm of `softmax`, worked out without losing small numbers.

    Source: `torch.nn.functional.log_softmax`.
    """

    layer = LogSoftmax

    examples = (
        Example("log_softmax(x, dim=-1)", x="float[N, 8]"),
        Example("log_softmax(x, 0)", x="float[T, 5]"),
    )


class softmin(_Softmax):
    """`softmax` of the opposite: the smallest number gets the largest share.

    Source: `torch.nn.functional.softmin`.
    """

    layer = Softmin

    examples = (
        Example("softmin(x, dim=-1)", x="float[N, 8]"),
        Example("softmin(x, 0)", x="float[T, 5]"),
    )
