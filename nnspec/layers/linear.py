"""Affine and bilinear maps of the last dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg, inferred
from nnspec.dims import Size
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layer_inference import Absorbing, rescaled
from nnspec.layers._expect import expect_weight_type, volume
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Part
    from nnspec.layer_memory import Tape


class Linear(Layer):
    """An affine map of the last dimension, `y = x @ weight.T + bias`: [..., in] to [..., out].

    Source: `torch.nn.Linear`.
    """

    in_features: int = inferred(axis=-1)
    out_features: int = arg(ge=1, doc="size of the output's last dimension")
    bias: bool = arg(True, doc="add a learned offset")

    examples = (
        Example("Linear(10)", x="float[N, 784]"),
        Example("Linear(3, bias=false)", x="float[N, T, 8]"),
        Example("Linear(4, in_features=5)", x="float[5]"),
        Example("Linear(6, bias=false)", x="float[3, 5]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_weight_type(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x.with_dims(*x.dims[:-1], self.out_features)

    def weights(self) -> dict[str, Weight]:
        weights = {"weight": Weight((self.out_features, self.in_features))}
        if self.bias:
            weights["bias"] = Weight((self.out_features,))
        return weights

    def absorbing(self, rank: int) -> Absorbing | None:
        return Absorbing(self.replace(bias=True), self._absorbed) if rank == 2 else None

    def _absorbed(self, part: Part, scale: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
        bias = scale * part("bias") + offset if self.bias else offset
        return {"weight": rescaled(part("weight"), scale, 0), "bias": bias}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        return volume(output.dims) * self.in_features

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.linear(m.output, *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        bias = g.weight("bias") if self.bias else None
        if g.type(x).rank == 2:
            return g.node("Gemm", x, g.weight("weight"), bias, transB=1)
        y = g.node("MatMul", x, g.node("Transpose", g.weight("weight"), perm=[1, 0]))
        return g.node("Add", y, bias) if bias else y


class Bilinear(Layer):
    """A bilinear form of two inputs, `y_o = x1 @ weight[o] @ x2 + bias_o`: [..., in1] and [..., in2] to [..., out].

    The inputs agree in all dimensions but the last. Its cost is that of the product with `x1` and then with `x2`.
    Source: `torch.nn.Bilinear`.
    """

    in1_features: int = inferred(axis=-1)
    in2_features: int = inferred(axis=-1, input=1)
    out_features: int = arg(ge=1, doc="size of the output's last dimension")
    bias: bool = arg(True, doc="add a learned offset")

    examples = (
        Example("Bilinear(5)", macs=2 * 5 * (3 * 4 + 4), input1="float[N, 3]", input2="float[N, 4]"),
        Example("Bilinear(2, bias=false)", macs=4 * 2 * (3 * 3 + 3), input1="float[N, T, 3]", input2="float[N, T, 3]"),
        Example("Bilinear(3)", macs=3 * (2 * 6 + 6), input1="float[2]", input2="float[6]"),
    )

    def accept(self, *inputs: Any) -> None:
        first, second = (expect_weight_type(self, x, i) for i, x in enumerate(inputs))
        if first.rank != second.rank:
            raise ShapeError(
                f"`Bilinear` needs two inputs of the same rank, but they are {first} and {second}",
                code="NNS402",
                input=1,
            )

    def infer(self, rules: Rules, input1: TensorType, input2: TensorType) -> TensorType:
        for axis, (a, b) in enumerate(zip(input1.dims[:-1], input2.dims[:-1], strict=True)):
            rules.require_equal(
                a,
                b,
                f"the inputs of `Bilinear`, {input1} and {input2}, differ in dimension {axis}",
                label="all dimensions but the last must be the same",
                input=1,
            )
        return input1.with_dims(*input1.dims[:-1], self.out_features)

    def weights(self) -> dict[str, Weight]:
        weights = {"weight": Weight((self.out_features, self.in1_features, self.in2_features))}
        if self.bias:
            weights["bias"] = Weight((self.out_features,))
        return weights

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        return volume(output.dims) * (self.in1_features + 1) * self.in2_features

    def onnx(self, g: OnnxGraph, input1: str, input2: str) -> Any:
        # x1 [..., i] @ [i, o * j], seen as [..., o, j], times x2 [..., j, 1].
        matrix = g.array("weight").transpose(1, 0, 2).reshape(self.in1_features, -1)
        rows = g.node("MatMul", input1, g.initializer(matrix, "weight"))
        lead = [0] * (g.type(input1).rank - 1)
        rows = g.node("Reshape", rows, g.constant([*lead, self.out_features, self.in2_features]))
        column = g.node("Unsqueeze", input2, g.constant([-1]))
        y = g.node("Squeeze", g.node("MatMul", rows, column), g.constant([-1]))
        return g.node("Add", y, g.weight("bias")) if self.bias else y
