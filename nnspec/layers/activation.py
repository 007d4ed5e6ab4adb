"""Activations: functions of each element by itself."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_float, expect_tensor, expect_weight_type
from nnspec.types import TensorType, is_float


class _Activation(Layer):
    """An activation of float tensors of any shape."""

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x


class ReLU(_Activation):
    """`max(x, 0)`, for numbers of any type.

    Source: `torch.nn.ReLU`.
    """

    keeps = ("output",)

    examples = (
        Example("ReLU", x="float[N, 8]"),
        Example("ReLU", x="float16[N, 8]"),
        Example("ReLU", x="int[T]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_tensor(self, inputs[0])
        if x.dtype == "bool":
            raise ShapeError(f"`ReLU` needs numbers, but its input is {x}", code="NNS406", input=0)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if is_float(dtype):
            return g.node("Relu", x)
        if dtype in ("int32", "int64"):
            return g.node("Max", x, g.constant(0, dtype))
        # ONNX Runtime has no maximum of shorter integers.
        return g.cast(g.node("Max", g.cast(x, "int32"), g.constant(0, "int32")), dtype)


class LeakyReLU(_Activation):
    """`x` where it is positive, `negative_slope * x` elsewhere.

    Source: `torch.nn.LeakyReLU`.
    """

    negative_slope: float = arg(0.01, doc="slope below zero")

    examples = (
        Example("LeakyReLU", x="float[N, 8]"),
        Example("LeakyReLU(0.2)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("LeakyRelu", x, alpha=self.negative_slope)


class PReLU(_Activation):
    """`x` where it is positive, a learned slope times `x` elsewhere: one slope, or one for each channel of [N, C, ...].

    Source: `torch.nn.PReLU`; He et al., Delving deep into rectifiers (arXiv:1502.01852).
    """

    num_parameters: int = arg(1, ge=1, doc="how many slopes: 1, or the number of channels")
    init: float = arg(0.25, doc="the slopes' first value")

    examples = (
        Example("PReLU", x="float[N, 8]"),
        Example("PReLU(3, init=0.1)", x="float[N, 3, H, W]"),
        Example("PReLU", x="float[]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_weight_type(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if self.num_parameters > 1:
            rules.require_equal(
                x.dims[1] if x.rank > 1 else 1,
                self.num_parameters,
                f"`PReLU({self.num_parameters})` needs {self.num_parameters} channels, but its input is {x}",
                at="num_parameters",
                input=0,
            )
        return x

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight((self.num_parameters,))}

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        slope, rank = g.weight("weight"), g.type(x).rank
        if rank == 0:
            slope = g.node("Squeeze", slope)
        elif self.num_parameters > 1:
            slope = g.node("Reshape", slope, g.constant([-1, *[1] * (rank - 2)]))
        return g.node("PRelu", x, slope)


class ELU(_Activation):
    """`x` where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    Source: `torch.nn.ELU`; Clevert, Unterthiner and Hochreiter (arXiv:1511.07289).
    """

    alpha: float = arg(1.0, doc="minus the value far below zero")

    examples = (
        Example("ELU", x="float[N, 8]"),
        Example("ELU(alpha=0.5)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Elu", x, alpha=self.alpha)


class GELU(_Activation):
    """`x` times the share of a normal distribution below it; `approximate="tanh"` is the formula of GPT-2.

    Source: `torch.nn.GELU`; Hendrycks and Gimpel (arXiv:1606.08415).
    """

    approximate: Literal["none", "tanh"] = arg("none", doc="exact, or a formula with tanh")

    examples = (
        Example("GELU", x="float[N, 8]"),
        Example('GELU(approximate="tanh")', x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if g.opset >= 20:
            return g.node("Gelu", x, approximate=self.approximate)
        dtype = g.type(x).dtype
        if self.approximate == "none":
            inner = g.node("Erf", g.node("Div", x, g.constant(sqrt(2.0), dtype)))
        else:
            cubed = g.node("Mul", g.node("Mul", x, x), x)
            bent = g.node("Add", x, g.node("Mul", cubed, g.constant(0.044715, dtype)))
            # The square root of 2 / pi, as torch writes it.
            inner = g.node("Tanh", g.node("Mul", bent, g.constant(0.7978845608028654, dtype)))
        half = g.node("Mul", x, g.constant(0.5, dtype))
        return g.node("Mul", half, g.node("Add", inner, g.constant(1.0, dtype)))


class SiLU(_Activation):
    """`x * sigmoid(x)`, also known as swish.

    Source: `torch.nn.SiLU`; Elfwing, Uchibe and Doya (arXiv:1702.03118).
    """

    examples = (
        Example("SiLU", x="float[N, 8]"),
        Example("SiLU", x="float[T, N, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Mul", x, g.node("Sigmoid", x))


class _Squashing(Layer):
    """An activation that makes floats of integers."""

    def accept(self, *inputs: Any) -> None:
        expect_tensor(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x if is_float(x.dtype) else x.with_dtype("float32")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node(type(self).__name__, x if is_float(g.type(x).dtype) else g.cast(x, "float32"))


class Sigmoid(_Squashing):
    """`1 / (1 + exp(-x))`; integers become float.

    Source: `torch.nn.Sigmoid`.
    """

    keeps = ("output",)

    examples = (
        Example("Sigmoid", x="float[N, 8]"),
        Example("Sigmoid", x="int[T]"),
    )


class Tanh(_Squashing):
    """The hyperbolic tangent; integers become float.

    Source: `torch.nn.Tanh`.
    """

    keeps = ("output",)

    examples = (
        Example("Tanh", x="float[N, 8]"),
        Example("Tanh", x="bool[T]"),
    )


class Softplus(_Activation):
    """`log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x` is above the threshold.

    Source: `torch.nn.Softplus`.
    """

    beta: float = arg(1.0, gt=0, doc="how sharp the bend is")
    threshold: float = arg(20.0, doc="above it the function is taken as linear")

    examples = (
        Example("Softplus", x="float[N, 8]"),
        Example("Softplus(2.0, threshold=1.5)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        scaled = x if self.beta == 1 else g.node("Mul", x, g.constant(self.beta, dtype))
        y = g.node("Softplus", scaled)
        if self.beta != 1:
            y = g.node("Div", y, g.constant(self.beta, dtype))
        # From 20 on the two differ by less than a float32 can tell.
        if self.threshold >= 20 and dtype != "float64":
            return y
        return g.node("Where", g.node("Greater", scaled, g.constant(self.threshold, dtype)), x, y)


class Hardswish(_Activation):
    """`x * clamp(x + 3, 0, 6) / 6`, a cheap cousin of `SiLU`.

    Source: `torch.nn.Hardswish`; Howard et al., Searching for MobileNetV3 (arXiv:1905.02244).
    """

    examples = (
        Example("Hardswish", x="float[N, 8]"),
        Example("Hardswish", x="float[N, 8, H, W]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("HardSwish", x)


class Step(_Activation):
    """A binary threshold: 0 below zero and 1 from zero on, in the type of the input; its gradient is zero.

    Source: none in torch. The activation of McCulloch and Pitts (1943).
    """

    definition = '''\
class Step(nn.Module):
    """A binary threshold: 0 below zero, 1 from zero on."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x >= 0).to(x.dtype)
'''

    examples = (
        Example("Step", x="float[N, 8]"),
        Example("Step", x="int[T]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_tensor(self, inputs[0])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if dtype == "bool":
            return g.node("Or", x, g.node("Not", x))
        if dtype in ("uint8", "int8", "int16"):
            # ONNX Runtime has no comparison of shorter integers.
            x, at = g.cast(x, "int32"), "int32"
        else:
            at = dtype
        return g.cast(g.node("GreaterOrEqual", x, g.constant(0, at)), dtype)
