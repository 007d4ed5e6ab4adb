"""A run's directory, read again: its program's training, its weights at a checkpoint, and how its data was prepared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.training.runs import preparation
from nnspec.training.runs.checkpoint import META, WEIGHTS, names_in, read_index, read_weights, step_of
from nnspec.training.runs.listing import CHECKPOINTS, PROGRAM, RUN, RunError, find_run, read_document
from nnspec.training.runs.preparation import DATA, Preparation

if TYPE_CHECKING:
    import torch

_LISTED = 6


@dataclass(frozen=True)
class Archive:
    """A run that is there, at one of its checkpoints. Files are read, and checked, when they are asked for."""

    path: Path
    checkpoint: str
    """Its folder's name: `step-00000345`."""

    @classmethod
    def open(cls, where: str | Path, *, checkpoint: str | None = None, root: Path = Path("runs")) -> Archive:
        """The run at a path or of a name (`find_run`), at its best checkpoint, or the one that is named.

        `checkpoint` is `best`, `last`, or a step. Raises `RunError` for what is not there.
        """
        path, named = find_run(where, root)
        if named is not None and checkpoint is not None:
            raise RunError(f"`{where}` is a checkpoint itself, and `{checkpoint}` asks for another one")
        if not (path / PROGRAM).is_file():
            raise RunError(
                f"the run `{path}` has no `{PROGRAM}`",
                helps=("it was killed before it began, or is of an older nnspec",),
            )
        return cls(path, _chosen(path, named or checkpoint or "best"))

    @property
    def program_path(self) -> Path:
        """The IR of what was trained."""
        return self.path / PROGRAM

    @property
    def weights_path(self) -> Path:
        """The file of the checkpoint's weights."""
        return self.path / CHECKPOINTS / self.checkpoint / WEIGHTS

    def weights(self) -> dict[str, torch.Tensor]:
        """The weights at the checkpoint. Raises `Fault` when they cannot be read; nothing in the file is run."""
        return read_weights(self.path / CHECKPOINTS / self.checkpoint)

    @cached_property
    def about(self) -> dict[str, Any]:
        """`run.json`: what was asked for, and where it ran."""
        return read_document(self.path / RUN)

    @cached_property
    def preparation(self) -> Preparation:
        """How its data was prepared."""
        return preparation.read(read_document(self.path / DATA), str(self.path / DATA))

    @property
    def steps(self) -> int:
        """How many steps had been done at the checkpoint."""
        return step_of(self.checkpoint)

    @cached_property
    def done(self) -> tuple[int, int]:
        """How many steps and epochs had been done at the checkpoint."""
        meta = read_document(self.path / CHECKPOINTS / self.checkpoint / META)
        epoch = meta.get("epoch")
        return self.steps, epoch if isinstance(epoch, int) else 0


def _chosen(run: Path, wanted: str) -> str:
    """The name of a checkpoint."""
    folder = run / CHECKPOINTS
    names = names_in(folder)
    if not names:
        raise RunError(f"the run `{run}` has no checkpoint", helps=("it was killed before it wrote one",))
    index = read_index(folder)
    if wanted == "best":  # before the first epoch ends there is none
        return index["best"] or names[-1]
    if wanted == "last":
        return names[-1]
    found = [name for name in names if name == wanted or (wanted.isdecimal() and step_of(name) == int(wanted[:18]))]
    if found:
        return found[0]
    shown = ", ".join(f"{step_of(name)}" for name in names[-_LISTED:])
    raise RunError(
        f"the run `{run}` has no checkpoint `{wanted}`",
        helps=(f"`best`, `last`, or one of the steps {shown}",),
    )
