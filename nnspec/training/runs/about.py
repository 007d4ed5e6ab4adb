"""What a run was asked for, as its `run.json` says it: the model, how it is trained, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec import ir
from nnspec.training.build import arguments
from nnspec.training.running.meters import higher_is_better
from nnspec.training.runs.plain import plain


def about(program: ir.Program, training: ir.Training, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """All that was asked for, defaults included."""
    entry = program.entries[training.entry]
    validation = training.validation
    asked = {
        "model": entry.name,
        "hyperparameters": _hyperparameters(program, training),
        "overrides": {name: str(value) for name, value in overrides.items()},
        "seed": training.settings.get("seed", 0),
        "data": {"name": training.data.name, **training.data.arguments},
        "validation": None if validation is None else {"name": validation.name, **validation.arguments},
        "transform": training.transforms,
        "augment": training.augment,
        **_updates(training),
        "average": training.average and _whole("average", training.average),
        "settings": training.settings,
        "better": _better(training),
    }
    found: dict[str, Any] = plain(asked)
    return found


def _hyperparameters(program: ir.Program, training: ir.Training) -> dict[str, Any]:
    """Those of the model, by name; of several models as they are called from outside: `G.width`."""
    module = program.modules[program.entries[training.entry].module]
    if not training.models:
        return {name: attr.value for name, attr in module.arguments.items()}
    models = {m.name: program.modules[m.module] for m in module.members if m.module is not None}
    return {
        f"{name}.{argument}": attr.value
        for name in training.models
        for argument, attr in models[name].arguments.items()
    }


def _updates(training: ir.Training) -> dict[str, Any]:
    """How parameters are trained; by update where there are several."""
    if not training.models and len(training.updates) == 1 and not training.updates[0].name:
        return _update(training.updates[0])
    return {
        "updates": {
            update.name: _update(update)
            | {"params": list(update.params), "every": update.every, "settings": update.settings}
            for update in training.updates
        }
    }


def _update(update: ir.Update) -> dict[str, Any]:
    return {
        "optimizer": _whole("optimizer", update.optimizer),
        "groups": [
            {"params": group.pattern if not group.layer else f"{group.layer}.{group.pattern}"}
            | group.settings
            | ({} if group.optimizer is None else {"optimizer": _whole("optimizer", group.optimizer)})
            for group in update.groups
        ],
        "schedule": update.schedule and _whole("scheduler", update.schedule),
    }


def _whole(kind: str, record: ir.Record) -> dict[str, Any]:
    """An object with all of its arguments."""
    return {"name": record.name, **arguments(kind, record)}


def _better(training: ir.Training) -> dict[str, str]:
    """Of each number that is known to have one: whether its least value is the best, or its greatest."""
    found = {update.name or "loss": "min" for update in training.updates}
    for metric in training.metrics:
        rising = higher_is_better(metric)
        if rising is not None:
            found[metric.name] = "max" if rising else "min"
    for name, key in (("early_stopping", "monitor"), ("checkpoint", "best")):
        told = training.settings.get(name) or {}
        if told.get(key) is not None and told.get("mode") is not None:
            found[told[key].removeprefix("val/")] = told["mode"]
    return found
