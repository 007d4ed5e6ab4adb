"""Sums of tensors that are weighed by each other: lerp, addcmul, addcdiv."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.functions._lowering import narrowed, tensor
from nnspec.functions._operands import broadcast, category_of, result_type, same_type
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import Operand, TensorType, is_float


class lerp(Function):
    """From x to `end` in a straight line: x for weight 0, `end` for 1; all broadcast, the weight may be a number.

    Source: `torch.lerp`.
    """

    scalars = ("weight",)

    examples = (
        Example("lerp(x, y, 0.3)", x="float[N, 8]", y="float[8]"),
        Example("lerp(x, y, 2)", x="float[N]", y="float[N]"),
        Example("lerp(x, y, w)", x="float[8]", y="float[8]", w="float[N, 1]"),
    )

    def infer(self, rules: Rules, x: TensorType, end: TensorType, weight: Operand) -> TensorType:
        operands = [expect_float(self, x), expect_float(self, end, 1)]
        if isinstance(weight, TensorType) and weight.rank:
            operands.append(weight)
        return TensorType(same_type(self, operands), broadcast(rules, x, end, weight))

    def onnx(self, g: OnnxGraph, x: str, end: str, weight: Any) -> Any:
        """torch's two ways: from the end that is nearer."""
        dtype = g.type(x).dtype
        share, half = tensor(g, weight, dtype), g.constant(0.5, dtype)
        way = g.node("Sub", end, x)
        forth = g.node("Add", x, g.node("Mul", share, way))
        back = g.node("Sub", end, g.node("Mul", way, g.node("Sub", g.constant(1.0, dtype), share)))
        return g.node("Where", g.node("Less", g.node("Abs", share), half), forth, back)


class _Accumulated(Function):
    """x and `value` times something of two tensors; all broadcast, types are promoted."""

    value: int | float = arg(1, doc="multiply by this before", keyword=True)

    def infer(self, rules: Rules, x: TensorType, tensor1: TensorType, tensor2: TensorType) -> TensorType:
        operands = [expect_tensor(self, v, i) for i, v in enumerate((x, tensor1, tensor2))]
        return TensorType(self.result(*operands), broadcast(rules, *operands))

    def result(self, x: TensorType, tensor1: TensorType, tensor2: TensorType) -> str:
        """The element type of the result. Raises `ShapeError` for operands that torch does not take."""
        dtype = result_type(x, tensor1, tensor2)
        if dtype == "bool":
            raise self._refused(f"needs numbers, but its inputs are {x}, {tensor1} and {tensor2}", "not numbers")
        if self.value % 1 and not is_float(dtype):
            raise self._refused(f"multiplies whole numbers by {self.value}, which is none", "not floats")
        return dtype

    def _refused(self, why: str, label: str) -> ShapeError:
        return ShapeError(
            f"`{type(self).__name__}` {why}",
            code="NNS406",
            label=label,
            helps=("convert one of them: `to(x, float)`",),
        )

    def onnx(self, g: OnnxGraph, x: str, tensor1: str, tensor2: str) -> Any:
        dtype = self.result(*map(g.type, (x, tensor1, tensor2)))
        y, a, b = (tensor(g, v, dtype) for v in (x, tensor1, tensor2))
        added = self.combined(g, a, b)
        if self.value != 1:
            added = g.node("Mul", added, tensor(g, self.value, dtype))
        return narrowed(g, g.node("Add", y, added), dtype)

    def combined(self, g: OnnxGraph, a: str, b: str) -> str:
        """What is made of the two tensors. Abstract: each function says it."""
        raise NotImplementedError


class addcmul(_Accumulated):
    """`x + value * tensor1 * tensor2`, broadcast.

    Source: `torch.addcmul`.
    """

    examples = (
        Example("addcmul(x, y, z)", x="float[N, 8]", y="float[8]", z="float[N, 1]"),
        Example("addcmul(x, y, z, value=-2)", x="int8[N]", y="int8[N]", z="uint8[]"),
        Example("addcmul(x, y, z, value=0.5)", x="int[N]", y="float[N]", z="int[N]"),
    )

    def combined(self, g: OnnxGraph, a: str, b: str) -> str:
        return str(g.node("Mul", a, b))


class addcdiv(_Accumulated):
    """`x + value * tensor1 / tensor2`, broadcast; the two are not both of whole numbers.

    Source: `torch.addcdiv`.
    """

    examples = (
        Example("addcdiv(x, y, z)", x="float[N, 8]", y="float[8]", z="float[N, 1]"),
        Example("addcdiv(x, y, exp(z), value=0.1)", x="int[N]", y="int[N]", z="float[N]"),
    )

    def result(self, x: TensorType, tensor1: TensorType, tensor2: TensorType) -> str:
        if category_of(tensor1) < 2 and category_of(tensor2) < 2:
            raise self._refused(f"divides floats, but its inputs are {tensor1} and {tensor2}", "neither is of floats")
        return super().result(x, tensor1, tensor2)

    def combined(self, g: OnnxGraph, a: str, b: str) -> str:
        return str(g.node("Div", a, b))
