"""What the arithmetic operators of the language share."""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign
from typing import Any, ClassVar

from nnspec.dims import Dim
from nnspec.functions._complex import Number, apart
from nnspec.functions._elementwise import Pair
from nnspec.functions._lowering import kind
from nnspec.functions._operands import result_type
from nnspec.layer import Code, OnnxGraph, ShapeError, call, infix
from nnspec.types import Operand, Scalar, is_complex


class Operator(Pair):
    """An operator between two tensors, or a tensor and a number; shapes broadcast, types are promoted."""

    scalars = ("x", "other")
    of_complex = "own"
    sign: ClassVar[str]
    """The operator, in Python and in the language."""

    def neutral(self, dtype: str) -> float | None:
        """The number that leaves a tensor of that type as it is to the bit, where it stands on the right."""
        return None

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int | None:
        x, other = inputs
        number = None if is_complex(output.dtype) else self.neutral(output.dtype)
        if number is None or not isinstance(other, Scalar) or isinstance(other.value, Dim):
            return None
        return 0 if other.value == number and copysign(1, other.value) == 1 and output == x else None

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        # torch's functions take the options that operators lack.
        return call(f"torch.{type(self).__name__}", *inputs, **options) if options else infix(self.sign, *inputs)

    def onnx(self, g: OnnxGraph, x: Any, other: Any) -> Any:
        dtype = self.result(kind(g, x), kind(g, other))
        if is_complex(dtype):
            return self.lowered_complex(g, apart(g, x, dtype), apart(g, other, dtype), dtype)
        return self.lowered(g, x, other, dtype)

    def lowered_complex(self, g: OnnxGraph, x: Number, other: Number, dtype: str) -> str:
        """The ONNX form where the result is of that complex type. Abstract: those that take complex numbers say it."""
        raise NotImplementedError

    def refuse(self, x: Operand, other: Operand, why: str) -> ShapeError:
        """The error for operands that it does not go between."""
        return ShapeError(
            f"`{self.sign}` does not go between {x} and {other}: {why}",
            code="NNS406",
            label=why,
            helps=("convert one of them, as with `to(x, float)`",),
        )

    def expect_not_bool(self, x: Operand, other: Operand) -> str:
        """The operands' common type, which must be one of numbers."""
        dtype = result_type(x, other)
        if dtype == "bool":
            raise self.refuse(x, other, "it needs numbers, not bools")
        return dtype
