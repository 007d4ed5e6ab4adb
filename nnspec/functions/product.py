"""Products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.dims import Size, show
from nnspec.functions._lowering import computed
from nnspec.functions._operands import expect_numbers, result_type, same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, infix
from nnspec.layers._expect import counted, expect_tensor, volume
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class matmul(Function):
    """The matrix product `x @ other`: [..., n, k] and [..., k, m] to [..., n, m], the dimensions in front broadcast.

    A vector counts as a row on the left and as a column on the right. Source: `torch.matmul`.
    """

    of_complex = "product"

    examples = (
        Example("x @ y", x="float[N, 3]", y="float[3, 5]"),
        Example("x @ y", x="float[N, 1, T, 8]", y="float[4, 8, S]"),
        Example("matmul(x, y)", x="float[T, 8]", y="float[8]", macs=16),
        Example("x @ y", x="float[8]", y="float[N, 8, 3]"),
        Example("x @ y", x="int[T]", y="int[T]", macs=2),
        Example("x @ y", x="int8[N, 3]", y="int8[3, 2]"),
        Example("view_as_real(view_as_complex(x) @ fft(y))", x="float[N, 3, 2]", y="float[3, 5]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = expect_numbers(self, x), expect_numbers(self, other, 1)
        dtype = same_type(self, (x, other))
        for position, operand in enumerate((x, other)):
            if not operand.rank:
                raise ShapeError(
                    f"`@` needs vectors or matrices, but one operand is {operand}",
                    code="NNS402",
                    input=position,
                    helps=("multiply by a number with `*`",),
                )
        left, right = x.dims[-1], other.dims[-2 if other.rank > 1 else -1]
        rules.require_equal(
            left,
            right,
            f"`@` cannot multiply {shape_text(x.dims)} by {shape_text(other.dims)}: "
            f"{counted(left, 'column')} meet{'s' * (left == 1)} {counted(right, 'row')}",
            label=f"{show(left)} and {show(right)} should be the same",
            helps=self._advice(rules, x, other),
        )
        batch = rules.broadcast(x.dims[:-2], other.dims[:-2])
        return TensorType(dtype, (*batch, *x.dims[-2:-1], *(other.dims[-1:] if other.rank > 1 else ())))

    def _advice(self, rules: Rules, x: TensorType, other: TensorType) -> tuple[str, ...]:
        if other.rank > 1 and rules.equal(x.dims[-1], other.dims[-1]):
            return ("the right operand seems to be transposed: `x @ transpose(y, -2, -1)`",)
        return ()

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        return volume(output.dims) * x.dims[-1]

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.matmul(m.output, *inputs)

    def torch(self, *inputs: Any) -> Code:
        return infix("@", *inputs)

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        return computed(g, "MatMul", (x, other), g.type(x).dtype)


class outer(Function):
    """All products of the elements of two vectors: [n] and [m] to [n, m].

    Source: `torch.outer`.
    """

    examples = (
        Example("outer(x, y)", x="float[T]", y="float[4]"),
        Example("outer(x, y)", x="int[T]", y="float[S]"),
        Example("outer(x, y)", x="bool[T]", y="bool[T]"),
    )

    def infer(self, rules: Rules, x: TensorType, vec2: TensorType) -> TensorType:
        for position, operand in enumerate((x, vec2)):
            if expect_tensor(self, operand, position).rank != 1:
                raise ShapeError(
                    f"`outer` needs two vectors, but one operand is {operand}",
                    code="NNS402",
                    label=f"has {operand.rank} dimension{'' if operand.rank == 1 else 's'}",
                    input=position,
                )
        return TensorType(result_type(x, vec2), (*x.dims, *vec2.dims))

    def onnx(self, g: OnnxGraph, x: str, vec2: str) -> Any:
        dtype = result_type(g.type(x), g.type(vec2))
        column = g.node("Unsqueeze", g.cast(x, dtype), g.constant([1]))
        return computed_pair(g, column, vec2, dtype)


def computed_pair(g: OnnxGraph, x: str, y: str, dtype: str) -> Any:
    """The broadcast product of two values."""
    return computed(g, "And" if dtype == "bool" else "Mul", (x, y), dtype)
