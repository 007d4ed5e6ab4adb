"""Which files a spec may import: those of its project, and the library that ships with nnspec."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from pathlib import Path

from nnspec import registry_std
from nnspec.elaborate.files import Unreadable
from nnspec.suggest import closest, suggest
from nnspec.syntax.parse import MAX_SOURCE

_ROOT_MARKS = ("pyproject.toml", ".git")
_MAX_BYTES = 4 * MAX_SOURCE
"""What is longer has more characters than are parsed."""


class Files:
    """Reads from disk: what lies below the root of the project that the main file belongs to.

    The root is the nearest folder above the main file with a `pyproject.toml` or a `.git`, else the file's own folder.
    Links are followed first: one that leads out of the root is refused like any other way out. Without a folder, only
    the library can be read.
    """

    def __init__(self, folder: Path | None = None, name: str = "") -> None:
        self._given = folder
        self._name = name

    # Most specs import nothing, and these ask the disk.

    @cached_property
    def _folder(self) -> Path | None:
        return None if self._given is None else Path(os.path.realpath(self._given))

    @cached_property
    def main(self) -> str:
        """The resolved path of the main file; "" for a text that has none."""
        return "" if self._folder is None or not self._name else os.path.realpath(self._folder / self._name)

    def locate(self, path: str, importer: str) -> str:
        """The resolved path of a file; `importer` is one as well, or "" for the main file."""
        if importer.startswith("std."):
            raise Unreadable("NNS218", "the library imports from `std` only")
        if self._folder is None:
            raise Unreadable("NNS218", "a text without a folder imports from `std` only")
        folder = Path(importer).parent if importer else self._folder
        found = os.path.realpath(folder / path)
        root = _root(self._folder)
        if not Path(found).is_relative_to(root):
            why = "it lies outside of the project"
            raise Unreadable("NNS219", why, (f"imports stay below `{root.name}/`, the project's root",))
        _check_kind(Path(found), path)
        return found

    def locate_library(self, name: str) -> str:
        """The name itself, if the library has a module of that name."""
        known = registry_std.modules()
        if name in known:
            return name
        listed = ", ".join(f"`{module}`" for module in known)
        if name == "std":
            raise Unreadable("NNS218", "it is the whole library", (f"name one of {listed}",))
        close = suggest(name, known)
        help_ = f"did you mean `{close}`?" if close else f"there are {listed}"
        raise Unreadable("NNS218", "the library has no such module", (help_,))

    def read(self, key: str) -> str:
        """The text of a file that was located."""
        if key.startswith("std."):
            return registry_std.text_of(key)
        try:
            with open(key, "rb") as stream:
                content = stream.read(_MAX_BYTES + 1)
        except OSError as fault:
            raise Unreadable("NNS218", (fault.strerror or str(fault)).lower()) from None
        if len(content) > _MAX_BYTES:
            raise Unreadable("NNS218", f"it has more than {_MAX_BYTES >> 20} MiB")
        try:
            return plain_text(content)
        except UnicodeDecodeError as fault:
            raise Unreadable("NNS218", f"it is not UTF-8 text (byte {fault.start:,})") from None


def plain_text(content: bytes) -> str:
    """The text of a file, lines ended as ours are; raises `UnicodeDecodeError`."""
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _root(folder: Path) -> Path:
    return next((p for p in (folder, *folder.parents) if any((p / mark).exists() for mark in _ROOT_MARKS)), folder)


def _check_kind(found: Path, path: str) -> None:
    """Refuse what is not there, or is no ordinary file: reading a pipe might never end."""
    try:
        mode = os.stat(found).st_mode
    except OSError as fault:
        if not isinstance(fault, FileNotFoundError | NotADirectoryError):
            raise Unreadable("NNS218", (fault.strerror or str(fault)).lower()) from None
        raise Unreadable("NNS218", "there is no such file", _similar(found, path)) from None
    except ValueError:
        raise Unreadable("NNS218", "it is not a path") from None
    if not stat.S_ISREG(mode):
        raise Unreadable("NNS218", "it is a folder" if stat.S_ISDIR(mode) else "it is not an ordinary file")


def _similar(found: Path, path: str) -> tuple[str, ...]:
    """Files beside the one that is missing with a similar name."""
    try:
        names = [entry.name for entry in found.parent.iterdir() if entry.suffix == ".nns"]
    except OSError:
        return (f"there is no folder `{os.path.dirname(path)}` beside the file that imports",)
    near = closest(found.name, names)
    return (f"there is `{os.path.join(os.path.dirname(path), near[0])}`",) if near else ()
