"""Losses of probabilities of yes and no, and of distributions."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.functions._losses import Loss, batch_size, expect_weight, total
from nnspec.functions._operands import result_type
from nnspec.layer import Code, Example, OnnxGraph, Rules, call, method
from nnspec.types import TensorType


class binary_cross_entropy(Loss):
    """The mean of `-target * log(x) - (1 - target) * log(1 - x)`, for probabilities of one shape with the target.

    A weight broadcasts with them. Logarithms are held at -100. Source: `torch.nn.functional.binary_cross_entropy`.
    """

    order = ("x", "target", "weight")
    promotes = False

    examples = (
        Example("binary_cross_entropy(sigmoid(x), y)", x="float[N, 1]", y="float[N, 1]"),
        Example('binary_cross_entropy(p, y, reduction="none")', p="float[N, T]", y="float[N, T]"),
        Example("binary_cross_entropy(p, y, w)", p="float[N, 3]", y="float[N, 3]", w="float[3]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        dtype = self.check(rules, x, target)
        if weight is not None:
            expect_weight(self, weight, dtype, "weight", 2)
            rules.broadcast(x.dims, weight.dims)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        dtype = g.type(x).dtype
        one, least = g.constant(1.0, dtype), g.constant(-100.0, dtype)
        yes = g.node("Max", g.node("Log", x), least)
        no = g.node("Max", g.node("Log", g.node("Sub", one, x)), least)
        # target * (no - yes) - no, as torch groups it.
        losses = g.node("Sub", g.node("Mul", target, g.node("Sub", no, yes)), no)
        return total(g, losses if weight is None else g.node("Mul", losses, weight), self.reduction)


class binary_cross_entropy_with_logits(Loss):
    """`binary_cross_entropy` of `sigmoid(x)`, worked out without losing small numbers.

    A weight and a weight of the positive cases broadcast with x.
    Source: `torch.nn.functional.binary_cross_entropy_with_logits`.
    """

    order = ("x", "target", "weight", "pos_weight")
    promotes = False

    examples = (
        Example("binary_cross_entropy_with_logits(x, y)", x="float[N, 1]", y="float[N, 1]"),
        Example('binary_cross_entropy_with_logits(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
        Example("binary_cross_entropy_with_logits(x, y, w)", x="float[N, 3]", y="float[N, 3]", w="float[N, 1]"),
        Example("binary_cross_entropy_with_logits(x, y, pos_weight=w)", x="float[N, 3]", y="float[N, 3]", w="float[3]"),
    )

    def infer(
        self,
        rules: Rules,
        x: TensorType,
        target: TensorType,
        weight: TensorType | None = None,
        pos_weight: TensorType | None = None,
    ) -> TensorType:
        dtype = self.check(rules, x, target)
        for position, extra in enumerate((weight, pos_weight), 2):
            if extra is not None:
                expect_weight(self, extra, dtype, "weight" if position == 2 else "pos_weight", position)
                rules.broadcast(x.dims, extra.dims)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def torch(self, *inputs: Any) -> Code:
        given = dict(zip(("weight", "pos_weight"), inputs[2:], strict=False))
        options = {name: value for name, value in given.items() if value is not None}
        return call("F.binary_cross_entropy_with_logits", *inputs[:2], **options, **self.options())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None, pos_weight: str | None = None) -> Any:
        dtype = g.type(x).dtype
        one = g.constant(1.0, dtype)
        # -log(sigmoid(x)) is softplus(-x), and -log(1 - sigmoid(x)) is x more.
        yes = g.node("Softplus", g.node("Neg", x))
        if pos_weight is not None:
            more = g.node("Mul", target, g.node("Sub", pos_weight, one))
            yes = g.node("Mul", yes, g.node("Add", more, one))
        losses = g.node("Add", g.node("Mul", g.node("Sub", one, target), x), yes)
        return total(g, losses if weight is None else g.node("Mul", losses, weight), self.reduction)


class kl_div(Loss):
    """The mean of `target * (log(target) - x)`: how far the distribution `exp(x)` is from the target.

    `reduction="batchmean"` divides by the first dimension only, as the definition does.
    Source: `torch.nn.functional.kl_div`.
    """

    reduction: Literal["mean", "batchmean", "sum", "none"] = arg(  # type: ignore[assignment] # one more than others
        "mean", doc="mean, mean over the batch, sum, or all"
    )
    log_target: bool = arg(False, doc="the target holds logarithms too", keyword=True)

    examples = (
        Example("kl_div(log_softmax(x, dim=-1), y)", x="float[N, 5]", y="float[N, 5]"),
        Example('kl_div(x, y, reduction="batchmean", log_target=true)', x="float[N, 5]", y="float[N, 5]"),
        Example('kl_div(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
    )

    promotes = False

    def torch(self, *inputs: Any) -> Code:
        if self.reduction != "mean":
            return call("F.kl_div", *inputs, **self.options())
        # torch warns that its own "mean" will become that over the batch.
        return method("mean", call("F.kl_div", *inputs, **(self.options() | {"reduction": "none"})))

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        kind = g.type(x)
        dtype = result_type(kind, g.type(target))
        if self.log_target:
            losses = g.node("Mul", g.node("Exp", target), g.node("Sub", target, x))
        else:
            nothing = g.constant(0.0, dtype)
            empty = g.node("Equal", target, nothing)
            # 0 log 0 is 0.
            own = g.node("Where", empty, nothing, g.node("Mul", target, g.node("Log", target)))
            losses = g.node("Sub", own, g.node("Mul", target, x))
        if self.reduction == "batchmean":
            return g.node("Div", total(g, losses, "sum"), g.cast(g.size(batch_size(kind)), dtype))
        return total(g, losses, self.reduction)
