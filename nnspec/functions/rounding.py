"""Whole numbers and signs of numbers, element by element, and tests of what they are."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._lowering import LARGEST, computed, negative, towards_zero
from nnspec.functions._operands import expect_numbers
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_float

_MOST_DIGITS = 308
"""The power of ten that float64 ends at; with more digits torch has nan, or zero, too."""


class _Rounding(Function):
    """Rounds floats; integers are whole already."""

    keeps = ()

    op: ClassVar[str] = ""

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_numbers(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node(self.op, x) if is_float(g.type(x).dtype) else x


class floor(_Rounding):
    """The next whole number below, in the same shape and type.

    Source: `torch.floor`.
    """

    op = "Floor"

    examples = (
        Example("floor(x)", x="float[N, 8]"),
        Example("floor(x)", x="int[T]"),
    )


class ceil(_Rounding):
    """The next whole number above, in the same shape and type.

    Source: `torch.ceil`.
    """

    op = "Ceil"

    examples = (
        Example("ceil(x)", x="float[N, 8]"),
        Example("ceil(x)", x="int[T]"),
    )


class round(_Rounding):
    """The nearest whole number, of two the even one, in the same shape and type.

    Source: `torch.round`.
    """

    overloaded = True
    decimals: int = arg(0, doc="how many digits to keep behind the point", keyword=True)

    op = "Round"

    examples = (
        Example("round(x)", x="float[N, 8]"),
        Example("round(x)", x="int[T]"),
        Example("round(x, decimals=2)", x="float[N, 8]"),
        Example("round(100 * x, decimals=-1)", x="float64[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = super().infer(rules, x)
        if self.decimals and not is_float(x.dtype):
            raise ShapeError(
                f"`round(decimals={self.decimals})` needs floats, but its input is {x}",
                code="NNS406",
                label="integers have no digits behind the point",
                at="decimals",
            )
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if not self.decimals:
            return super().onnx(g, x)
        scale = g.constant(10.0 ** min(builtins.abs(self.decimals), _MOST_DIGITS), g.type(x).dtype)
        there, back = ("Mul", "Div") if self.decimals > 0 else ("Div", "Mul")
        return g.node(back, g.node("Round", g.node(there, x, scale)), scale)


class trunc(_Rounding):
    """What stands before the point, in the same shape and type.

    Source: `torch.trunc`.
    """

    examples = (
        Example("trunc(x)", x="float[N, 8]"),
        Example("trunc(x)", x="int[T]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if not is_float(g.type(x).dtype):
            return x
        return towards_zero(g, x)


class frac(_Rounding):
    """What stands behind the point, with the sign of x, in the same shape and type.

    Source: `torch.frac`.
    """

    examples = (
        Example("frac(x)", x="float[N, 8]"),
        Example("frac(x)", x="float[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_float(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Sub", x, towards_zero(g, x))


class sign(_Rounding):
    """-1, 0 or 1 as x is negative, zero or positive, in the same shape and type.

    Source: `torch.sign`.
    """

    examples = (
        Example("sign(x)", x="float[N, 8]"),
        Example("sign(x)", x="int8[T]"),
        Example("sign(x)", x="bool[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if dtype == "bool":
            return x
        y = computed(g, "Sign", (x,), dtype)
        # To torch nan has the sign of zero.
        return g.node("Where", g.node("IsNaN", x), g.constant(0.0, dtype), y) if is_float(dtype) else y


class square(Function):
    """`x * x`, in the same shape and type; bools become int.

    Source: `torch.square`.
    """

    examples = (
        Example("square(x)", x="float[N, 8]"),
        Example("square(x)", x="int8[T]"),
        Example("square(x)", x="bool[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype("int64") if x.dtype == "bool" else x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        return g.cast(x, "int64") if dtype == "bool" else computed(g, "Mul", (x, x), dtype)


class signbit(Function):
    """Where the sign of x is a minus, that of `-0.0` too.

    Source: `torch.signbit`.
    """

    keeps = ()

    examples = (
        Example("signbit(x)", x="float[N, 8]"),
        Example("signbit(x)", x="int8[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x).with_dtype("bool")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if is_float(dtype):
            return negative(g, x, dtype)
        return g.node("Less", g.cast(x, "int64"), g.constant(0))


class nan_to_num(Function):
    """x with numbers in place of nan and of what is infinite, in the same shape and type.

    Source: `torch.nan_to_num`.
    """

    keeps = ("x",)
    nan: float | None = arg(None, doc="what stands for nan; 0 when left out")
    posinf: float | None = arg(None, doc="what stands for inf; the largest number of the type when left out")
    neginf: float | None = arg(None, doc="what stands for -inf; the smallest number of the type when left out")

    examples = (
        Example("nan_to_num(1 / x)", x="int[N, 8]"),
        Example("nan_to_num(x, 1, posinf=2, neginf=-2)", x="float64[N]"),
        Example("nan_to_num(x)", x="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if not is_float(dtype):
            return x
        end, most = float("inf"), LARGEST[dtype]
        high, low = (m if given is None else given for given, m in ((self.posinf, most), (self.neginf, -most)))
        y = g.node("Where", g.node("IsNaN", x), g.constant(self.nan or 0.0, dtype), x)
        y = g.node("Where", g.node("Equal", x, g.constant(end, dtype)), g.constant(high, dtype), y)
        return g.node("Where", g.node("Equal", x, g.constant(-end, dtype)), g.constant(low, dtype), y)


class _Test(Function):
    """Where floats are of some kind; other types never are."""

    keeps = ()

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x).with_dtype("bool")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        y = g.cast(x, "float32") if dtype != "float64" else x
        return self.tested(g, y, "float64" if dtype == "float64" else "float32")

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The ONNX form for floats. Abstract: each test says it."""
        raise NotImplementedError


class isnan(_Test):
    """Where x is not a number.

    Source: `torch.isnan`.
    """

    examples = (
        Example("isnan(x / x)", x="float[N, 8]"),
        Example("isnan(x)", x="int[T]"),
    )

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("IsNaN", x))


class isinf(_Test):
    """Where x is infinite, on either side.

    Source: `torch.isinf`.
    """

    examples = (
        Example("isinf(1 / x)", x="int[N, 8]"),
        Example("isinf(x)", x="bool[T]"),
    )

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("IsInf", x))


class isposinf(_Test):
    """Where x is inf.

    Source: `torch.isposinf`.
    """

    examples = (
        Example("isposinf(1 / x)", x="int[N, 8]"),
        Example("isposinf(x)", x="bool[T]"),
    )

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Equal", x, g.constant(float("inf"), dtype)))


class isneginf(_Test):
    """Where x is -inf.

    Source: `torch.isneginf`.
    """

    examples = (
        Example("isneginf(-1 / x)", x="uint8[N, 8]"),
        Example("isneginf(x)", x="float[T]"),
    )

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Equal", x, g.constant(-float("inf"), dtype)))


class isfinite(_Test):
    """Where x is a number, and not infinite.

    Source: `torch.isfinite`.
    """

    examples = (
        Example("isfinite(1 / x)", x="int[N, 8]"),
        Example("isfinite(x)", x="float64[T]"),
    )

    def tested(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Less", g.node("Abs", x), g.constant(float("inf"), dtype)))
