"""Division: quotients, rounded down or not at all, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.functions._complex import Number, quotient
from nnspec.functions._lowering import narrowed, tensor, towards_zero
from nnspec.functions._operands import as_float, category_of, result_type
from nnspec.functions._operator import Operator
from nnspec.layer import Example, OnnxGraph, ShapeError
from nnspec.types import Operand, Scalar, is_float

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class div(Operator):
    """The quotient `x / other`, broadcast; a float for integers too, unless it is rounded.

    Source: `torch.div`.
    """

    rounding_mode: Literal["trunc", "floor"] | None = arg(
        None, doc="round it towards zero, or down, which leaves integers integers", keyword=True
    )

    sign = "/"
    op = "Div"

    examples = (
        Example("x / y", x="float[N, 8]", y="float[N, 1]"),
        Example("x / 4", x="int[N]"),
        Example("1.0 / x", x="float[N]"),
        Example("x / T", x="float[N, T]"),
        Example("div(x, y)", x="int[N]", y="int[]"),
        Example('div(x, 3, rounding_mode="trunc")', x="int8[N]"),
        Example('div(x, y, rounding_mode="trunc")', x="float[N, 4]", y="float[4]"),
        Example('div(x, y, rounding_mode="floor")', x="float[N, 4]", y="float[N, 1]"),
        Example("view_as_real(1 / view_as_complex(x))", x="float[N, 3, 2]"),
    )

    def neutral(self, dtype: str) -> float | None:
        return None if self.rounding_mode else 1

    def result(self, x: Operand, other: Operand) -> str:
        if self.rounding_mode is None:
            return as_float(result_type(x, other))
        if 3 in (category_of(x), category_of(other)):
            raise self.refuse(x, other, "complex numbers are not rounded")
        if isinstance(x, Scalar):
            raise ShapeError(
                f"`div` with a rounding mode takes a tensor first, not the number {x}",
                code="NNS402",
                label="a number",
                input=0,
            )
        return self.expect_not_bool(x, other)

    def lowered_complex(self, g: OnnxGraph, x: Number, other: Number, dtype: str) -> str:
        return quotient(g, x, other, dtype)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        if self.rounding_mode == "floor":
            return floor_divide().lowered(g, x, other, dtype)
        y = super().lowered(g, x, other, dtype)
        # Div of integers rounds towards zero by itself.
        return towards_zero(g, y) if self.rounding_mode and is_float(dtype) else y

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x, other = inputs
        floored = self.rounding_mode is not None
        return m.op(m.output, x, other, keeps=() if floored else [other, x if m.flows_to(other) else None])


class floor_divide(Operator):
    """The quotient rounded down, `x // other`, broadcast: -7 // 2 is -4.

    Source: `torch.floor_divide`.
    """

    sign = "//"

    keeps = ()
    of_complex = ""

    examples = (
        Example("x // 3", x="int[N]"),
        Example("x // y", x="float[N, 4]", y="float[4]"),
        Example("floor_divide(x, -2)", x="int8[N]"),
    )

    def result(self, x: Operand, other: Operand) -> str:
        return self.expect_not_bool(x, other)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        a, b = tensor(g, x, dtype), tensor(g, other, dtype)
        if is_float(dtype):
            return _floor_of_floats(g, a, b, dtype)
        # Div rounds towards zero; Mod has the sign of the divisor, so that what is left divides exactly.
        y: str = g.node("Div", g.node("Sub", a, g.node("Mod", a, b)), b)
        return narrowed(g, y, dtype)


def _floor_of_floats(g: OnnxGraph, a: str, b: str, dtype: str) -> str:
    """Torch's way: the remainder decides, since rounding can lift a quotient to the next whole number."""
    rest, one = g.node("Mod", a, b, fmod=1), g.constant(1.0, dtype)
    quotient = g.node("Div", g.node("Sub", a, rest), b)
    quotient = g.node("Where", _differ(g, rest, b, dtype), g.node("Sub", quotient, one), quotient)
    whole = g.node("Floor", quotient)
    above = g.node("Greater", g.node("Sub", quotient, whole), g.constant(0.5, dtype))
    y = g.node("Where", above, g.node("Add", whole, one), whole)
    return str(g.node("Where", g.node("Equal", b, g.constant(0.0, dtype)), g.node("Div", a, b), y))


def _signed_remainder(g: OnnxGraph, a: str, b: str, dtype: str) -> str:
    """The remainder of floats with the sign of the divisor; Mod of floats has that of the dividend."""
    rest = g.node("Mod", a, b, fmod=1)
    return str(g.node("Where", _differ(g, rest, b, dtype), g.node("Add", rest, b), rest))


def _differ(g: OnnxGraph, a: str, b: str, dtype: str) -> str:
    """Where one of two floats is above zero and the other below."""
    return str(g.node("Less", g.node("Mul", g.node("Sign", a), g.node("Sign", b)), g.constant(0.0, dtype)))


class remainder(Operator):
    """What a division rounded down leaves, `x % other`, with the sign of `other`.

    Source: `torch.remainder`.
    """

    sign = "%"
    op = "Mod"
    of_complex = ""

    examples = (
        Example("x % 3", x="int[N]"),
        Example("x % y", x="float[N, 4]", y="float[4]"),
        Example("remainder(x, T)", x="int[N, T]"),
        Example("x % -5", x="int8[N]"),
    )

    def result(self, x: Operand, other: Operand) -> str:
        return self.expect_not_bool(x, other)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        if is_float(dtype):
            return _signed_remainder(g, tensor(g, x, dtype), tensor(g, other, dtype), dtype)
        return super().lowered(g, x, other, dtype)
