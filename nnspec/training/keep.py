"""Keeps what a run yields: its history, and the best and the last weights."""

from __future__ import annotations

import time
from math import isfinite

import torch

from nnspec.backends.torch import weights_of
from nnspec.training.progress import Row
from nnspec.training.rundir import RunDirectory
from nnspec.version import __version__

SAVE_EVERY = 10.0
"""Seconds between files of weights; what is better in between is kept in memory (short epochs would only write)."""


class Keeper:
    """Follows a run. Without a directory it only knows which epoch was the best."""

    def __init__(self, module: torch.nn.Module, run: RunDirectory | None) -> None:
        self.module = module
        self.run = run
        self.best: Row | None = None
        self._waiting: dict[str, torch.Tensor] | None = None
        self._saved = time.monotonic()

    @property
    def kept(self) -> bool:
        """Whether weights of an epoch are, or can be, on disk."""
        return self.run is not None and self.best is not None

    def epoch(self, row: Row) -> None:
        """An epoch ended with these numbers, and the module holds its weights."""
        if self.run is not None:
            self.run.append("history.jsonl", row.json())
        value = _judged(row)
        if isfinite(value) and (self.best is None or value < _judged(self.best)):
            self.best = row
            self._waiting = self._copy() if self.run is not None else None
        if time.monotonic() - self._saved > SAVE_EVERY:
            self.save(row.epoch, row.step)

    def save(self, epoch: int, step: int) -> None:
        """Write the weights as they are now, and the best ones if they are not on disk yet."""
        self.save_best()
        if self.run is not None:
            self._write("last.safetensors", self._copy(), epoch, step)
        self._saved = time.monotonic()

    def save_best(self) -> None:
        """Write the best weights if they are not on disk yet."""
        if self.run is not None and self.best is not None and self._waiting is not None:
            self._write("best.safetensors", self._waiting, self.best.epoch, self.best.step)
            self._waiting = None

    def _copy(self) -> dict[str, torch.Tensor]:
        """The module's weights as they are now, each once."""
        return {name: tensor.to("cpu", copy=True) for name, tensor in weights_of(self.module).items()}

    def _write(self, name: str, state: dict[str, torch.Tensor], epoch: int, step: int) -> None:
        assert self.run is not None
        metadata = {"format": "pt", "nnspec": __version__, "epoch": str(epoch), "step": str(step)}
        self.run.write_tensors(name, state, metadata)


def _judged(row: Row) -> float:
    """What the best epoch has least of: the loss on the validation part, if there is one."""
    return (row.validation or row.train)["loss"]
