"""Vectors for numbers of words, classes, places."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType, show_dtype


class Embedding(Layer):
    """Looks up a learned vector for each number: int[...] to float[..., embedding_dim].

    Source: `torch.nn.Embedding`, less `max_norm` and `norm_type`, which would change the weights in a forward pass.
    """

    num_embeddings: int = arg(ge=1, doc="how many vectors there are; numbers are below it")
    embedding_dim: int = arg(ge=1, doc="size of each vector")
    padding_idx: int | None = arg(None, doc="a number whose vector starts at zero and is not trained")
    scale_grad_by_freq: bool = arg(False, keyword=True, doc="divide gradients by how often a number occurs")
    sparse: bool = arg(False, keyword=True, doc="make sparse gradients, which only some optimizers take")

    examples = (
        Example("Embedding(100, 8)", x="int[N, T]"),
        Example("Embedding(10, 4, padding_idx=0)", x="int[N]"),
        Example("Embedding(10, 4, padding_idx=-1, scale_grad_by_freq=true)", x="int32[N, 3, T]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_tensor(self, inputs[0])
        if x.dtype not in ("int64", "int32"):
            raise ShapeError(
                f"`Embedding` looks numbers up, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}, not int or int32",
                input=0,
                helps=("give the input an integer type, such as int[N, T]",),
            )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        index, count = self.padding_idx, self.num_embeddings
        if index is not None and not -count <= index < count:
            raise ShapeError(
                f"padding_idx {index} is out of range for {count} embeddings",
                code="NNS411",
                at="padding_idx",
                label=f"must be from {-count} to {count - 1}",
            )
        return TensorType("float32", (*x.dims, self.embedding_dim))

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight((self.num_embeddings, self.embedding_dim))}

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Gather", g.weight("weight"), x, axis=0)
