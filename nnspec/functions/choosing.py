"""Choosing between elements by a tensor of bools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.functions._lowering import choose, kind
from nnspec.functions._operands import broadcast, category_of, expect_tensors, result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, method
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, TensorType, category, show_dtype

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


def _expect_bools(function: Function, operand: Any, what: str, repair: str, input: int = 0) -> TensorType:
    x = expect_tensor(function, operand, input)
    if x.dtype != "bool":
        raise ShapeError(
            f"the {what} of `{type(function).__name__}` must be of type bool, but it is {x}",
            code="NNS406",
            label="not a bool tensor",
            input=input,
            helps=(f"compare it: `{repair}`",),
        )
    return x


class where(Function):
    """`x` where the condition is true and `other` elsewhere; all three broadcast, numbers among them.

    Source: `torch.where`.
    """

    scalars = ("x", "other")

    examples = (
        Example("where(m, x, y)", m="bool[N, T]", x="float[N, T]", y="float[T]"),
        Example("where(m, x, 0.0)", m="bool[N, 1]", x="float[N, 5]"),
        Example("where(m, 1, N)", m="bool[N]"),
        Example("where(m, x, y)", m="bool[N]", x="bool[N]", y="bool[1]"),
        Example("where(m, x, -1)", m="bool[N]", x="int8[N]"),
    )

    def infer(self, rules: Rules, condition: TensorType, x: Operand, other: Operand) -> TensorType:
        expect_tensors(self, (_expect_bools(self, condition, "condition", "x != 0"), x, other))
        return TensorType(result_type(x, other), broadcast(rules, condition, x, other))

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, keeps=inputs[:1])

    def onnx(self, g: OnnxGraph, condition: str, x: Any, other: Any) -> Any:
        return choose(g, condition, x, other, result_type(kind(g, x), kind(g, other)))


class masked_fill(Function):
    """`x` with `value` where the mask is true; x and mask broadcast, the type is that of x.

    Source: `torch.masked_fill`.
    """

    scalars = ("value",)

    keeps = ("mask",)

    examples = (
        Example("masked_fill(x, m, -inf)", x="float[N, T, T]", m="bool[T, T]"),
        Example("masked_fill(x, m, 0)", x="int8[N, 1]", m="bool[3]"),
        Example("masked_fill(x, m, v)", x="float[N, 4]", m="bool[N, 4]", v="float[]"),
        Example("masked_fill(x, m, true)", x="bool[N]", m="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType, mask: TensorType, value: Operand) -> TensorType:
        expect_tensors(self, (expect_tensor(self, x), _expect_bools(self, mask, "mask", "mask == 0", 1), value))
        self._check_value(x, value)
        return x.with_dims(*broadcast(rules, x, mask))

    def _check_value(self, x: TensorType, value: Operand) -> None:
        if isinstance(value, TensorType) and value.rank:
            raise ShapeError(
                f"the value of `masked_fill` must be one number, but it is {value}",
                code="NNS402",
                input=2,
                helps=("`where(mask, value, x)` takes values from a tensor",),
            )
        if category_of(value) > category(x.dtype):
            raise ShapeError(
                f"`masked_fill` cannot put {value} into a tensor of type {show_dtype(x.dtype)}",
                code="NNS406",
                label=f"does not fit {show_dtype(x.dtype)}",
                input=2,
                helps=("`where(mask, value, x)` makes a tensor that holds both",),
            )

    def torch(self, *inputs: Any) -> Code:
        return method("masked_fill", *inputs)

    def onnx(self, g: OnnxGraph, x: str, mask: str, value: Any) -> Any:
        return choose(g, mask, value, x, g.type(x).dtype)
