"""How often classes are right. A metric's value for a batch is a mean over its samples; the loop weighs batches so."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Code, Example, Function, Rules, ShapeError, infix, method
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_float


class accuracy(Function):
    """The share of samples whose highest score, of those in dimension 1, is that of their class."""

    examples = (
        Example("accuracy(scores, label)", scores="float[N, 10]", label="int[N]", onnx=False),
        Example("accuracy(scores, label)", scores="float[N, 5, H, W]", label="int[N, H, W]", onnx=False),
    )

    def infer(self, rules: Rules, scores: Any, target: Any) -> TensorType:
        scores, target = expect_float(self, scores), expect_tensor(self, target, 1)
        if scores.rank >= 1 and scores.rank == target.rank:
            raise _not_classes(scores, target)
        if scores.rank < 2 or scores.rank != target.rank + 1:
            raise ShapeError(
                f"`accuracy` cannot compare scores {scores} with targets {target}",
                code="NNS402",
                label="needs one dimension less than the scores",
                input=1,
            )
        if is_float(target.dtype):
            raise ShapeError(
                f"`accuracy` needs class numbers, but the target is {target}",
                code="NNS406",
                label="is not of a whole-number type",
                input=1,
            )
        if rules.equal(scores.dims[1], 1) is True:
            raise ShapeError(
                f"`accuracy` finds a single class in scores {scores}",
                label="has size 1 in dimension 1, that of the classes",
                input=0,
                helps=("`binary_accuracy` is for one score a sample; its target has the shape of the scores",),
            )
        _require_shape(self, rules, target, (scores.dims[0], *scores.dims[2:]))
        return TensorType("float32", ())

    def torch(self, *inputs: Any) -> Code:
        scores, target = inputs
        return method("mean", method("float", infix("==", method("argmax", scores, dim=1), target)))


class binary_accuracy(Function):
    """The share of targets (0 or 1) that lie on the right side: a score above the threshold says 1.

    The threshold 0.5 is for probabilities; 0 is the one for scores that no sigmoid has seen.
    """

    threshold: float = arg(0.5, doc="scores above it say 1")

    examples = (
        Example("binary_accuracy(p, target)", p="float[N, 1]", target="float[N, 1]", onnx=False),
        Example("binary_accuracy(score, label, threshold=0)", score="float[N]", label="int[N]", onnx=False),
    )

    def infer(self, rules: Rules, scores: Any, target: Any) -> TensorType:
        scores, target = expect_float(self, scores), expect_tensor(self, target, 1)
        if scores.rank != target.rank:
            raise ShapeError(
                f"`binary_accuracy` cannot compare scores {scores} with targets {target}",
                code="NNS402",
                label="needs as many dimensions as the scores",
                input=1,
                helps=("`accuracy` is for scores of several classes",) if scores.rank == target.rank + 1 else (),
            )
        _require_shape(self, rules, target, scores.dims)
        return TensorType("float32", ())

    def torch(self, *inputs: Any) -> Code:
        scores, target = inputs
        right = infix("==", infix(">", scores, self.threshold), infix(">", target, 0.5))
        return method("mean", method("float", right))


def _not_classes(scores: TensorType, target: TensorType) -> ShapeError:
    return ShapeError(
        f"`accuracy` needs a class number for each sample, but scores and target are {scores} and {target}",
        code="NNS402",
        label="has as many dimensions as the scores",
        input=1,
        helps=("`binary_accuracy` compares one score with one target of 0 or 1",),
    )


def _require_shape(function: Function, rules: Rules, target: TensorType, wanted: tuple[Size, ...]) -> None:
    shape = ", ".join(map(show, wanted))
    for size, want in zip(target.dims, wanted, strict=True):
        rules.require_equal(
            size, want, f"`{type(function).__name__}` needs a target of shape [{shape}], but it is {target}", input=1
        )
