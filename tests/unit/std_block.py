"""A use of a block of `std` beside the same module of another library, compared as networks of the zoo are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from nnspec.reference_std import example_spec

from ..zoo.network import Network

_FOLDER = tempfile.TemporaryDirectory()


@cache
def _written(text: str) -> Path:
    number = len(list(Path(_FOLDER.name).iterdir()))
    path = Path(_FOLDER.name) / f"model{number}.nns"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True, kw_only=True)
class Block(Network):
    """A model that is one use of the block `name`, labelled `b`."""

    declared: Sequence[str]
    """The model's inputs."""
    text: str
    """What it returns."""

    @property
    def path(self) -> Path:
        """The model's file, made at first use."""
        return _written(example_spec(self.text, self.declared))

    def renamed(self, state: Any) -> dict[str, Tensor]:
        """The original's state under the names that it has in the model."""
        return {f"b.{name}": tensor for name, tensor in state.items()}
