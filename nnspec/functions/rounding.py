"""Whole numbers and signs of numbers, element by element, and tests of what they are."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions._lowering import computed
from nnspec.functions._operands import expect_numbers
from nnspec.layer import Example, Function, OnnxGraph, Rules
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_float


class _Rounding(Function):
    """Rounds floats; integers are whole already."""

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

    op = "Round"

    examples = (
        Example("round(x)", x="float[N, 8]"),
        Example("round(x)", x="int[T]"),
    )


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
        return g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Abs", x)))


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
        return g.node("Sub", x, g.node("Mul", g.node("Sign", x), g.node("Floor", g.node("Abs", x))))


class sign(_Rounding):
    """-1, 0 or 1 as x is negative, zero or positive, in the same shape and type.

    Source: `torch.sign`.
    """

    examples = (
        Example("sign(x)", x="float[N, 8]"),
        Example("sign(x)", x="int8[T]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return computed(g, "Sign", (x,), g.type(x).dtype)


class square(Function):
    """`x * x`, in the same shape and type.

    Source: `torch.square`.
    """

    examples = (
        Example("square(x)", x="float[N, 8]"),
        Example("square(x)", x="int8[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_numbers(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return computed(g, "Mul", (x, x), g.type(x).dtype)


class _Test(Function):
    """Where floats are of some kind; other types never are."""

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
