"""Going on with a run that was stopped or killed: which one, from where, and whether it is still the same."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnspec.training.fault import Fault
from nnspec.training.runs.checkpoint import FOLDER, names_in, read_index
from nnspec.training.runs.directory import RunDirectory, numbers, stem_of
from nnspec.training.runs.listing import is_run

WORDS = ("auto", "last", "best")

_OVER = ("finished", "stopped early")
"""How runs end that have nothing left to do."""

_PLACES = ("span", "places", "sources", "doc")
_LINE = re.compile(r"(?:, | \()?\b[\w./-]*\.nns, line \d+\)?|# line \d+: |  # line \d+$")
"""Where the emitted source says from which line of the spec it comes."""

_MOST_LINES = 60
_LONGEST = 200
"""Letters of a path that are shown."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run to go on with, and the checkpoint to go on from."""

    run: RunDirectory
    checkpoint: Path


def find(wanted: str, root: Path, name: str) -> Resumed | None:
    """The run that `--resume` means; None for `auto` where there is nothing to go on with.

    `auto` and `last` are the last checkpoint of the newest run of that name, `best` is its best one; anything else is
    the path of a run's directory or of a checkpoint. Raises `Fault` when it is not there.
    """
    if wanted not in WORDS:
        return _at(Path(wanted))
    for run in reversed(_runs(root, name)):
        if wanted == "auto" and _status(run) in _OVER:
            return None
        index = read_index(run / FOLDER)
        place = index["best" if wanted == "best" else "last"]
        if place is not None:
            return Resumed(RunDirectory(run), run / FOLDER / place)
        if wanted != "auto":
            raise _without(run, "best checkpoint" if names_in(run / FOLDER) else "checkpoint")
    if wanted == "auto":
        return None
    raise Fault(
        f"there is no run `{name}` in {root} to go on with",
        code="NNS628",
        helps=("leave out --resume to begin one", "`--resume PATH` takes any run's directory"),
    )


def _at(path: Path) -> Resumed:
    try:
        if (path / FOLDER).is_dir():
            last = read_index(path / FOLDER)["last"]
            if last is None:
                raise _without(path, "checkpoint")
            return Resumed(RunDirectory(path), path / FOLDER / last)
        if path.parent.name == FOLDER and path.name in names_in(path.parent):
            return Resumed(RunDirectory(path.parent.parent), path)
        if is_run(path):
            raise _without(path, "checkpoint")
    except (OSError, ValueError):
        pass
    words = ", ".join(f"`{word}`" for word in WORDS)
    raise Fault(
        f"there is no run to go on with at `{str(path)[:_LONGEST]}`",
        code="NNS628",
        helps=(f"--resume takes {words}, a run's directory, or a checkpoint in it",),
    )


def _without(run: Path, what: str) -> Fault:
    helps = (
        ("`--resume last` goes on from the last one",) if "best" in what else ("leave out --resume to begin a new run",)
    )
    return Fault(f"the run {run} has no {what}", code="NNS628", helps=helps)


def _runs(root: Path, name: str) -> list[Path]:
    """The directories of the runs of that name, in order."""
    stem = stem_of(name)
    try:
        return [root / f"{stem}-{number}" for number in sorted(numbers(root, stem))]
    except OSError:
        return []


def _status(run: Path) -> Any:
    try:
        return json.loads((run / "result.json").read_text("utf-8")).get("status")
    except (OSError, ValueError, AttributeError):
        return None


def changes(resumed: Resumed, program: str, documents: Mapping[str, str]) -> list[str]:
    """How the run's documents differ from those of the present spec, line by line; empty where it is the same run.

    What counts is the program, without the places in its text: comments and line ends are no difference.
    """
    before = _read(resumed.run.path / "program.json")
    if before is not None and _essence(before) == _essence(program):
        return []
    lines: list[str] = []
    for name, text in documents.items():
        then, now = _told(_read(resumed.run.path / name) or ""), _told(text)
        lines += difflib.unified_diff(then, now, f"{name} (then)", f"{name} (now)", n=1, lineterm="")
    return lines or ["(nothing that its documents show)"]


def _read(place: Path) -> str | None:
    try:
        return place.read_text("utf-8")
    except (OSError, ValueError):
        return None


def _essence(program: str) -> Any:
    """A stored program without the places in its text, and without its text."""
    try:
        content = json.loads(program)
    except (ValueError, RecursionError):
        return None
    return _without_places(content)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items() if name not in _PLACES}
    return [_without_places(part) for part in value] if isinstance(value, list) else value


def _told(document: str) -> list[str]:
    """The lines of a document that say something, without the numbers of lines of another."""
    lines = (_LINE.sub("", line).rstrip() for line in document.splitlines())
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def check_same(resumed: Resumed, program: str, documents: Mapping[str, str], *, accept: bool) -> None:
    """Raise `Fault` for a run of another spec, unless that is accepted."""
    lines = [] if accept else changes(resumed, program, documents)
    if not lines:
        return
    more = len(lines) - _MOST_LINES
    shown = (*lines[:_MOST_LINES], *((f"... and {more} more lines",) if more > 0 else ()))
    raise Fault(
        f"the spec is not the one that {resumed.run.path} was trained by",
        code="NNS629",
        notes=("\n".join(("what differs:", *shown)),),
        helps=(
            "--accept-changes goes on all the same, with the spec as it is now",
            "leave out --resume to begin a run of its own",
        ),
    )
