"""Arithmetic of tensors and numbers: the operators of the language but for division, under torch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Dim
from nnspec.functions._complex import Number, product, summed
from nnspec.functions._lowering import computed, narrowed, tensor, wide
from nnspec.functions._operands import expect_numbers, result_type
from nnspec.functions._operator import Operator
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, prefix
from nnspec.types import Operand, Scalar, TensorType, category, is_float, real_part

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Sum(Operator):
    """A sum or difference, whose second operand may be scaled."""

    alpha: bool | int | float = arg(1, doc="multiply `other` by this before", keyword=True)

    def result(self, x: Operand, other: Operand) -> str:
        dtype = result_type(x, other)
        if isinstance(x, Scalar) and self.options():
            name = type(self).__name__
            raise ShapeError(
                f"`{name}` with an alpha takes a tensor first, not the number {x}",
                code="NNS402",
                label="a number",
                input=0,
            )
        if isinstance(self.alpha, bool) and dtype != "bool":
            raise self.refuse(x, other, "alpha is a bool")
        if isinstance(self.alpha, float) and category(dtype) < 2:
            raise self.refuse(x, other, f"alpha {self.alpha} is a float")
        return dtype

    def lowered_complex(self, g: OnnxGraph, x: Number, other: Number, dtype: str) -> str:
        if self.alpha != 1:
            alpha = g.constant(self.alpha, real_part(dtype))
            other = other.each(lambda part: str(g.node("Mul", part, alpha)))
        return summed(g, self.op, x, other)

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        if self.alpha == 1:
            return super().lowered(g, x, other, dtype)
        if dtype == "bool":
            scaled = tensor(g, other, dtype) if self.alpha else g.constant(False, dtype)
            return g.node(self.of_bools, tensor(g, x, dtype), scaled)
        scaled = g.node("Mul", tensor(g, other, dtype), tensor(g, self.alpha, dtype))
        return narrowed(g, g.node(self.op, tensor(g, x, dtype), scaled), dtype)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, keeps=(), passes=True)


class add(_Sum):
    """The sum `x + other`, broadcast: [N, D] and [D] to [N, D]. Bools are or-ed.

    Source: `torch.add`.
    """

    sign = "+"
    op, of_bools = "Add", "Or"

    examples = (
        Example("x + y", x="float[N, 8]", y="float[N, 8]"),
        Example("x + y", x="float[N, 3, H, W]", y="float[3, 1, 1]"),
        Example("x + y", x="int[N, T]", y="float16[N, 1]"),
        Example("x + 0.5", x="int[N]"),
        Example("T + x", x="float[N, T]"),
        Example("add(x, y)", x="bool[N]", y="bool[N]"),
        Example("add(x, y, alpha=0.5)", x="float[N, 3]", y="int[3]"),
        Example("add(x, 7, alpha=-2)", x="int8[N]"),
        Example("view_as_real(view_as_complex(x) + y)", x="float[N, 3, 2]", y="float[N, 1]"),
    )

    def neutral(self, dtype: str) -> float | None:
        return None if is_float(dtype) else 0  # -0.0 + 0 is 0.0


class sub(_Sum):
    """The difference `x - other`, broadcast.

    Source: `torch.sub`.
    """

    sign = "-"
    op = "Sub"

    examples = (
        Example("x - y", x="float[N, 8]", y="float[8]"),
        Example("1 - x", x="float64[N]"),
        Example("sub(x, y)", x="uint8[N]", y="int8[N]"),
        Example("x - T", x="int32[N, T]"),
        Example("sub(x, y, alpha=3)", x="float[N, 3]", y="float[N, 1]"),
    )

    def neutral(self, dtype: str) -> float | None:
        return 0 if self.alpha == 1 else None

    def result(self, x: Operand, other: Operand) -> str:
        for operand in (x, other):
            bools = operand.dtype == "bool" if isinstance(operand, TensorType) else False
            if bools or (isinstance(operand, Scalar) and operand.kind == 0):
                raise self.refuse(x, other, "bools cannot be subtracted")
        return super().result(x, other)


class mul(Operator):
    """The product `x * other`, element by element, broadcast. Bools are and-ed.

    Source: `torch.mul`.
    """

    sign = "*"
    op, of_bools = "Mul", "And"

    examples = (
        Example("x * y", x="float[N, T, 8]", y="float[N, T, 1]"),
        Example("2 * x", x="float[N]"),
        Example("x * y", x="bool[N]", y="bool[N]"),
        Example("x * y", x="bool[N]", y="int8[N]"),
        Example("mul(x, N)", x="int[N]"),
        Example("view_as_real(view_as_complex(x) * view_as_complex(y))", x="float[N, 3, 2]", y="float[3, 2]"),
    )

    def neutral(self, dtype: str) -> float | None:
        return 1

    def lowered_complex(self, g: OnnxGraph, x: Number, other: Number, dtype: str) -> str:
        return product(g, x, other)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.product(m.output, *inputs)


class pow(Operator):
    """The power `x ** other`, broadcast.

    Source: `torch.pow`.
    """

    sign = "**"
    op = "Pow"
    of_complex = ""

    examples = (
        Example("x ** 2", x="float[N, 8]"),
        Example("10000.0 ** x", x="float[T]"),
        Example("x ** 3", x="int[N]"),
        Example("x ** y", x="float[N, 4]", y="int[4]"),
        Example("2 ** x", x="uint8[N]"),
        Example("pow(x, -1)", x="float[N]"),
    )

    def neutral(self, dtype: str) -> float | None:
        return 1

    _MOST_PRODUCTS: ClassVar[int] = 8

    def result(self, x: Operand, other: Operand) -> str:
        dtype = self.expect_not_bool(x, other)
        if not is_float(dtype) and isinstance(other, Scalar) and not isinstance(other.value, Dim) and other.value < 0:
            raise self.refuse(x, other, "integers have no negative powers")
        return dtype

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        exact = isinstance(other, int) and 1 <= other <= self._MOST_PRODUCTS
        if is_float(dtype) or not exact:
            y = super().lowered(g, x, other, dtype)
            return y if is_float(dtype) or not isinstance(other, str) else self._negative(g, x, other, dtype, y)
        # Run-times take powers of integers through floats, which lose digits.
        factor = y = tensor(g, x, dtype)
        for _ in range(other - 1):
            y = g.node("Mul", y, factor)
        return narrowed(g, y, dtype)

    def _negative(self, g: OnnxGraph, x: Any, other: str, dtype: str, y: str) -> str:
        """Powers of whole numbers, of which those that are negative leave something of 1 and -1 alone."""
        base, power, one = tensor(g, x, dtype), tensor(g, other, dtype), tensor(g, 1, dtype)
        sign = g.node("Pow", base, g.node("Mod", power, tensor(g, 2, dtype)))
        left = g.node("Where", g.node("Equal", g.node("Abs", base), one), sign, tensor(g, 0, dtype))
        negative = g.node("Less", power, tensor(g, 0, dtype))
        return str(g.cast(g.node("Where", negative, left, g.cast(y, wide(dtype))), dtype))


class neg(Function):
    """The opposite `-x`, in the same shape.

    Source: `torch.neg`.
    """

    keeps = ()
    of_complex = "parts"

    examples = (
        Example("-x", x="float[N, 8]"),
        Example("-x", x="int[T]"),
        Example("neg(x)", x="int8[T]"),
        Example("view_as_real(-view_as_complex(x))", x="float[N, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_numbers(self, x)

    def torch(self, *inputs: Any) -> Code:
        return prefix("-", *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return computed(g, "Neg", (x,), g.type(x).dtype)
