"""How close sounds are to those that were wanted, in decibels: time is the last dimension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.training.metric import example
from nnspec.training.metrics._pairs import Paired
from nnspec.types import TensorType

_SOUND = ("float[N, 1, 100]", "float[N, 1, 100]")


class _Sound(Paired):
    """The mean over sounds."""

    module = "audio"
    higher_is_better = True

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        return lambda p, t: (p.float(), t.float())


class signal_noise_ratio(_Sound):
    """The energy of the sound that was wanted, over that of the difference."""

    zero_mean: bool = arg(False, doc="whether means are taken off first")

    kind = "SignalNoiseRatio"
    examples = (example("signal_noise_ratio(preds, target)", *_SOUND),)


class scale_invariant_signal_noise_ratio(_Sound):
    """The same, whatever the loudness of what was predicted, and without means."""

    kind = "ScaleInvariantSignalNoiseRatio"
    examples = (example("scale_invariant_signal_noise_ratio(preds, target)", *_SOUND),)


class scale_invariant_signal_distortion_ratio(_Sound):
    """The energy of the sound that was wanted, over that of the distortion, whatever the loudness."""

    zero_mean: bool = arg(False, doc="whether means are taken off first")

    kind = "ScaleInvariantSignalDistortionRatio"
    examples = (example("scale_invariant_signal_distortion_ratio(preds, target)", *_SOUND),)
