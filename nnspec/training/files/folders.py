"""Folders of files that are samples: a sub-folder for each class, or all files in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nnspec.suggest import closest
from nnspec.training.fault import DataError, MissingData, SettingError

_MOST_FILES = 20_000_000
_SHOWN = 20
"""Names that a message lists."""


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a folder in sorted order, and the class of each where sub-folders tell."""

    files: tuple[Path, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def find_folder(base: Path, path: str, at: str) -> Path:
    """The folder of that name; `MissingData` says where it was looked for."""
    if not path or "\0" in path:
        raise DataError("the path of the data is empty", at=at)
    try:
        place = base / Path(path).expanduser()
        if place.is_dir():
            return place
        if place.is_file():
            raise MissingData(f"`{path}` is a file, and a folder is needed", at=at)
        parent = place.parent
        names = [entry.name for entry in parent.iterdir() if entry.is_dir()] if parent.is_dir() else []
    except (OSError, RuntimeError) as error:  # a name that is too long, a `~` of nobody
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
        raise MissingData(f"`{path}` cannot be looked for: {reason[:1].lower()}{reason[1:]}", at=at) from None
    near = closest(place.name, names, limit=3)
    similar = f"a folder with a similar name is there: {', '.join(f'`{n}`' for n in near)}" if near else ""
    raise MissingData(
        f"there is no folder `{path}`",
        at=at,
        notes=(f"looked for {place}",),
        helps=(similar or "relative paths start from the folder of the spec",),
    )


def find_samples(folder: Path, suffixes: tuple[str, ...], what: str, at: str) -> Found:
    """The files in a folder that end in one of the suffixes, in any case; each sub-folder that has some is a class."""
    try:
        found = _find(folder, suffixes, what, at)
    except OSError as error:
        raise MissingData(f"{error.filename or folder} cannot be read: {error.strerror}", at=at) from None
    if not found.files:
        seen = sorted(entry.name for entry in folder.iterdir())[:5]
        listed = f"in it: {', '.join(f'`{name}`' for name in seen)}" if seen else "it is empty"
        raise DataError(
            f"there are no {what} in `{folder.name}`",
            at=at,
            notes=(listed,),
            helps=(f"{what} end in {', '.join(suffixes)}",),
        )
    return found


def _find(folder: Path, suffixes: tuple[str, ...], what: str, at: str) -> Found:
    entries = sorted((e for e in os.scandir(folder) if not e.name.startswith(".")), key=lambda entry: entry.name)
    loose = [Path(e.path) for e in entries if e.name.lower().endswith(suffixes) and e.is_file()]
    groups = {e.name: _below(e.path, suffixes) for e in entries if e.is_dir()}
    classes = [name for name, files in groups.items() if files]
    if sum(map(len, groups.values())) + len(loose) > _MOST_FILES:
        raise DataError(f"`{folder.name}` holds more than {_MOST_FILES:,} {what}", at=at)
    if not classes:
        return Found(tuple(loose), None, (), ())
    notes = []
    empty = ", ".join(f"`{name}`" for name, files in groups.items() if not files)
    if empty:
        notes.append(f"left out of {folder.name}: folders without {what} ({empty})")
    if loose:
        notes.append(f"left out of {folder.name}: {len(loose):,} {what} beside the folders of classes")
    if len(classes) == 1:
        notes.append(f"all {what} of {folder.name} are of one class, `{classes[0]}`")
    files = tuple(file for name in classes for file in groups[name])
    labels = tuple(i for i, name in enumerate(classes) for _ in groups[name])
    return Found(files, labels, tuple(classes), tuple(notes))


def numbered(found: Found, classes: tuple[str, ...], folder: str) -> Found:
    """The same with the classes numbered as a list says, of which some may be absent."""
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise SettingError(f"`{twice}` is there twice", at="classes")
    other = next((name for name in found.classes if name not in classes), None)
    if other is not None:
        listed = ", ".join(f"`{name}`" for name in classes[:_SHOWN]) + (", ..." if len(classes) > _SHOWN else "")
        raise DataError(
            f"the folder `{other}` in `{folder}` is none of the classes", at="classes", notes=(f"these are {listed}",)
        )
    if found.labels is None:
        return found
    place = [classes.index(name) for name in found.classes]
    return Found(found.files, tuple(place[label] for label in found.labels), classes, found.notes)


def _below(folder: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files at any depth."""
    return sorted(
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(suffixes) and not name.startswith(".")
    )
