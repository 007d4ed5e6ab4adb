"""Numbers at equal distances, or in equal ratios, both ends included."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import DType, Operand, Scalar, TensorType, is_float, show_dtype


class _Spaced(Function):
    """So many numbers from the first to the last. Integers are refused: what torch rounds depends on the machine."""

    scalars = ("start", "end")

    def infer(self, rules: Rules, start: Operand, end: Operand) -> TensorType:
        for position, operand in enumerate((start, end)):
            if not isinstance(operand, Scalar) and expect_tensor(self, operand, position).rank:
                message = f"`{type(self).__name__}` goes between two numbers, but one is {operand}"
                raise ShapeError(message, code="NNS402", input=position)
        dtype = self._dtype()
        if not is_float(dtype):
            message = f"`{type(self).__name__}` makes floats, not {show_dtype(dtype)}"
            raise ShapeError(message, code="NNS406", at="dtype", helps=("`arange` counts in whole numbers",))
        return TensorType(dtype, checked_sizes(self, rules, (rules.simplify(self.__dict__["steps"]),), at="steps"))

    def _dtype(self) -> str:
        return self.__dict__["dtype"] or "float32"

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        numbers = [*inputs, options.pop("steps"), *([options.pop("base")] if "base" in options else [])]
        return call(f"torch.{type(self).__name__}", *numbers, **options, device=DEVICE)

    def even(self, g: OnnxGraph, start: Any, end: Any) -> str:
        """Numbers at equal distances, in float64."""
        steps: Any = self.__dict__["steps"]
        if not any(isinstance(value, (str, Dim)) for value in (start, end, steps)):
            # Imported here: a spec that is only checked must not load numpy.
            import numpy as np

            return g.constant(np.linspace(start, end, steps), "float64")
        first, last = (_number(g, value) for value in (start, end))
        position = g.cast(g.node("Range", g.constant(0), g.size(steps), g.constant(1)), "float64")
        count = g.cast(g.node("Max", g.node("Sub", g.size(steps), g.constant(1)), g.constant(1)), "float64")
        way = g.node("Mul", g.node("Div", position, count), g.node("Sub", last, first))
        return str(g.node("Add", way, first))


def _number(g: OnnxGraph, value: Any) -> str:
    if isinstance(value, (str, Dim)):
        return g.cast(value if isinstance(value, str) else g.size(value), "float64")
    return g.constant(value, "float64")


class linspace(_Spaced):
    """Numbers at equal distances from `start` to `end`, both included: float[steps].

    Source: `torch.linspace`.
    """

    steps: Size = arg(doc="how many numbers")
    dtype: DType | None = arg(None, doc="the element type, float when left out", keyword=True)

    examples = (
        Example("linspace(0, 1, 5)"),
        Example("linspace(-1, 1, T)", x="float[T]"),
        Example("linspace(2, -1, steps=4, dtype=float64)"),
        Example("linspace(0.5, T, 2 * T)", x="float[T]"),
        Example("linspace(0, amax(x), 5)", x="float[N]"),
    )

    def onnx(self, g: OnnxGraph, start: Any, end: Any) -> Any:
        return g.cast(self.even(g, start, end), self._dtype())


class logspace(_Spaced):
    """Numbers in equal ratios from `base ** start` to `base ** end`, both included: float[steps].

    Source: `torch.logspace`.
    """

    steps: Size = arg(doc="how many numbers")
    base: float = arg(10.0, gt=0, doc="what is raised to these powers")
    dtype: DType | None = arg(None, doc="the element type, float when left out", keyword=True)

    examples = (
        Example("logspace(0, 2, 5)"),
        Example("logspace(-3, 0, T, base=2)", x="float[T]"),
        Example("logspace(1, -1, steps=4, dtype=float64)"),
    )

    def onnx(self, g: OnnxGraph, start: Any, end: Any) -> Any:
        return g.cast(g.node("Pow", g.constant(self.base, "float64"), self.even(g, start, end)), self._dtype())
