"""How far two ways of putting samples into groups agree, whatever the groups are called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.layer import Example, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.training.metric import Metric, example
from nnspec.training.metrics._tasks import whole_numbers
from nnspec.types import TensorType, is_int

_GROUPS = ("float[N, 4]", "int[N]")


class _Groups(Metric):
    """Groups as numbers, one a sample; all of an epoch are kept."""

    higher_is_better = True

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        for i, given in enumerate((preds, target)):
            x = expect_tensor(self, given, i)
            if not is_int(x.dtype) or x.rank != 1:
                raise ShapeError(
                    f"`{type(self).__name__}` takes the number of a group for each sample, int[N], and not {x}",
                    code="NNS406",
                    input=i,
                    helps=("the group with the highest score is `argmax(scores, dim=1)`",),
                )
        message = f"`{type(self).__name__}` compares {preds} with {target}"
        rules.require_equal(target.dims[0], preds.dims[0], message, input=1)
        return TensorType("float32", ())

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.borrowed import Gathered

        name = type(self).__name__
        both: tuple[Callable[[Any], Any], ...] = tuple(map(whole_numbers, types))
        path = f"functional.clustering.{name}"
        return Gathered(name, path, dict(vars(self)), lambda p, t: (both[0](p), both[1](t)), device, least=2)


def _example(name: str) -> tuple[Example, ...]:
    return (example(f"{name}(argmax(preds, dim=1), target)", *_GROUPS),)


class rand_score(_Groups):
    """The share of pairs of samples that both put together, or both apart."""

    examples = _example("rand_score")


class adjusted_rand_score(_Groups):
    """The same beyond chance: 0 for groups drawn at random."""

    examples = _example("adjusted_rand_score")


class mutual_info_score(_Groups):
    """What one grouping tells of the other, in nats."""

    examples = _example("mutual_info_score")


class normalized_mutual_info_score(_Groups):
    """The same as a part of what each tells of itself."""

    average_method: Literal["min", "geometric", "arithmetic", "max"] = arg("arithmetic", doc="of the two")

    examples = _example("normalized_mutual_info_score")


class adjusted_mutual_info_score(_Groups):
    """The same beyond chance."""

    average_method: Literal["min", "geometric", "arithmetic", "max"] = arg("arithmetic", doc="of the two")

    examples = _example("adjusted_mutual_info_score")


class homogeneity_score(_Groups):
    """Whether a group has samples of one class only."""

    examples = _example("homogeneity_score")


class completeness_score(_Groups):
    """Whether all samples of a class are in one group."""

    examples = _example("completeness_score")


class v_measure_score(_Groups):
    """The harmonic mean of homogeneity and completeness."""

    beta: float = arg(1.0, gt=0, doc="how much more completeness counts")

    examples = _example("v_measure_score")


class fowlkes_mallows_index(_Groups):
    """The geometric mean of precision and recall over pairs of samples."""

    examples = _example("fowlkes_mallows_index")
