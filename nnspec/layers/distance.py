"""Layers that compare two inputs: how far vectors lie apart, and how alike their directions are."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions.distances import pairwise_distance
from nnspec.functions.norms import cosine_similarity
from nnspec.layer import Example, Function, Layer, OnnxGraph, Rules
from nnspec.types import TensorType


class _Distance(Layer):
    """A layer that is a function of two inputs with its arguments."""

    function: ClassVar[type[Function]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # In what it says the function calls itself by the layer's name.
        cls.function = type(cls.__name__, (cls.function,), {})

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType) -> Any:
        return self.function(**self.__dict__).infer(rules, x1, x2)

    def onnx(self, g: OnnxGraph, x1: str, x2: str) -> Any:
        return self.function(**self.__dict__).onnx(g, x1, x2)


class PairwiseDistance(_Distance):
    """The length of the difference of vectors: [N, D] and [N, D] to [N]; both broadcast.

    Source: `torch.nn.PairwiseDistance`.
    """

    function = pairwise_distance
    fields = pairwise_distance.fields

    examples = (
        Example("PairwiseDistance", x1="float[N, 8]", x2="float[N, 8]"),
        Example("PairwiseDistance(1.0, keepdim=true)", x1="float[N, T, 8]", x2="float[8]"),
    )


class CosineSimilarity(_Distance):
    """The cosine of the angle between vectors along `dim`: [N, D] and [N, D] to [N]; both broadcast.

    Source: `torch.nn.CosineSimilarity`.
    """

    function = cosine_similarity
    fields = cosine_similarity.fields

    examples = (
        Example("CosineSimilarity", x1="float[N, 8]", x2="float[N, 8]"),
        Example("CosineSimilarity(dim=-1, eps=1e-6)", x1="float[N, 1, 8]", x2="float[N, T, 8]"),
    )
