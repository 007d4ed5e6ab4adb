"""Losses of numbers: how far a prediction is from its target."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._losses import Loss, same_shape, total
from nnspec.functions._operands import expect_numbers, result_type
from nnspec.layer import Example, OnnxGraph, Rules
from nnspec.types import TensorType


class _Distance(Loss):
    """A loss of the difference of prediction and target, element by element."""

    in_units = True

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        return total(g, self.losses(g, x, target, result_type(g.type(x), g.type(target))), self.reduction)

    def losses(self, g: OnnxGraph, x: str, target: str, dtype: str) -> Any:
        """All losses, one for each element."""
        return self.measure(g, g.node("Sub", g.cast(x, dtype), g.cast(target, dtype)), dtype)

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        """The losses of differences. Abstract: each loss says it."""
        raise NotImplementedError


class _Weighted(_Distance):
    """Such a loss with a weight for each element."""

    order: ClassVar[tuple[str, ...]] = ("x", "target", "weight")

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        dtype = self.check(rules, x, target)
        if weight is not None:
            same_shape(self, rules, x, expect_numbers(self, weight, 2), "weight")
            dtype = result_type(x.with_dtype(dtype), weight)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        dtype = result_type(g.type(x), g.type(target))
        losses = self.losses(g, x, target, dtype)
        if weight is None:
            return total(g, losses, self.reduction)
        whole = result_type(g.type(x).with_dtype(dtype), g.type(weight))
        weight = g.cast(weight, whole)
        losses = g.node("Mul", losses if whole == dtype else g.cast(losses, whole), weight)
        return self.weighted_mean(g, losses, weight) if self.reduction == "mean" else total(g, losses, self.reduction)

    def weighted_mean(self, g: OnnxGraph, losses: str, weight: str) -> Any:
        """The mean of losses that are multiplied by their weights already."""
        return g.node("Div", total(g, losses, "sum"), total(g, weight, "sum"))


class mse_loss(_Weighted):
    """The mean of the squared differences of two tensors of one shape; each may have a weight in that mean.

    Source: `torch.nn.functional.mse_loss`.
    """

    examples = (
        Example("mse_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('mse_loss(x, y, reduction="none")', x="float[N, T]", y="int[N, T]"),
        Example('mse_loss(x, y, reduction="sum")', x="float[N]", y="float64[N]"),
        Example("mse_loss(x, y, weight=w)", x="float[N, 3]", y="float[N, 3]", w="float[N, 3]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        return g.node("Mul", difference, difference)


class l1_loss(_Weighted):
    """The mean of the absolute differences of two tensors of one shape; each may have a weight in that mean.

    Source: `torch.nn.functional.l1_loss`.
    """

    examples = (
        Example("l1_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('l1_loss(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
        Example('l1_loss(x, y, w, reduction="sum")', x="float[N, T]", y="float[N, T]", w="float[N, T]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        return g.node("Abs", difference)


class smooth_l1_loss(_Distance):
    """The mean of `difference - beta / 2`; of `difference ** 2 / (2 * beta)` where the difference is below `beta`.

    Source: `torch.nn.functional.smooth_l1_loss`; Girshick, Fast R-CNN (arXiv:1504.08083).
    """

    beta: float = arg(1.0, ge=0, doc="where the square ends", keyword=True)

    examples = (
        Example("smooth_l1_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('smooth_l1_loss(x, y, reduction="sum", beta=0.3)', x="float[N, T]", y="float[N, T]"),
        Example("smooth_l1_loss(x, y, beta=0)", x="float[N]", y="float[N]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        size = g.node("Abs", difference)
        if self.beta == 0:
            return size
        square = g.node("Mul", g.node("Mul", size, size), g.constant(0.5 / self.beta, dtype))
        line = g.node("Sub", size, g.constant(self.beta / 2, dtype))
        return g.node("Where", g.node("Less", size, g.constant(self.beta, dtype)), square, line)


class huber_loss(_Weighted):
    """The mean of `delta * (difference - delta / 2)`; half the squared difference where it is below `delta`.

    Losses are multiplied by weights where these are given; the mean divides by the number of losses all the same.
    Source: `torch.nn.functional.huber_loss`; Huber (1964).
    """

    order = ("x", "target", "reduction", "delta", "weight")
    promotes = False

    delta: float = arg(1.0, gt=0, doc="where the square ends")

    examples = (
        Example("huber_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('huber_loss(x, y, reduction="none", delta=0.3)', x="float[N, T]", y="float[N, T]"),
        Example('huber_loss(x, y, "mean", 0.5, w)', x="float[N, T]", y="float[N, T]", w="float[N, T]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        size = g.node("Abs", difference)
        half = g.constant(0.5, dtype)
        square = g.node("Mul", g.node("Mul", size, size), half)
        delta = g.constant(self.delta, dtype)
        line = g.node("Mul", g.node("Sub", size, g.constant(self.delta / 2, dtype)), delta)
        return g.node("Where", g.node("LessOrEqual", size, delta), square, line)

    def weighted_mean(self, g: OnnxGraph, losses: str, weight: str) -> Any:
        return total(g, losses, "mean")
