"""What `nnspec.train` gives: the trained model, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.compiler_trained import open_run, predict
from nnspec.diagnostics import NnspecError, error

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from nnspec.training.result import Result


@dataclass(frozen=True)
class Outcome:
    """A run that ended."""

    model: nn.Module
    """The module with the weights that it ended with; `nnspec.load(directory)` gives the best ones."""
    result: Result
    """How it ended: `status`, `epochs`, `steps`, `seconds`, `rows`, and the `best` row."""
    allow_extern: bool = False
    """Whether it may have layers that are written in Python."""

    @property
    def directory(self) -> Path | None:
        """The run's directory, if it has one."""
        return self.result.directory

    @property
    def history(self) -> list[dict[str, Any]]:
        """The numbers of each epoch: `epoch`, `step`, `loss`, `val/loss`, metrics, `lr`, `seconds`."""
        return [row.json() for row in self.result.rows]

    def predict(
        self,
        samples: str | Path | Mapping[str, np.ndarray],
        checkpoint: str = "best",
        device: str = "cpu",
        batch_size: int = 256,
    ) -> dict[str, torch.Tensor]:
        """As `nnspec.predict` for its directory: the outputs by name, with the weights of a checkpoint.

        Raises `NnspecError` for a run without a directory, and for samples that do not suit it.
        """
        if self.directory is None:
            helps = ('give `nnspec.train` a place for it: out="runs"',)
            raise NnspecError([error("NNS640", "the run has no directory to predict from", None, helps=helps)])
        trained = open_run(self.directory, checkpoint=checkpoint, allow_extern=self.allow_extern)
        return predict(trained, samples, device=device, batch_size=batch_size)
