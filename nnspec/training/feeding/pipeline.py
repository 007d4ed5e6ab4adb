"""What is done to a field between how it is stored and what the model sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from nnspec.training.transform import Transform


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What is done to a field: its transforms, with what they measured, and (in training) its augmentation.

    Augmentation knows colours from 0 to 1: it comes before the transforms that end in bringing numbers to scale.
    """

    transforms: tuple[Transform, ...] = ()
    states: list[dict[str, Any]] = field(default_factory=list)
    augment: tuple[Transform, ...] = ()
    divisor: float | None = None
    late: int = 0
    """How many of the transforms, the last ones, come after augmentation."""

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """A field as the model sees it, but for what is random."""
        return self.end(self.begin(x))

    def begin(self, x: torch.Tensor) -> torch.Tensor:
        """What is done once: up to where augmentation comes in."""
        if self.divisor is not None:
            x = x.to(torch.float32).div_(self.divisor)
        early = len(self.transforms) - self.late
        for transform, state in zip(self.transforms[:early], self.states[:early], strict=True):
            x = transform.apply(x, state, None)
        return x

    def end(self, x: torch.Tensor) -> torch.Tensor:
        """What is done batch by batch, after augmentation."""
        early = len(self.transforms) - self.late
        for transform, state in zip(self.transforms[early:], self.states[early:], strict=True):
            x = transform.apply(x, state, None)
        return x

    def vary(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A field with random changes."""
        for transform in self.augment:
            x = transform.apply(x, {}, generator)
        return x


Pipelines = dict[str, Pipeline]
