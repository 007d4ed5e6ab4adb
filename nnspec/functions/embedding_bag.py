"""Sums, means and maxima of rows of a table, bag by bag, as a function."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float
from nnspec.layers.embedding_bag import Bags
from nnspec.types import TensorType


class embedding_bag(Function):
    """The rows of a table that a bag's numbers name, added up: int[N, L] and [words, D] to [N, D].

    A row is a bag; of numbers in a row, int[L], the bags begin at `offsets`, int[B], the first of them 0.
    Source: `torch.nn.functional.embedding_bag`, less `max_norm` and `norm_type`, which would change the table.
    """

    namespace = "F"
    order = ("x", "weight", "offsets")

    scale_grad_by_freq: bool = arg(False, keyword=True, doc="divide gradients by how often a number occurs")
    mode: Literal["sum", "mean", "max"] = arg("mean", keyword=True, doc="what is made of a bag's rows")
    sparse: bool = arg(False, keyword=True, doc="make sparse gradients, which only some optimizers take")
    include_last_offset: bool = arg(False, keyword=True, doc="the last offset is the end of the last bag")
    padding_idx: int | None = arg(None, keyword=True, doc="a number that does not count")

    examples = (
        Example("embedding_bag(i % 5, w)", i="int[N, L]", w="float[5, 8]"),
        Example(
            'embedding_bag(i % 5, w, mode="sum", per_sample_weights=v)', i="int[N, 3]", w="float[5, 8]", v="float[N, 3]"
        ),
        Example("embedding_bag(i % 5, w, arange(L) // 2 * 2)", i="int[L]", w="float[5, 8]"),
        Example(
            'embedding_bag(i % 5, w, cat([arange(3), full((2,), 4)]), mode="max", include_last_offset=true)',
            i="int[4]",
            w="float[5, D]",
        ),
        Example("embedding_bag(i % 3, w, b * 0, padding_idx=1)", i="int[L]", w="float[3, 2]", b="int[B]"),
    )

    def infer(
        self, rules: Rules, x: TensorType, weight: TensorType, offsets: Any = None, per_sample_weights: Any = None
    ) -> TensorType:
        weight = expect_float(self, weight, 1)
        if weight.rank != 2:
            raise ShapeError(f"the table of `embedding_bag` must be [words, D], not {weight}", code="NNS402", input=1)
        inputs = {"offsets": 2, "per_sample_weights": 3}
        result: TensorType = Bags(self).infer(rules, x, weight, offsets, per_sample_weights, inputs)
        return result

    def torch(self, *inputs: Any) -> Code:
        x, weight, *rest = inputs
        offsets, weights = (*rest, None, None)[:2]
        given = {} if weights is None else {"per_sample_weights": weights}
        return call("F.embedding_bag", x, weight, *(() if offsets is None else (offsets,)), **given, **self.options())

    def onnx(
        self, g: OnnxGraph, x: str, weight: str, offsets: str | None = None, per_sample_weights: str | None = None
    ) -> Any:
        return Bags(self).lower(g, x, weight, offsets, per_sample_weights)
