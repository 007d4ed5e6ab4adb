"""Weights in and out of live modules: files, checks, and parameters that have several names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nnspec.backends.weight_names import with_current_names

_WEIGHTS = "model.safetensors"
"""The file of weights in a checkpoint."""

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
    """The tensors in a `.safetensors` file or a torch checkpoint; nothing in the file is run.

    Of a run's directory they are those of its best checkpoint, or of the checkpoint that is named.
    """
    path = Path(path)
    if path.is_dir():
        path = _in_directory(path)
    try:
        state = _read(path)
    except FileNotFoundError:
        raise WeightsError(f"there is no file `{path}`") from None
    except Exception as reason:
        # Unpicklers raise almost anything on a file that is none of theirs.
        line = str(reason).strip().partition("\n")[0]
        if isinstance(reason, OSError):
            raise WeightsError(f"cannot read weights from `{path}`: {line}") from reason
        kind = f"a safetensors file: {line}" if path.suffix == ".safetensors" else "a safetensors file or a checkpoint"
        raise WeightsError(f"`{path}` is not {kind}") from reason
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise WeightsError(f"`{path}` does not hold a mapping from names to tensors")
    return {str(name): tensor for name, tensor in state.items()}


def _in_directory(path: Path) -> Path:
    """The file of weights in a checkpoint of a run, or in the best one that a run has."""
    if (path / _WEIGHTS).is_file():
        return path / _WEIGHTS
    folder = path / "checkpoints"
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
        names = [str(index[which]) for which in ("best", "last") if isinstance(index.get(which), str)]
    except (OSError, ValueError, AttributeError):
        names = []
    found = next((place for name in names if (place := folder / Path(name).name / _WEIGHTS).is_file()), None)
    if found is None:
        raise WeightsError(f"`{path}` is a directory, and not that of a run with checkpoints")
    return found


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """What to save of a module: its state, a tensor with several names once, under the first."""
    return {names[0]: tensor.detach().contiguous() for names, tensor in _named(model)}


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the weights of a module as a file of safetensors."""
    save_state(weights_of(model), path)


def save_state(state: Mapping[str, torch.Tensor], path: str | Path) -> None:
    """Write tensors by name as a file of safetensors."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def load_state(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into a module; a tied parameter may come under any of its names."""
    with torch.no_grad():
        for _, own, tensor in _fitting(model, state):
            own.copy_(tensor)


def adopt(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Make the given tensors the module's own (its tensors may be on the meta device); ties stay ties."""
    taken: dict[str, torch.Tensor] = {}
    for names, own, tensor in _fitting(model, state):
        value = tensor.detach().to(own.dtype)
        if not own.is_contiguous():
            value = torch.empty_like(own, device=value.device).copy_(value)  # in its own memory format
        if isinstance(own, nn.Parameter):
            value = nn.Parameter(value, requires_grad=own.requires_grad)
        taken.update(dict.fromkeys(names, value))
    model.load_state_dict(taken, strict=True, assign=True)


def _named(model: nn.Module) -> list[tuple[list[str], torch.Tensor]]:
    """Every tensor of the state with all its names, the canonical one first."""
    found: dict[int, tuple[list[str], torch.Tensor]] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        found.setdefault(id(tensor), ([], tensor))[0].append(name)
    return list(found.values())


def _fitting(model: nn.Module, state: Mapping[str, torch.Tensor]) -> list[tuple[list[str], torch.Tensor, torch.Tensor]]:
    """The module's tensors with their names and what the weights hold for them; all faults in one error."""
    named = _named(model)
    known = {name for names, _ in named for name in names}
    state = with_current_names(state, (names[0] for names, _ in named), known)
    missing: list[str] = []
    mismatched: list[str] = []
    pairs = []
    for names, own in named:
        given = [name for name in names if name in state]
        if not given:
            if names[0].endswith("num_batches_tracked"):
                # Checkpoints from before this counter existed are complete without it.
                pairs.append((names, own, torch.zeros((), dtype=own.dtype)))
            else:
                missing.append(names[0])
            continue
        tensor = state[given[0]]
        mismatched += _faults(given, own, state)
        pairs.append((names, own, tensor))
    unexpected = [name for name in state if name not in known]
    if missing or unexpected or mismatched:
        raise _misfit(missing, unexpected, mismatched)
    return pairs


def _faults(given: list[str], own: torch.Tensor, state: Mapping[str, torch.Tensor]) -> Iterator[str]:
    first = state[given[0]]
    for name in given:
        tensor = state[name]
        if tensor.shape != own.shape:
            yield f"`{name}` has shape {list(own.shape)} in the model and {list(tensor.shape)} in the weights"
        elif tensor.is_floating_point() != own.is_floating_point():
            yield f"`{name}` is {_word(own)} in the model and {_word(tensor)} in the weights"
        elif tensor is not first and tensor.data_ptr() != first.data_ptr() and not torch.equal(tensor, first):
            yield f"`{name}` and `{given[0]}` are one parameter in the model, but differ in the weights"


def _word(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _misfit(missing: list[str], unexpected: list[str], mismatched: list[str]) -> WeightsError:
    parts = []
    if missing:
        parts.append(f"the weights lack {_listed(missing)}")
    if unexpected:
        parts.append(f"the weights hold {_listed(unexpected)}, which the model does not have")
    parts += mismatched[:_LISTED]
    if len(mismatched) > _LISTED:
        parts.append(f"{len(mismatched) - _LISTED} more tensors do not fit")
    return WeightsError("; ".join(parts), missing=missing, unexpected=unexpected, mismatched=mismatched)


def _listed(names: list[str]) -> str:
    text = ", ".join(f"`{name}`" for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"{text} and {more} more" if more > 0 else text
