"""TensorBoard: event files in the run's directory, which `tensorboard --logdir runs` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.loggers import configuration, tags

FOLDER = "tensorboard"
"""Where the event files are, in the run's directory; without one, in `runs`."""


class Logger(Listener):
    """Writes scalars by step: each epoch's numbers, and the loss in between."""

    def __init__(self) -> None:
        import tensorboard  # noqa: F401 - torch's own message does not say which package is missing
        from torch.utils.tensorboard import SummaryWriter

        self._make = SummaryWriter
        self._writer: Any = None

    def start(self, outline: Outline) -> None:
        folder = (outline.directory or Path("runs")) / FOLDER
        # What an earlier part of the run wrote after the checkpoint is not to be seen.
        purge = outline.done + 1 if outline.done else None
        self._writer = self._make(str(folder), purge_step=purge)
        lines = "\n".join(f"    {name} = {value}" for name, value in configuration(outline.directory).items())
        self._writer.add_text("run", lines or outline.headline, outline.done)

    def step(self, now: Step) -> None:
        for name, value in now.losses.items():
            self._writer.add_scalar(f"step/{name}", value, now.step)

    def epoch(self, row: Row) -> None:
        for name, value in tags(row).items():
            self._writer.add_scalar(name, value, row.step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
