"""Several runs side by side: what was asked for, in the words of a spec, and what came of it. Loads no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any

from nnspec.training.runs.history import read_lines
from nnspec.training.runs.listing import RESULT, RUN, RunError, read_document

MOST_OPTIONS = 8
"""How many of the options in which runs differ are told apart."""

_NO_METRICS = {"epoch", "step", "seconds", "samples_per_second"}
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in short."""

    path: Path
    model: str
    status: str
    """That of `result.json`; `unfinished` while there is none: the run goes on, or was killed."""
    epochs: int
    seconds: float
    started: str
    best: dict[str, float]
    """The numbers of the best epoch."""
    options: dict[str, str]
    """What its hyperparameters and settings are, under the names that `--set` has for them."""
    overrides: tuple[str, ...] = ()
    """Those of the options that were set from outside."""
    better: dict[str, str] = field(default_factory=dict)
    """Of losses and metrics: `min` or `max`."""

    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        fields = ("model", "status", "epochs", "seconds", "started", "best", "better", "options")
        return {"name": self.path.name, "path": str(self.path)} | {name: getattr(self, name) for name in fields}

    def rank(self, name: str) -> float:
        """What runs are sorted by for the best of a number to come first, and those that lack it last."""
        value = self.best.get(name, inf)
        if not isfinite(value):
            return inf
        return value if _way(self.better, name) == "min" else -value


def summarize(run: Path) -> Summary:
    """What the files of a run say; what is missing or damaged is left out."""
    about, result, rows = _or_empty(run / RUN), _or_empty(run / RESULT), read_lines(run)
    better = {name: way for name, way in _object(about, "better").items() if way in ("min", "max")}
    best = result.get("best") if isinstance(result.get("best"), dict) else _best(rows, about, better)
    seconds = result.get("seconds", sum(row["seconds"] for row in rows if _is_number(row.get("seconds"))))
    return Summary(
        run,
        str(about.get("model", "")),
        str(result.get("status", "unfinished")),
        _count(result.get("epochs"), len(rows)),
        float(seconds) if _is_number(seconds) else 0.0,
        str(about.get("started", "")),
        {name: float(value) for name, value in (best or {}).items() if _is_number(value)},
        options(about),
        tuple(_object(about, "overrides")),
        better,
    )


def telling(summaries: Sequence[Summary]) -> list[str]:
    """The options in which runs of one model differ: those that were set from outside first."""
    models: dict[str, list[Summary]] = {}
    for each in summaries:
        models.setdefault(each.model, []).append(each)
    found: dict[str, bool] = {}
    for alike in models.values():
        given = {name for each in alike for name in each.overrides}
        for name in dict.fromkeys(name for each in alike for name in each.options):
            # What only some have, such as the arguments of one of two optimizers, goes with another option.
            values = {each.options.get(name) for each in alike}
            if len(values if name in given else values - {None}) > 1:
                found[name] = found.get(name, False) or name in given
    return sorted(found, key=lambda name: not found[name])


def metric_names(summaries: Iterable[Summary]) -> list[str]:
    """The numbers that best epochs have, learning rates left out."""
    names = dict.fromkeys(name for each in summaries for name in each.best)
    return [name for name in names if name not in _NO_METRICS and "lr" not in name.split("/")]


def _or_empty(place: Path) -> dict[str, Any]:
    try:
        return read_document(place)
    except RunError:
        return {}


def _best(rows: Sequence[dict[str, Any]], about: dict[str, Any], better: Mapping[str, str]) -> dict[str, Any] | None:
    """The best row by what checkpoints go by: the loss, on the validation part if there is one, where that is none.

    The last one where there is no such number.
    """
    followed = _object(_object(about, "settings"), "checkpoint").get("best")

    def rank(row: dict[str, Any]) -> float:
        name = followed if isinstance(followed, str) else "val/loss" if "val/loss" in row else "loss"
        value: Any = row.get(name)
        if not _is_number(value):
            return inf
        return float(value) if _way(better, name) == "min" else -float(value)

    return min(rows, key=rank) if any(rank(row) < inf for row in rows) else rows[-1] if rows else None


def _way(better: Mapping[str, str], name: str) -> str:
    """Whether the least or the greatest of a number is the best; the least where nobody says so."""
    return better.get(name.removeprefix("val/"), "min")


# --- what was asked for ----------------------------------------------------------------------------------------------


def options(about: Mapping[str, Any]) -> dict[str, str]:
    """What a run was asked for, flat and in the words of a spec: hyperparameters, and settings as `train.NAME`."""
    found = {str(name): spelled(value) for name, value in _object(about, "hyperparameters").items()}
    found |= {f"train.{name}": text for name, text in _section(about)}
    for name, value in _object(about, "overrides").items():
        found.setdefault(str(name), str(value))
    return found


def _section(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("data", "validation", "transform", "augment"):
        if about.get(name):
            yield name, spelled(about[name])
    yield from _steps(about, "")
    for name, update in _object(about, "updates").items():
        if isinstance(update, dict):
            yield from _steps(update, f"{name}.")
            yield from ((f"{name}.{each}", spelled(value)) for each, value in _object(update, "settings").items())
            yield f"{name}.every", spelled(update.get("every", 1))
    if "average" in about:
        yield "average", spelled(about["average"])
    yield from ((str(name), spelled(value)) for name, value in _object(about, "settings").items())


def _steps(told: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Optimizer, groups and schedule of a section, or of an update."""
    optimizer = _object(told, "optimizer")
    if optimizer:
        yield f"{path}optimizer", str(optimizer.get("name", ""))
        yield from ((f"{path}optimizer.{name}", spelled(v)) for name, v in optimizer.items() if name != "name")
    groups = told.get("groups")
    for group in groups if isinstance(groups, list) else ():
        if isinstance(group, dict):
            said = (f"{name} = {spelled(value)}" for name, value in group.items() if name != "params")
            yield f'{path}params "{group.get("params")}"', ", ".join(said)
    if "schedule" in told:
        yield f"{path}schedule", spelled(told["schedule"])


def spelled(value: Any, depth: int = 0) -> str:
    """A value that was written as JSON in the words of a spec; texts are bare where they stand by themselves."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, dict):
        title = value.get("name")
        named = isinstance(title, str) and title[:1].isupper()
        parts = (f"{n}={spelled(v, depth + 1)}" for n, v in value.items() if n != "name" or not named)
        inside = ", ".join(parts)
        return f"{title}({inside})" if named and inside else str(title) if named else f"({inside})"
    if isinstance(value, list):
        parts = (spelled(each, depth + 1) for each in value)
        begin, end = "[]" if value and isinstance(value[0], dict) else "()"
        return f"{begin}{', '.join(parts)}{end}"
    if isinstance(value, str):
        return value if depth == 0 else json.dumps(value, ensure_ascii=False)
    return str(value)


def _object(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A part that is an object; {} for anything else: a file of a run may hold anything."""
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
