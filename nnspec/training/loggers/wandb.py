"""Weights & Biases. What it can be told stands in its environment variables: WANDB_PROJECT, WANDB_MODE=offline, ..."""

from __future__ import annotations

import os
from typing import Any

from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.loggers import configuration, tags
from nnspec.training.loggers._identity import known, remember
from nnspec.training.result import Result
from nnspec.training.runs.history import PICTURE

_SERVICE = "wandb"


class Logger(Listener):
    """A run there for each run here; one that is resumed goes on there as well."""

    def __init__(self) -> None:
        import wandb

        self._wandb = wandb
        self._run: Any = None
        self._outline = Outline(0, 0, 0, 0)

    def start(self, outline: Outline) -> None:
        self._outline = outline
        identity = known(outline.directory, _SERVICE) if outline.done else None
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "nnspec"),
            name=None if outline.directory is None else outline.directory.name,
            dir=None if outline.directory is None else str(outline.directory),
            config=configuration(outline.directory),
            id=identity,
            resume="must" if identity else None,
        )
        self._run.define_metric("*", step_metric="step")
        remember(outline.directory, _SERVICE, str(self._run.id))

    def step(self, now: Step) -> None:
        self._run.log({f"step/{name}": value for name, value in now.losses.items()} | {"step": now.step})

    def epoch(self, row: Row) -> None:
        self._run.log(tags(row) | {"step": row.step})

    def finish(self, result: Result) -> None:
        if result.best is not None:
            self._run.summary.update({f"best/{name}": value for name, value in result.best.values().items()})
        self._run.summary["status"] = result.status
        picture = None if self._outline.directory is None else self._outline.directory / PICTURE
        if picture is not None and picture.exists():
            self._run.save(str(picture), base_path=str(picture.parent), policy="now")
        self._run.finish()
        self._run = None

    def close(self) -> None:
        if self._run is not None:  # the run failed, or was killed
            self._run.finish(exit_code=1)
