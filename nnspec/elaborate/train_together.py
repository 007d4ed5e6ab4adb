"""Whether the parts of a `train` section go together: optimizers, schedules and averages with settings and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import error
from nnspec.elaborate.train_section import Section, translated
from nnspec.elaborate.values import Fault
from nnspec.suggest import suggest
from nnspec.training.average import Average
from nnspec.training.fault import Fault as TrainingFault
from nnspec.training.optimizer import Optimizer
from nnspec.training.scheduler import scheduler, unit_of


def check_together(
    section: Section,
    settings: Mapping[str, Any],
    updates: Sequence[tuple[Section, ir.Update]],
    metrics: Sequence[ir.Metric],
    average: Average | None,
) -> None:
    """Raise `Fault` for what is fine by itself and not with the rest. Each update comes with where it is written."""
    if average is not None and settings.get("epochs") is not None:
        translated(section, "average", partial(average.check_length, settings["epochs"]))
    if settings.get("strategy") == "fsdp" and updates[0][1].name:
        span = section.spans.get("settings.strategy") or section.head
        helps = ('strategy = "ddp" shares the batches, and trains in turn',)
        raise Fault(error("NNS603", "`fsdp` does not train by several `update`s", span, helps=helps))
    for part, update in updates:
        told = {**settings, **update.settings}
        for optimizer in _optimizers(update):
            _asked(part, section, "optimizer", partial(optimizer.check_settings, told))
        if update.schedule is not None:
            _asked(part, section, "schedule", partial(unit_of, scheduler(update.schedule), told))
            _check_watched(part, update.schedule, metrics, [each.name or "loss" for _, each in updates])


def _optimizers(update: ir.Update) -> Iterator[Optimizer]:
    for record in (update.optimizer, *(group.optimizer for group in update.groups)):
        if record is not None:
            cls = registry.find("optimizer", record.name)
            assert cls is not None, record.name
            yield cls(**record.arguments)


def _asked(part: Section, section: Section, name: str, check: Callable[[], object]) -> None:
    """A fault is about the setting that it names, in the update or in the section around it, or about the object."""
    try:
        check()
    except TrainingFault as fault:
        place = f"settings.{fault.at}"
        span = part.spans.get(place) or section.spans.get(place) or part.spans.get(name) or part.head
        raise Fault(fault.diagnostic(span)) from None


def _check_watched(part: Section, schedule: ir.Record, metrics: Sequence[ir.Metric], losses: Sequence[str]) -> None:
    """A schedule that goes by a number goes by one that there is."""
    number = schedule.arguments.get("monitor")
    known = [*losses, *(metric.name for metric in metrics)]
    known += [f"val/{name}" for name in known]
    if number is None or number in known:
        return
    close = suggest(number, known)
    helps = (f'did you mean "{close}"?',) if close else (f"there are {', '.join(known)}",)
    span = part.spans.get("schedule.monitor") or part.head
    message = f'there is no number "{number}" to follow'
    raise Fault(error("NNS615", message, span, "neither the loss nor a metric", helps=helps))
