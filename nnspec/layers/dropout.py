"""Random zeros while training."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_float
from nnspec.types import TensorType


class Dropout(Layer):
    """Zeroes elements with probability `p` while training, and scales the others by `1 / (1 - p)`: any shape.

    Source: `torch.nn.Dropout`; Hinton et al., Improving neural networks by preventing co-adaptation (arXiv:1207.0580).
    """

    p: float = arg(0.5, ge=0, le=1, doc="probability of a zero")

    examples = (
        Example("Dropout", x="float[N, 8]"),
        Example("Dropout(0.1)", x="float[N, T, 8]"),
        Example("Dropout(p=0)", x="float16[N]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x
