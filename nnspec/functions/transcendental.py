"""Further functions of real numbers, element by element: logarithms, angles, the error function."""

from __future__ import annotations

from math import log
from typing import Any, ClassVar

from nnspec.functions._operands import as_float
from nnspec.layer import Example, Function, OnnxGraph, Rules
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


class _Real(Function):
    """A function of real numbers; integers and bools become float."""

    op: ClassVar[str] = ""

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype(as_float(x.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = as_float(g.type(x).dtype)
        return self.lowered(g, g.cast(x, dtype), dtype)

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The ONNX form for a value of that float type."""
        return str(g.node(self.op or type(self).__name__.capitalize(), x))


class log2(_Real):
    """The logarithm to the base 2, in the same shape; integers become float.

    Source: `torch.log2`.
    """

    examples = (
        Example("log2(x)", x="float[N, 8]"),
        Example("log2(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Div", g.node("Log", x), g.constant(log(2), dtype)))


class log10(_Real):
    """The logarithm to the base 10, in the same shape; integers become float.

    Source: `torch.log10`.
    """

    examples = (
        Example("log10(x)", x="float[N, 8]"),
        Example("log10(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Div", g.node("Log", x), g.constant(log(10), dtype)))


class log1p(_Real):
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


class expm1(_Real):
    """`exp(x) - 1`, exact for small numbers too, in the same shape; integers become float.

    Source: `torch.expm1`.
    """

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


class exp2(_Real):
    """`2 ** x`, in the same shape; integers become float.

    Source: `torch.exp2`.
    """

    examples = (
        Example("exp2(x)", x="float[N, 8]"),
        Example("exp2(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Pow", g.constant(2.0, dtype), x))


class reciprocal(_Real):
    """`1 / x`, in the same shape; integers become float.

    Source: `torch.reciprocal`.
    """

    examples = (
        Example("reciprocal(x)", x="float[N, 8]"),
        Example("reciprocal(x)", x="int[T]"),
    )


class erf(_Real):
    """The error function, in the same shape; integers become float.

    Source: `torch.erf`.
    """

    examples = (
        Example("erf(x)", x="float[N, 8]"),
        Example("erf(x)", x="int[T]"),
    )


class tan(_Real):
    """The tangent, in the same shape; integers become float.

    Source: `torch.tan`.
    """

    examples = (
        Example("tan(x)", x="float[N, 8]"),
        Example("tan(x)", x="int[T]"),
    )


class asin(_Real):
    """The angle whose sine is x, in the same shape; integers become float.

    Source: `torch.asin`.
    """

    examples = (
        Example("asin(x)", x="float[N, 8]"),
        Example("asin(x)", x="int[T]"),
    )


class acos(_Real):
    """The angle whose cosine is x, in the same shape; integers become float.

    Source: `torch.acos`.
    """

    examples = (
        Example("acos(x)", x="float[N, 8]"),
        Example("acos(x)", x="int[T]"),
    )


class atan(_Real):
    """The angle whose tangent is x, in the same shape; integers become float.

    Source: `torch.atan`.
    """

    examples = (
        Example("atan(x)", x="float[N, 8]"),
        Example("atan(x)", x="int[T]"),
    )


class sinh(_Real):
    """The hyperbolic sine, in the same shape; integers become float.

    Source: `torch.sinh`.
    """

    examples = (
        Example("sinh(x)", x="float[N, 8]"),
        Example("sinh(x)", x="int[T]"),
    )


class cosh(_Real):
    """The hyperbolic cosine, in the same shape; integers become float.

    Source: `torch.cosh`.
    """

    examples = (
        Example("cosh(x)", x="float[N, 8]"),
        Example("cosh(x)", x="int[T]"),
    )


class asinh(_Real):
    """The number whose hyperbolic sine is x, in the same shape; integers become float.

    Source: `torch.asinh`.
    """

    examples = (
        Example("asinh(x)", x="float[N, 8]"),
        Example("asinh(x)", x="int[T]"),
    )


class acosh(_Real):
    """The number whose hyperbolic cosine is x, in the same shape; integers become float.

    Source: `torch.acosh`.
    """

    examples = (
        Example("acosh(x)", x="float[N, 8]"),
        Example("acosh(x)", x="int[T]"),
    )


class atanh(_Real):
    """The number whose hyperbolic tangent is x, in the same shape; integers become float.

    Source: `torch.atanh`.
    """

    examples = (
        Example("atanh(x)", x="float[N, 8]"),
        Example("atanh(x)", x="int[T]"),
    )
