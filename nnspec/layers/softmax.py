"""Layers that make a distribution of scores."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.layer import Code, Example, Layer, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_axis, expect_float
from nnspec.types import TensorType


class _Softmax(Layer):
    """What both forms share. torch's `dim=None`, a deprecated guess, is not offered."""

    dim: int = arg(doc="the dimension whose elements sum to one")

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if x.rank:
            expect_axis(self, x, "dim", self.dim)
        return x

    def torch(self) -> Code:
        return call(f"nn.{type(self).__name__}", dim=self.dim)


class Softmax(_Softmax):
    """Positive numbers that sum to one along `dim`: `exp(x) / sum(exp(x))`.

    Source: `torch.nn.Softmax`.
    """

    examples = (
        Example("Softmax(-1)", x="float[N, 10]"),
        Example("Softmax(dim=1)", x="float[N, 5, T]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Softmax", x, axis=self.dim)


class LogSoftmax(_Softmax):
    """The logarithm of `Softmax`, worked out without losing small numbers.

    Source: `torch.nn.LogSoftmax`.
    """

    examples = (
        Example("LogSoftmax(-1)", x="float[N, 10]"),
        Example("LogSoftmax(dim=0)", x="float[T, 5]"),
    )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("LogSoftmax", x, axis=self.dim)
