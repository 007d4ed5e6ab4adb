"""What an epoch adds up to: losses as means over samples, metrics as they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import torch

from nnspec.training.world import ALONE, World

if TYPE_CHECKING:
    from nnspec.training.meters import Meter


class Tally:
    """Losses of batches weighed by their sizes, so that a smaller batch counts less, and metrics beside them.

    Values stay on the device until they are asked for.
    """

    def __init__(self, names: Sequence[str], meters: Mapping[str, Meter]) -> None:
        self.names = tuple(names)
        self.meters = meters
        self.count = 0
        """Samples so far."""
        self._losses: list[list[torch.Tensor]] = [[] for _ in names]
        self._sizes: list[list[int]] = [[] for _ in names]
        self._checked = [0] * len(self.names)
        self._measured = False
        for meter in meters.values():
            meter.reset()

    def loss(self, index: int, value: torch.Tensor, size: int) -> None:
        """A loss of a batch of so many samples: the number of its name, and a scalar without a gradient."""
        self._losses[index].append(value)
        self._sizes[index].append(size)

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
        return {name: losses[-1].item() for name, losses in zip(self.names, self._losses, strict=True) if losses}

    def not_finite(self) -> tuple[int, int, float] | None:
        """The first loss that is not finite, of those not looked at before: which one, which batch of it, its value."""
        for index, losses in enumerate(self._losses):
            start, self._checked[index] = self._checked[index], len(losses)
            values = torch.stack(losses[start:]).tolist() if len(losses) > start else []
            found = next((i for i, value in enumerate(values) if not isfinite(value)), None)
            if found is not None:
                return index, start + found, values[found]
        return None

    def before(self, index: int, number: int | None = None) -> float | None:
        """The loss before that one, or before the one to come; None for the first."""
        losses = self._losses[index][:number]
        return losses[-1].item() if losses else None

    def means(self, world: World = ALONE) -> dict[str, float]:
        """Each loss's mean over all samples of all processes, and the metrics; the tally is of no more use then."""
        found: dict[str, tuple[float, int]] = {}
        for sums in world.gathered(self._sums()):
            for name, (total, count) in sums.items():
                before = found.get(name, (0.0, 0))
                found[name] = before[0] + total, before[1] + count
        means = {name: found[name][0] / found[name][1] for name in self.names if name in found}
        if not self._measured:
            return means
        if world.size > 1:
            states = world.gathered({name: meter.state() for name, meter in self.meters.items()})
            for name, meter in self.meters.items():
                meter.merge([state[name] for state in states])
        return means | {name: meter.compute() for name, meter in self.meters.items()}

    def _sums(self) -> dict[str, tuple[float, int]]:
        columns = zip(self.names, self._losses, self._sizes, strict=True)
        return {name: (_sum(losses, sizes), sum(sizes)) for name, losses, sizes in columns if losses}

    def state(self) -> dict[str, Any]:
        """All of it, to go on from in the middle of an epoch."""
        losses = [torch.stack(column).cpu() if column else torch.empty(0) for column in self._losses]
        meters = {name: meter.state() for name, meter in self.meters.items()} if self._measured else None
        sizes = [list(column) for column in self._sizes]
        return {"losses": losses, "sizes": sizes, "meters": meters, "count": self.count}

    def load_states(self, states: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Go on from what `state` gave; from several, if as many processes were one each."""
        for state in states:
            for index in range(len(self.names)):
                self._losses[index] += state["losses"][index].to(device).unbind()
                self._sizes[index] += state["sizes"][index]
            self.count += state["count"]
        self._checked = [len(column) for column in self._losses]
        measured = [state["meters"] for state in states if state["meters"] is not None]
        self._measured = bool(measured)
        for name, meter in self.meters.items() if measured else ():
            meter.merge([each[name] for each in measured])


def _sum(values: Sequence[torch.Tensor], sizes: Sequence[int]) -> float:
    weights = torch.tensor(sizes, dtype=torch.float64)
    return (torch.stack(tuple(values)).to("cpu", torch.float64) @ weights).item()
