"""What inference may make of a layer or function: nothing at all, an affine map of channels, a plainer layer.

The passes of `nnspec.passes` know no class by its name: what can be done with one is said here, by the class itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer import Layer
    from nnspec.types import TensorType

    Part = Callable[[str], np.ndarray]
    """The weight of a name that a layer has."""

    Affine = Callable[[Part], tuple[np.ndarray, np.ndarray]]
    """Works out scales and offsets of channels from a layer's weights, in float64."""


class Plainer(NamedTuple):
    """Another layer that does the same in inference, and its weights, worked out from those of the layer it is for."""

    layer: Layer
    weights: Callable[[Part], dict[str, np.ndarray]]


class Absorbing(NamedTuple):
    """A layer that also does the affine map that follows it, and its weights: from the old ones, scales and offsets."""

    layer: Layer
    weights: Callable[[Part, np.ndarray, np.ndarray], dict[str, np.ndarray]]


class Inference:
    """What an operation is in inference; by default nothing is known."""

    draws: ClassVar[bool] = False
    """Whether it draws random numbers, in inference too: two calls give different ones."""
    reshapes: ClassVar[bool] = False
    """Whether the result is the first input in another shape: the same memory, where torch can see it so."""
    channels_last: ClassVar[bool] = False
    """Whether a layer takes images that torch may convolve faster in its memory format `channels_last`."""

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int | None:
        """Which of its inputs comes out bit for bit, when they and the output are of these types; None for none."""
        return 0 if self.reshapes and output == inputs[0] else None

    def reorders(self, x: TensorType) -> Sequence[int] | None:
        """For an operation that only reorders dimensions: for each of the result, which one of `x` it was."""
        return None

    def is_random(self) -> bool:
        """Whether it draws random numbers in inference with these arguments."""
        return self.draws

    def as_affine(self) -> Affine | None:
        """For a layer that is `x * scale + offset` for each index of dimension 1: how to work these out."""
        return None

    def absorbing(self, rank: int) -> Absorbing | None:
        """For a layer that can take in an affine map of dimension 1 of its output, which has so many dimensions."""
        return None

    def plainer(self) -> Plainer | None:
        """For a layer some of whose weights are worked out from others in each call: one that has them ready."""
        return None

    def packed(self) -> str:
        """Source of the class `Packed...` that does the same as torch's own, for inference; empty for none."""
        return ""


def rescaled(weight: np.ndarray, scale: np.ndarray, axis: int) -> np.ndarray:
    """A weight with another scale for each index of a dimension, worked out in float64."""
    shape = [-1 if at == axis else 1 for at in range(weight.ndim)]
    found: np.ndarray = weight.astype("float64") * scale.reshape(shape)
    return found
