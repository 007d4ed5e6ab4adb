"""Data that does not fit in memory: read batch by batch, by processes that work ahead."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from mmap import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from nnspec.training.dataset import Array, Lazy
from nnspec.training.fault import DataError, Fault, MissingData

if TYPE_CHECKING:
    from nnspec.training.feeding.feed import Part
    from nnspec.training.feeding.pipeline import Pipeline

_MOST_WORKERS = 8
_AHEAD = 4
"""Batches that each process has ready."""


class Mapped(Lazy):
    """An array that lies in a file; pickled by the file's name, where numpy would write down all of its content."""

    def __init__(self, array: np.memmap[Any, Any]) -> None:
        self.dtype = array.dtype
        self.shape = array.shape
        self._place = (str(array.filename), array.offset)
        self._array: np.memmap[Any, Any] | None = array

    def read(self, indices: np.ndarray) -> np.ndarray:
        if self._array is None:
            name, offset = self._place
            self._array = np.memmap(name, self.dtype, "r", offset, self.shape)
        return np.asarray(self._array[indices])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_array": None}


class _Reader(Dataset[dict[str, torch.Tensor]]):
    """What a reading process has: a batch of numbers goes in, the fields of these samples come out."""

    def __init__(self, part: Part, pipelines: Mapping[str, Pipeline]) -> None:
        self.part = part
        self.pipelines = pipelines

    def __getitems__(self, positions: np.ndarray) -> dict[str, torch.Tensor] | Fault:
        try:
            return {name: p.begin(self.part.read(name, positions)) for name, p in self.pipelines.items()}
        except Fault as fault:
            return fault  # raised where it can be reported: as it is, not as a text with a traceback
        except OSError as error:
            return MissingData(f"{error.filename or 'the data'} cannot be read any more: {error.strerror or error}")


class _Order:
    """The batches of an epoch, which are other ones each time."""

    def __init__(self) -> None:
        self.batches: Sequence[np.ndarray] = ()

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _as_it_is(batch: Any) -> Any:
    return batch


def _deaf(number: int) -> None:
    """For a reading process: a terminal's Ctrl-C, and what ends a job, reach all processes, and are for the run."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)


class Streamed:
    """A part of the data that is read as it is asked for.

    Who asks for batches while others are still being read (a batch norm that is measured anew in the middle of an
    epoch) gets processes of his own: those at work are not disturbed.
    """

    def __init__(self, part: Part, pipelines: Mapping[str, Pipeline], workers: int | None, *, pin: bool) -> None:
        part.arrays = {name: _picklable(array) for name, array in part.arrays.items()}
        count = min(_MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
        self._workers = count if workers is None else workers
        self._reader = _Reader(part, pipelines)
        self._pin = pin
        self._order = _Order()
        self._loader = self._made(self._order, stays=True)
        self._busy = False

    def _made(self, order: _Order, *, stays: bool) -> DataLoader[Any]:
        """A loader of the batches of an order; its processes stay for the next epoch, or they do not."""
        ahead: dict[str, Any] = {"prefetch_factor": _AHEAD, "persistent_workers": stays} if self._workers else {}
        return DataLoader(
            self._reader,
            batch_sampler=order,  # type: ignore[arg-type]
            num_workers=self._workers,
            collate_fn=_as_it_is,
            pin_memory=self._pin,
            generator=torch.Generator(),  # not torch's own: what dropout draws does not depend on how data is read
            worker_init_fn=_deaf,
            **ahead,
        )

    def batches(self, wanted: Sequence[np.ndarray]) -> Iterator[dict[str, torch.Tensor]]:
        """The fields of each batch of positions. Raises `DataError` for a sample that cannot be read."""
        first = not self._busy
        order = self._order if first else _Order()
        order.batches = wanted
        self._busy = True
        try:
            for fields in self._read(self._loader if first else self._made(order, stays=False)):
                if isinstance(fields, Fault):
                    raise fields
                yield fields
        finally:
            self._busy = not first

    def _read(self, loader: DataLoader[Any]) -> Iterator[Any]:
        try:
            yield from loader
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):  # torch's own words
                raise
            raise DataError(
                "a process that reads the data died",
                notes=("it was ended from outside, most often by the system, for want of memory",),
                helps=("workers = 1 takes less memory", "workers = 0 reads in the process that trains"),
            ) from None


def _picklable(array: Array) -> Array:
    # A view of an array in a file begins somewhere else in it, and does not say where.
    if not isinstance(array, np.memmap):
        return array
    base: Any = array.base
    return Mapped(array) if isinstance(base, mmap) and array.flags.c_contiguous else array
