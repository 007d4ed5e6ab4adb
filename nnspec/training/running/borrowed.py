"""Meters that torchmetrics does the arithmetic of: by one of its objects, or by a function once all samples are there.

Its objects keep the state of an epoch, and how states of several processes become one. What they would do batch by
batch is taken from them where it depends on how samples fall into batches: whether a batch looks like probabilities.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from nnspec.training.fault import Fault
from nnspec.training.running.meters import Mean, Meter, State, Tensors

OLDEST = (1, 9)
"""The first version whose objects and functions agree in all that is counted here (tests/unit/test_metrics.py)."""

Prepare = Callable[..., Sequence[torch.Tensor]]
"""What becomes of a metric's tensors before they are counted."""


def find(metric: str, path: str) -> Any:
    """`classification.BinaryF1Score` of torchmetrics; a `Fault` where it is not installed, or too old."""
    module, _, name = path.rpartition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports in turn
            version: str = importlib.import_module("torchmetrics").__version__
            home = importlib.import_module(f"torchmetrics.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torchmetrics":
            raise _unusable(metric, error) from None
        message = f"the metric `{metric}` is worked out by torchmetrics, which is not installed"
        helps = ('pip install "nnspec[metrics]"',)
        raise Fault(message, code="NNS605", at=f"metrics.{metric}", helps=helps) from None
    except (ImportError, OSError, RuntimeError) as error:
        raise _unusable(metric, error) from None
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        message = f"the metric `{metric}` needs torchmetrics {wanted}, and this is {version}"
        raise Fault(message, code="NNS605", at=f"metrics.{metric}", helps=(f'pip install "torchmetrics>={wanted}"',))
    return getattr(home, name)


def _unusable(metric: str, error: Exception) -> Fault:
    message = f"the metric `{metric}` is worked out by torchmetrics, which cannot be imported"
    notes = (str(error).partition("\n")[0],)
    helps = ("the packages that it imports, torchvision among them, must fit the torch that is installed",)
    return Fault(message, code="NNS605", at=f"metrics.{metric}", notes=notes, helps=helps)


class _Range:
    """Whether all values that come by lie between 0 and 1, found out without waiting for the device."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self.reset()

    def reset(self) -> None:
        """Nothing came by."""
        self.outside: torch.Tensor = torch.tensor(False)

    def look(self, values: torch.Tensor) -> None:
        """More values come by."""
        self.outside = self.outside.to(values.device) | ((values < 0) | (values > 1)).any()

    def check(self) -> None:
        """Raise a `Fault` if there was one outside."""
        if self.outside.item():
            message = f"`{self._metric}` takes probabilities, and some values are not between 0 and 1"
            helps = ("make probabilities of scores: `softmax(scores, dim=1)`, or `sigmoid(scores)`",)
            raise Fault(message, code="NNS604", at=f"metrics.{self._metric}", helps=helps)


class _Checked(Meter):
    """What the meters here share: preparing a batch, and turning what torchmetrics says into a fault."""

    def __init__(self, name: str, prepare: Prepare, *, bounded: bool = False) -> None:
        self.name = name
        self._prepare = prepare
        self._range = _Range(name) if bounded else None

    def update(self, arguments: Tensors, size: int) -> None:
        """As in `Meter`."""
        values = self._prepare(*arguments)
        if self._range is not None:
            self._range.look(values[0])
        self._guarded(lambda: self._add(values, size))

    def value(self) -> torch.Tensor:
        """As in `Meter`."""
        if self._range is not None:
            self._range.check()
        found: torch.Tensor = self._guarded(self._work_out)
        return found.detach().to("cpu", torch.float64)

    def reset(self) -> None:
        """As in `Meter`."""
        if self._range is not None:
            self._range.reset()
        self._forget()

    def state(self) -> dict[str, torch.Tensor]:
        """As in `Meter`."""
        return self._state() | ({} if self._range is None else {"outside": self._range.outside.cpu()})

    def merge(self, states: Sequence[State]) -> None:
        """As in `Meter`."""
        self.reset()
        if self._range is not None:
            self._range.outside = torch.stack([state["outside"] for state in states]).any()
        self._merge([{name: kept for name, kept in state.items() if name != "outside"} for state in states])

    def _state(self) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def _merge(self, states: Sequence[State]) -> None:
        raise NotImplementedError

    def _add(self, values: Tensors, size: int) -> None:
        raise NotImplementedError

    def _work_out(self) -> torch.Tensor:
        raise NotImplementedError

    def _forget(self) -> None:
        raise NotImplementedError

    def _guarded(self, action: Callable[[], Any]) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a class without samples, and the like: the number says it
                return action()
        except (ValueError, RuntimeError, IndexError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            message = f"`{self.name}` cannot be worked out from these values"
            notes = (str(error).partition("\n")[0],)
            helps = ("class numbers start from 0 and are smaller than the number of scores",)
            raise Fault(message, code="NNS604", at=f"metrics.{self.name}", notes=notes, helps=helps) from None


class Borrowed(_Checked):
    """A metric that an object of torchmetrics counts for; with fewer samples than `least` there is no such number."""

    def __init__(
        self,
        name: str,
        path: str,
        options: Mapping[str, Any],
        prepare: Prepare,
        device: torch.device,
        *,
        least: int = 1,
        bounded: bool = False,
    ) -> None:
        super().__init__(name, prepare, bounded=bounded)
        self._metric = find(name, path)(**options, sync_on_compute=False).to(device)
        self._metric.set_dtype(torch.float32 if device.type == "mps" else torch.float64)
        self._device = device
        self._least = least
        self._samples = 0

    def _add(self, values: Tensors, size: int) -> None:
        self._metric.update(*values)
        self._samples += size

    def _work_out(self) -> torch.Tensor:
        if self._samples < self._least:
            return torch.tensor(float("nan"))
        found: torch.Tensor = self._metric.compute()
        return found

    def _forget(self) -> None:
        self._metric.reset()
        self._samples = 0

    def _state(self) -> dict[str, torch.Tensor]:
        kept = {name: _whole(getattr(self._metric, name)) for name in self._metric._defaults}
        found = {name: value.detach().to("cpu", copy=True) for name, value in kept.items() if value is not None}
        return {**found, "samples": torch.tensor(self._samples)}

    def _merge(self, states: Sequence[State]) -> None:
        self._samples = sum(int(state["samples"].item()) for state in states)
        states = [state for state in states if state["samples"].item()]
        self._metric._update_count = len(states)
        for name, default in self._metric._defaults.items() if states else ():
            parts = [state[name].to(self._device, copy=True) for state in states if name in state]
            if isinstance(default, list):
                setattr(self._metric, name, parts)
            else:
                reduction = self._metric._reductions[name]
                setattr(self._metric, name, parts[0] if len(parts) == 1 else reduction(torch.stack(parts)))


def _whole(kept: Any) -> torch.Tensor | None:
    """A state as one tensor; None for a list without any."""
    if isinstance(kept, torch.Tensor):
        return kept
    return torch.cat([each.reshape(1) if each.dim() == 0 else each for each in kept]) if kept else None


class Gathered(_Checked):
    """A metric that needs all samples beside each other: they are kept, and a function of torchmetrics looks at them.

    Where only the order of the scores counts (`ranked`), it is shown their ranks: scores and probabilities are alike.
    """

    def __init__(
        self,
        name: str,
        path: str,
        options: Mapping[str, Any],
        prepare: Prepare,
        device: torch.device,
        *,
        least: int = 1,
        ranked: bool = False,
        bounded: bool = False,
    ) -> None:
        super().__init__(name, prepare, bounded=bounded)
        self._function = find(name, path)
        self._options = dict(options)
        self._device = device
        self._ranked = ranked
        self._least = least
        self._kept: list[tuple[torch.Tensor, ...]] = []

    def _add(self, values: Tensors, size: int) -> None:
        self._kept.append(tuple(value.detach() for value in values))

    def _columns(self) -> list[torch.Tensor]:
        if len(self._kept) > 1:
            self._kept = [tuple(torch.cat(column) for column in zip(*self._kept, strict=True))]
        return list(self._kept[0]) if self._kept else []

    def _work_out(self) -> torch.Tensor:
        columns = self._columns()
        if not columns or len(columns[0]) < self._least:
            return torch.tensor(float("nan"))
        if self._ranked:
            columns[0] = _ranks(columns[0])
        found: torch.Tensor = self._function(*columns, **self._options)
        return found

    def _forget(self) -> None:
        self._kept = []

    def _state(self) -> dict[str, torch.Tensor]:
        return {str(i): column.to("cpu", copy=True) for i, column in enumerate(self._columns())}

    def _merge(self, states: Sequence[State]) -> None:
        self._kept = [tuple(state[str(i)].to(self._device) for i in range(len(state))) for state in states if state]


def _ranks(scores: torch.Tensor) -> torch.Tensor:
    """Numbers between 0 and 1 in the order of the scores, equal where these are equal."""
    ranks: torch.Tensor = torch.unique(scores, return_inverse=True)[1]
    wide = torch.float32 if scores.device.type == "mps" else torch.float64
    return ranks.to(wide) / max(scores.numel(), 1)


def sampled(name: str, path: str, options: Mapping[str, Any], prepare: Prepare) -> Meter:
    """A metric that is a mean over samples: what a function of torchmetrics gives for each batch, by its size."""
    return _Sampled(name, find(name, path), options, prepare)


class _Sampled(Mean):
    def __init__(self, name: str, function: Callable[..., Any], options: Mapping[str, Any], prepare: Prepare) -> None:
        super().__init__()
        self._call: Callable[[Tensors], torch.Tensor] = lambda values: function(*prepare(*values), **options).mean()

    def update(self, arguments: Tensors, size: int) -> None:
        """As in `Meter`."""
        super().update((self._call(arguments),), size)
