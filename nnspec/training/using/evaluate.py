"""Losses and metrics of what was trained, on a part of its data or on other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnspec import ir
from nnspec.training import build
from nnspec.training.dataset import Dataset, Lazy, Loaded, read
from nnspec.training.fault import DataError
from nnspec.training.feeding.alike import stored_alike
from nnspec.training.feeding.check import check_fields, used_fields
from nnspec.training.feeding.feed import Batches, Part, split
from nnspec.training.processes.spread import Spread
from nnspec.training.running.assemble import objective_of
from nnspec.training.running.meters import meters
from nnspec.training.running.objective import Clock
from nnspec.training.running.tally import Tally
from nnspec.training.runs.archive import Archive
from nnspec.training.runs.listing import RunError
from nnspec.training.runs.preparation import Preparation
from nnspec.training.tables.tabular import Tabular
from nnspec.training.updating.precision import Precision

PARTS = ("validation", "train", "all")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out: the losses and metrics by name, over so many samples."""

    values: dict[str, float]
    samples: int
    part: str
    notes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"part": self.part, "samples": self.samples, **self.values}


def evaluate(
    program: ir.Program,
    archive: Archive,
    module: nn.Module,
    device: torch.device,
    part: str = "validation",
    data: str | ir.Record | None = None,
) -> Evaluation:
    """The losses and metrics of a module that holds the archive's weights.

    `part` is of the run's own data, split as it was; `data` is other data in its place: a file like that of the run, or
    any data set. Raises `Fault`.
    """
    training = program.training
    if training is None:
        raise RunError("the run has no `train` section: nothing says what its data was")
    if data is None:
        chosen, title = _own(program, training, archive, part), part
        notes: tuple[str, ...] = ()
    else:
        loaded = _other(training, archive.preparation, data)
        check_fields(training, loaded, program)
        divisor = {n: p.divisor for n, p in archive.preparation.pipelines.items() if p.divisor is not None}
        chosen = Part(stored_alike(loaded, used_fields(training), divisor), None)
        notes, title = loaded.notes, "data"
    batches = Batches(
        chosen,
        archive.preparation.pipelines,
        training.settings.get("batch_size", 32),
        device,
        workers=training.settings.get("workers"),
    )
    clock = Clock(device)
    steps, epochs = archive.done
    clock.step, clock.epoch = steps, max(epochs - 1, 0)
    values = _measured(program, training, module.to(device).eval(), batches, clock)
    return Evaluation(values, len(chosen), title, tuple(notes))


def _own(program: ir.Program, training: ir.Training, archive: Archive, part: str) -> Part:
    """A part of the data that was trained on: the run's seed draws the same split again."""
    base = archive.preparation.base
    source = build.dataset(training.data)
    loaded = read(source, base)
    other = None if training.validation is None else build.dataset(training.validation).following(source, base)
    held = None if other is None else read(other, base)
    check_fields(training, loaded, program)
    order = torch.Generator().manual_seed(training.settings.get("seed", 0))
    parts = split(training, loaded, source.standardized(), order, held)
    if part == "validation" and parts.validation is None:
        raise RunError(
            "the run was not validated: it has no validation part", helps=("`--part train`, or `--data ...`",)
        )
    if part == "all":
        return Part(parts.train.arrays, None)
    return parts.train if part == "train" or parts.validation is None else parts.validation


def _other(training: ir.Training, preparation: Preparation, data: str | ir.Record) -> Loaded:
    """Other data, whose classes have the numbers that the run gave them."""
    known = preparation.dataset
    if isinstance(data, str):
        source = None if known is None else known.elsewhere(data, used_fields(training))
        if source is None:
            raise DataError(
                f"the run's own data is read from no file, so that `{data}` does not say enough",
                helps=("write a data set, such as `--data 'NPZ(\"test.npz\")'`",),
            )
        return read(source, Path())
    source = _as_before(build.dataset(data), known)
    return _renumbered(read(source, Path()), preparation.classes)


def _as_before(source: Dataset, known: Dataset | None) -> Dataset:
    """The same, read as what was trained on where it does not say otherwise: that is settled, and need not be there."""
    tables = isinstance(source, Tabular) and isinstance(known, Tabular)
    if type(source) is not type(known) and not tables:
        return source
    said, names = dict(source.given()), Tabular.fields if tables else source.fields
    return source.replace(**{name: getattr(known, name) for name in names if name not in said})


def _renumbered(loaded: Loaded, classes: Mapping[str, tuple[str, ...]]) -> Loaded:
    fields = dict(loaded.fields)
    for name, words in loaded.classes.items():
        known = classes.get(name, words)
        array = fields.get(name)
        if known == words or array is None or isinstance(array, Lazy):
            continue
        unknown = next((word for word in words if word not in known), None)
        if unknown is not None:
            raise DataError(f"`{unknown}` is none of the classes of `{name}` that the run knows", code="NNS641")
        fields[name] = np.array([known.index(word) for word in words], dtype=array.dtype)[array]
    return Loaded(fields, loaded.notes, {**classes, **loaded.classes}, loaded.origins, loaded.divisor)


@torch.no_grad()
def _measured(
    program: ir.Program, training: ir.Training, module: nn.Module, batches: Batches, clock: Clock
) -> dict[str, float]:
    plain = replace(training, settings=training.settings | {"compile": False})
    objective, measures = objective_of(program, plain, module, Spread(module))
    tally = Tally(objective.names, meters(training, measures, batches.device))
    precision = Precision(training.settings.get("precision", "32"), batches.device)
    with precision.applied():
        for batch in batches.in_order():
            with precision.autocast():
                values, arguments = objective.evaluate(batch.fields, clock)
            for index, value in enumerate(values):
                tally.loss(index, value, len(batch))
            tally.batch(arguments, len(batch))
    return tally.means()
