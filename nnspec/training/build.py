"""Makes library objects out of the IR's records: data sets, and torch's optimizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from nnspec import ir, registry
from nnspec.training.dataset import Dataset
from nnspec.training.fault import Fault
from nnspec.training.optimizer import Optimizer


def dataset(record: ir.Record) -> Dataset:
    """The data set that a record describes."""
    found: Dataset = _configured("dataset", record)
    return found


def optimizer(
    record: ir.Record, parameters: Iterable[torch.nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Torch's optimizer of a record, in the fastest implementation that torch has for the device."""
    described: Optimizer = _configured("optimizer", record)
    cls = getattr(torch.optim, type(described).__name__)
    owned = list(parameters)
    if not any(parameter.requires_grad for parameter in owned):
        raise Fault("the model has no parameters: there is nothing to train", code="NNS626")
    built: torch.optim.Optimizer = cls(owned, **described.options(device.type))
    return built


def arguments(kind: str, record: ir.Record) -> dict[str, Any]:
    """All arguments of a record's object, those at their defaults included."""
    return dict(vars(_configured(kind, record)))


def _configured(kind: str, record: ir.Record) -> Any:
    cls = registry.find(kind, record.name)
    assert cls is not None, f"there is no {kind} {record.name}"
    return cls(**record.arguments)
