"""Functions of two numbers that the language has no operators for: angles, signs, sums of exponentials, divisors."""

from __future__ import annotations

from math import inf, log, nan, pi
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._elementwise import Pair, RealPair
from nnspec.functions._lowering import computed, narrowed, negative, tensor
from nnspec.functions._operands import as_float, category_of, same_type
from nnspec.functions.transcendental import log1p
from nnspec.layer import Example, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, TensorType, is_float


class atan2(RealPair):
    """The angle of the point with height x and width `other`, from -pi to pi, broadcast; integers become float.

    Source: `torch.atan2`.
    """

    scalars = ()

    examples = (
        Example("atan2(x, y)", x="float[N, 8]", y="float[8]"),
        Example("atan2(x, y)", x="int[N, 8]", y="uint8[N, 1]"),
    )

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        """The angle in the first half quadrant, which the sizes of both give, mirrored to where the point is."""
        height, width = tensor(g, x, dtype), tensor(g, other, dtype)
        zero, one = g.constant(0.0, dtype), g.constant(1.0, dtype)
        up, right = g.node("Abs", height), g.node("Abs", width)
        least, most = g.node("Min", up, right), g.node("Max", up, right)
        # Two that are equal are 1 apart, be they infinite or zero.
        even = g.node("And", g.node("Equal", least, most), g.node("Greater", most, zero))
        ratio = g.node("Div", least, g.node("Where", g.node("Equal", most, zero), one, most))
        angle = g.node("Atan", g.node("Where", even, one, ratio))
        quarter, half = g.constant(pi / 2, dtype), g.constant(pi, dtype)
        angle = g.node("Where", g.node("Greater", up, right), g.node("Sub", quarter, angle), angle)
        angle = g.node("Where", negative(g, width, dtype), g.node("Sub", half, angle), angle)
        angle = g.node("Where", negative(g, height, dtype), g.node("Neg", angle), angle)
        unknown = g.node("Or", g.node("IsNaN", height), g.node("IsNaN", width))
        return g.node("Where", unknown, g.constant(nan, dtype), angle)


class copysign(RealPair):
    """The size of x with the sign of `other`, broadcast; integers become float.

    Source: `torch.copysign`.
    """

    scalars = ("other",)

    examples = (
        Example("copysign(x, y)", x="float[N, 8]", y="float[8]"),
        Example("copysign(x, -1)", x="int[N]"),
    )

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        signs = g.constant(-1.0, dtype), g.constant(1.0, dtype)
        sign = g.node("Where", negative(g, tensor(g, other, dtype), dtype), *signs)
        # A product, since ONNX Runtime's Where makes 0.0 of -0.0.
        return g.node("Mul", g.node("Abs", tensor(g, x, dtype)), sign)


class fmod(Pair):
    """What a division rounded towards zero leaves, with the sign of x, broadcast.

    Source: `torch.fmod`.
    """

    scalars = ("other",)
    op = "Mod"

    examples = (
        Example("fmod(x, y)", x="float[N, 8]", y="float[8]"),
        Example("fmod(x, 3)", x="int8[N]"),
        Example("fmod(x, -2.5)", x="int[N]"),
    )

    def result(self, x: Operand, other: Operand) -> str:
        dtype = super().result(x, other)
        if dtype == "bool":
            raise ShapeError(
                f"`fmod` needs numbers, but its inputs are {x} and {other}", code="NNS406", label="not numbers", input=0
            )
        return dtype

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        return computed(g, "Mod", (x, other), dtype, fmod=1)


class _Known(Pair):
    """One of two elements, or the one that is a number where the other is none."""

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        if not is_float(dtype):
            return super().lowered(g, x, other, dtype)
        a, b = tensor(g, x, dtype), tensor(g, other, dtype)
        y = g.node("Where", g.node("IsNaN", b), a, g.node(self.op, a, b))
        return g.node("Where", g.node("IsNaN", a), b, y)


class fmax(_Known):
    """The larger of two elements, or the only one that is not nan, broadcast.

    Source: `torch.fmax`.
    """

    op, of_bools = "Max", "Or"

    examples = (
        Example("fmax(x, y)", x="float[N, 8]", y="float[8]"),
        Example("fmax(x / x, y)", x="int[N]", y="int[N]"),
    )


class fmin(_Known):
    """The smaller of two elements, or the only one that is not nan, broadcast.

    Source: `torch.fmin`.
    """

    op, of_bools = "Min", "And"

    examples = (
        Example("fmin(x, y)", x="float[N, 8]", y="float[8]"),
        Example("fmin(x, y)", x="bool[N]", y="bool[N]"),
    )


class _FloatPair(Pair):
    """A function of two tensors, one of which is of floats."""

    def result(self, x: Operand, other: Operand) -> str:
        dtype = super().result(x, other)
        if not is_float(dtype):
            raise ShapeError(
                f"`{type(self).__name__}` needs floats, but its inputs are {x} and {other}",
                code="NNS406",
                label="neither is of floats",
                helps=("convert one of them: `to(x, float)`",),
            )
        return dtype


class hypot(_FloatPair):
    """`sqrt(x ** 2 + other ** 2)`, without overflow, broadcast.

    Source: `torch.hypot`.
    """

    examples = (
        Example("hypot(x, y)", x="float[N, 8]", y="float[8]"),
        Example("hypot(x, y)", x="float[N]", y="float64[]"),
    )

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        zero, one = g.constant(0.0, dtype), g.constant(1.0, dtype)
        a, b = (g.node("Abs", tensor(g, v, dtype)) for v in (x, other))
        least, most = g.node("Min", a, b), g.node("Max", a, b)
        ratio = g.node("Div", least, g.node("Where", g.node("Equal", most, zero), one, most))
        length = g.node("Mul", most, g.node("Sqrt", g.node("Add", g.node("Mul", ratio, ratio), one)))
        # A side that is infinite settles it, whatever the other.
        end = g.constant(inf, dtype)
        endless = g.node("Or", g.node("Equal", a, end), g.node("Equal", b, end))
        return g.node("Where", endless, end, length)


class _LogSum(_FloatPair):
    """The logarithm of a sum of two powers of one base."""

    base: ClassVar[float]
    """The natural logarithm of the base."""

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        a, b = tensor(g, x, dtype), tensor(g, other, dtype)
        scale = g.constant(self.base, dtype)
        apart = g.node("Abs", g.node("Sub", a, b))
        added = log1p().lowered(g, g.node("Exp", g.node("Neg", g.node("Mul", apart, scale))), dtype)
        y = g.node("Add", g.node("Max", a, b), g.node("Div", added, scale))
        alike = g.node("And", g.node("Equal", a, b), g.node("Equal", g.node("Abs", a), g.constant(inf, dtype)))
        return g.node("Where", alike, a, y)


class logaddexp(_LogSum):
    """`log(exp(x) + exp(other))`, without overflow, broadcast.

    Source: `torch.logaddexp`.
    """

    base = 1.0

    examples = (
        Example("logaddexp(x, y)", x="float[N, 8]", y="float[8]"),
        Example("logaddexp(100 * x, y)", x="float[N]", y="float[]"),
    )


class logaddexp2(_LogSum):
    """`log2(2 ** x + 2 ** other)`, without overflow, broadcast.

    Source: `torch.logaddexp2`.
    """

    base = log(2)

    examples = (
        Example("logaddexp2(x, y)", x="float[N, 8]", y="float[8]"),
        Example("logaddexp2(100 * x, y)", x="float[N]", y="float[]"),
    )


class heaviside(Pair):
    """0 where x is negative, 1 where it is positive, and the element of `values` where it is zero, broadcast.

    Source: `torch.heaviside`.
    """

    keeps = ()
    examples = (
        Example("heaviside(x, y)", x="float[N, 8]", y="float[]"),
        Example("heaviside(x, y)", x="int[N, 8]", y="int[8]"),
    )

    def infer(self, rules: Rules, x: Operand, values: Operand) -> TensorType:
        return super().infer(rules, x, values)

    def result(self, x: Operand, other: Operand) -> str:
        return same_type(self, (expect_tensor(self, x), expect_tensor(self, other, 1)))

    def lowered(self, g: OnnxGraph, x: str, other: str, dtype: str) -> Any:
        compute = "int32" if dtype == "bool" else dtype
        a, b = tensor(g, x, compute), tensor(g, other, compute)
        zero = tensor(g, 0, compute)
        step = g.node("Where", g.node("Greater", a, zero), tensor(g, 1, compute), zero)
        return g.cast(g.node("Where", g.node("Equal", a, zero), b, step), dtype)


class ldexp(RealPair):
    """`x * 2 ** other`, broadcast; integers become float.

    Source: `torch.ldexp`.
    """

    examples = (
        Example("ldexp(x, y)", x="float[N, 8]", y="int[8]"),
        Example("ldexp(x, y)", x="int[N]", y="float64[]"),
    )

    scalars = ()

    def result(self, x: Operand, other: Operand) -> str:
        if category_of(x) == 2 and not category_of(other):
            raise ShapeError(
                "`ldexp` of floats needs numbers to raise 2 to, not bools", code="NNS406", label="bools", input=1
            )
        return super().result(x, other)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        given = g.type(other).dtype
        compute = given if is_float(given) else dtype
        power = g.node("Pow", g.constant(2.0, compute), g.cast(other, compute))
        return g.node("Mul", g.cast(x, dtype), g.cast(power, dtype))


class float_power(Pair):
    """The power `x ** exponent` in float64, broadcast; either may be a number.

    Source: `torch.float_power`.
    """

    scalars = ("x", "exponent")
    op = "Pow"

    examples = (
        Example("float_power(exp(x), y)", x="float[N, 8]", y="float[8]"),
        Example("float_power(x, 2)", x="int[N]"),
        Example("float_power(1.5, x)", x="float[N]"),
    )

    def infer(self, rules: Rules, x: Operand, exponent: Operand) -> TensorType:
        return super().infer(rules, x, exponent)

    def result(self, x: Operand, other: Operand) -> str:
        return "float64"


class isclose(Pair):
    """Where two elements differ by no more than `atol + rtol * abs(other)`, broadcast.

    Source: `torch.isclose`.
    """

    keeps = ()
    rtol: float = arg(1e-05, ge=0, doc="how far they may be apart, as a part of `other`")
    atol: float = arg(1e-08, ge=0, doc="how far they may be apart in any case")
    equal_nan: bool = arg(False, doc="whether two that are nan are close")

    examples = (
        Example("isclose(x, y, rtol=0.5)", x="float[N, 8]", y="float[8]"),
        Example("isclose(x, y, 0.1, 1.0)", x="int[N, 8]", y="int[8]"),
        Example("isclose(x / x, x / x, equal_nan=true)", x="int[N]"),
    )

    def result(self, x: Operand, other: Operand) -> str:
        same_type(self, (expect_tensor(self, x), expect_tensor(self, other, 1)))
        return "bool"

    def lowered(self, g: OnnxGraph, x: str, other: str, dtype: str) -> Any:
        exact = g.type(x).dtype
        same = g.node("Equal", *(tensor(g, v, exact) for v in (x, other)))
        compute = as_float(exact)
        a, b = g.cast(x, compute), g.cast(other, compute)
        if self.equal_nan and is_float(exact):
            same = g.node("Or", same, g.node("And", g.node("IsNaN", a), g.node("IsNaN", b)))
        if not self.rtol and not self.atol:
            return same
        part = g.node("Abs", g.node("Mul", b, g.constant(self.rtol, compute)))
        allowed = g.node("Add", g.constant(self.atol, compute), part)
        apart = g.node("Abs", g.node("Sub", a, b))
        near = g.node("And", g.node("LessOrEqual", apart, allowed), g.node("Less", apart, g.constant(inf, compute)))
        return g.node("Or", same, near)


class _Divisors(Pair):
    """A function of two tensors of whole numbers."""

    keeps = ()

    def result(self, x: Operand, other: Operand) -> str:
        dtype = super().result(x, other)
        if category_of(x) == 2 or category_of(other) == 2 or dtype == "bool":
            raise ShapeError(
                f"`{type(self).__name__}` needs whole numbers, but its inputs are {x} and {other}",
                code="NNS406",
                label="not whole numbers",
                helps=("convert them, as with `to(x, int)`",),
            )
        return dtype


_EUCLID = {"uint8": 13, "int8": 11, "int16": 23, "int32": 46, "int64": 92}
"""Steps of Euclid's algorithm that numbers of a type take at most: neighbours among Fibonacci's numbers take them."""


def _common(g: OnnxGraph, a: str, b: str, dtype: str) -> str:
    """The largest common divisor of two values that are not negative."""
    zero, one = tensor(g, 0, dtype), tensor(g, 1, dtype)
    for _ in range(_EUCLID[dtype]):
        over = g.node("Equal", b, zero)
        a, b = g.node("Where", over, a, b), g.node("Mod", a, g.node("Where", over, one, b))
    return a


class gcd(_Divisors):
    """The largest number that divides both, broadcast, and 0 of zeros.

    Source: `torch.gcd`.
    """

    examples = (
        Example("gcd(x, y)", x="int[N, 8]", y="int[8]"),
        Example("gcd(x, y)", x="uint8[N]", y="int8[N]"),
    )

    def lowered(self, g: OnnxGraph, x: str, other: str, dtype: str) -> Any:
        """Euclid's algorithm, as many steps of it as may be needed."""
        a, b = (g.node("Abs", tensor(g, v, dtype)) for v in (x, other))
        return narrowed(g, _common(g, a, b, dtype), dtype)


class lcm(_Divisors):
    """The smallest number that both divide, broadcast, and 0 where one of them is 0.

    Source: `torch.lcm`.
    """

    examples = (
        Example("lcm(x, y)", x="int[N, 8]", y="int[8]"),
        Example("lcm(x, y)", x="uint8[N]", y="int8[N]"),
    )

    def lowered(self, g: OnnxGraph, x: str, other: str, dtype: str) -> Any:
        a, b = tensor(g, x, dtype), tensor(g, other, dtype)
        common = _common(g, g.node("Abs", a), g.node("Abs", b), dtype)
        safe = g.node("Max", common, tensor(g, 1, dtype))
        return narrowed(g, g.node("Abs", g.node("Mul", g.node("Div", a, safe), b)), dtype)
