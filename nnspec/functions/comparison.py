"""Comparisons and logic: tensors of bools."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions._elementwise import Pair
from nnspec.functions._lowering import kind, tensor
from nnspec.functions._operands import result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, infix
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, TensorType


class _Comparison(Pair):
    """A comparison between two tensors, or a tensor and a number; shapes broadcast, the result is of bools."""

    scalars = ("x", "other")
    keeps = ()

    sign: ClassVar[str]
    negated: ClassVar[bool] = False

    def result(self, x: Operand, other: Operand) -> str:
        return "bool"

    def torch(self, *inputs: Any) -> Code:
        return infix(self.sign, *inputs)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        dtype = result_type(kind(g, x), kind(g, other))
        # Bools have an order in torch, false before true.
        compute = "int32" if dtype == "bool" else dtype
        y = g.node(self.op, tensor(g, x, compute), tensor(g, other, compute))
        return g.node("Not", y) if self.negated else y


class eq(_Comparison):
    """Where `x == other`, broadcast.

    Source: `torch.eq`.
    """

    sign = "=="
    op = "Equal"

    examples = (
        Example("x == y", x="int[N, T]", y="int[N, 1]"),
        Example("x == 0", x="uint8[N]"),
        Example("eq(x, 0.5)", x="int[N]"),
        Example("x == y", x="bool[N]", y="bool[N]"),
    )


class ne(_Comparison):
    """Where `x != other`, broadcast.

    Source: `torch.ne`.
    """

    sign = "!="
    op = "Equal"
    negated = True

    examples = (
        Example("x != y", x="int[N, T]", y="int[T]"),
        Example("x != T", x="int[N, T]"),
    )


class lt(_Comparison):
    """Where `x < other`, broadcast.

    Source: `torch.lt`.
    """

    sign = "<"
    op = "Less"

    examples = (
        Example("x < y", x="float[N, 1]", y="float[4]"),
        Example("x < 0", x="int8[N]"),
        Example("x < y", x="bool[N]", y="bool[N]"),
    )


class le(_Comparison):
    """Where `x <= other`, broadcast.

    Source: `torch.le`.
    """

    sign = "<="
    op = "LessOrEqual"

    examples = (
        Example("x <= y", x="int[T, 1]", y="int[T]"),
        Example("x <= 1.5", x="float64[N]"),
    )


class gt(_Comparison):
    """Where `x > other`, broadcast.

    Source: `torch.gt`.
    """

    sign = ">"
    op = "Greater"

    examples = (
        Example("x > y", x="float[N, 4]", y="int[4]"),
        Example("x > 0", x="float[N]"),
    )


class ge(_Comparison):
    """Where `x >= other`, broadcast.

    Source: `torch.ge`.
    """

    sign = ">="
    op = "GreaterOrEqual"

    examples = (
        Example("x >= y", x="int[T, 1]", y="int[T]"),
        Example("x >= N", x="int[N]"),
    )


class _Logic(Pair):
    """Logic of two tensors; numbers that are not zero count as true."""

    keeps = ()

    def result(self, x: Operand, other: Operand) -> str:
        return "bool"

    def lowered(self, g: OnnxGraph, x: str, other: str, dtype: str) -> Any:
        return g.node(self.op, g.cast(x, "bool"), g.cast(other, "bool"))


class logical_and(_Logic):
    """Where both are true, broadcast; numbers that are not zero count as true.

    Source: `torch.logical_and`.
    """

    op = "And"

    examples = (
        Example("logical_and(x, y)", x="bool[N, T]", y="bool[T]"),
        Example("logical_and(x, y)", x="int[N]", y="float[N]"),
    )


class logical_or(_Logic):
    """Where one or both are true, broadcast; numbers that are not zero count as true.

    Source: `torch.logical_or`.
    """

    op = "Or"

    examples = (
        Example("logical_or(x, y)", x="bool[N, T]", y="bool[N, 1]"),
        Example("logical_or(x, y)", x="uint8[N]", y="bool[N]"),
    )


class logical_not(Function):
    """Where it is false, or zero.

    Source: `torch.logical_not`.
    """

    keeps = ()

    examples = (
        Example("logical_not(x)", x="bool[N, T]"),
        Example("logical_not(x)", x="int[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x).with_dtype("bool")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Not", g.cast(x, "bool"))


class logical_xor(_Logic):
    """Where exactly one is true, broadcast; numbers that are not zero count as true.

    Source: `torch.logical_xor`.
    """

    op = "Xor"

    examples = (
        Example("logical_xor(x, y)", x="bool[N, T]", y="bool[N, 1]"),
        Example("logical_xor(x, y)", x="uint8[N]", y="bool[N]"),
    )
