"""What loss functions share: operands of one shape, and reductions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._operands import result_type, same_type, shape_text
from nnspec.layer import Code, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_float, show_dtype


class Criterion(Function):
    """A loss of any tensors: their losses reduced to one number, or all of them."""

    namespace = "F"

    reduction: Literal["mean", "sum", "none"] = arg("mean", doc="the mean or sum of all losses, or all of them")

    def torch(self, *inputs: Any) -> Code:
        """Tensors that may be left out go by name: torch has arguments in between that are no longer used."""
        required = self.required_inputs()
        names = self.input_names()[required:]
        given = {n: x for n, x in zip(names, inputs[required:], strict=False) if x is not None}
        return call(f"{self.namespace}.{type(self).__name__}", *inputs[:required], **given, **self.options())


class Loss(Criterion):
    """A loss of a prediction and a target of the same shape."""

    order: ClassVar[tuple[str, ...]] = ("x", "target")

    promotes: ClassVar[bool] = True
    """Whether the target may be of another type of numbers."""
    in_units: ClassVar[bool] = False
    """Whether what is predicted is in the units of the target, so that what is done to one is undone in the other."""

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


def same_shape(function: Function, rules: Rules, x: TensorType, target: TensorType, what: str = "target") -> None:
    """Refuse a prediction and a target (or whatever is called `what`) of different shapes."""
    message = (
        f"`{type(function).__name__}` needs a prediction and a {what} of one shape, "
        f"but they are {shape_text(x.dims)} and {shape_text(target.dims)}"
    )
    if x.rank != target.rank:
        raise ShapeError(message, label=f"{x.rank} and {target.rank} dimensions", helps=_repair(x, target, what))
    for axis, (a, b) in enumerate(zip(x.dims, target.dims, strict=True)):
        rules.require_equal(a, b, message, label=f"{show(a)} and {show(b)} in dimension {axis}")


def _repair(x: TensorType, target: TensorType, what: str) -> tuple[str, ...]:
    """The usual slip: a column of predictions against a vector of targets."""
    for wide, narrow, name in ((x, target, "prediction"), (target, x, what)):
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


def expect_inside(
    function: Function, rules: Rules, x: TensorType, weight: TensorType, what: str, position: int
) -> None:
    """Refuse weights that do not broadcast with the losses, or that would make more of them."""
    message = f"the {what} of `{type(function).__name__}`, {weight}, does not fit losses of shape {shape_text(x.dims)}"
    if weight.rank > x.rank:
        raise ShapeError(message, code="NNS402", label=f"has {weight.rank} dimensions", input=position)
    for size, own in zip(weight.dims[::-1], x.dims[::-1], strict=False):
        if size != 1:
            rules.require_equal(size, own, message, label=f"{show(size)} is not {show(own)}", input=position)


def expect_signs(function: Function, operand: Any, position: int) -> TensorType:
    """A tensor of 1 and -1, of any type that holds both."""
    target = expect_tensor(function, operand, position)
    if target.dtype in ("bool", "uint8"):
        raise ShapeError(
            f"the target of `{type(function).__name__}` holds 1 and -1, but it is {target}",
            code="NNS406",
            label=f"is of type {target.dtype}",
            input=position,
            helps=("of true and false it is made by `where(target, 1.0, -1.0)`",) if target.dtype == "bool" else (),
        )
    return target


def is_sign(g: OnnxGraph, target: str, sign: int) -> str:
    """Where a target is 1, or -1."""
    wide = "float32" if is_float(g.type(target).dtype) else "int64"
    return str(g.node("Equal", g.cast(target, wide), g.constant(sign, wide)))


def softplus(g: OnnxGraph, x: str, dtype: str) -> str:
    """log(1 + exp(x)) without overflow; ONNX Runtime's own operator knows no float64."""
    if dtype != "float64":
        return str(g.node("Softplus", x))
    small = g.node("Exp", g.node("Neg", g.node("Abs", x)))
    return str(g.node("Add", g.node("Relu", x), g.node("Log", g.node("Add", small, g.constant(1.0, dtype)))))


def total(g: OnnxGraph, losses: str, reduction: str) -> Any:
    """The losses reduced to one number."""
    if reduction == "none":
        return losses
    return g.node("ReduceMean" if reduction == "mean" else "ReduceSum", losses, keepdims=0)


def batch_size(x: TensorType) -> Size:
    """How many samples a tensor holds."""
    return x.dims[0] if x.rank else 1
