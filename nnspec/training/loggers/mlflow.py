"""MLflow: to where MLFLOW_TRACKING_URI says, the experiment being that of MLFLOW_EXPERIMENT_NAME, or `nnspec`."""

from __future__ import annotations

import os
from itertools import islice
from math import isfinite
from typing import Any

from nnspec.training.listener import Listener, Outline, Row
from nnspec.training.loggers import configuration, tags
from nnspec.training.loggers._identity import known, remember
from nnspec.training.result import Result
from nnspec.training.runs.history import PICTURE
from nnspec.training.runs.listing import RESULT

_SERVICE = "mlflow"
_AT_ONCE = 100
"""Parameters that MLflow takes in one call."""
_LONGEST = 500
"""Characters that it takes of a parameter."""


class Logger(Listener):
    """A run there for each run here; one that is resumed goes on there as well."""

    def __init__(self) -> None:
        import mlflow

        self._mlflow = mlflow
        self._active = False
        self._outline = Outline(0, 0, 0, 0)

    def start(self, outline: Outline) -> None:
        self._outline = outline
        identity = known(outline.directory, _SERVICE) if outline.done else None
        name = None if outline.directory is None else outline.directory.name
        self._mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "nnspec"))
        run: Any = self._mlflow.start_run(run_id=identity, run_name=None if identity else name)
        self._active = True
        remember(outline.directory, _SERVICE, str(run.info.run_id))
        if identity is None:
            parameters = iter(configuration(outline.directory).items())
            while some := dict(islice(parameters, _AT_ONCE)):
                self._mlflow.log_params({key: value[:_LONGEST] for key, value in some.items()})

    def epoch(self, row: Row) -> None:
        self._mlflow.log_metrics({name: value for name, value in tags(row).items() if isfinite(value)}, step=row.step)

    def finish(self, result: Result) -> None:
        self._mlflow.set_tag("status", result.status)
        for name in (PICTURE, RESULT):
            place = None if self._outline.directory is None else self._outline.directory / name
            if place is not None and place.exists():
                self._mlflow.log_artifact(str(place))
        self._mlflow.end_run()
        self._active = False

    def close(self) -> None:
        if self._active:  # the run failed, or was killed
            self._mlflow.end_run("FAILED")
