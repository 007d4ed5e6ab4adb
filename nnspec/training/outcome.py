"""What `nnspec.train` gives: the trained model, and how it came about. Loads no torch by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    @property
    def directory(self) -> Path | None:
        """The run's directory, if it has one."""
        return self.result.directory

    @property
    def history(self) -> list[dict[str, Any]]:
        """The numbers of each epoch: `epoch`, `step`, `loss`, `val/loss`, metrics, `lr`, `seconds`."""
        return [row.json() for row in self.result.rows]

    def predict(
        self, samples: str | Path | Mapping[str, np.ndarray], checkpoint: str = "best", device: str = "cpu"
    ) -> dict[str, torch.Tensor]:
        """The model's outputs for new samples, by name, on the CPU: with the weights of a checkpoint (`best`, `last`).

        `samples` is a file such as `nnspec predict` reads, or arrays by field, samples first, as they are before the
        run's transforms. Raises `NnspecError` for a run without a directory, and for what does not fit.
        """
        from nnspec import predict

        return predict(self._place(), samples, checkpoint=checkpoint, device=device)

    def _place(self) -> Path:
        from nnspec.diagnostics import NnspecError, error

        if self.directory is None:
            helps = ('give `nnspec.train` a place for it: out="runs"',)
            raise NnspecError([error("NNS640", "the run has no directory to predict from", None, helps=helps)])
        return self.directory
