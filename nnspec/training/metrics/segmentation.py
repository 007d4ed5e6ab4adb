"""How far regions that were found are those that were wanted: scores [N, C, ...] against class numbers [N, ...]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Rules, ShapeError
from nnspec.training.metric import example
from nnspec.training.metrics._tasks import Comparison
from nnspec.types import TensorType

_PIXELS = ("float[N, 5, 8, 8]", "int[N, 8, 8]")


class _Regions(Comparison):
    """Of the class with the highest score of each pixel."""

    include_background: bool = arg(True, doc="whether class 0 counts")

    tasks = ("multiclass",)
    higher_is_better = True

    def _task(self, rules: Rules, preds: TensorType, target: TensorType) -> str:
        task = super()._task(rules, preds, target)
        if target.rank < 2:
            message = f"`{type(self).__name__}` compares regions, and the target is {target}"
            raise ShapeError(message, code="NNS402", input=1, helps=("`f1_score` is for one class a sample",))
        return task

    def options_for(self, types: Sequence[TensorType]) -> dict[str, Any]:
        """Classes are numbers here; torchmetrics checks nothing of them."""
        return dict(vars(self)) | {"num_classes": types[0].dims[1], "input_format": "index"}

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.borrowed import Borrowed

        path = f"segmentation.{self.kind}"
        return Borrowed(type(self).__name__, path, self.options_for(types), self.prepare(types), device)


class dice_score(_Regions):
    """Twice the intersection of the region found and the one wanted, over the sum of both."""

    average: Literal["micro", "macro", "weighted", "none"] | None = arg("macro", doc="how classes are averaged")
    aggregation_level: Literal["samplewise", "global"] = arg(
        "samplewise", doc="whether samples are averaged, or their pixels put together"
    )

    kind = "DiceScore"
    examples = (
        example("dice_score(preds, target)", *_PIXELS),
        example('dice_score(preds, target, aggregation_level="global")', *_PIXELS),
    )

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        count = self._count(preds) - (not self.include_background)
        return () if self.average not in (None, "none") else (count,)


class generalized_dice_score(_Regions):
    """The Dice score of all classes together, in which small regions count as much as large ones."""

    weight_type: Literal["square", "simple", "linear"] = arg("square", doc="how the size of a region counts")

    kind = "GeneralizedDiceScore"
    examples = (example("generalized_dice_score(preds, target)", *_PIXELS),)

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        self._count(preds)
        return ()


class mean_iou(_Regions):
    """The intersection over the union of both regions; the mean over classes and samples (`jaccard_index`: pixels)."""

    kind = "MeanIoU"
    examples = (example("mean_iou(preds, target)", *_PIXELS),)

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        self._count(preds)
        return ()
