"""Further functions of real numbers, element by element: logarithms, angles, the error function."""

from __future__ import annotations

from math import log, pi
from typing import ClassVar

from nnspec.functions._elementwise import Real
from nnspec.layer import Example, OnnxGraph


class log2(Real):
    """The logarithm to the base 2, in the same shape; integers become float.

    Source: `torch.log2`.
    """

    examples = (
        Example("log2(x)", x="float[N, 8]"),
        Example("log2(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Div", g.node("Log", x), g.constant(log(2), dtype)))


class log10(Real):
    """The logarithm to the base 10, in the same shape; integers become float.

    Source: `torch.log10`.
    """

    examples = (
        Example("log10(x)", x="float[N, 8]"),
        Example("log10(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Div", g.node("Log", x), g.constant(log(10), dtype)))


class log1p(Real):
    """`log(1 + x)`, exact for small numbers too, in the same shape; integers become float.

    Source: `torch.log1p`.
    """

    examples = (
        Example("log1p(x)", x="float[N, 8]"),
        Example("log1p(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The digits that `1 + x` loses are put back by a factor (Kahan's way)."""
        zero, one = g.constant(0.0, dtype), g.constant(1.0, dtype)
        up = g.node("Add", x, one)
        kept = g.node("Sub", up, one)
        plain = g.node("Log", up)
        lost = g.node("Equal", kept, zero)
        factor = g.node("Div", x, g.node("Where", lost, one, kept))
        near = g.node("Where", lost, x, g.node("Mul", plain, factor))
        small = g.node("Less", g.node("Abs", x), g.constant(0.5, dtype))
        return str(g.node("Where", small, near, plain))


class expm1(Real):
    """`exp(x) - 1`, exact for small numbers too, in the same shape; integers become float.

    Source: `torch.expm1`.
    """

    keeps = ("output",)

    examples = (
        Example("expm1(x)", x="float[N, 8]"),
        Example("expm1(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The digits that `exp(x)` loses are put back by a factor (Kahan's way)."""
        one = g.constant(1.0, dtype)
        up = g.node("Exp", x)
        plain = g.node("Sub", up, one)
        lost = g.node("Equal", up, one)
        small = g.node("Less", g.node("Abs", x), g.constant(0.5, dtype))
        root = g.node("Log", g.node("Where", g.node("And", small, g.node("Not", lost)), up, g.constant(2.0, dtype)))
        near = g.node("Where", lost, x, g.node("Mul", plain, g.node("Div", x, root)))
        return str(g.node("Where", small, near, plain))


class exp2(Real):
    """`2 ** x`, in the same shape; integers become float.

    Source: `torch.exp2`.
    """

    examples = (
        Example("exp2(x)", x="float[N, 8]"),
        Example("exp2(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Pow", g.constant(2.0, dtype), x))


class reciprocal(Real):
    """`1 / x`, in the same shape; integers become float.

    Source: `torch.reciprocal`.
    """

    keeps = ("output",)

    examples = (
        Example("reciprocal(x)", x="float[N, 8]"),
        Example("reciprocal(x)", x="int[T]"),
    )


class erf(Real):
    """The error function, in the same shape; integers become float.

    Source: `torch.erf`.
    """

    examples = (
        Example("erf(x)", x="float[N, 8]"),
        Example("erf(x)", x="int[T]"),
    )


class tan(Real):
    """The tangent, in the same shape; integers become float.

    Source: `torch.tan`.
    """

    keeps = ("output",)

    examples = (
        Example("tan(x)", x="float[N, 8]"),
        Example("tan(x)", x="int[T]"),
    )


class asin(Real):
    """The angle whose sine is x, in the same shape; integers become float.

    Source: `torch.asin`.
    """

    examples = (
        Example("asin(x)", x="float[N, 8]"),
        Example("asin(x)", x="int[T]"),
    )


class acos(Real):
    """The angle whose cosine is x, in the same shape; integers become float.

    Source: `torch.acos`.
    """

    examples = (
        Example("acos(x)", x="float[N, 8]"),
        Example("acos(x)", x="int[T]"),
    )


class atan(Real):
    """The angle whose tangent is x, in the same shape; integers become float.

    Source: `torch.atan`.
    """

    examples = (
        Example("atan(x)", x="float[N, 8]"),
        Example("atan(x)", x="int[T]"),
    )


class sinh(Real):
    """The hyperbolic sine, in the same shape; integers become float.

    Source: `torch.sinh`.
    """

    examples = (
        Example("sinh(x)", x="float[N, 8]"),
        Example("sinh(x)", x="int[T]"),
    )


class cosh(Real):
    """The hyperbolic cosine, in the same shape; integers become float.

    Source: `torch.cosh`.
    """

    examples = (
        Example("cosh(x)", x="float[N, 8]"),
        Example("cosh(x)", x="int[T]"),
    )


class asinh(Real):
    """The number whose hyperbolic sine is x, in the same shape; integers become float.

    Source: `torch.asinh`.
    """

    examples = (
        Example("asinh(x)", x="float[N, 8]"),
        Example("asinh(x)", x="int[T]"),
    )


class acosh(Real):
    """The number whose hyperbolic cosine is x, in the same shape; integers become float.

    Source: `torch.acosh`.
    """

    examples = (
        Example("acosh(x)", x="float[N, 8]"),
        Example("acosh(x)", x="int[T]"),
    )


class atanh(Real):
    """The number whose hyperbolic tangent is x, in the same shape; integers become float.

    Source: `torch.atanh`.
    """

    examples = (
        Example("atanh(x)", x="float[N, 8]"),
        Example("atanh(x)", x="int[T]"),
    )


class sinc(Real):
    """`sin(pi * x) / (pi * x)`, and 1 for 0, in the same shape; integers become float.

    Source: `torch.sinc`.
    """

    examples = (
        Example("sinc(x)", x="float[N, 8]"),
        Example("sinc(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        one = g.constant(1.0, dtype)
        zero = g.node("Equal", x, g.constant(0.0, dtype))
        angle = g.node("Mul", g.node("Where", zero, one, x), g.constant(pi, dtype))
        return str(g.node("Where", zero, one, g.node("Div", g.node("Sin", angle), angle)))


class _Scaled(Real):
    """A number in another unit."""

    keeps = ()
    factor: ClassVar[float]

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Mul", x, g.constant(self.factor, dtype)))


class deg2rad(_Scaled):
    """An angle in degrees as one in radians, in the same shape; integers become float.

    Source: `torch.deg2rad`.
    """

    factor = pi / 180

    examples = (
        Example("deg2rad(x)", x="float[N, 8]"),
        Example("deg2rad(x)", x="int[T]"),
    )


class rad2deg(_Scaled):
    """An angle in radians as one in degrees, in the same shape; integers become float.

    Source: `torch.rad2deg`.
    """

    factor = 180 / pi

    examples = (
        Example("rad2deg(x)", x="float[N, 8]"),
        Example("rad2deg(x)", x="int[T]"),
    )
