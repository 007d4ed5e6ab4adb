"""The directory of a run: every file in it is written beside its place, synced and moved there, or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from nnspec.training.fault import Fault, unwritable
from nnspec.version import __version__

_MOST_RUNS = 1_000_000
_HIDDEN = ".run-"
_OLD = 86_400.0
"""Seconds after which a run that has no name has none any more."""


class RunDirectory:
    """`runs/<name>-<n>`, made for one run. It gets its name when what it must have is in it: see `settle`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wanted: tuple[Path, str] | None = None

    @classmethod
    def create(cls, root: Path, name: str) -> RunDirectory:
        """A new directory under `root`, hidden until it is settled."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            _sweep(root)
            made = cls(Path(mkdtemp(prefix=_HIDDEN, suffix=".part", dir=root)))
            made.path.chmod(0o777 & ~_umask())
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte
            raise unwritable(root, error) from None
        made._wanted = root, stem_of(name)
        return made

    def settle(self) -> None:
        """Take a name, numbered after those that are there: from now on this is a run that can be continued."""
        if self._wanted is None:
            return
        root, stem = self._wanted
        try:
            number = max(numbers(root, stem), default=0)
            while number < _MOST_RUNS:
                number += 1
                place = root / f"{stem}-{number}"
                try:
                    self.path.rename(place)
                except OSError:
                    if not place.exists():
                        raise
                    continue  # somebody else took the number in the meantime
                synced(root)
                self.path, self._wanted = place, None
                return
        except OSError as error:
            raise unwritable(root / stem, error) from None
        raise Fault(f"there are too many runs in {root}", code="NNS623")

    def forget(self) -> None:
        """Remove the directory if it was never settled."""
        if self._wanted is not None:
            shutil.rmtree(self.path, ignore_errors=True)

    def write_text(self, name: str, text: str) -> None:
        """A text file."""
        self.write_with(name, lambda place: place.write_bytes(text.encode()))

    def write_json(self, name: str, content: Any) -> None:
        """A JSON file."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_tensors(self, name: str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
        """A safetensors file."""
        self.write_with(name, lambda place: save_file(dict(tensors), place, metadata=dict(metadata)))

    def remove(self, name: str) -> None:
        """No such file, from now on."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.path / name, error) from None

    def append(self, name: str, content: Any) -> None:
        """A line of a JSON Lines file."""
        try:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
        except OSError as error:
            raise unwritable(self.path / name, error) from None

    def write_with(self, name: str, write: Callable[[Path], object]) -> None:
        """A file that `write` writes at the path that it is given."""
        place = self.path / name
        temporary = place.with_name(f".{place.name}.part")
        try:
            write(temporary)
            sync(temporary)
            os.replace(temporary, place)
            synced(place.parent)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch's writer raises RuntimeError at a full disk
            temporary.unlink(missing_ok=True)
            raise unwritable(place, error) from None


def numbers(root: Path, stem: str) -> list[int]:
    """The numbers of the runs of that name."""
    used = [re.fullmatch(re.escape(stem) + r"-(\d{1,9})", entry.name) for entry in root.iterdir()]
    return [int(match.group(1)) for match in used if match]


def _sweep(root: Path) -> None:
    """Remove what runs left behind that were killed before they had a name, long ago."""
    for entry in root.glob(f"{_HIDDEN}*.part"):
        with suppress(OSError):
            if time.time() - entry.stat().st_mtime > _OLD:
                shutil.rmtree(entry, ignore_errors=True)


def _umask() -> int:
    """What new files are not allowed; asking sets it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def stem_of(name: str) -> str:
    """The name of a run as its directory has it, before the number."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "run"


def synced(folder: Path) -> None:
    """Let the names in a folder reach the disk."""
    if os.name == "posix":  # no other system opens a folder
        _sync(folder, os.O_RDONLY)


def environment(device: torch.device) -> dict[str, Any]:
    """Versions and hardware: what one needs to know to repeat a run."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "nnspec": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": str(device),
        "hardware": kind,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
    }


def sync(file: Path) -> None:
    """Let the content of a file reach the disk."""
    _sync(file, os.O_RDWR)  # Windows syncs only what is open for writing


def _sync(place: Path, access: int) -> None:
    descriptor = os.open(place, access)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
