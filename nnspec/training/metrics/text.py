"""How well the next word is foretold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.layer import Example, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.training.metric import Metric
from nnspec.types import TensorType, is_int


class perplexity(Metric):
    """Of how many words, all as likely, the right one was drawn, so to speak: exp of the mean cross-entropy.

    Scores have the words in their last dimension, and any dimensions before it.
    """

    ignore_index: int | None = arg(None, doc="a target that does not count")

    higher_is_better = False
    examples = (
        Example("perplexity(preds, target)", preds="float[N, T, 65]", target="int[N, T]", onnx=False),
        Example("perplexity(preds, target, ignore_index=-100)", preds="float[N, 65]", target="int[N]", onnx=False),
    )

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        preds, target = expect_float(self, preds), expect_tensor(self, target, 1)
        message = f"`perplexity` takes scores [..., V] and words [...], and these are {preds} and {target}"
        if not is_int(target.dtype):
            raise ShapeError(message, code="NNS406", label="is not of a whole-number type", input=1)
        if preds.rank != target.rank + 1 or not target.rank:
            raise ShapeError(message, code="NNS402", label="needs one dimension less than the scores", input=1)
        last = ("words come last: `transpose(scores, 1, 2)` brings them there",) if preds.rank > 2 else ()
        for size, want in zip(target.dims, preds.dims, strict=False):
            rules.require_equal(size, want, message, input=1, helps=last)
        return TensorType("float32", ())

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.meters import Ratio

        ignore = self.ignore_index

        def terms(p: Any, t: Any) -> tuple[Any, Any]:
            scores, words = p.flatten(0, -2).float(), t.flatten().long()
            if ignore is None:
                right = scores.gather(1, words.unsqueeze(1)).squeeze(1)
                return (scores.logsumexp(1) - right).sum(), words.numel()
            counted = words != ignore
            right = scores.gather(1, words.where(counted, 0).unsqueeze(1)).squeeze(1)
            return ((scores.logsumexp(1) - right) * counted).sum(), counted.sum()

        return Ratio(terms, lambda mean: mean.exp())
