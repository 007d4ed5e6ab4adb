"""Puts a run together: the objective, the batches, what updates the weights, and the loop over all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnspec import ir
from nnspec.backends.torch import training_functions
from nnspec.patterns import Within, matches, owned
from nnspec.training.dataset import Loaded
from nnspec.training.fault import DataError, Fault
from nnspec.training.feeding.feed import Batches, Parts, Share, split
from nnspec.training.listener import Listener
from nnspec.training.processes.spread import Spread
from nnspec.training.processes.world import ALONE, World
from nnspec.training.running.judge import Judge, Patience
from nnspec.training.running.keep import Policy
from nnspec.training.running.loop import Loop
from nnspec.training.running.meters import Measure, Meter, higher_is_better
from nnspec.training.running.objective import Clock, Objective, Single
from nnspec.training.running.objective_several import Several
from nnspec.training.running.wiring import wire
from nnspec.training.updating.accumulate import lengths
from nnspec.training.updating.averaging import average_of
from nnspec.training.updating.precision import Precision
from nnspec.training.updating.update import Update

_FOLLOWED = (("early_stopping", "monitor"), ("checkpoint", "best"))
"""Settings that name a number of the run."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A loop, and what is known about it."""

    loop: Loop
    parts: Parts
    epochs: int


def assemble(
    training: ir.Training,
    objective: Objective,
    metrics: Mapping[str, Meter],
    data: tuple[Loaded, Loaded | None],
    device: torch.device,
    listener: Listener,
    *,
    standardized: Sequence[str] = (),
    kinds: Mapping[str, Within] | None = None,
    spread: Spread | None = None,
    world: World = ALONE,
) -> Assembled:
    """A loop over an objective whose module is on the device; the data has been checked.

    The seed decides the split, the order of the samples, augmentation and dropout, each by a generator of its own (that
    of dropout is torch's); the weights are what the module comes with. Raises `Fault` for what cannot be trained.
    """
    settings = training.settings
    seed = settings.get("seed", 0)
    order = torch.Generator().manual_seed(seed)
    parts = split(training, data[0], standardized, order, data[1])
    least = 2 if any(isinstance(part, _BatchNorm) for part in objective.module.modules()) else 1
    feed: dict[str, Any] = {"share": Share(world.rank, world.size, least), "workers": settings.get("workers")}
    _check_enough(parts, world)
    size, accumulate = settings.get("batch_size", 32), settings.get("accumulate") or 1
    if parts.validation is not None:
        objective.check_evaluates()
    train = Batches(parts.train, parts.pipelines, size, device, **feed)
    held = None if parts.validation is None else Batches(parts.validation, parts.pipelines, size, device, **feed)
    steps_per_epoch = -(-len(train) // accumulate)
    if held is None:
        _check_followed(training)
    lasts = lengths(settings, steps_per_epoch)
    parameters = dict(objective.module.named_parameters())
    rising = {metric.name for metric in training.metrics if metric.name in metrics and higher_is_better(metric)}
    updates = [
        Update(
            update,
            {**settings, **update.settings},
            own(update, parameters),
            device,
            steps_per_epoch=steps_per_epoch,
            kinds=kinds or {},
            average=training.average,
            rising=rising,
        )
        for update in training.updates
    ]
    average = average_of(
        training.average, parameters, objective.module, steps_per_epoch=steps_per_epoch, settings=settings
    )
    torch.manual_seed(seed + world.rank)
    loop = Loop(
        objective,
        updates,
        metrics,
        train,
        held,
        listener,
        Clock(device),
        order,
        torch.Generator().manual_seed(seed + world.rank),
        lasts["step"],
        Precision(settings.get("precision", "32"), device),
        average,
        spread or Spread(objective.module),
        accumulate,
        _patience(training),
        world,
    )
    return Assembled(loop, parts, lasts["epoch"])


def _check_enough(parts: Parts, world: World) -> None:
    """Each process needs a sample of each part."""
    for part, purpose in ((parts.train, "train"), (parts.validation, "validate")):
        if part is not None and len(part) < world.size:
            count = "a single sample" if len(part) == 1 else f"{len(part)} samples"
            message = f"{world.size} processes share the data, and there is {count} to {purpose} on"
            raise DataError(message, helps=("fewer processes, or a larger part: see `split`",))


def objective_of(
    program: ir.Program, training: ir.Training, module: nn.Module, spread: Spread
) -> tuple[Objective, dict[str, Measure]]:
    """What is computed from a batch, and the functions that metrics are gathered by."""
    if training.models:
        several = Several(program, module, torch.compile if training.settings.get("compile") else None)
        return several, several.measures()
    losses, measures = training_functions(training)
    wiring, call = wire(training, program), _compiled(spread.call, training.settings)
    return Single(module, wiring, losses, call, training.updates), measures


def own(update: ir.Update, parameters: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """The parameters that an update trains."""
    if not update.params:
        return dict(parameters)
    return {name: p for name, p in parameters.items() if any(matches(pattern, name) for pattern in update.params)}


def policy(training: ir.Training) -> Policy:
    """When checkpoints are written."""
    wanted = training.settings.get("checkpoint") or {}
    return Policy(wanted.get("every"), wanted.get("keep") or 3)


def judge(training: ir.Training, name: str | None, mode: str | None = None) -> Judge:
    """Compares epochs by the number of that name: a loss, or a metric, which knows its better side."""
    if mode is not None:
        return Judge(name, mode == "max")
    wanted = (name or "").removeprefix("val/")
    metric = next((m for m in training.metrics if m.name == wanted), None)
    return Judge(name, metric is not None and bool(higher_is_better(metric)))


def best(training: ir.Training) -> Judge:
    """Compares epochs for the best checkpoint."""
    wanted = training.settings.get("checkpoint") or {}
    followed = training.settings.get("early_stopping") or {}
    if wanted.get("best") is None and followed.get("monitor") is not None:
        return judge(training, followed["monitor"], followed.get("mode"))
    return judge(training, wanted.get("best"), wanted.get("mode"))


def _check_followed(training: ir.Training) -> None:
    """Raise `Fault` for a number to follow that is one of the part to validate on, where there is no such part."""
    settings = training.settings
    followed = [(f"{name}.{key}", (settings.get(name) or {}).get(key)) for name, key in _FOLLOWED]
    followed += [("schedule", u.schedule.arguments.get("monitor")) for u in training.updates if u.schedule is not None]
    for at, number in followed:
        if number is not None and number.startswith("val/"):
            raise Fault(
                f'"{number}" cannot be followed: there is nothing to validate on',
                code="NNS615",
                at=at,
                helps=("split = 0.2 sets a fifth of the data aside", f'or follow "{number.removeprefix("val/")}"'),
            )


def _patience(training: ir.Training) -> Patience | None:
    wanted = training.settings.get("early_stopping")
    if not wanted:
        return None
    judged = judge(training, wanted.get("monitor"), wanted.get("mode"))
    return Patience(judged, wanted["patience"], wanted.get("min_delta") or 0.0)


def _compiled(module: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
    if not settings.get("compile"):
        return module
    found: Any = torch.compile(module)
    return found  # type: ignore[no-any-return]


def kinds_of(program: ir.Program, training: ir.Training) -> dict[str, Within]:
    """The layers and blocks around each parameter."""
    root = program.modules[program.entries[training.entry].module]
    return {found.path: found.within for found in owned(program.modules, root.members, root.ties)}
