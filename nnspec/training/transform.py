"""What a transform is: something done to a field of the data, sample by sample, in batches of tensors.

Adding one is adding a class to a file in `nnspec/training/transforms`. Arguments and `infer` belong to checking and
stay light (no torch at the top of the file); the rest may import what it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import Arguments
from nnspec.types import TensorType

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Affine:
    """`(x - mean) / deviation`: numbers for all of a sample, or for each channel (dimension 1), computed in `dtype`."""

    mean: float | tuple[float, ...]
    deviation: float | tuple[float, ...]
    dtype: str = "float32"


class Transform(Arguments):
    """A function of a field, under torchvision's or torchaudio's name where these have it."""

    random: ClassVar[bool] = False
    """Whether it draws random numbers: then it is for `augment`, which is for training only."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""

    def infer(self, type_: TensorType) -> TensorType:
        """The type of the field afterwards (the batch first). Raises `SettingError` for one that does not fit."""
        return type_

    def fit(self, x: torch.Tensor) -> dict[str, Any]:
        """What is measured once, on all samples of the training part; goes into the run's directory."""
        return {}

    def affine(self, state: dict[str, Any]) -> Affine | None:
        """What is taken off and divided by, if that is all that it does: then it can become a part of the model."""
        return None

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        """A batch, transformed on the device that it is on; another tensor, or the same.

        Random numbers are drawn on the CPU, for each sample its own, from `generator`: the same on every device.
        """
        raise NotImplementedError
