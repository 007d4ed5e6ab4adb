"""Directories of runs: which one is meant, and what its files say. Loads no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnspec.suggest import closest
from nnspec.training.fault import Fault

RUN = "run.json"
PROGRAM = "program.json"
RESULT = "result.json"
CHECKPOINTS = "checkpoints"

_STEP = re.compile(r"step-\d{8,15}")
_MOST_BYTES = 64 << 20
_MOST_RUNS = 10_000
_LISTED = 8


class RunError(Fault):
    """A directory that is no run, or holds less than is needed of it."""

    code = "NNS640"


def is_run(place: Path) -> bool:
    """Whether a directory is that of a run."""
    return (place / RUN).is_file() or (place / PROGRAM).is_file()


def find_run(where: str | Path, root: Path = Path("runs")) -> tuple[Path, str | None]:
    """The run's directory that is meant, and the checkpoint in it if that is what was named.

    `where` is the directory, one of its checkpoints, or the name of a run below `root`: its number may be left out
    where there is only one. Raises `RunError`.
    """
    place = Path(where)
    try:
        if place.is_dir():
            return _directory(place)
        if place.exists():
            raise RunError(f"`{where}` is a file, and a run is a directory")
    except OSError as error:  # a name that is too long
        raise RunError(f"`{str(where)[:80]}` cannot be looked for: {(error.strerror or str(error)).lower()}") from None
    if len(place.parts) == 1:
        if is_run(root / place):
            return root / place, None
        numbered = [run for run in runs_in(root) if re.fullmatch(re.escape(place.name) + r"-\d+", run.name)]
        if len(numbered) == 1:
            return numbered[0], None
        if numbered:
            raise RunError(f"several runs are called `{where}`", helps=(f"name one: {_listed(numbered)}",))
    around = place.parent if len(place.parts) > 1 else root
    there = runs_in(around)
    near = closest(place.name, [run.name for run in there], limit=3)
    helps = [f"there is `{around / name}`" for name in near] or ([f"there are {_listed(there)}"] if there else [])
    raise RunError(f"there is no run `{where}`", helps=helps or ("`nnspec run` makes one, in the folder `runs`",))


def _directory(place: Path) -> tuple[Path, str | None]:
    if is_run(place):
        return place, None
    if _STEP.fullmatch(place.name) and is_run(place.parent.parent):
        return place.parent.parent, place.name
    if place.name == CHECKPOINTS and is_run(place.parent):
        return place.parent, None
    inside = runs_in(place)
    helps = (f"runs in it: {_listed(inside)}",) if inside else ()
    raise RunError(f"`{place}` is not the directory of a run: it has no `{RUN}`", helps=helps)


def _listed(runs: Sequence[Path]) -> str:
    shown = ", ".join(f"`{run}`" for run in runs[:_LISTED])
    return shown + (f" and {len(runs) - _LISTED} more" if len(runs) > _LISTED else "")


def runs_in(root: Path) -> list[Path]:
    """The runs in a folder, by name and number."""
    try:
        found = [entry for entry, _ in zip(root.iterdir(), range(_MOST_RUNS), strict=False) if is_run(entry)]
    except OSError:
        return []
    return sorted(found, key=_by_number)


def _by_number(run: Path) -> tuple[str, int]:
    stem, _, number = run.name.rpartition("-")
    return (stem, int(number)) if number.isdecimal() and len(number) < 12 else (run.name, 0)


def read_document(place: Path) -> dict[str, Any]:
    """A JSON object that a run wrote. Raises `RunError` for one that is missing or damaged."""
    try:
        with place.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except FileNotFoundError:
        helps = ("the run was killed before it began, or is not complete",)
        raise RunError(f"`{place}` is not there", helps=helps) from None
    except OSError as error:
        raise RunError(f"`{place}` cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"`{place}` is damaged", notes=(str(error)[:200],)) from None
    if not isinstance(content, dict):
        raise RunError(f"`{place}` is damaged", notes=("it holds no object",))
    return content
