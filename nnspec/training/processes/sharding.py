"""Shares out the weights of a model among processes (torch's FSDP2), by the blocks that its spec repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from nnspec import ir
from nnspec.ir_nodes import nodes_of
from nnspec.training.fault import SettingError

Unit = tuple[str, ...]
"""The paths of modules whose weights are gathered at a time, when the first of them is called."""

_OTHER_FORWARD = re.compile(r"forward\d+_*")


def shard(program: ir.Program, entry: ir.Entry, module: nn.Module, device: torch.device) -> None:
    """Leave this process its piece of each parameter; the module moves to the device on the way.

    While a unit computes it has its whole weights, and afterwards its piece again. What belongs to no unit is gathered
    for as long as the module itself computes. Raises `SettingError` for a parameter that cannot be cut.
    """
    for name, parameter in module.named_parameters():
        if not parameter.dim():
            raise SettingError(
                f"`{name}` is a number without dimensions, which `fsdp` cannot share out",
                at="strategy",
                helps=("give it a dimension of size 1", 'strategy = "ddp" shares the batches only'),
            )
    if any(getattr(part, "sparse", False) is True for part in module.modules()):
        message = "`fsdp` cannot share out embeddings whose gradients are sparse"
        raise SettingError(message, at="strategy", helps=("leave out sparse=true",))
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for unit in sound(module, units(program, program.modules[entry.module])):
        fully_shard([module.get_submodule(path) for path in unit], mesh=mesh)
    fully_shard(module, mesh=mesh)
    for buffer in module.buffers():
        buffer.data = buffer.data.to(device)
    module.register_forward_hook(_sharded_again)


def _sharded_again(module: Any, inputs: Any, output: Any) -> None:
    """Without a backward pass to come, the weights go as soon as they are not needed: they may change meanwhile."""
    if not torch.is_grad_enabled():
        module.reshard()


def units(program: ir.Program, root: ir.Module) -> list[Unit]:
    """What a spec repeats below a module, the outermost of it: members of `* n`, blocks that occur more than once."""
    counts = Counter(module.name for _, module in _below(program, root, "") if module.kind in ("block", "extern"))
    found = [unit for unit in _units(program, root, "", counts) if unit]
    read = _read_from_outside(program, root)
    return [unit for unit in found if not any(_is_within(path, unit) and not _is_within(at, unit) for at, path in read)]


def _units(program: ir.Program, module: ir.Module, prefix: str, counts: Counter[str]) -> Iterator[Unit]:
    for path, inner in _members(program, module, prefix):
        if module.kind == "repeat":
            yield tuple(_called(program, inner, path))
        elif inner.kind in ("block", "extern") and counts[inner.name] > 1:
            yield (path,)
        else:
            yield from _units(program, inner, f"{path}.", counts)


def _called(program: ir.Program, module: ir.Module, path: str) -> Iterator[str]:
    """The modules that are called of one that may be a container, which is not."""
    if module.kind in ir.CALLED:
        yield path
        return
    for at, inner in _members(program, module, f"{path}."):
        yield from _called(program, inner, at)


def _below(program: ir.Program, module: ir.Module, prefix: str) -> Iterator[tuple[str, ir.Module]]:
    for path, inner in _members(program, module, prefix):
        yield path, inner
        yield from _below(program, inner, f"{path}.")


def _members(program: ir.Program, module: ir.Module, prefix: str) -> Iterator[tuple[str, ir.Module]]:
    for member in module.members:
        if member.module is not None:
            yield prefix + member.name, program.modules[member.module]


def _read_from_outside(program: ir.Program, root: ir.Module) -> list[tuple[str, str]]:
    """Weights that a body takes by their names: the path of the body, and of the weight."""
    reads: dict[int, list[str]] = {}
    for method in program.methods:
        paths = [node.path for node in nodes_of(method.graph.nodes) if isinstance(node, ir.Read)]
        reads.setdefault(id(program.modules[method.module]), []).extend(paths)
    bodies = [("", root), *_below(program, root, "")]
    return [(at, f"{at}.{path}" if at else path) for at, body in bodies for path in reads.get(id(body), ())]


def _is_within(path: str, unit: Unit) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in unit)


def sound(module: nn.Module, found: Sequence[Unit]) -> list[Unit]:
    """The units that can be gathered by themselves: nobody else has their weights, and one call computes with them."""
    owners = Counter(id(p) for _, p in module.named_parameters(remove_duplicate=False))
    sound = []
    for unit in found:
        parts = [module.get_submodule(path) for path in unit]
        own = Counter(id(p) for part in parts for _, p in part.named_parameters(remove_duplicate=False))
        alone = all(owners[number] == count for number, count in own.items())
        if own and alone and not any(_OTHER_FORWARD.fullmatch(name) for part in parts for name in vars(type(part))):
            sound.append(tuple(p for p, part in zip(unit, parts, strict=True) if any(True for _ in part.parameters())))
    return sound
