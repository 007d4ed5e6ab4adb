"""A model on several processes: each computes a part of every batch, and what they learn of it is put together."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from nnspec import ir
from nnspec.training.fault import SettingError
from nnspec.training.processes.world import World

_BUFFERS = "forward_sync_buffers"
"""What torch calls it to send buffers around in each step."""
if _BUFFERS not in signature(DistributedDataParallel).parameters:
    _BUFFERS = "broadcast_buffers"


class Spread:
    """How the processes of a run work together on a model; this one: they do not, as there is only one."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.call: nn.Module = module
        """What computes the outputs in training."""

    def exchange(self, parameters: Sequence[nn.Parameter]) -> None:
        """Together, after the last batch of a step: average the gradients, if that is not done on the way."""

    def agree(self) -> None:
        """Together, before the model is validated or saved: let its buffers be the same in all processes."""


class _Many(Spread):
    """The base of those where there are several processes."""

    @torch.no_grad()
    def agree(self) -> None:
        """Each process measured its own part of the data: means of statistics, and the main one's of all else."""
        measured = [m for m in self.module.modules() if isinstance(getattr(m, "running_mean", None), torch.Tensor)]
        statistics = [b for m in measured for n in ("running_mean", "running_var") if (b := getattr(m, n)) is not None]
        for buffer in statistics:
            dist.all_reduce(buffer)
            buffer.div_(dist.get_world_size())
        means = {id(buffer) for buffer in statistics}
        for buffer in self.module.buffers():
            if id(buffer) not in means:
                dist.broadcast(buffer, 0)


class Replicated(_Many):
    """Each process has the whole model; gradients are averaged while they are computed (torch's DDP)."""

    def __init__(self, module: nn.Module, device: torch.device, *, static: bool) -> None:
        """`static` is a model of which every step reaches the same parameters."""
        super().__init__(module)
        in_forward: Any = {_BUFFERS: False}  # they are agreed on when they are used
        ids = [device.index] if device.type == "cuda" else None
        self.call = DistributedDataParallel(
            module,
            device_ids=ids,
            static_graph=static,
            find_unused_parameters=not static,
            **in_forward,
        )


class Sharded(_Many):
    """Each process has a piece of each parameter, and gathers the whole of those that it computes with (torch's FSDP2).

    A step updates the pieces, by gradients that are averaged and cut while they are computed.
    """

    def __init__(self, program: ir.Program, entry: ir.Entry, module: nn.Module, device: torch.device) -> None:
        super().__init__(module)
        from nnspec.training.processes.sharding import shard

        shard(program, entry, module, device)


class Averaged(_Many):
    """Each process has the whole model; gradients are averaged after they were computed.

    For a model that is entered at several places, of which torch's DDP would see none, and for steps of several
    batches, of whose gradients one exchange is enough.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)

    def exchange(self, parameters: Sequence[nn.Parameter]) -> None:
        reached = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32, device=parameters[0].device)
        dist.all_reduce(reached, dist.ReduceOp.MAX)  # what no process reached keeps no gradient: no step is made of it
        gradients: dict[torch.dtype, list[torch.Tensor]] = {}
        for parameter, anywhere in zip(parameters, reached.tolist(), strict=True):
            if anywhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for group in gradients.values():
            together = parameters_to_vector(group)
            dist.all_reduce(together)
            vector_to_parameters(together / dist.get_world_size(), group)


def spread_of(
    program: ir.Program, training: ir.Training, module: nn.Module, device: torch.device, world: World
) -> Spread:
    """How the processes of a run work together on a model that each of them has made, and that it moves to the device.

    Raises `SettingError` for batches that are too small for so many.
    """
    if world.size == 1:
        module.to(device)
        return Spread(module)
    size = training.settings.get("batch_size", 32)
    if size < world.size:
        raise SettingError(
            f"{world.size} processes share each batch, and a batch has {size}",
            at="batch_size",
            helps=(f"batch_size = {world.size} or more, or fewer processes",),
        )
    if training.settings.get("strategy") == "fsdp":
        return Sharded(program, program.entries[training.entry], module, device)
    module.to(device)
    if len(training.updates) > 1 or training.updates[0].name or training.settings.get("accumulate", 1) > 1:
        return Averaged(module)
    foreign = any(each.kind == "extern" for each in program.modules)
    return Replicated(module, device, static=not foreign)
