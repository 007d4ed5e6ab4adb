"""What a run's directory says about how the run came about: the spec, what was made of it, versions and hardware."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from nnspec import ir
from nnspec.backends.source import emit
from nnspec.diagnostics import Sources
from nnspec.ir_json import dumps
from nnspec.training.build import dataset
from nnspec.training.dataset import Loaded
from nnspec.training.feeding.feed import Parts
from nnspec.training.runs.about import about
from nnspec.training.runs.directory import RunDirectory, environment
from nnspec.training.runs.plain import plain
from nnspec.training.runs.resolved import resolved


def deciding(program: ir.Program, training: ir.Training) -> dict[str, str]:
    """The documents that decide what a run computes: where they are equal, runs can be continued."""
    return {"resolved.nns": resolved(program), "model.py": emit(program, program.entries[training.entry])}


def document(
    run: RunDirectory,
    program: ir.Program,
    training: ir.Training,
    sources: Sources,
    overrides: Mapping[str, Any],
    device: torch.device,
    deciding: Mapping[str, str],
) -> None:
    """Write down what is about to run."""
    run.write_text("spec.nns", sources[0].text if sources.items else "")
    imported = {source.name: source.text for source in sources.items[1:] if not source.name.startswith("--set ")}
    if imported:
        run.write_json("imports.json", imported)
    for name, text in deciding.items():
        run.write_text(name, text)
    run.write_text("program.json", dumps(program))
    run.write_json(
        "run.json",
        {
            "version": 1,
            **about(program, training, overrides),
            "environment": environment(device),
            "started": now(),
        },
    )


def describe(parts: Parts, loaded: Loaded, training: ir.Training, base: Path = Path()) -> dict[str, Any]:
    """What the data was, and all that one needs to do the same to other samples (`preparation.py` reads it).

    `base` is the folder that the paths of the data start from.
    """
    train, settled = parts.train, dataset(training.data).settled(base)
    found: dict[str, Any] = plain(
        {
            "base": str(base.resolve()),
            "dataset": {"name": type(settled).__name__, "arguments": dict(settled.given())},
            "samples": {"train": len(train), "validation": 0 if parts.validation is None else len(parts.validation)},
            "fields": {name: str(training.fields[name]) for name in train.arrays if name in training.fields},
            "stored": {
                name: {"dtype": str(array.dtype), "shape": list(array.shape[1:])}
                for name, array in train.arrays.items()
            },
            "classes": {name: list(words) for name, words in loaded.classes.items()},
            "divisor": loaded.divisor,
            "transforms": {
                name: [
                    {"name": type(transform).__name__, "arguments": dict(transform.given()), "state": state}
                    for transform, state in zip(pipeline.transforms, pipeline.states, strict=True)
                ]
                for name, pipeline in parts.pipelines.items()
                if pipeline.transforms
            },
            "notes": list(loaded.notes),
        }
    )
    return found


def now() -> str:
    """The time, as it is written down."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
