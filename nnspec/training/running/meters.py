"""Meters: what an epoch's batches add to a number that is followed, and what it comes to in the end.

A metric of an epoch is worked out from all of its samples, never as a mean of what it is for single batches. So a meter
keeps a state, which batches add to without waiting for the device; it can be stored in the middle of an epoch, and
the states of several processes can be made into one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from nnspec import ir, registry
from nnspec.diagnostics import Span
from nnspec.training.metric import Metric
from nnspec.training.metric_cut import Cut, Part, cut, metrics_in

Tensors = Sequence[torch.Tensor]
State = Mapping[str, torch.Tensor]

_FOLD = 1024
"""Values of batches that are kept before they are added up: one wait for the device, and a bound on what is kept."""


class Meter(ABC):
    """A number over an epoch. The state is tensors by name, on the CPU: what `torch.save` writes."""

    @abstractmethod
    def update(self, arguments: Tensors, size: int) -> None:
        """A batch of so many samples, by tensors on their device; called without gradients."""

    @abstractmethod
    def value(self) -> torch.Tensor:
        """What it comes to, in float64 on the CPU; nan if there was no batch. The state stays as it is."""

    def compute(self) -> float:
        """The value of a meter that gives a single number."""
        return self.value().item()

    @abstractmethod
    def reset(self) -> None:
        """Forget all batches."""

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """All that is known of the batches so far."""

    @abstractmethod
    def merge(self, states: Sequence[State]) -> None:
        """Become what all of these states (of processes, in their order) know together, in place of the own one."""

    def load_state(self, state: State) -> None:
        """Go on from a state that was stored."""
        self.merge([state])


class Ratio(Meter):
    """One sum over all elements divided by another: `terms` gives a batch's sum (a scalar) and its count.

    Sums of single batches are kept as they come and added up now and then, in float64.
    """

    def __init__(
        self,
        terms: Callable[..., tuple[torch.Tensor, int | torch.Tensor]],
        finish: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        self._terms = terms
        self._finish = finish
        self.reset()

    def update(self, arguments: Tensors, size: int) -> None:
        """As in `Meter`."""
        total, count = self._terms(*arguments)
        self._keep(total, count)

    def _keep(self, total: torch.Tensor, count: int | torch.Tensor) -> None:
        self._totals.append(total)
        if isinstance(count, int):
            self._count += count
        else:
            self._counts.append(count)
        if len(self._totals) == _FOLD:
            self._fold()

    def _fold(self) -> None:
        """Add up what was kept."""
        for total in _numbers(self._totals):  # one by one: when this is done makes no difference then
            self._total += total
        self._count += int(sum(_numbers(self._counts)))
        self._totals.clear()
        self._counts.clear()

    def value(self) -> torch.Tensor:
        """As in `Meter`."""
        self._fold()
        value = torch.tensor(self._total / self._count if self._count else float("nan"), dtype=torch.float64)
        return value if self._finish is None else self._finish(value)

    def reset(self) -> None:
        """As in `Meter`."""
        self._totals: list[torch.Tensor] = []
        self._counts: list[torch.Tensor] = []
        self._total = 0.0
        self._count = 0

    def state(self) -> dict[str, torch.Tensor]:
        """As in `Meter`."""
        self._fold()
        return {"total": torch.tensor(self._total, dtype=torch.float64), "count": torch.tensor(self._count)}

    def merge(self, states: Sequence[State]) -> None:
        """As in `Meter`."""
        self.reset()
        self._total = sum(state["total"].item() for state in states)
        self._count = sum(int(state["count"].item()) for state in states)


class Mean(Ratio):
    """The mean over samples of a number that is given for each batch: a batch counts by its size."""

    def __init__(self) -> None:
        super().__init__(lambda value: (value, 0))

    def update(self, arguments: Tensors, size: int) -> None:
        """As in `Meter`; the number is the only argument."""
        self._sizes.append(size)
        self._keep(arguments[0].detach(), size)

    def _fold(self) -> None:
        for value, size in zip(_numbers(self._totals), self._sizes, strict=True):
            self._total += value * size
        self._totals.clear()
        self._sizes.clear()

    def reset(self) -> None:
        """As in `Meter`."""
        super().reset()
        self._sizes: list[int] = []


def _numbers(values: list[torch.Tensor]) -> list[float]:
    found: list[float] = torch.stack(values).to("cpu", torch.float64).tolist() if values else []
    return found


# --- a metric of a spec ----------------------------------------------------------------------------------------------


Measure = tuple[Callable[..., Any], "Callable[..., torch.Tensor] | None"]
"""The emitted functions of a metric (`training_functions`).

The first takes tensors by the order of `Training.names` and returns what the metric's parts are updated with; the
second makes one number of the numbers of the parts, and is None where there is one part that is the metric.
"""


class Watch(Meter):
    """What a spec follows under one name: metrics of the library, and arithmetic around them."""

    def __init__(self, measure: Measure, cut: Cut, parts: Sequence[Meter]) -> None:
        self._gather, self._finish = measure
        self._single = len(cut.gather.outputs) == 1
        self._slices = cut.slices()
        self._shapes = tuple(part.shape for part in cut.parts)
        self._parts = tuple(parts)

    def update(self, arguments: Tensors, size: int) -> None:
        """As in `Meter`; the tensors are those of `Training.names`, in order."""
        found = self._gather(*arguments)
        values = (found,) if self._single else found
        for part, where in zip(self._parts, self._slices, strict=True):
            part.update(values[where], size)

    def value(self) -> torch.Tensor:
        """As in `Meter`."""
        values = [part.value() for part in self._parts]
        # A metric of each class is nan for all of them where there was no sample.
        values = [x.expand(shape) if x.dim() == 0 else x for x, shape in zip(values, self._shapes, strict=True)]
        return values[0] if self._finish is None else self._finish(*values)

    def reset(self) -> None:
        """As in `Meter`."""
        for part in self._parts:
            part.reset()

    def state(self) -> dict[str, torch.Tensor]:
        """As in `Meter`: the states of the parts, by their numbers."""
        return {f"{i}.{name}": value for i, part in enumerate(self._parts) for name, value in part.state().items()}

    def merge(self, states: Sequence[State]) -> None:
        """As in `Meter`."""
        for i, part in enumerate(self._parts):
            part.merge([_of_part(state, f"{i}.") for state in states])


def _of_part(state: State, prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def meters(
    training: ir.Training, measures: Mapping[str, Measure], device: torch.device | None = None
) -> dict[str, Meter]:
    """A meter for each metric, by name, for tensors on that device. The loss is a `Mean`, for whoever needs one.

    Raises `Fault` for a metric whose package is not installed.
    """
    found: dict[str, Meter] = {}
    for metric in training.metrics:
        parts = cut(metric.graph)
        made = [_meter(part, device or torch.device("cpu")) for part in parts.parts]
        found[metric.name] = Watch(measures[metric.name], parts, made)
    return found


def _meter(part: Part, device: torch.device) -> Meter:
    if part.node is None:
        return Mean()
    cls = registry.find("metric", part.node.function)
    assert cls is not None, f"there is no metric {part.node.function}"
    metric: Metric = cls(**part.node.attributes)
    found: Meter = metric.meter(part.types, device)
    return found


def place_of(training: ir.Training, name: str) -> Span | None:
    """Where a metric of the library is used first."""
    nodes = (node for metric in training.metrics for node in metrics_in(metric.graph))
    return next((node.span for node in nodes if node.function == name), None)


def higher_is_better(metric: ir.Metric) -> bool | None:
    """Whether a higher value of a metric is the better one; None where nothing says so (a loss: lower is better)."""
    return cut(metric.graph).higher_is_better()
