"""Logic of bits: of bools, and of whole numbers bit by bit."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions._lowering import computed, wide
from nnspec.functions._operands import broadcast, result_type
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError, Unsupported
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType, is_float, show_dtype


def _expect_bits(function: Function, operand: Any, input: int = 0) -> TensorType:
    x = expect_tensor(function, operand, input)
    if is_float(x.dtype):
        raise ShapeError(
            f"`{type(function).__name__}` needs bools or whole numbers, but its input is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
        )
    return x


def _require_opset(function: Function, g: OnnxGraph, dtype: str) -> None:
    if dtype != "bool" and g.opset < 18:
        raise Unsupported(f"`{type(function).__name__}` of whole numbers needs ONNX operator set 18")


class _Bitwise(Function):
    """Logic of two tensors, broadcast; types are promoted."""

    of_bools: ClassVar[str]

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        x, other = _expect_bits(self, x), _expect_bits(self, other, 1)
        return TensorType(result_type(x, other), broadcast(rules, x, other))

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        dtype = result_type(g.type(x), g.type(other))
        _require_opset(self, g, dtype)
        return computed(g, self.of_bools if dtype == "bool" else f"Bitwise{self.of_bools}", (x, other), dtype)


class bitwise_and(_Bitwise):
    """Where both are true, broadcast; of whole numbers, each bit by itself.

    Source: `torch.bitwise_and`.
    """

    of_bools = "And"

    examples = (
        Example("bitwise_and(x, y)", x="bool[N, T]", y="bool[T]"),
        Example("bitwise_and(x, y)", x="bool[N, 1]", y="bool[]"),
    )


class bitwise_or(_Bitwise):
    """Where one or both are true, broadcast; of whole numbers, each bit by itself.

    Source: `torch.bitwise_or`.
    """

    of_bools = "Or"

    examples = (
        Example("bitwise_or(x, y)", x="bool[N, T]", y="bool[T]"),
        Example("bitwise_or(x, y)", x="bool[N, 1]", y="bool[]"),
    )


class bitwise_xor(_Bitwise):
    """Where exactly one is true, broadcast; of whole numbers, each bit by itself.

    Source: `torch.bitwise_xor`.
    """

    of_bools = "Xor"

    examples = (
        Example("bitwise_xor(x, y)", x="bool[N, T]", y="bool[T]"),
        Example("bitwise_xor(x, y)", x="bool[N, 1]", y="bool[]"),
    )


class bitwise_not(Function):
    """Where it is false; of whole numbers, each bit by itself.

    Source: `torch.bitwise_not`.
    """

    examples = (
        Example("bitwise_not(x)", x="bool[N, T]"),
        Example("bitwise_not(x)", x="bool[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _expect_bits(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        _require_opset(self, g, dtype)
        if dtype == "bool":
            return g.node("Not", x)
        compute = dtype if dtype == "uint8" else wide(dtype)
        return g.cast(g.node("BitwiseNot", g.cast(x, compute)), dtype)
