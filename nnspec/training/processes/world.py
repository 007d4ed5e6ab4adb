"""The processes of a run: this one alone, or one of several that torch's launcher started and that train together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from nnspec.training.device import own
from nnspec.training.fault import Fault


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


_store: Any = None
_SPOKEN = "nnspec/spoken"


def speaks_first() -> bool:
    """Whether of the processes that work together this is the first that has to say why it ends.

    What ends others is most often that the first one did. True as well where that cannot be told.
    """
    if _store is None:
        return True
    try:
        return bool(_store.add(_SPOKEN, 1) == 1)
    except RuntimeError:  # who kept the store is gone, and whoever that was had something to say
        return False


def is_joined() -> bool:
    """Whether this process has worked together with others: what it has to say then may be its own."""
    return _store is not None


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
    global _store
    _store, rank, size = next(rendezvous("env://"))
    device = own(device)
    if device.type == "cuda":
        torch.cuda.set_device(device)  # what NCCL sends goes through the current one
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=_store, rank=rank, world_size=size)
    try:
        yield World(rank, size)
    except RuntimeError as error:
        if not _is_of_others(error):
            raise
        raise Alone(rank, size, error) from None
    finally:
        _left()


LOST = "NNS650"
"""The code of a fault that another process may say the reason of."""


class Alone(Fault):
    """The other processes are gone, or one of them is: it says why, or was ended from outside."""

    def __init__(self, rank: int, size: int, error: RuntimeError) -> None:
        super().__init__(
            f"process {rank} of {size}, counted from 0, lost the others",
            code=LOST,
            notes=(str(error).partition("\n")[0],),
            helps=(
                "what the first of them said comes before this; one that said nothing was ended from outside",
                "`--resume` goes on from the last checkpoint",
            ),
        )


def _is_of_others(error: RuntimeError) -> bool:
    """Whether torch says that it cannot reach another process."""
    text = str(error)
    return isinstance(error, dist.DistError) or any(word in text for word in ("gloo", "Connection closed", "NCCL"))


def _left() -> None:
    """Leave the world, or what is left of it."""
    with suppress(RuntimeError):
        dist.destroy_process_group()


def _device() -> torch.device:
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
