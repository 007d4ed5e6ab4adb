"""Tensors of which each process has a piece, and what they are when they are whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def is_piece(tensor: torch.Tensor) -> bool:
    """Whether other processes have the rest of it."""
    return hasattr(tensor, "full_tensor")


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Together: all of a tensor."""
    found: Any = tensor
    return found.full_tensor() if is_piece(tensor) else tensor


def piece_of(value: Any, like: torch.Tensor) -> Any:
    """This process's piece of a whole tensor that belongs to another one, as that is cut; anything else as it is."""
    if not is_piece(like) or not isinstance(value, torch.Tensor) or is_piece(value) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    cut: Any = like
    value = value.to(cut.to_local().device)
    return distribute_tensor(value, cut.device_mesh, cut.placements, src_data_rank=None)  # all have all of it


def apart(value: Any, *, keep: bool = True) -> Any:
    """Together: a copy whose tensors are whole, and the CPU's own. Who does not keep it gets none."""
    if isinstance(value, torch.Tensor):
        all_of_it = whole(value.detach())
        return all_of_it.to("cpu", copy=True) if keep else torch.empty(0)
    if isinstance(value, Mapping):
        return {key: apart(part, keep=keep) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(apart(part, keep=keep) for part in value)
    return value


@torch.no_grad()
def exchange(one: torch.Tensor, other: torch.Tensor) -> None:
    """Let two pieces that are cut alike have each other's values, in their places."""
    mine, yours = (tensor.detach().to_local() for tensor in (one, other))  # type: ignore[attr-defined]
    before = mine.clone()
    mine.copy_(yours)
    yours.copy_(before)
