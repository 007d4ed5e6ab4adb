"""Functions of each element by itself: roots, logarithms, waves, bounds."""

from __future__ import annotations

from typing import Any

from nnspec.functions._complex import magnitude
from nnspec.functions._elementwise import Real
from nnspec.functions._lowering import computed, kind, narrowed, tensor
from nnspec.functions._operands import broadcast, expect_numbers, expect_tensors, result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, method
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, Scalar, TensorType, is_complex, real_part


class exp(Real):
    """`e ** x`, in the same shape; integers become float.

    Source: `torch.exp`.
    """

    keeps = ("output",)

    examples = (
        Example("exp(x)", x="float[N, 8]"),
        Example("exp(x)", x="int[T]"),
    )


class log(Real):
    """The natural logarithm, in the same shape; integers become float.

    Source: `torch.log`.
    """

    examples = (
        Example("log(x)", x="float[N, 8]"),
        Example("log(x)", x="int[T]"),
    )


class sqrt(Real):
    """The square root, in the same shape; integers become float.

    Source: `torch.sqrt`.
    """

    keeps = ("output",)

    examples = (
        Example("sqrt(x)", x="float[N, 8]"),
        Example("sqrt(x)", x="uint8[T]"),
    )


class rsqrt(Real):
    """One by the square root, in the same shape; integers become float.

    Source: `torch.rsqrt`.
    """

    keeps = ("output",)

    examples = (
        Example("rsqrt(x)", x="float[N, 8]"),
        Example("rsqrt(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Reciprocal", g.node("Sqrt", x)))


class sin(Real):
    """The sine, in the same shape; integers become float.

    Source: `torch.sin`.
    """

    examples = (
        Example("sin(x)", x="float[N, 8]"),
        Example("sin(x)", x="int[T]"),
    )


class cos(Real):
    """The cosine, in the same shape; integers become float.

    Source: `torch.cos`.
    """

    examples = (
        Example("cos(x)", x="float[N, 8]"),
        Example("cos(x)", x="int[T]"),
    )


class abs(Function):
    """The absolute value, in the same shape and type; of complex numbers their length, which is real.

    Source: `torch.abs`.
    """

    of_complex = "own"

    examples = (
        Example("abs(x)", x="float[N, 8]"),
        Example("abs(x)", x="int8[T]"),
        Example("abs(view_as_complex(x))", x="float[N, T, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_numbers(self, x)
        return x.with_dtype(real_part(x.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if is_complex(g.type(x).dtype):
            return magnitude(g, x, g.type(x).dtype)
        return computed(g, "Abs", (x,), g.type(x).dtype)


class clamp(Function):
    """`x`, but at least `min` and at most `max`: numbers, or tensors that broadcast with it; one may be left out.

    Source: `torch.clamp`.
    """

    scalars = ("min", "max")

    examples = (
        Example("clamp(x, 0, 1)", x="float[N, 8]"),
        Example("clamp(x, min=1)", x="int[N]"),
        Example("clamp(x, max=T - 1)", x="int[N, T]"),
        Example("clamp(x, 0.5)", x="int[N]"),
        Example("clamp(x, lo, hi)", x="float[N, 4]", lo="float[4]", hi="float[N, 1]"),
        Example("clamp(x, -3, 3)", x="int8[N]"),
    )

    def infer(self, rules: Rules, x: TensorType, min: Operand = None, max: Operand = None) -> TensorType:
        bounds = [b for b in (min, max) if b is not None]
        expect_tensors(self, (expect_tensor(self, x), *bounds))
        if not bounds:
            raise ShapeError("`clamp` needs `min`, `max` or both", code="NNS402")
        dtype = result_type(x, *bounds)
        if dtype == "bool":
            raise ShapeError(f"`clamp` needs numbers, but its input is {x}", code="NNS406", input=0)
        if any(isinstance(b, Scalar) for b in bounds) and any(isinstance(b, TensorType) for b in bounds):
            raise ShapeError(
                "the bounds of `clamp` are two numbers or two tensors, not one of each",
                code="NNS406",
                helps=("clamp twice",),
            )
        return TensorType(dtype, broadcast(rules, x, *bounds))

    def torch(self, *inputs: Any) -> Code:
        x, *bounds = inputs
        given = {name: b for name, b in zip(("min", "max"), bounds, strict=False) if b is not None}
        return method("clamp", x, **given)

    def onnx(self, g: OnnxGraph, x: str, min: Any = None, max: Any = None) -> Any:
        dtype = result_type(*(kind(g, v) for v in (x, min, max) if v is not None))
        y = tensor(g, x, dtype)
        if min is not None:
            y = g.node("Max", y, tensor(g, min, dtype))
        if max is not None:
            y = g.node("Min", y, tensor(g, max, dtype))
        return narrowed(g, y, dtype)
