"""How often classes are right, and what else can be said of classes that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Example, Rules, ShapeError
from nnspec.training.metric import example
from nnspec.training.metrics._tasks import Classified, Comparison
from nnspec.types import TensorType

_CLASSES = ("float[N, 10]", "int[N]")
_PIXELS = ("float[N, 5, H, W]", "int[N, H, W]")
_LABELS = ("float[N, 4]", "int[N, 4]")
_YES = ("float[N, 1]", "float[N, 1]")


def _examples(call: str, *more: Example) -> tuple[Example, ...]:
    """A call without arguments for one class of several, for each pixel, and for a yes or no."""
    return tuple(example(call, *types) for types in (_CLASSES, _PIXELS, _YES)) + more


def _labels(call: str) -> Example:
    return example(call, *_LABELS)


class accuracy(Classified):
    """The share of targets that are right: of the class with the highest score in dimension 1, or of a yes or no."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    average: Literal["micro", "macro", "weighted", "none"] | None = arg(
        "micro", doc="how classes are averaged", keyword=True
    )
    top_k: int = arg(1, ge=1, doc="right if among so many highest scores", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    higher_is_better = True
    kind = "Accuracy"
    examples = _examples(
        "accuracy(preds, target)",
        example("accuracy(preds, target, top_k=5)", *_CLASSES),
        example('accuracy(preds, target, average="macro")', *_CLASSES),
        _labels('accuracy(preds, target, task="multilabel")'),
    )

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.meters import Ratio

        task = self.task_of(types)
        if task != "binary" and self.average != "micro":
            return super().meter(types, device)
        return Ratio(_counting(_hits(task, self.top_k, self.threshold, types), self.ignore_index))


class binary_accuracy(Comparison):
    """The share of targets (0 or 1) that lie on the right side: a score above the threshold says 1.

    The threshold 0.5 is for probabilities; 0 is the one for scores that no sigmoid has seen.
    """

    threshold: float = arg(0.5, doc="scores above it say 1")
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks = ("binary",)
    higher_is_better = True
    examples = (
        Example("binary_accuracy(p, target)", p="float[N, 1]", target="float[N, 1]", onnx=False),
        Example("binary_accuracy(score, label, threshold=0)", score="float[N]", label="int[N]", onnx=False),
    )

    def _task(self, rules: Rules, preds: TensorType, target: TensorType) -> str:
        if preds.rank != target.rank:
            raise ShapeError(
                f"`binary_accuracy` cannot compare scores {preds} with targets {target}",
                code="NNS402",
                label="needs as many dimensions as the scores",
                input=1,
                helps=("`accuracy` is for scores of several classes",) if preds.rank == target.rank + 1 else (),
            )
        return "binary"

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.meters import Ratio

        return Ratio(_counting(_hits("binary", 1, self.threshold, types), self.ignore_index))


def _hits(task: str, top_k: int, threshold: float, types: Sequence[TensorType]) -> Callable[[Any, Any], Any]:
    """What tells, for each target, whether it is right."""
    if task == "multiclass" and top_k > 1:
        return lambda p, t: (p.topk(top_k, dim=1).indices == t.unsqueeze(1)).any(1)
    if task == "multiclass":
        return lambda p, t: p.argmax(1) == t
    if types[0].dtype == "bool":
        return lambda p, t: p == (t > 0.5)
    return lambda p, t: (p > threshold) == (t > 0.5)


def _counting(hits: Callable[[Any, Any], Any], ignore: int | None) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The sum of the hits and how many targets there were; what is to be ignored is neither."""
    if ignore is None:
        return lambda p, t: (hits(p, t).sum(), t.numel())

    def terms(p: Any, t: Any) -> tuple[Any, Any]:
        counted = t != ignore
        return (hits(p, t) & counted).sum(), counted.sum()

    return terms


class _Averaged(Classified):
    """What is worked out from right and wrong yeses and noes of each class, and averaged over classes."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    average: Literal["micro", "macro", "weighted", "none"] | None = arg(
        "micro", doc="how classes are averaged", keyword=True
    )
    top_k: int = arg(1, ge=1, doc="right if among so many highest scores", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    higher_is_better = True


class precision(_Averaged):
    """Of what was taken for a class, the share that is of it."""

    kind = "Precision"
    examples = _examples(
        "precision(preds, target)",
        example('precision(preds, target, average="macro", top_k=2)', *_CLASSES),
        _labels('precision(preds, target, task="multilabel", average="macro")'),
    )


class recall(_Averaged):
    """Of what is of a class, the share that was found."""

    kind = "Recall"
    examples = _examples(
        "recall(preds, target)",
        example('recall(preds, target, average="weighted")', *_CLASSES),
        _labels('recall(preds, target, task="multilabel", average="none")[0]'),
    )


class specificity(_Averaged):
    """Of what is not of a class, the share that was not taken for it."""

    kind = "Specificity"
    examples = _examples("specificity(preds, target)", _labels('specificity(preds, target, task="multilabel")'))


class negative_predictive_value(_Averaged):
    """Of what was not taken for a class, the share that is not of it."""

    kind = "NegativePredictiveValue"
    examples = _examples("negative_predictive_value(preds, target)")


class hamming_distance(_Averaged):
    """The share of targets that are wrong."""

    higher_is_better = False
    kind = "HammingDistance"
    examples = _examples(
        "hamming_distance(preds, target)", _labels('hamming_distance(preds, target, task="multilabel")')
    )


class f1_score(_Averaged):
    """The harmonic mean of precision and recall."""

    zero_division: float = arg(0.0, ge=0, le=1, doc="its value where there is neither", keyword=True)

    kind = "F1Score"
    examples = _examples(
        "f1_score(preds, target)",
        example('f1_score(preds, target, average="macro")', *_CLASSES),
        Example("f1_score(score, label, threshold=0)", score="float[N]", label="int[N]", onnx=False),
        _labels('f1_score(preds, target, task="multilabel", average="macro")'),
    )


class fbeta_score(_Averaged):
    """The harmonic mean of precision and recall, in which recall counts `beta` times as much."""

    beta: float = arg(1.0, gt=0, doc="how much more recall counts than precision", keyword=True)
    zero_division: float = arg(0.0, ge=0, le=1, doc="its value where there is neither", keyword=True)

    kind = "FBetaScore"
    examples = _examples("fbeta_score(preds, target, beta=2.0)")


class jaccard_index(Classified):
    """The intersection of what is of a class and what was taken for it, over their union: the mean IoU."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    average: Literal["micro", "macro", "weighted", "none"] | None = arg(
        "macro", doc="how classes are averaged", keyword=True
    )
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)
    zero_division: float = arg(0.0, ge=0, le=1, doc="its value where there is neither", keyword=True)

    higher_is_better = True
    kind = "JaccardIndex"
    examples = _examples("jaccard_index(preds, target)", _labels('jaccard_index(preds, target, task="multilabel")'))


class cohen_kappa(Classified):
    """How far choices and targets agree beyond chance."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    weights: Literal["linear", "quadratic", "none"] | None = arg(None, doc="how distant classes count", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks = ("binary", "multiclass")
    higher_is_better = True
    kind = "CohenKappa"
    examples = _examples(
        "cohen_kappa(preds, target)",
        example('cohen_kappa(preds, target, weights="quadratic")', *_CLASSES),
    )


class matthews_corrcoef(Classified):
    """The correlation between choices and targets."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    higher_is_better = True
    kind = "MatthewsCorrCoef"
    examples = _examples(
        "matthews_corrcoef(preds, target)", _labels('matthews_corrcoef(preds, target, task="multilabel")')
    )


class exact_match(Classified):
    """The share of samples of which all targets are right."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks = ("multiclass", "multilabel")
    higher_is_better = True
    kind = "ExactMatch"
    examples = (
        example("exact_match(preds, target)", *_PIXELS),
        _labels('exact_match(preds, target, task="multilabel")'),
    )

    def _task(self, rules: Rules, preds: TensorType, target: TensorType) -> str:
        task = super()._task(rules, preds, target)
        if task == "multiclass" and target.rank < 2:
            message = f"`exact_match` compares several targets a sample, and the target is {target}"
            raise ShapeError(message, code="NNS402", input=1, helps=("`accuracy` is for one",))
        return task


class confusion_matrix(Classified):
    """How often each class (a row) was taken for each (a column): take numbers out of it, `[0, 1]`, or a sum."""

    threshold: float = arg(0.5, doc="scores above it are a yes; 0 for scores that no sigmoid has seen", keyword=True)
    normalize: Literal["true", "pred", "all", "none"] | None = arg(None, doc="what counts are divided by", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks = ("binary", "multiclass")
    kind = "ConfusionMatrix"
    examples = (
        example("confusion_matrix(preds, target)[0, 1]", *_CLASSES),
        example('confusion_matrix(preds, target, normalize="true")[1, 0]', *_YES),
    )

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        count = 2 if task == "binary" else self._count(preds)
        return (count, count)


class _Ranking(Comparison):
    """How labels of a sample are ordered by their scores."""

    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks: ClassVar[tuple[str, ...]] = ("multilabel",)

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """Ranks within the sample, as numbers from 0 to 1: torchmetrics would squeeze scores, batch by batch."""
        target = super().prepare(types)

        def ranked(p: Any, t: Any) -> tuple[Any, Any]:
            order = (p.unsqueeze(-1) > p.unsqueeze(-2)).sum(-1)
            return order / p.shape[-1], target(p, t)[1]

        return ranked


class multilabel_ranking_average_precision(_Ranking):
    """For each right label, the share of right ones among those scored as high; the mean over labels and samples."""

    higher_is_better = True
    kind = "RankingAveragePrecision"
    examples = (_labels("multilabel_ranking_average_precision(preds, target)"),)


class multilabel_ranking_loss(_Ranking):
    """The share of pairs of a right and a wrong label that are in the wrong order."""

    higher_is_better = False
    kind = "RankingLoss"
    examples = (_labels("multilabel_ranking_loss(preds, target)"),)


class multilabel_coverage_error(_Ranking):
    """How far down the list of labels one has to go for all right ones."""

    higher_is_better = False
    kind = "CoverageError"
    examples = (_labels("multilabel_coverage_error(preds, target)"),)
