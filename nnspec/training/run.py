"""One training run, from a compiled program to a directory with everything that came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnspec import ir
from nnspec.backends.source import emit
from nnspec.backends.torch import WeightsError, build, load_weights, training_functions
from nnspec.diagnostics import NnspecError, Sources
from nnspec.training.build import arguments, dataset
from nnspec.training.check import check_fields
from nnspec.training.device import resolve
from nnspec.training.fault import DataError, Fault
from nnspec.training.loop import Result, fit
from nnspec.training.progress import Progress
from nnspec.training.rundir import RunDirectory, environment
from nnspec.training.wiring import wire


def train(
    program: ir.Program,
    sources: Sources,
    *,
    base: Path,
    device: str = "cpu",
    root: Path | None = None,
    name: str = "",
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[nn.Module, Result]:
    """Train the program's model as its `train` section says; relative paths in it start from `base`.

    With a `root`, the run gets a directory there, `<name>-<n>` (the model's name if none is given). Raises
    `NnspecError` with the place in the spec for data that is missing or does not fit, and all else that goes wrong.
    """
    training = program.training
    assert training is not None, "the program has no `train` section"
    try:
        return _train(program, training, sources, base, device, root, name, overrides or {}, progress)
    except DataError as fault:
        raise NnspecError([fault.diagnostic(training.data.span or training.span)], sources) from None
    except Fault as fault:
        # A directory that cannot be written is no fault of the spec.
        span = None if fault.code == "NNS623" else training.updates[0].optimizer.span if fault.at == "optimizer" else training.span
        raise NnspecError([fault.diagnostic(span)], sources) from None


def _train(
    program: ir.Program,
    training: ir.Training,
    sources: Sources,
    base: Path,
    device_name: str,
    root: Path | None,
    name: str,
    overrides: Mapping[str, Any],
    progress: Progress | None,
) -> tuple[nn.Module, Result]:
    entry = program.entries[training.entry]
    device = resolve(device_name)
    data = dataset(training.data)
    loaded = data.load(base)
    check_fields(training, loaded, program)
    module = _module(program, training, base)
    (loss,), metrics = training_functions(training)
    wiring = wire(training, program)
    run = None if root is None else RunDirectory.create(root, name or entry.name)
    with _explained(run):
        if run is not None:
            _document(run, program, training, sources, overrides, device)
        result = fit(
            module,
            training,
            loaded,
            loss,
            metrics,
            device=device,
            wiring=wiring,
            standardized=data.standardized(),
            run=run,
            progress=progress,
            title=f"{entry.name} on {training.data.name}",
        )
    return module, result


@contextmanager
def _explained(run: RunDirectory | None) -> Iterator[None]:
    """However a run ends, its directory says so in `result.json`."""
    try:
        yield
    except BaseException as fault:
        if run is not None and not (run.path / "result.json").exists():
            status = "interrupted" if isinstance(fault, KeyboardInterrupt) else "failed"
            with suppress(Fault):
                run.write_json("result.json", {"status": status, "message": str(fault)})
        raise


def _module(program: ir.Program, training: ir.Training, base: Path) -> nn.Module:
    """The model with fresh weights by the seed, or with those of the file that the section names."""
    entry, weights = program.entries[training.entry], training.settings.get("weights")
    if weights is None:
        torch.manual_seed(training.settings.get("seed", 0))
        return build(program, entry)
    try:
        return build(program, entry, state=load_weights(base / weights))
    except WeightsError as error:
        raise Fault(f"the weights in `{weights}` cannot be used", code="NNS622", notes=(str(error),)) from None


def _document(
    run: RunDirectory,
    program: ir.Program,
    training: ir.Training,
    sources: Sources,
    overrides: Mapping[str, Any],
    device: torch.device,
) -> None:
    """Write down what is about to run: the spec's text, the source that was made of it, settings and versions."""
    entry = program.entries[training.entry]
    run.write_text("spec.nns", sources[0].text if sources.items else "")
    imported = {source.name: source.text for source in sources.items[1:] if not source.name.startswith("--set ")}
    if imported:
        run.write_json("imports.json", imported)
    run.write_text("model.py", emit(program, entry))
    run.write_json(
        "run.json",
        {
            "model": entry.name,
            "overrides": {name: str(value) for name, value in overrides.items()},
            "data": {"name": training.data.name, **training.data.arguments},
            "optimizer": {"name": training.updates[0].optimizer.name, **arguments("optimizer", training.updates[0].optimizer)},
            "settings": training.settings,
            "environment": environment(device),
            "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
    )
