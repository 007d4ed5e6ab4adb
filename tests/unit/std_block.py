"""A use of a block of `std` beside the same module of another library, compared as networks of the zoo are."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import Tensor

from nnspec import registry_std

from ..zoo.network import Network

_FOLDER = tempfile.TemporaryDirectory()


def importing(text: str) -> str:
    """A text behind the imports of all names of `std` that stand in it."""
    words = set(re.findall(r"\w+", text))
    homes = {name: home for name, (home, *_) in registry_std.blocks().items() if name in words}
    return "".join(f"from {home} import {name}\n" for name, home in homes.items()) + text


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
        inputs = "".join(f"  input {each}\n" for each in self.declared)
        return _written(importing(f"model M {{\n{inputs}  output y = {self.text}\n}}\n"))

    def renamed(self, state: Any) -> dict[str, Tensor]:
        """The original's state under the names that it has in the model."""
        return {f"b.{name}": tensor for name, tensor in state.items()}
