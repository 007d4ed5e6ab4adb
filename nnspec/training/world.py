"""The processes of a run: this one alone, or one of several that torch's launcher started and that train together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this is. What is said to be done together, all of them must do, in one order."""

    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes and shows what a run yields."""
        return self.rank == 0

    def any(self, asked: bool) -> bool:
        """Together: whether any of them is asked to."""
        if self.size == 1:
            return asked
        flag = torch.tensor([asked], dtype=torch.int32, device=_device())
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag.item())

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Together: the mean of a number that each of them has."""
        if self.size == 1:
            return value
        found = value.detach().clone()
        dist.all_reduce(found)
        return found / self.size

    def decided(self, value: Any) -> Any:
        """Together: what the main one has decided."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, 0)
        return values[0]

    def gathered(self, value: Any) -> list[Any]:
        """Together: the values of all, in their order. They are plain values, and tensors of the CPU."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values


ALONE = World()


_joined = False


def was_joined() -> bool:
    """Whether this process has worked together with others: what it has to say then, may be its own."""
    return _joined


def is_launched() -> bool:
    """Whether torch's launcher started this process among others."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"))


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that this process belongs to, for as long as it lasts: gloo on a CPU, NCCL on Nvidia's cards."""
    if not is_launched():
        yield ALONE
        return
    if dist.is_initialized():
        yield World(dist.get_rank(), dist.get_world_size())
        return
    global _joined  # noqa: PLW0603 - a process is part of one world, once
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    _joined = True
    try:
        yield World(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def _device() -> torch.device:
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
