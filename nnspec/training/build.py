"""Makes library objects out of the IR's records: data sets, and torch's optimizers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nnspec import ir, registry
from nnspec.training.dataset import Dataset
from nnspec.training.fault import Fault
from nnspec.training.optimizer import Optimizer
from nnspec.training.transform import Transform
from nnspec.training.updating.pieces import is_piece

Group = tuple[Mapping[str, torch.nn.Parameter], Mapping[str, Any]]
"""Parameters by name, and the arguments in which they differ from the other groups of an optimizer."""


def dataset(record: ir.Record) -> Dataset:
    """The data set that a record describes."""
    found: Dataset = _configured("dataset", record)
    return found


def transform(record: ir.Record) -> Transform:
    """The transform that a record describes."""
    found: Transform = _configured("transform", record)
    return found


def described(record: ir.Record) -> Optimizer:
    """The optimizer that a record describes."""
    found: Optimizer = _configured("optimizer", record)
    return found


def optimizer(
    chosen: Optimizer, groups: Sequence[Group], device: torch.device, *, fusible: bool = True
) -> torch.optim.Optimizer:
    """Torch's optimizer, in the fastest implementation that torch has for the device.

    No fused kernel takes gradients that are sparse or complex: such parameters are not `fusible`. Few of them take
    pieces of parameters of which other processes have the rest.
    """
    parameters = {name: parameter for names, _ in groups for name, parameter in names.items()}
    fusible = fusible and all(parameter.is_floating_point() for parameter in parameters.values())
    fusible = fusible and (chosen.shards_fused or not any(map(is_piece, parameters.values())))
    chosen.check_parameters((name, parameter.shape) for name, parameter in parameters.items())
    options = chosen.options(device.type, fusible=fusible)
    cls = _of_torch(chosen, options)
    built: torch.optim.Optimizer = cls([{"params": list(names.values()), **own} for names, own in groups], **options)
    return built


def _of_torch(chosen: Optimizer, options: Mapping[str, Any]) -> Any:
    """The class of torch, unless this torch is older than it, or than one of the options."""
    name = type(chosen).__name__
    cls = getattr(torch.optim, name, None)
    known = () if cls is None else inspect.signature(cls).parameters
    for option, version in chosen.since:
        if cls is None or (option in options and option not in known):
            what = f"`{option}` of `{name}`" if option else f"`{name}`"
            message = f"{what} came with torch {version}, and this is torch {torch.__version__}"
            helps = (f'install a newer one: pip install "torch>={version}"',)
            raise Fault(message, code="NNS605", at="optimizer", helps=helps)
    return cls


def arguments(kind: str, record: ir.Record) -> dict[str, Any]:
    """All arguments of a record's object, those at their defaults included."""
    return dict(vars(_configured(kind, record)))


def _configured(kind: str, record: ir.Record) -> Any:
    cls = registry.find(kind, record.name)
    assert cls is not None, f"there is no {kind} {record.name}"
    return cls(**record.arguments)
