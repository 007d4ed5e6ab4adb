"""What an epoch adds up to: losses as means over samples, metrics as they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import torch

from nnspec.training.processes.world import ALONE, World

if TYPE_CHECKING:
    from nnspec.training.running.meters import Meter

_KEPT = 1024
"""Losses that are kept at least; those before are added up, so that an epoch may have any number of batches."""


class _Losses:
    """The losses of one update: the last ones as they came, on their device, and the sum of those before.

    They are added one by one in float64, so that the sum does not depend on when that is done.
    """

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0
        self.before = 0
        """How many batches are added up."""
        self.values: list[torch.Tensor] = []
        self.sizes: list[int] = []
        self.checked = 0

    def add(self, value: torch.Tensor, size: int) -> None:
        """The loss of a batch of so many samples."""
        self.values.append(value)
        self.sizes.append(size)
        if len(self.values) == 2 * _KEPT:
            self._fold(_KEPT)

    def _fold(self, number: int) -> None:
        """Add up the first ones."""
        for value, size in zip(_numbers(self.values[:number]), self.sizes[:number], strict=True):
            self.total += value * size
            self.count += size
        del self.values[:number], self.sizes[:number]
        self.before += number
        self.checked = max(self.checked - number, 0)

    def sums(self) -> tuple[float, int]:
        """The sum over all samples, and how many these are."""
        self._fold(len(self.values))
        return self.total, self.count

    def not_finite(self) -> tuple[int, float] | None:
        """The first that is not finite, of those not looked at before: its number, and what it is."""
        start, self.checked = self.checked, len(self.values)
        values = _numbers(self.values[start:])
        return next(((self.before + start + i, x) for i, x in enumerate(values) if not isfinite(x)), None)

    def until(self, number: int | None) -> float | None:
        """The loss before that one, or the last one; None if there is none."""
        values = self.values if number is None else self.values[: max(number - self.before, 0)]
        return values[-1].item() if values else None

    def state(self) -> dict[str, Any]:
        """All of it, as tensors of the CPU and plain values."""
        values = torch.stack(self.values).cpu() if self.values else torch.empty(0)
        sums = {"total": self.total, "count": self.count, "before": self.before}
        return {"values": values, "sizes": list(self.sizes)} | sums

    def join(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Count what another one has as well."""
        self.total += state["total"]
        self.count += state["count"]
        self.before += state["before"]
        self.values += state["values"].to(device).unbind()
        self.sizes += state["sizes"]
        self.checked = len(self.values)


class Tally:
    """Losses of batches weighed by their sizes, so that a smaller batch counts less, and metrics beside them.

    Values stay on the device until they are asked for.
    """

    def __init__(self, names: Sequence[str], meters: Mapping[str, Meter]) -> None:
        self.names = tuple(names)
        self.meters = meters
        self.count = 0
        """Samples so far."""
        self._losses = tuple(_Losses() for _ in names)
        self._measured = False
        for meter in meters.values():
            meter.reset()

    def loss(self, index: int, value: torch.Tensor, size: int) -> None:
        """A loss of a batch of so many samples: the number of its name, and a scalar without a gradient."""
        self._losses[index].add(value, size)

    def batch(self, arguments: Sequence[torch.Tensor] | None, size: int) -> None:
        """A batch is done: what the metrics are worked out from (None: not now), and how many samples it has."""
        self.count += size
        if self.meters and arguments is not None:
            self._measured = True
            with torch.no_grad():
                for meter in self.meters.values():
                    meter.update(arguments, size)

    def last(self) -> dict[str, float]:
        """The losses that came last, by name."""
        found = {name: losses.until(None) for name, losses in zip(self.names, self._losses, strict=True)}
        return {name: value for name, value in found.items() if value is not None}

    def not_finite(self) -> tuple[int, int, float] | None:
        """The first loss that is not finite, of those not looked at before: which one, which batch of it, its value."""
        for index, losses in enumerate(self._losses):
            found = losses.not_finite()
            if found is not None:
                return index, *found
        return None

    def before(self, index: int, number: int | None = None) -> float | None:
        """The loss before that one, or before the one to come; None for the first."""
        return self._losses[index].until(number)

    def means(self, world: World = ALONE) -> dict[str, float]:
        """Each loss's mean over all samples of all processes, and the metrics; then the tally is of no more use."""
        found: dict[str, tuple[float, int]] = {}
        sums = {name: losses.sums() for name, losses in zip(self.names, self._losses, strict=True)}
        for each in world.gathered(sums):
            for name, (total, count) in each.items():
                before = found.get(name, (0.0, 0))
                found[name] = before[0] + total, before[1] + count
        means = {name: total / count for name, (total, count) in found.items() if count}
        if not self._measured:
            return means
        if world.size > 1:
            states = world.gathered({name: meter.state() for name, meter in self.meters.items()})
            for name, meter in self.meters.items():
                meter.merge([state[name] for state in states])
        return means | {name: meter.compute() for name, meter in self.meters.items()}

    def state(self) -> dict[str, Any]:
        """All of it, to go on from in the middle of an epoch."""
        meters = {name: meter.state() for name, meter in self.meters.items()} if self._measured else None
        return {"losses": [losses.state() for losses in self._losses], "meters": meters, "count": self.count}

    def load_states(self, states: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Go on from what `state` gave; from several, if as many processes were one each."""
        for state in states:
            for losses, known in zip(self._losses, state["losses"], strict=True):
                losses.join(known, device)
            self.count += state["count"]
        measured = [state["meters"] for state in states if state["meters"] is not None]
        self._measured = bool(measured)
        for name, meter in self.meters.items() if measured else ():
            meter.merge([each[name] for each in measured])


def _numbers(values: Sequence[torch.Tensor]) -> list[float]:
    found: list[float] = torch.stack(tuple(values)).tolist() if values else []
    return found
