"""From the arrays of a data set to batches: the split, transforms, and batches from memory or from readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch

from nnspec import ir
from nnspec.training import build
from nnspec.training.dataset import MAX_BYTES, Array, Lazy, Loaded
from nnspec.training.fault import DataError, Fault
from nnspec.training.feeding.alike import stored_alike
from nnspec.training.feeding.check import used_fields
from nnspec.training.feeding.headroom import free_memory
from nnspec.training.feeding.pipeline import Pipeline, Pipelines
from nnspec.training.feeding.stream import Streamed
from nnspec.training.transform import Transform

Fields = dict[str, torch.Tensor]

_SHARE = 0.25
"""Share of a device's free memory that the data may take; more stays with the CPU and is moved batch by batch."""
_HELD = 0.5
"""Share of the machine's free memory that the data may take; more is read again in each epoch."""
_GATHER = 8 << 20
"""Bytes that are gathered at a time."""
_ALIGNMENT = 64
"""Where kernels look at addresses, a batch gives the same bits in a gather as by itself if it begins at a multiple."""
_CHUNK = 1024
"""Samples that are read and transformed at a time."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The fields of some samples; of many processes each has a share of a batch, and `size` is that of all."""

    fields: Fields
    count: int
    size: int

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of each batch is this process's."""

    rank: int = 0
    of: int = 1
    least: int = 1
    """How many samples of a batch each needs."""

    def of_range(self, start: int, end: int) -> tuple[int, int]:
        """This process's part of a range; the parts of all are the range, and differ by one sample at most."""
        count = end - start
        return start + count * self.rank // self.of, start + count * (self.rank + 1) // self.of


class Part:
    """One part of the data: arrays, and which samples of them belong to it (None: all, in order)."""

    def __init__(self, arrays: Mapping[str, Array], indices: np.ndarray | None) -> None:
        self.arrays = dict(arrays)
        self.indices = indices

    def __len__(self) -> int:
        if self.indices is not None:
            return len(self.indices)
        return min((len(array) for array in self.arrays.values()), default=0)

    def read(self, name: str, positions: np.ndarray) -> torch.Tensor:
        """The samples of a field at these positions of the part, as they are stored."""
        return take(self.arrays[name], positions if self.indices is None else self.indices[positions])

    def chunks(self, name: str) -> Iterator[torch.Tensor]:
        """A field as it is stored, piece by piece."""
        for start in range(0, len(self), _CHUNK):
            yield self.read(name, np.arange(start, min(start + _CHUNK, len(self))))

    def whole(self, name: str, pipeline: Pipeline) -> torch.Tensor:
        """A field of all samples in memory, prepared up to where augmentation comes in."""
        array = self.arrays[name]
        if isinstance(array, Lazy):
            return torch.cat([pipeline.begin(x) for x in self.chunks(name)])
        x = _tensor(array[: len(self)] if self.indices is None else array[self.indices])
        return pipeline.begin(x)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is trained on, what is validated on (None: nothing), and what is done to their fields."""

    train: Part
    validation: Part | None
    pipelines: Pipelines


def split(
    training: ir.Training,
    loaded: Loaded,
    standardized: Sequence[str],
    generator: torch.Generator,
    validation: Loaded | None = None,
) -> Parts:
    """The parts of the data, drawn by the generator; transforms are fitted on the part that is trained on."""
    names = used_fields(training)
    arrays = {name: loaded.fields[name] for name in names}
    held = None if validation is None else Part(stored_alike(validation, names, loaded.divisor), None)
    if loaded.validation is not None:
        _check_one_way(training)
    if held is None and loaded.validation is not None:
        held = Part({name: loaded.validation[name] for name in names}, None)
    if held is not None:
        train = Part(arrays, None)
    else:
        train, held = _divided(training, loaded, arrays, generator)
    return Parts(train, held, _pipelines(training, loaded, standardized, train))


def _check_one_way(training: ir.Training) -> None:
    """Refuse to say what is validated on where the data comes with a part for it."""
    said = "validation" if training.validation is not None else "fold" if training.settings.get("fold") else None
    if said is not None:
        raise Fault(
            f"`{said}` and the data both say what is validated on",
            code="NNS603",
            at=said,
            notes=(f"{training.data.name} comes with a part of its own",),
            helps=("give one of the two",),
        )


def _divided(
    training: ir.Training, loaded: Loaded, arrays: Mapping[str, Array], generator: torch.Generator
) -> tuple[Part, Part | None]:
    count = len(loaded)
    share, fold = training.settings.get("split") or 0.0, training.settings.get("fold")
    if (share or fold) and count < 2:
        raise DataError("a single sample cannot be split", helps=("split = 0 trains without validation",))
    if fold is not None:
        number, of = fold
        if of > count:
            raise DataError(f"{count:,} samples cannot be split in {of:,}", helps=(f"fold = (0, {min(count, 5)})",))
        start, end = count * number // of, count * (number + 1) // of
    else:
        held = min(max(round(count * share), 1), count - 1) if share else 0
        if not held:
            return Part(arrays, None), None
        start, end = (count - held, count) if loaded.ordered else (0, held)
    order = np.arange(count) if loaded.ordered else torch.randperm(count, generator=generator).numpy()
    gap = loaded.overlap if start < end else 0
    rest = np.concatenate([order[: max(start - gap, 0)], order[end + gap :]])
    if not len(rest):
        raise DataError(
            f"nothing is left to train on: each of {count:,} samples shares something with those to validate on",
            helps=("a smaller split, or samples that begin further apart",),
        )
    return Part(arrays, rest), Part(arrays, order[start:end])


def _pipelines(training: ir.Training, loaded: Loaded, standardized: Sequence[str], train: Part) -> Pipelines:
    found = {}
    for name in train.arrays:
        wanted = [build.transform(record) for record in training.transforms.get(name, ())]
        if name in standardized:
            wanted.insert(0, build.transform(ir.Record("Standardize", {})))
        augment = tuple(build.transform(record) for record in training.augment.get(name, ()))
        pipeline = Pipeline(divisor=loaded.divisor.get(name), augment=augment)
        for transform in wanted:
            measured: dict[str, Any] = {}
            if _measures(transform):
                measured = transform.fit(train.whole(name, pipeline))
            pipeline = Pipeline(
                (*pipeline.transforms, transform), [*pipeline.states, measured], augment, pipeline.divisor
            )
        found[name] = replace(pipeline, late=_late(train, name, pipeline, name in standardized))
    return found


def _late(train: Part, name: str, pipeline: Pipeline, standardized: bool) -> int:
    """How many transforms come after augmentation: the last ones, of those that only bring floats to scale.

    What the data set itself standardizes is as if it was stored so.
    """
    if not pipeline.augment or not len(train):
        return 0
    written = pipeline.transforms[1:] if standardized else pipeline.transforms
    others = [i for i, transform in enumerate(written, 1) if type(transform).affine is Transform.affine]
    late = len(written) - max(others, default=0)
    before = replace(pipeline, late=late).begin(train.read(name, np.arange(1)))
    return late if before.is_floating_point() else 0


def _measures(transform: Transform) -> bool:
    return type(transform).fit is not Transform.fit


# --- batches ---------------------------------------------------------------------------------------------------------


class Batches:
    """Batches of a part.

    A last batch of one sample joins the one before: batch norm cannot train on it. Of several processes each has one.
    """

    def __init__(
        self,
        part: Part,
        pipelines: Pipelines,
        size: int,
        device: torch.device,
        *,
        share: Share | None = None,
        workers: int | None = None,
        memory: int | None = None,
    ) -> None:
        self.count = len(part)
        self.size = max(min(size, self.count), 1)
        self.device = device
        self.share = share or Share()
        self.pipelines = {name: pipelines[name] for name in part.arrays}
        self.varied = [name for name, pipeline in self.pipelines.items() if pipeline.augment]
        self._late = [name for name, pipeline in self.pipelines.items() if pipeline.late]
        room = _free_memory() if memory is None else memory
        self.streamed: Streamed | None = None
        self.held: Fields = {}
        if _bytes(part, self.pipelines) > room:
            self.streamed = Streamed(part, self.pipelines, workers, pin=device.type == "cuda")
            return
        self.held = {name: part.whole(name, pipeline) for name, pipeline in self.pipelines.items()}
        if _fits(self.held, device):
            self.held = {name: x.to(device) for name, x in self.held.items()}
        self._where = next(iter(self.held.values())).device
        self._together = self._batches_together()

    def _batches_together(self) -> int:
        """How many batches are gathered at a time; one where a batch within a gather would not be aligned."""
        widths = [x.nbytes // max(len(x), 1) * self.size for x in self.held.values()]
        if any(width % _ALIGNMENT for width in widths):
            return 1
        return max(_GATHER // max(sum(widths), 1), 1)

    def __len__(self) -> int:
        full, rest = divmod(self.count, self.size)
        return full + (rest >= max(2, self.share.of * self.share.least) or (rest > 0 and full == 0))

    def samples(self, first: int, end: int) -> int:
        """How many samples the batches from `first` up to `end` have, of those that are there."""
        count = len(self)
        return (self.count if end >= count else end * self.size) - first * self.size

    def in_order(self) -> Iterator[Batch]:
        """All samples, each time in the same order, and as they are."""
        for batch in self._in_order():
            for name in self._late:
                batch.fields[name] = self.pipelines[name].end(batch.fields[name])
            yield batch

    def _in_order(self) -> Iterator[Batch]:
        if self.streamed is not None:
            yield from self._read(torch.arange(self.count), 0)
            return
        for start, end in self._ranges():
            first, last = self.share.of_range(start, end)
            fields = {name: x[first:last].to(self.device, non_blocking=True) for name, x in self.held.items()}
            yield Batch(fields, last - first, end - start)

    def shuffled(self, generator: torch.Generator, vary: torch.Generator, skip: int = 0) -> Iterator[Batch]:
        """All samples in an order that one generator draws, varied by the other; without the first `skip` batches."""
        order = torch.randperm(self.count, generator=generator)
        if self.streamed is not None:
            picked = self._read(order, skip)
        elif self.share.of > 1:
            picked = self._pick_share(order.to(self._where), skip)
        else:
            picked = self._pick(order.to(self._where), skip)
        if not self.varied:
            return picked
        return self._vary(picked, vary)

    def _vary(self, batches: Iterator[Batch], vary: torch.Generator) -> Iterator[Batch]:
        for batch in batches:
            for name in self.varied:
                pipeline = self.pipelines[name]
                batch.fields[name] = pipeline.end(pipeline.vary(batch.fields[name], vary))
            yield batch

    def _pick(self, order: torch.Tensor, skip: int) -> Iterator[Batch]:
        moved = self._where != self.device
        for picked, sizes in self._runs(order, skip):
            # One gather for several batches: what is left for each of them is a view.
            gathered = [torch.split(x.index_select(0, picked), sizes) for x in self.held.values()]
            for size, *columns in zip(sizes, *gathered, strict=True):
                fields = dict(zip(self.held, columns, strict=True))
                if moved:
                    fields = {name: x.to(self.device, non_blocking=True) for name, x in fields.items()}
                yield Batch(fields, size, size)

    def _runs(self, order: torch.Tensor, skip: int) -> Iterator[tuple[torch.Tensor, list[int]]]:
        """Runs of batches that are gathered at a time: their samples, and the size of each batch."""
        ranges = list(self._ranges(skip))
        for at in range(0, len(ranges), self._together):
            run = ranges[at : at + self._together]
            yield order[run[0][0] : run[-1][1]], [end - start for start, end in run]

    def _pick_share(self, order: torch.Tensor, skip: int) -> Iterator[Batch]:
        moved = self._where != self.device
        for start, end in self._ranges(skip):
            first, last = self.share.of_range(start, end)
            picked = order[first:last]
            fields = {name: x.index_select(0, picked) for name, x in self.held.items()}
            if moved:
                fields = {name: x.to(self.device, non_blocking=True) for name, x in fields.items()}
            yield Batch(fields, last - first, end - start)

    def _read(self, order: torch.Tensor, skip: int) -> Iterator[Batch]:
        assert self.streamed is not None
        ranges = list(self._ranges(skip))
        wanted = [order[first:last].numpy() for first, last in (self.share.of_range(*each) for each in ranges)]
        for (start, end), mine, fields in zip(ranges, wanted, self.streamed.batches(wanted), strict=True):
            moved = {name: x.to(self.device, non_blocking=True) for name, x in fields.items()}
            yield Batch(moved, len(mine), end - start)

    def _ranges(self, skip: int = 0) -> Iterator[tuple[int, int]]:
        last = len(self) - 1
        for i in range(skip, last + 1):
            yield i * self.size, self.count if i == last else (i + 1) * self.size


def take(array: Array, indices: np.ndarray) -> torch.Tensor:
    """Samples of an array, wherever it is, as a tensor of its own."""
    return _tensor(array.read(indices) if isinstance(array, Lazy) else array[indices])


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _bytes(part: Part, pipelines: Pipelines) -> int:
    """How much memory a part takes when it is held, prepared: told by one sample."""
    total = 0
    for name, array in part.arrays.items():
        width = array.dtype.itemsize * prod(array.shape[1:])
        if pipelines[name].divisor is not None or pipelines[name].transforms:
            sample = pipelines[name].begin(part.read(name, np.arange(min(1, len(part)))))
            width = max(sample.nbytes, width)
        total += width * len(part)
    return total


def _free_memory() -> int:
    """Bytes that the data may take in memory."""
    free = free_memory()
    return int((MAX_BYTES if free is None else free) * _HELD)


def _fits(fields: Fields, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(x.nbytes for x in fields.values()) <= free * _SHARE
