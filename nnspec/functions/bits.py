"""Logic of bits: of bools, and of whole numbers bit by bit."""

from __future__ import annotations

from typing import Any

from nnspec.functions._elementwise import Pair
from nnspec.functions._lowering import computed, tensor
from nnspec.functions._operands import category_of, result_type
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, TensorType, show_dtype


def _expect_bits(function: Function, operand: Operand, input: int = 0) -> None:
    """Refuse an operand that is a float."""
    if category_of(operand) == 2:
        raise ShapeError(
            f"`{type(function).__name__}` needs bools or whole numbers, but its input is {operand}",
            code="NNS406",
            label=f"is of type {show_dtype(operand.dtype) if isinstance(operand, TensorType) else 'float'}",
            input=input,
        )


_WIDTHS = {"uint8": 8, "int8": 8, "int16": 16, "int32": 32, "int64": 64}
"""How many bits a type has."""


class _Bits(Pair):
    """A function of two operands that are no floats; either may be a number."""

    keeps = ()
    scalars = ("x", "other")

    def result(self, x: Operand, other: Operand) -> str:
        _expect_bits(self, x)
        _expect_bits(self, other, 1)
        return result_type(x, other)


class _Bitwise(_Bits):
    """Logic of two operands, bit by bit."""

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        if dtype == "bool":
            return super().lowered(g, x, other, dtype)
        if g.opset >= 18:
            return computed(g, f"Bitwise{self.of_bools}", (x, other), dtype)
        # Older operator sets have logic of bools alone.
        bits = g.node(self.of_bools, *(_taken_apart(g, tensor(g, v, dtype), dtype) for v in (x, other)))
        # A product, since run-times take sums of integers through floats, which lose digits.
        return g.cast(g.node("MatMul", g.cast(bits, "int64"), _powers(g, _WIDTHS[dtype])), dtype)


def _powers(g: OnnxGraph, count: int) -> str:
    """What the bits of a number stand for, the first `count` of them, in int64, where the last of 64 is negative."""
    return g.constant([2**n for n in range(min(count, 63))] + [-(2**63)] * (count == 64))


def _taken_apart(g: OnnxGraph, x: str, dtype: str) -> str:
    """The bits of whole numbers along a new last dimension, the lowest first."""
    wide_x = g.node("Unsqueeze", g.cast(x, "int64"), g.constant([-1]))
    powers, two = _powers(g, min(_WIDTHS[dtype], 63)), g.constant(2)
    bits = g.cast(g.node("Mod", _halved(g, wide_x, powers), two), "bool")
    return str(g.node("Concat", bits, g.node("Less", wide_x, g.constant(0)), axis=-1)) if dtype == "int64" else bits


def _halved(g: OnnxGraph, x: str, power: str) -> str:
    """Numbers divided by others above zero, rounded down."""
    return str(g.node("Div", g.node("Sub", x, g.node("Mod", x, power)), power))


class bitwise_and(_Bitwise):
    """Where both are true, broadcast; of whole numbers, each bit by itself.

    Source: `torch.bitwise_and`.
    """

    of_bools = "And"

    examples = (
        Example("bitwise_and(x, y)", x="bool[N, T]", y="bool[T]"),
        Example("bitwise_and(x, y)", x="bool[N, 1]", y="bool[]"),
        Example("bitwise_and(x, true)", x="bool[N]"),
        Example("bitwise_and(x, y)", x="int[N, 4]", y="int8[4]"),
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
        x = expect_tensor(self, x)
        _expect_bits(self, x)
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        # Of whole numbers it is -1 - x, for which no operator of newer sets is needed.
        return g.node("Not", x) if dtype == "bool" else computed(g, "Sub", (-1, x), dtype)


class _Shift(_Bits):
    """Whole numbers with their bits moved. ONNX moves those of unsigned numbers only: powers of two do it for all."""

    def result(self, x: Operand, other: Operand) -> str:
        dtype = super().result(x, other)
        if dtype == "bool":
            raise ShapeError(
                f"`{type(self).__name__}` needs whole numbers, but its inputs are {x} and {other}",
                code="NNS406",
                label="bools have one bit",
                helps=("convert one of them: `to(x, int)`",),
            )
        return dtype

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        # An operand that does not fit the type of the result wraps before anything else happens to it.
        number, places = (g.cast(tensor(g, v, dtype), "int64") for v in (x, other))
        return g.cast(self.moved(g, number, places, dtype), dtype)

    def moved(self, g: OnnxGraph, x: str, places: str, dtype: str) -> str:
        """The result in int64, of operands in int64. Abstract: each direction says it."""
        raise NotImplementedError


def _outside(g: OnnxGraph, places: str, end: int) -> str:
    """Where the number of places is negative, or `end` or more."""
    return str(g.node("Or", g.node("Less", places, g.constant(0)), g.node("GreaterOrEqual", places, g.constant(end))))


class bitwise_left_shift(_Shift):
    """The bits of x moved up by `other` places, broadcast: `x * 2 ** other`, less what does not fit the type.

    Source: `torch.bitwise_left_shift`.
    """

    examples = (
        Example("bitwise_left_shift(x, y)", x="int[N, T]", y="int[T]"),
        Example("bitwise_left_shift(x, 3)", x="int8[N]"),
        Example("bitwise_left_shift(1, x)", x="uint8[N]"),
    )

    def moved(self, g: OnnxGraph, x: str, places: str, dtype: str) -> str:
        gone = _outside(g, places, _WIDTHS[dtype])
        zero = g.constant(0)
        product = g.node("Mul", x, g.node("Gather", _powers(g, 64), g.node("Where", gone, zero, places)))
        return str(g.node("Where", gone, zero, product))


class bitwise_right_shift(_Shift):
    """The bits of x moved down by `other` places, broadcast: `x // 2 ** other`.

    Source: `torch.bitwise_right_shift`.
    """

    examples = (
        Example("bitwise_right_shift(x, y)", x="int[N, T]", y="int[T]"),
        Example("bitwise_right_shift(x, 1)", x="int8[N]"),
    )

    def moved(self, g: OnnxGraph, x: str, places: str, dtype: str) -> str:
        most = _WIDTHS[dtype] - (dtype != "uint8")
        count = g.node("Where", _outside(g, places, most), g.constant(most), places)
        y = _halved(g, x, g.node("Gather", _powers(g, 63), g.node("Min", count, g.constant(62))))
        if most < 63:
            return str(y)
        # 2 ** 63 is no int64: of what is moved by that much, the sign alone is left.
        sign = g.node("Where", g.node("Less", x, g.constant(0)), g.constant(-1), g.constant(0))
        return str(g.node("Where", g.node("Equal", count, g.constant(63)), sign, y))
