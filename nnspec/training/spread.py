"""A model on several processes: each computes a part of every batch, and what they learn of it is put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from nnspec import ir
from nnspec.training.world import World


class Spread:
    """How the processes of a run work together on a model; this one: they do not, as there is only one."""

    def __init__(self, module: nn.Module) -> None:
        self.call: nn.Module = module
        """What computes the outputs in training."""

    def exchange(self, parameters: Sequence[nn.Parameter]) -> None:
        """Together, after the last batch of a step: average the gradients, if that is not done on the way."""


class Replicated(Spread):
    """Each process has the whole model; gradients are averaged while they are computed (torch's DDP)."""

    def __init__(self, module: nn.Module, device: torch.device, *, static: bool) -> None:
        """`static` is a model of which every step reaches the same parameters."""
        super().__init__(module)
        ids = [device.index] if device.type == "cuda" else None
        self.call = DistributedDataParallel(
            module, device_ids=ids, static_graph=static, find_unused_parameters=not static
        )


class Averaged(Spread):
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
    """How the processes of a run work together on a model that each of them has made."""
    if world.size == 1:
        return Spread(module)
    if len(training.updates) > 1 or training.updates[0].name or training.settings.get("accumulate", 1) > 1:
        return Averaged(module)
    foreign = any(each.kind == "extern" for each in program.modules)
    return Replicated(module, device, static=not foreign)
