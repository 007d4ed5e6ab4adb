"""From arrays to batches: the split, standardisation by the training part, and batches picked by index in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nnspec import ir
from nnspec.training.check import used_fields
from nnspec.training.dataset import Loaded
from nnspec.training.fault import DataError

Fields = dict[str, torch.Tensor]

_SHARE = 0.25
"""Share of a device's free memory that the data may take; more stays with the CPU and is moved batch by batch."""


@dataclass(frozen=True, slots=True)
class Standard:
    """What a field was shifted and divided by, column by column."""

    mean: torch.Tensor
    deviation: torch.Tensor


@dataclass(frozen=True, slots=True)
class Samples:
    """The fields in use, split into what is trained on and what is validated on (None: nothing)."""

    train: Fields
    validation: Fields | None
    standard: dict[str, Standard]


def prepare(training: ir.Training, loaded: Loaded, standardized: Sequence[str], generator: torch.Generator) -> Samples:
    """Draw the validation part by the generator, and standardise both parts by the statistics of the other."""
    fields = {name: _tensor(loaded.fields[name]) for name in used_fields(training)}
    count = len(loaded)
    share = training.settings.get("split", 0.0)
    if share and count < 2:
        raise DataError("a single sample cannot be split", helps=("split = 0 trains without validation",))
    held = min(max(round(count * share), 1), count - 1) if share else 0
    order = torch.randperm(count, generator=generator)
    train = {name: x.index_select(0, order[held:]) for name, x in fields.items()}
    validation = {name: x.index_select(0, order[:held]) for name, x in fields.items()} if held else None
    standard = {name: _statistics(train[name]) for name in standardized if name in train}
    for part in (train, validation):
        for name, statistics in standard.items() if part is not None else ():
            assert part is not None
            part[name] = standardize(part[name], statistics)
    return Samples(train, validation, standard)


def standardize(x: torch.Tensor, by: Standard) -> torch.Tensor:
    """A field with the constants of the training part applied."""
    return ((x.double() - by.mean) / by.deviation).to(x.dtype)


def _statistics(x: torch.Tensor) -> Standard:
    deviation, mean = torch.std_mean(x.double(), dim=0, correction=0)
    return Standard(mean, torch.where(deviation > 0, deviation, 1.0))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


class Batches:
    """Batches of tensors in memory. A last batch of one sample joins the one before: batch norm cannot train on it."""

    def __init__(self, fields: Fields, size: int, device: torch.device) -> None:
        self.count = len(next(iter(fields.values())))
        self.size = min(size, self.count)
        self.device = device
        resident = _fits(fields, device)
        self.fields = {name: x.to(device) for name, x in fields.items()} if resident else fields
        self._where = device if resident else torch.device("cpu")

    def __len__(self) -> int:
        full, rest = divmod(self.count, self.size)
        return full + (rest > 1 or (rest == 1 and full == 0))

    def in_order(self) -> Iterator[Fields]:
        """All samples, each time in the same order; slices, not copies."""
        for start, end in self._ranges():
            yield {name: x[start:end].to(self.device, non_blocking=True) for name, x in self.fields.items()}

    def shuffled(self, generator: torch.Generator) -> Iterator[Fields]:
        """All samples in an order that the generator draws."""
        order = torch.randperm(self.count, generator=generator).to(self._where)
        for start, end in self._ranges():
            picked = order[start:end]
            yield {
                name: x.index_select(0, picked).to(self.device, non_blocking=True) for name, x in self.fields.items()
            }

    def _ranges(self) -> Iterator[tuple[int, int]]:
        last = len(self) - 1
        for i in range(last + 1):
            yield i * self.size, self.count if i == last else (i + 1) * self.size


def _fits(fields: Fields, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(x.nbytes for x in fields.values()) <= free * _SHARE
