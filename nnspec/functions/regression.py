"""Losses of numbers: how far a prediction is from its target."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.functions._losses import Loss, total
from nnspec.functions._operands import result_type
from nnspec.layer import Example, OnnxGraph


class _Distance(Loss):
    """A loss of the difference of prediction and target, element by element."""

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        dtype = result_type(g.type(x), g.type(target))
        difference = g.node("Sub", g.cast(x, dtype), g.cast(target, dtype))
        return total(g, self.measure(g, difference, dtype), self.reduction)

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        """The losses of differences. Abstract: each loss says it."""
        raise NotImplementedError


class mse_loss(_Distance):
    """The mean of the squared differences of two tensors of one shape.

    Source: `torch.nn.functional.mse_loss`.
    """

    examples = (
        Example("mse_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('mse_loss(x, y, reduction="none")', x="float[N, T]", y="int[N, T]"),
        Example('mse_loss(x, y, reduction="sum")', x="float[N]", y="float64[N]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        return g.node("Mul", difference, difference)


class l1_loss(_Distance):
    """The mean of the absolute differences of two tensors of one shape.

    Source: `torch.nn.functional.l1_loss`.
    """

    examples = (
        Example("l1_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('l1_loss(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
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


class huber_loss(_Distance):
    """The mean of `delta * (difference - delta / 2)`; half the squared difference where it is below `delta`.

    Source: `torch.nn.functional.huber_loss`; Huber (1964).
    """

    delta: float = arg(1.0, gt=0, doc="where the square ends", keyword=True)

    promotes = False

    examples = (
        Example("huber_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('huber_loss(x, y, reduction="none", delta=0.3)', x="float[N, T]", y="float[N, T]"),
    )

    def measure(self, g: OnnxGraph, difference: str, dtype: str) -> Any:
        size = g.node("Abs", difference)
        half = g.constant(0.5, dtype)
        square = g.node("Mul", g.node("Mul", size, size), half)
        delta = g.constant(self.delta, dtype)
        line = g.node("Mul", g.node("Sub", size, g.constant(self.delta / 2, dtype)), delta)
        return g.node("Where", g.node("LessOrEqual", size, delta), square, line)
