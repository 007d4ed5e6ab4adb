"""The directory of a run: every file in it is written beside its place, synced and moved there, or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from nnspec.training.fault import Fault
from nnspec.version import __version__

_MOST_RUNS = 1_000_000


class RunDirectory:
    """`runs/<name>-<n>`, made for one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path, name: str) -> RunDirectory:
        """A new directory under `root`, numbered after those that are there."""
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "run"
        try:
            root.mkdir(parents=True, exist_ok=True)
            used = [re.fullmatch(re.escape(stem) + r"-(\d{1,9})", entry.name) for entry in root.iterdir()]
            number = max((int(match.group(1)) for match in used if match), default=0)
            while number < _MOST_RUNS:
                number += 1
                try:
                    (root / f"{stem}-{number}").mkdir()
                except FileExistsError:
                    continue
                return cls(root / f"{stem}-{number}")
        except OSError as error:
            raise _unwritable(root, error) from None
        raise Fault(f"there are too many runs in {root}", code="NNS623")

    def write_text(self, name: str, text: str) -> None:
        """A text file."""
        self._write(name, lambda place: _write_bytes(place, text.encode()))

    def write_json(self, name: str, content: Any) -> None:
        """A JSON file."""
        self.write_text(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_tensors(self, name: str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
        """A safetensors file."""
        self._write(name, lambda place: save_file(dict(tensors), place, metadata=dict(metadata)))

    def append(self, name: str, content: Any) -> None:
        """A line of a JSON Lines file."""
        try:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(content) + "\n")
        except OSError as error:
            raise _unwritable(self.path / name, error) from None

    def _write(self, name: str, write: Callable[[Path], None]) -> None:
        place, temporary = self.path / name, self.path / f".{name}.part"
        try:
            write(temporary)
            _sync(temporary, os.O_RDWR)
            os.replace(temporary, place)
            if os.name == "posix":
                _sync(self.path, os.O_RDONLY)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise _unwritable(place, error) from None


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


def _write_bytes(place: Path, content: bytes) -> None:
    place.write_bytes(content)


def _sync(place: Path, access: int) -> None:
    # Windows syncs only what is open for writing, and no system opens a folder so.
    descriptor = os.open(place, access)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(place: Path, error: Exception) -> Fault:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Fault(f"{place} cannot be written: {reason}", code="NNS623")
