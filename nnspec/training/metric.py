"""What a metric is: what it takes, and which way is up; `nnspec.training.running.meters` counts with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.layer import Example, Function
from nnspec.types import TensorType


class Metric(Function):
    """A number over all samples of an epoch, spelled as in `torchmetrics.functional`, its arguments and defaults too.

    Less what shapes say: the task and the number of classes. The shape rule is that of a function that gives one float.
    """

    higher_is_better: ClassVar[bool | None] = None
    """Which way is up; None where neither is."""

    def wants_probabilities(self, types: Sequence[TensorType]) -> bool:
        """Whether the first of inputs of these types must lie between 0 and 1."""
        return False

    def halves(self, types: Sequence[TensorType]) -> bool:
        """Whether the first of inputs of these types is a yes above one half, since the author says nothing else."""
        return False

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        """A meter (see `nnspec.training.running.meters`) for inputs of these types on a device of torch.

        Raises `Fault` if that takes a package which is not there.
        """
        raise NotImplementedError


def example(text: str, preds: str, target: str) -> Example:
    """A metric of two fields, `preds` and `target`, of these types."""
    return Example(text, preds=preds, target=target, onnx=False)
