"""Checkpoints: the weights and all that a run needs to go on, written whole or not at all.

    checkpoints/index.json                    {"last": "step-00000345", "best": "step-00000322"}
    checkpoints/step-00000345/model.safetensors   the weights that one uses (averaged, where an average is kept)
    checkpoints/step-00000345/state.pt            the rest, as tensors and plain values: torch.load(weights_only=True)
    checkpoints/step-00000345/meta.json           epoch, step, and the numbers of the epoch

A folder is written under another name, synced and moved: one that has its name is complete.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from nnspec.backends.torch import WeightsError, load_weights
from nnspec.training.fault import Fault, unwritable
from nnspec.training.runs.directory import RunDirectory, sync, synced
from nnspec.training.runs.plain import plain
from nnspec.version import __version__

FOLDER = "checkpoints"
WEIGHTS = "model.safetensors"
STATE = "state.pt"
META = "meta.json"

_NAME = re.compile(r"step-(\d{8,15})")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a run, apart from it: tensors are copies on the CPU."""

    step: int
    epoch: int
    weights: dict[str, torch.Tensor]
    state: dict[str, Any]
    values: Mapping[str, float] = field(default_factory=dict)
    rows: Callable[[], Any] = list
    """Gives all rows so far, packed (see `Ledger`): there may be many, and most snapshots are never written."""

    @property
    def name(self) -> str:
        """What its folder is called."""
        return name_of(self.step)


class Checkpoints:
    """The checkpoints of a run's directory."""

    def __init__(self, run: RunDirectory, keep: int = 2) -> None:
        self.run = run
        self.keep = keep

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.run.path / FOLDER

    def write(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint; raises `Fault` when it cannot be, and then those before it are as they were."""
        place, temporary = self.folder / snapshot.name, self.folder / f".{snapshot.name}.part"
        try:
            self.folder.mkdir(exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            if place.exists():  # of the same step: a run that went on from it and was stopped at once
                return place
            temporary.mkdir()
            self._fill(temporary, snapshot)
            synced(temporary)
            temporary.rename(place)
            synced(self.folder)
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            raise unwritable(place, error) from None
        return place

    def _fill(self, place: Path, snapshot: Snapshot) -> None:
        numbers = {"epoch": snapshot.epoch, "step": snapshot.step}
        metadata = {"format": "pt", "nnspec": __version__} | {name: str(value) for name, value in numbers.items()}
        save_file(dict(snapshot.weights), place / WEIGHTS, metadata=metadata)
        torch.save(snapshot.state | {"rows": snapshot.rows()}, place / STATE)
        meta = {"nnspec": __version__, **numbers, "values": plain(snapshot.values)}
        (place / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        for name in (WEIGHTS, STATE, META):
            sync(place / name)

    def point(self, last: str, best: str | None) -> None:
        """Say which checkpoints are the last and the best, and remove those that nobody needs."""
        self.run.write_json(f"{FOLDER}/index.json", {"last": last, "best": best})
        begun = [name for name in self.names() if step_of(name)]  # the fresh weights are for the time before these
        needed = {best, last, *begun[-max(self.keep, 1) :]}
        for name in self.names():
            if name not in needed:
                self._remove(name)

    def forget_after(self, step: int) -> None:
        """Remove the checkpoints of a future that is given up, by going on from an earlier one.

        And what a run that was killed had not finished: nobody else would ever remove it.
        """
        for name in self.names():
            if step_of(name) > step:
                self._remove(name)
        for left in (*self.folder.glob(".step-*.part"), *self.folder.glob(".step-*.old")):
            shutil.rmtree(left, ignore_errors=True)

    def _remove(self, name: str) -> None:
        gone = self.folder / f".{name}.old"
        shutil.rmtree(gone, ignore_errors=True)
        try:
            (self.folder / name).rename(gone)  # a folder that has its name is complete, also while it is removed
        except OSError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    def names(self) -> list[str]:
        """The names of all checkpoints, the earliest first."""
        return names_in(self.folder)


def names_in(folder: Path) -> list[str]:
    """The names of the checkpoints in a folder, the earliest first."""
    try:
        found = [entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name)]
    except OSError:
        return []
    return sorted(found, key=step_of)


def name_of(step: int) -> str:
    """The name of the checkpoint after so many steps."""
    return f"step-{step:08}"


def step_of(name: str) -> int:
    """The step of a checkpoint by its name."""
    match = _NAME.fullmatch(name)
    assert match is not None, name
    return int(match.group(1))


def read_index(folder: Path) -> dict[str, str | None]:
    """The names of the last and the best checkpoint, as far as they are there: the last is the one of most steps."""
    there = names_in(folder)
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
        best = index.get("best")
    except (OSError, ValueError, AttributeError):
        best = None
    return {"last": there[-1] if there else None, "best": best if best in there else None}


_COUNT = 2**53
"""More steps than a run can make."""

_STATE: dict[str, type | tuple[type, ...]] = {
    "step": int,
    "epoch": int,
    "position": int,
    "seconds": (int, float),
    "order": torch.Tensor,
    "processes": list,
    "updates": list,
    "average": dict,
    "module": (dict, type(None)),
    "rows": list,
    "patience": (dict, type(None)),
}
"""What a run's state is made of: see `Loop.capture`."""


def read_state(place: Path) -> dict[str, Any]:
    """What a checkpoint holds besides weights; `Fault` when it cannot be read. Nothing in it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how others pickle
            state = torch.load(place / STATE, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise _unreadable(place, f"it has no `{STATE}`") from None
    except UnpicklingError:
        raise _unreadable(place, f"its `{STATE}` holds more than tensors and plain values, and is not run") from None
    # What a damaged file makes torch's reader raise is not documented.
    except Exception:
        raise _unreadable(place, f"its `{STATE}` is damaged") from None
    if not isinstance(state, dict) or not _is_state(state):
        raise _unreadable(place, f"its `{STATE}` holds no state of a run")
    return state


def _is_state(state: Mapping[str, Any]) -> bool:
    """Whether it has all parts, of their types, and counts that are counts."""
    typed = all(name in state and isinstance(state[name], type_) for name, type_ in _STATE.items())
    return typed and all(0 <= state[name] < _COUNT for name in ("step", "epoch", "position"))


def _unreadable(place: Path, reason: str) -> Fault:
    """A checkpoint that is damaged; those before it may be whole."""
    others = [name for name in names_in(place.parent) if name != place.name]
    other = f"`--resume {place.parent / others[-1]}`" if others else "a new run, without `--resume`"
    message = f"the checkpoint {place} cannot be read"
    return Fault(message, code="NNS628", notes=(reason,), helps=(f"go on from another one: {other}",))


def read_weights(place: Path) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint; `Fault` when they cannot be read."""
    try:
        return dict(load_weights(place / WEIGHTS))
    except WeightsError as error:
        raise _unreadable(place, str(error)) from None
