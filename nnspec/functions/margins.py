"""Losses of margins: scores must be above others, or beyond a bound, by some distance."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import show
from nnspec.functions._losses import (
    Criterion,
    Loss,
    expect_inside,
    expect_signs,
    expect_weight,
    is_sign,
    same_shape,
    softplus,
    total,
)
from nnspec.functions._operands import expect_dtype, result_type, shape_text
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType


class _SignLoss(Loss):
    """A loss whose target holds 1 and -1; its type is the prediction's."""

    def check(self, rules: Rules, x: TensorType, target: TensorType) -> str:
        x, target = expect_float(self, x), expect_signs(self, target, 1)
        same_shape(self, rules, x, target)
        return x.dtype


class hinge_embedding_loss(_SignLoss):
    """The mean of x where the target is 1, and of `max(0, margin - x)` where it is -1; x is a distance as a rule.

    Source: `torch.nn.functional.hinge_embedding_loss`.
    """

    order = ("x", "target", "margin")

    margin: float = arg(1.0, doc="how far apart what differs has to be")

    examples = (
        Example("hinge_embedding_loss(x, sign(y))", x="float[N]", y="float[N]"),
        Example('hinge_embedding_loss(x, y, 0.5, reduction="none")', x="float[N, T]", y="int[N, T]"),
    )

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        dtype = g.type(x).dtype
        nothing = g.constant(0.0, dtype)
        short = g.node("Relu", g.node("Sub", g.constant(self.margin, dtype), x))
        apart = g.node("Where", is_sign(g, target, 1), nothing, short)
        alike = g.node("Where", is_sign(g, target, -1), nothing, x)
        return total(g, g.node("Add", apart, alike), self.reduction)


class soft_margin_loss(_SignLoss):
    """The mean of `log(1 + exp(-target * x))`, for scores of one shape with a target of 1 and -1.

    Source: `torch.nn.functional.soft_margin_loss`.
    """

    examples = (
        Example("soft_margin_loss(x, sign(y))", x="float[N, 3]", y="float[N, 3]"),
        Example('soft_margin_loss(x, y, reduction="none")', x="float[N]", y="int[N]"),
    )

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        dtype = g.type(x).dtype
        wrong = g.node("Exp", g.node("Neg", g.node("Mul", g.cast(target, dtype), x)))
        return total(g, g.node("Log", g.node("Add", wrong, g.constant(1.0, dtype))), self.reduction)


class margin_ranking_loss(Criterion):
    """The mean of `max(0, margin - target * (x1 - x2))`: x1 should be above x2 where the target is 1, below for -1.

    Source: `torch.nn.functional.margin_ranking_loss`.
    """

    order = ("x1", "x2", "target", "margin")

    margin: float = arg(0.0, doc="by how much")

    examples = (
        Example("margin_ranking_loss(x, y, sign(z))", x="float[N]", y="float[N]", z="float[N]"),
        Example('margin_ranking_loss(x, y, z, 0.5, reduction="none")', x="float[N, T]", y="float[N, T]", z="int[N, T]"),
    )

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType, target: TensorType) -> TensorType:
        x1, x2, target = expect_float(self, x1), expect_float(self, x2, 1), expect_signs(self, target, 2)
        same_shape(self, rules, x1, x2, "second one")
        same_shape(self, rules, x1, target)
        return TensorType(result_type(x1, x2, target), x1.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x1: str, x2: str, target: str) -> Any:
        dtype = result_type(g.type(x1), g.type(x2), g.type(target))
        difference = g.node("Sub", g.cast(x1, dtype), g.cast(x2, dtype))
        above = g.node("Mul", g.cast(target, dtype), difference)
        return total(g, g.node("Relu", g.node("Sub", g.constant(self.margin, dtype), above)), self.reduction)


def _expect_scores(function: Function, x: TensorType) -> TensorType:
    """Scores [N, C] or [C], of the types that torch has them for."""
    x = expect_float(function, x)
    name = type(function).__name__
    if x.dtype not in ("float32", "float64"):
        raise ShapeError(f"torch has `{name}` for float32 and float64 only, but its input is {x}", code="NNS406")
    if x.rank not in (1, 2):
        raise ShapeError(
            f"`{name}` needs scores of classes, [N, C] or [C], but its input is {x}",
            code="NNS402",
            label=f"has {x.rank} dimension{'' if x.rank == 1 else 's'}",
        )
    return x


class multi_margin_loss(Criterion):
    """The mean of `max(0, margin - x[right] + x[other]) ** p / C`, summed over all other classes: scores [N, C] or [C].

    The target holds the right classes, int[N] or int[]. A weight for each class multiplies the losses of samples whose
    right one it is. Source: `torch.nn.functional.multi_margin_loss`.
    """

    order = ("x", "target", "p", "margin", "weight")

    p: int = arg(1, ge=1, le=2, doc="the power, 1 or 2")
    margin: float = arg(1.0, doc="by how much the right class should be above the others")

    examples = (
        Example("multi_margin_loss(x, y)", x="float[N, 5]", y="int[N]"),
        Example('multi_margin_loss(x, y, 2, 0.5, w, reduction="none")', x="float[N, 5]", y="int[N]", w="float[5]"),
        Example("multi_margin_loss(x, y)", x="float[5]", y="int[]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        x = _expect_scores(self, x)
        target = expect_dtype(self, target, "int64", "target", 1)
        message = f"`multi_margin_loss` of scores {shape_text(x.dims)} needs a target {shape_text(x.dims[:-1])}"
        message += f", but it is {shape_text(target.dims)}"
        if target.rank != x.rank - 1:
            raise ShapeError(message, label=f"has {target.rank} dimensions", input=1)
        for wanted, size in zip(x.dims, target.dims, strict=False):
            rules.require_equal(size, wanted, message, label=f"{show(size)} is not {show(wanted)}", input=1)
        if weight is not None:
            weight = expect_weight(self, weight, x.dtype, "weight", 2)
            message = f"the weight of `multi_margin_loss` is one number for each of {show(x.dims[-1])} classes"
            if weight.rank != 1:
                raise ShapeError(f"{message}, but it is {weight}", code="NNS402", input=2)
            rules.require_equal(weight.dims[0], x.dims[-1], f"{message}, but it is {weight}", input=2)
        return TensorType(x.dtype, target.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        kind = g.type(x)
        place = g.node("Unsqueeze", target, g.constant([-1]))
        right = g.node("GatherElements", x, place, axis=kind.rank - 1)
        short = g.node("Relu", g.node("Add", g.node("Sub", g.constant(self.margin, kind.dtype), right), x))
        if self.p == 2:
            short = g.node("Mul", short, short)
        classes = g.node("Range", g.constant(0), g.size(kind.dims[-1]), g.constant(1))
        short = g.node("Where", g.node("Equal", place, classes), g.constant(0.0, kind.dtype), short)
        losses = reduce(g, "ReduceMean", short, [-1], keepdims=False)
        if weight is not None:
            losses = g.node("Mul", losses, g.node("Gather", weight, target, axis=0))
        return total(g, losses, self.reduction)


class multilabel_margin_loss(Loss):
    """The mean of `max(0, 1 - x[right] + x[other]) / C`, summed over all pairs of a right class and another one.

    Scores [N, C] or [C] meet a target of that shape whose rows hold the right classes, and -1 behind the last of them.
    Source: `torch.nn.functional.multilabel_margin_loss`.
    """

    examples = (
        Example("multilabel_margin_loss(x, y)", x="float[N, 5]", y="int[N, 5]"),
        Example('multilabel_margin_loss(x, y, reduction="none")', x="float[N, 5]", y="int[N, 5]"),
        Example("multilabel_margin_loss(x, y)", x="float[5]", y="int[5]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType) -> TensorType:
        x, target = _expect_scores(self, x), expect_dtype(self, target, "int64", "target", 1)
        same_shape(self, rules, x, target)
        return TensorType(x.dtype, x.dims[:-1] if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        kind = g.type(x)
        nothing, last = g.constant(0.0, kind.dtype), g.constant([-1])
        ended = g.node("CumSum", g.cast(g.node("Less", target, g.constant(0)), "int64"), g.constant(kind.rank - 1))
        counts = g.node("Equal", ended, g.constant(0))
        right = g.node("Where", counts, target, g.constant(0))
        # [..., j, i]: the class that stands at position j of the target, against class i.
        above = g.node("Unsqueeze", g.node("GatherElements", x, right, axis=kind.rank - 1), last)
        other = g.node("Unsqueeze", x, g.constant([-2]))
        short = g.node("Relu", g.node("Add", g.node("Sub", g.constant(1.0, kind.dtype), above), other))
        classes = g.node("Range", g.constant(0), g.size(kind.dims[-1]), g.constant(1))
        named = g.node("Where", counts, target, last)
        itself = g.node("Equal", g.node("Unsqueeze", named, last), classes)
        is_right = reduce(g, "ReduceMax", g.cast(itself, "int32"), [-2])
        pairs = g.node("And", g.node("Unsqueeze", counts, last), g.node("Equal", is_right, g.constant(0, "int32")))
        losses = reduce(g, "ReduceSum", g.node("Where", pairs, short, nothing), [-2, -1], keepdims=False)
        return total(g, g.node("Div", losses, g.cast(g.size(kind.dims[-1]), kind.dtype)), self.reduction)


class multilabel_soft_margin_loss(Loss):
    """The mean of `binary_cross_entropy_with_logits` over classes, then samples: [..., C] with a target of 0 and 1.

    A weight for each class, or for each score, multiplies the losses.
    Source: `torch.nn.functional.multilabel_soft_margin_loss`.
    """

    order = ("x", "target", "weight")

    examples = (
        Example("multilabel_soft_margin_loss(x, y)", x="float[N, 5]", y="float[N, 5]"),
        Example('multilabel_soft_margin_loss(x, y, w, reduction="none")', x="float[N, 5]", y="int[N, 5]", w="float[5]"),
        Example('multilabel_soft_margin_loss(x, y, reduction="sum")', x="float[4]", y="float[4]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        dtype = self.check(rules, x, target)
        if not x.rank:
            raise ShapeError(f"`{type(self).__name__}` needs scores of classes, but its input is {x}", code="NNS402")
        if weight is not None:
            expect_inside(self, rules, x, expect_weight(self, weight, dtype, "weight", 2), "weight", 2)
        return TensorType(dtype, x.dims[:-1] if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        dtype = result_type(g.type(x), g.type(target))
        x, target = g.cast(x, dtype), g.cast(target, dtype)
        yes = g.node("Mul", target, softplus(g, g.node("Neg", x), dtype))
        no = g.node("Mul", g.node("Sub", g.constant(1.0, dtype), target), softplus(g, x, dtype))
        losses = g.node("Add", yes, no)
        if weight is not None:
            losses = g.node("Mul", losses, weight)
        return total(g, reduce(g, "ReduceMean", losses, [-1], keepdims=False), self.reduction)
