"""Gates: a part of the input decides how much of the rest passes."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._expect import expect_axis, expect_float
from nnspec.types import TensorType


class GLU(Layer):
    """One half along `dim` times the sigmoid of the other: [..., 2 D] to [..., D].

    Source: `torch.nn.GLU`; Dauphin et al., Language modeling with gated convolutional networks (arXiv:1612.08083).
    """

    dim: int = arg(-1, doc="the dimension that is halved")

    examples = (
        Example("GLU", x="float[N, 8]"),
        Example("GLU(1)", x="float[N, 6, T]"),
        Example("GLU(dim=0)", x="float[4, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_float(self, inputs[0])
        expect_axis(self, x, "dim", self.dim)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        at = self.dim % x.rank
        half: Size = rules.exact(
            x.dims[at],
            2,
            f"`{type(self).__name__}` needs an even size in dimension {at} of {x}, not {show(x.dims[at])}",
            code="NNS404",
            label=f"{show(x.dims[at])} cannot be halved",
            at="dim",
        )
        return x.with_dims(*x.dims[:at], half, *x.dims[at + 1 :])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        size = g.type(x).dims[self.dim]
        value, gate = g.node("Split", x, g.shape([size // 2] * 2), outputs=2, axis=self.dim)
        return g.node("Mul", value, g.node("Sigmoid", gate))
