"""What loss functions share: operands of one shape, and reductions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._operands import result_type, same_type, shape_text
from nnspec.layer import Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_float, show_dtype


class Loss(Function):
    """A loss of a prediction and a target of the same shape."""

    namespace = "F"
    order: ClassVar[tuple[str, ...]] = ("x", "target")

    reduction: Literal["mean", "sum", "none"] = arg("mean", doc="the mean or sum of all losses, or all of them")

    promotes: ClassVar[bool] = True
    """Whether the target may be of another type of numbers."""

    def infer(self, rules: Rules, x: TensorType, target: TensorType) -> TensorType:
        dtype = self.check(rules, x, target)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def check(self, rules: Rules, x: TensorType, target: TensorType) -> str:
        """Refuse a target of another shape, which torch would broadcast; the loss's element type."""
        x = expect_float(self, x)
        target = expect_tensor(self, target, 1)
        same_shape(self, rules, x, target)
        if not self.promotes:
            return same_type(self, (x, target))
        if target.dtype == "bool":
            raise ShapeError(
                f"the target of `{type(self).__name__}` must hold numbers, but it is {target}",
                code="NNS406",
                label="is of type bool",
                input=1,
                helps=("convert it with `to(target, float)`",),
            )
        return result_type(x, target)


def same_shape(function: Function, rules: Rules, x: TensorType, target: TensorType) -> None:
    """Refuse a prediction and a target of different shapes."""
    if x.rank != target.rank:
        raise ShapeError(
            f"`{type(function).__name__}` needs a prediction and a target of one shape, "
            f"but they are {shape_text(x.dims)} and {shape_text(target.dims)}",
            label=f"{x.rank} and {target.rank} dimensions",
            helps=_repair(rules, x, target),
        )
    for axis, (a, b) in enumerate(zip(x.dims, target.dims, strict=True)):
        rules.require_equal(
            a,
            b,
            f"`{type(function).__name__}` needs a prediction and a target of one shape, "
            f"but they are {shape_text(x.dims)} and {shape_text(target.dims)}",
            label=f"{show(a)} and {show(b)} in dimension {axis}",
        )


def _repair(rules: Rules, x: TensorType, target: TensorType) -> tuple[str, ...]:
    """The usual slip: a column of predictions against a vector of targets."""
    for wide, narrow, name in ((x, target, "prediction"), (target, x, "target")):
        if wide.rank == narrow.rank + 1 and wide.dims[-1] == 1:
            return (f"leave out the last dimension of the {name}: `{name}[..., 0]`",)
    return ()


def expect_weight(function: Function, operand: Any, dtype: str, what: str, position: int) -> TensorType:
    """A tensor of weights, of the prediction's element type."""
    weight = expect_tensor(function, operand, position)
    if weight.dtype != dtype or not is_float(dtype):
        raise ShapeError(
            f"the {what} of `{type(function).__name__}` must be of type {show_dtype(dtype)}, but it is {weight}",
            code="NNS406",
            label=f"is of type {show_dtype(weight.dtype)}",
            input=position,
        )
    return weight


def total(g: OnnxGraph, losses: str, reduction: str) -> Any:
    """The losses reduced to one number."""
    if reduction == "none":
        return losses
    return g.node("ReduceMean" if reduction == "mean" else "ReduceSum", losses, keepdims=0)


def batch_size(x: TensorType) -> Size:
    """How many samples a tensor holds."""
    return x.dims[0] if x.rank else 1
