"""What functions of each element by itself share: of one operand, and of two that broadcast."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions._lowering import computed, kind
from nnspec.functions._operands import as_float, broadcast, expect_tensors, result_type
from nnspec.layer import Function, OnnxGraph, Rules
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, TensorType


class Real(Function):
    """A function of real numbers; integers and bools become float."""

    op: ClassVar[str] = ""
    """The operator in ONNX, where it is not called like the class."""

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype(as_float(x.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = as_float(g.type(x).dtype)
        return self.lowered(g, g.cast(x, dtype), dtype)

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The ONNX form for a value of that float type."""
        return str(g.node(self.op or type(self).__name__.capitalize(), x))


class DoubleReal(Real):
    """A function of real numbers that is worked out in float64 in ONNX, since its formula would lose too many digits.

    Subclasses say `lowered`, for values of that type.
    """

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.cast(self.lowered(g, g.cast(x, "float64"), "float64"), as_float(g.type(x).dtype))


class Pair(Function):
    """A function of two operands, broadcast; types are promoted. Those in `scalars` may be numbers."""

    op: ClassVar[str] = ""
    """The operator in ONNX."""
    of_bools: ClassVar[str] = ""
    """The operator for bools, where that is another."""

    def infer(self, rules: Rules, x: Operand, other: Operand) -> TensorType:
        expect_tensors(self, (x, other))
        dtype = self.result(x, other)
        return TensorType(dtype, broadcast(rules, x, other))

    def result(self, x: Operand, other: Operand) -> str:
        """The element type of the result. Raises `ShapeError` for operands that torch does not take."""
        return result_type(x, other)

    def onnx(self, g: OnnxGraph, x: Any, other: Any) -> Any:
        return self.lowered(g, x, other, self.result(kind(g, x), kind(g, other)))

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        """The ONNX form, where the result is of that type. Operands are values, numbers or sizes."""
        return computed(g, self.of_bools if dtype == "bool" and self.of_bools else self.op, (x, other), dtype)


class RealPair(Pair):
    """A function of two real numbers; integers and bools become float. Either may be a number."""

    scalars: ClassVar[tuple[str, ...]] = ("x", "other")

    def result(self, x: Operand, other: Operand) -> str:
        return as_float(result_type(x, other))
