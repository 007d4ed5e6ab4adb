"""Activations made of straight pieces, as functions."""

from __future__ import annotations

from typing import Any

from nnspec.dims import show
from nnspec.functions._layer_form import LayerForm
from nnspec.functions._operands import same_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Ref, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers.piecewise import Hardshrink, Hardsigmoid, Hardtanh, ReLU6, RReLU, Softshrink, Threshold
from nnspec.types import TensorType


class relu6(LayerForm):
    """`clamp(x, 0, 6)`.

    Source: `torch.nn.functional.relu6`.
    """

    layer = ReLU6

    examples = (
        Example("relu6(x)", x="float[N, 8]"),
        Example("relu6(x)", x="float[N, 8, H, W]"),
    )


class hardtanh(LayerForm):
    """`clamp(x, min_val, max_val)`.

    Source: `torch.nn.functional.hardtanh`.
    """

    layer = Hardtanh
    fields = Hardtanh.fields

    examples = (
        Example("hardtanh(x)", x="float[N, 8]"),
        Example("hardtanh(x, 0, max_val=20)", x="float[N, T, 8]"),
    )


class hardsigmoid(LayerForm):
    """`clamp(x + 3, 0, 6) / 6`, a cheap cousin of `sigmoid`.

    Source: `torch.nn.functional.hardsigmoid`.
    """

    layer = Hardsigmoid

    examples = (
        Example("hardsigmoid(x)", x="float[N, 8]"),
        Example("hardsigmoid(x)", x="float[N, T, 8]"),
    )


class hardshrink(LayerForm):
    """`x` where it is beyond `lambd` on either side, 0 between.

    Source: `torch.nn.functional.hardshrink`.
    """

    layer = Hardshrink
    fields = Hardshrink.fields

    examples = (
        Example("hardshrink(x)", x="float[N, 8]"),
        Example("hardshrink(x, 1)", x="float[N, T, 8]"),
    )


class softshrink(LayerForm):
    """`x` drawn towards 0 by `lambd`, and 0 where it is nearer than that.

    Source: `torch.nn.functional.softshrink`.
    """

    layer = Softshrink
    fields = Softshrink.fields

    examples = (
        Example("softshrink(x)", x="float[N, 8]"),
        Example("softshrink(x, lambd=1)", x="float[N, T, 8]"),
    )


class threshold(LayerForm):
    """`x` where it is above the threshold, `value` elsewhere.

    Source: `torch.nn.functional.threshold`.
    """

    layer = Threshold
    fields = Threshold.fields

    examples = (
        Example("threshold(x, 0.1, 20)", x="float[N, 8]"),
        Example("threshold(x, threshold=0, value=-1)", x="float[N, T, 8]"),
    )


class rrelu(LayerForm):
    """`x` where it is positive, a slope times `x` elsewhere: drawn while the module is trained, the mean after it.

    As `dropout` it follows the mode of the module that it is in. Source: `torch.nn.functional.rrelu`.
    """

    layer = RReLU
    fields = RReLU.fields

    examples = (
        Example("rrelu(x)", x="float[N, 8]"),
        Example("rrelu(x, 0.1, upper=0.3)", x="float[N, T, 8]"),
    )

    def torch(self, *inputs: Any) -> Code:
        return call("F.rrelu", *inputs, **self.options(), training=Ref("self.training"))


class prelu(Function):
    """`x` where it is positive, `weight * x` elsewhere: one weight, or one for each channel of [N, C, ...].

    Source: `torch.nn.functional.prelu`; He and others, Delving deep into rectifiers (arXiv:1502.01852).
    """

    namespace = "F"

    examples = (
        Example("prelu(x, w)", x="float[N, C, H, W]", w="float[C]"),
        Example("prelu(x, w)", x="float[N, 8]", w="float[]"),
        Example("prelu(x, w)", x="float[T]", w="float[1]"),
    )

    def infer(self, rules: Rules, x: TensorType, weight: TensorType) -> TensorType:
        dtype = same_type(self, (expect_float(self, x), expect_tensor(self, weight, 1)))
        if weight.rank > 1:
            raise ShapeError(f"the weight of `prelu` is a vector or a number, not {weight}", code="NNS402", input=1)
        if weight.dims not in ((), (1,)):
            channels = x.dims[1] if x.rank > 1 else 1
            message = f"`prelu` needs one weight, or {show(channels)} for the channels of {x}, but they are {weight}"
            rules.require_equal(weight.dims[0], channels, message, input=1)
        return TensorType(dtype, x.dims)

    def torch(self, *inputs: Any) -> Code:
        return call("F.prelu", *inputs)

    def onnx(self, g: OnnxGraph, x: str, weight: str) -> Any:
        rank, count = g.type(x).rank, g.type(weight).dims
        if rank == 0 and count:
            weight = g.node("Squeeze", weight)
        elif rank > 2 and count not in ((), (1,)):
            weight = g.node("Reshape", weight, g.constant([-1, *[1] * (rank - 2)]))
        if g.type(x).dtype != "float64":
            return g.node("PRelu", x, weight)
        # ONNX Runtime has no kernel for it.
        below = g.node("Min", x, g.constant(0.0, "float64"))
        return g.node("Add", g.node("Relu", x), g.node("Mul", below, weight))
