"""Activations made of straight pieces: bounded and with dead zones, functions of each element by itself."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float
from nnspec.types import TensorType


class _Piecewise(Layer):
    """An activation of float tensors of any shape."""

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x


class ReLU6(_Piecewise):
    """`clamp(x, 0, 6)`.

    Source: `torch.nn.ReLU6`; Sandler et al., MobileNetV2 (arXiv:1801.04381).
    """

    examples = (
        Example("ReLU6", x="float[N, 8]"),
        Example("ReLU6", x="float[N, 8, H, W]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        return g.node("Clip", x, g.constant(0.0, dtype), g.constant(6.0, dtype))


class Hardtanh(_Piecewise):
    """`clamp(x, min_val, max_val)`.

    Source: `torch.nn.Hardtanh`.
    """

    min_val: float = arg(-1.0, doc="the smallest result")
    max_val: float = arg(1.0, doc="the largest result")

    examples = (
        Example("Hardtanh", x="float[N, 8]"),
        Example("Hardtanh(-0.5, 2.0)", x="float[N, T, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if self.min_val >= self.max_val:
            raise ShapeError(
                f"`{type(self).__name__}` needs min_val below max_val, not {self.min_val:g} and {self.max_val:g}",
                code="NNS304",
                at="max_val" if self.max_val != 1.0 else "min_val",
            )
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        return g.node("Clip", x, g.constant(self.min_val, dtype), g.constant(self.max_val, dtype))


class Hardsigmoid(_Piecewise):
    """`clamp(x + 3, 0, 6) / 6`, a cheap cousin of `Sigmoid`.

    Source: `torch.nn.Hardsigmoid`; Howard et al., Searching for MobileNetV3 (arXiv:1905.02244).
    """

    examples = (
        Example("Hardsigmoid", x="float[N, 8]"),
        Example("Hardsigmoid", x="float[N, 8, H, W]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)


class Hardshrink(_Piecewise):
    """`x` where it is beyond `lambd` on either side, 0 between.

    Source: `torch.nn.Hardshrink`.
    """

    lambd: float = arg(0.5, doc="half of the width of the dead zone; below 0 there is none")

    examples = (
        Example("Hardshrink", x="float[N, 8]"),
        Example("Hardshrink(1.5)", x="float[N, T, 8]"),
        Example("Hardshrink(-0.5)", x="float[N, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        # Not by Shrink, which makes 0 of what is no number.
        dtype = g.type(x).dtype
        near = g.node("LessOrEqual", g.node("Abs", x), g.constant(self.lambd, dtype))
        return g.node("Where", near, g.constant(0.0, dtype), x)


class Softshrink(_Piecewise):
    """`x` drawn towards 0 by `lambd`, and 0 where it is nearer than that.

    Source: `torch.nn.Softshrink`.
    """

    lambd: float = arg(0.5, ge=0, doc="how far every number is drawn towards 0")

    examples = (
        Example("Softshrink", x="float[N, 8]"),
        Example("Softshrink(1.5)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        return g.node("Sub", x, g.node("Clip", x, g.constant(-self.lambd, dtype), g.constant(self.lambd, dtype)))


class Threshold(_Piecewise):
    """`x` where it is above the threshold, `value` elsewhere.

    Source: `torch.nn.Threshold`. The threshold unit of McCulloch and Pitts is `Step`.
    """

    threshold: float = arg(doc="where x begins to pass")
    value: float = arg(doc="what stands for the others")

    examples = (
        Example("Threshold(0.1, 20.0)", x="float[N, 8]"),
        Example("Threshold(threshold=-1, value=0)", x="float[N, T, 8]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        # What is no number is not below, and stays.
        below = g.node("LessOrEqual", x, g.constant(self.threshold, dtype))
        return g.node("Where", below, g.constant(self.value, dtype), x)


class RReLU(_Piecewise):
    """`x` where it is positive, a slope times `x` elsewhere: drawn for each element while training, the mean after it.

    Source: `torch.nn.RReLU`; Xu et al., Empirical evaluation of rectified activations (arXiv:1505.00853).
    """

    lower: float = arg(1.0 / 8, doc="the least slope that is drawn")
    upper: float = arg(1.0 / 3, doc="the largest slope that is drawn")

    examples = (
        Example("RReLU", x="float[N, 8]"),
        Example("RReLU(0.1, upper=0.3)", x="float[N, T, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if self.lower > self.upper:
            message = f"`{type(self).__name__}` draws slopes from {self.lower:g} to {self.upper:g}, and there are none"
            raise ShapeError(message, code="NNS304", at="lower", helps=("the lower bound comes first",))
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        slope, dtype = (self.lower + self.upper) / 2, g.type(x).dtype
        if dtype != "float64":
            return g.node("LeakyRelu", x, alpha=slope)
        # ONNX Runtime has no such kernel, and an attribute is no float64.
        above = g.node("Greater", x, g.constant(0.0, dtype))
        return g.node("Where", above, x, g.node("Mul", x, g.constant(slope, dtype)))
