"""Weights in and out of live modules: files, checks, and parameters that have several names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

_LISTED = 5
"""How many names a message lists before it only counts."""


class WeightsError(Exception):
    """Weights do not fit a module, or cannot be read."""

    def __init__(
        self,
        message: str,
        *,
        missing: Iterable[str] = (),
        unexpected: Iterable[str] = (),
        mismatched: Iterable[str] = (),
    ) -> None:
        super().__init__(message)
        self.missing = tuple(missing)
        """Names that the module has and the weights lack."""
        self.unexpected = tuple(unexpected)
        """Names that the weights have and the module lacks."""
        self.mismatched = tuple(mismatched)
        """A sentence for each tensor that does not fit."""


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors in a `.safetensors` file or a torch checkpoint; nothing in the file is run."""
    path = Path(path)
    try:
        state = _read(path)
    except FileNotFoundError:
        raise WeightsError(f"there is no file `{path}`") from None
    except Exception as reason:
        # Unpicklers raise almost anything on a file that is none of theirs.
        line = str(reason).strip().partition("\n")[0]
        raise WeightsError(f"cannot read weights from `{path}`: {line}") from reason
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise WeightsError(f"`{path}` does not hold a mapping from names to tensors")
    return {str(name): tensor for name, tensor in state.items()}


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """What to save of a module: its state, a tensor with several names once, under the first."""
    return {names[0]: tensor.detach().contiguous() for names, tensor in _named(model)}


def load_state(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into a module; tied parameters may come under any of their names."""
    with torch.no_grad():
        for names, own in _named(model):
            source = _found(names, state)
            if source is not None:
                _fit(model, state)
                break
        else:
            _fit(model, state)
        for names, own in _named(model):
            source = _found(names, state)
            if source is None:
                own.zero_()
            else:
                own.copy_(source)
