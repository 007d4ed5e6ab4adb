"""What a threshold that moves over all scores says of them: the areas under curves, and whether they are calibrated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.training.metric import example
from nnspec.training.metrics._tasks import Classified
from nnspec.types import TensorType

_CLASSES = ("float[N, 10]", "int[N]")
_LABELS = ("float[N, 4]", "int[N, 4]")
_YES = ("float[N]", "float[N]")


class _Curve(Classified):
    """Works on scores as they are. Those of several classes are probabilities; of a yes or no, only the order counts.

    Without `thresholds`, all scores of an epoch are kept, and the curve is exact. With a number of thresholds between 0
    and 1, or a list of them, samples are counted between these, and all scores are probabilities.
    """

    thresholds: int | tuple[float, ...] | None = arg(
        None, doc="how many, or which; none for all scores that occur", keyword=True
    )
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    higher_is_better = True

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """Scores stay what they are."""
        of_target = super().prepare(types)
        return lambda p, t: (p.float(), of_target(p, t)[1])

    def options_for(self, types: Sequence[TensorType]) -> dict[str, Any]:
        """A list of thresholds is a list there."""
        options = super().options_for(types)
        given = options.get("thresholds")
        return options | {"thresholds": list(given)} if isinstance(given, tuple) else options

    def wants_probabilities(self, types: Sequence[TensorType]) -> bool:
        """As in `Metric`: ranks do where there is only one yes, and no threshold."""
        return self.thresholds is not None or self.task_of(types) == "multiclass"

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.borrowed import Gathered

        task = self.task_of(types)
        if self.thresholds is not None:
            return self.counted(types, device, bounded=True)
        name = type(self).__name__
        path = f"functional.classification.{task}_{name}"
        several = task == "multiclass"
        options, prepare = self.options_for(types), self.prepare(types)
        return Gathered(name, path, options, prepare, device, ranked=not several, bounded=several)


class auroc(_Curve):
    """The area under the curve of hits over false alarms: how likely a right one is scored above a wrong one."""

    average: Literal["micro", "macro", "weighted", "none"] | None = arg(
        "macro", doc="how classes are averaged", keyword=True
    )
    max_fpr: float | None = arg(
        None, gt=0, le=1, doc="the part of the curve up to this rate of false alarms", keyword=True
    )

    kind = "AUROC"
    examples = (
        example("auroc(preds, target)", *_YES),
        example("auroc(softmax(preds, dim=1), target)", *_CLASSES),
        example('auroc(preds, target, task="multilabel")', *_LABELS),
    )


class average_precision(_Curve):
    """The area under the curve of precision over recall."""

    average: Literal["micro", "macro", "weighted", "none"] | None = arg(
        "macro", doc="how classes are averaged", keyword=True
    )

    kind = "AveragePrecision"
    examples = (
        example("average_precision(preds, target)", *_YES),
        example("average_precision(softmax(preds, dim=1), target, thresholds=100)", *_CLASSES),
        example('average_precision(preds, target, task="multilabel", average="micro")', *_LABELS),
    )


class logauc(_Curve):
    """The area under the curve of hits over the logarithm of false alarms, where these are rare."""

    fpr_range: tuple[float, float] = arg((0.001, 0.1), ge=0, le=1, doc="the rates of false alarms", keyword=True)
    average: Literal["macro", "none"] | None = arg(None, doc="how classes are averaged", keyword=True)

    kind = "LogAUC"
    examples = (
        example("logauc(preds, target)", *_YES),
        example('logauc(softmax(preds, dim=1), target, average="macro")', *_CLASSES),
    )


class eer(_Curve):
    """The rate of errors where as many right ones are missed as wrong ones are taken."""

    higher_is_better = False
    tasks = ("binary", "multilabel")
    kind = "EER"
    examples = (example("eer(preds, target)", *_YES),)

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        return () if task == "binary" else (self._count(preds),)


class calibration_error(Classified):
    """How far probabilities are from the share of those that were right, in bins."""

    n_bins: int = arg(15, ge=1, doc="how many bins there are between 0 and 1", keyword=True)
    norm: Literal["l1", "l2", "max"] = arg("l1", doc="how bins are brought together", keyword=True)
    ignore_index: int | None = arg(None, doc="a target that does not count", keyword=True)

    tasks = ("binary", "multiclass")
    higher_is_better = False
    kind = "CalibrationError"
    examples = (
        example("calibration_error(sigmoid(preds), target)", *_YES),
        example('calibration_error(softmax(preds, dim=1), target, norm="max")', *_CLASSES),
    )

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """Probabilities stay what they are."""
        of_target = super().prepare(types)
        return lambda p, t: (p.float(), of_target(p, t)[1])

    def wants_probabilities(self, types: Sequence[TensorType]) -> bool:
        """As in `Metric`."""
        return True

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        return self.counted(types, device, bounded=True)
