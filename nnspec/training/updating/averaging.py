"""An average of the weights at work: how it is taken, and how a model computes with it for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_avg_fn, get_swa_multi_avg_fn

from nnspec import ir, registry
from nnspec.training.averages import EMA, SWA
from nnspec.training.updating.accumulate import lengths
from nnspec.training.updating.pieces import exchange, is_piece, piece_of

Replay = Callable[[], None]
"""Once through the training data, forward only: the batch norms see all of it."""


class Averaging:
    """No average: what is used are the weights themselves."""

    active = False
    """Whether there is an average yet."""

    def step(self) -> None:
        """A step was made."""

    def epoch(self) -> None:
        """An epoch is over, and not validated yet."""

    @contextmanager
    def applied(self, replay: Replay) -> Iterator[None]:
        """Within it, the model has the averaged weights; nothing is trained there."""
        yield

    def settle(self, replay: Replay) -> None:
        """From now on the model has the averaged weights: nothing is trained any more."""

    def state_dict(self) -> dict[str, Any]:
        """All that is known, as tensors (not copied) and plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was stored."""


class _Kept(Averaging):
    """The base of averages: a second set of weights, which the model and it exchange and never copy."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], module: nn.Module) -> None:
        self._names = [name for name, p in parameters.items() if p.requires_grad]
        self._parameters = [parameters[name] for name in self._names]
        self._module = module
        self._average: list[torch.Tensor] = []
        self._alike: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
        self._count = 0
        self._applied = False

    @property
    def active(self) -> bool:  # type: ignore[override]
        return self._count > 0

    @torch.no_grad()
    def _take(self) -> None:
        """Take the weights into the average, as `torch.optim.swa_utils.AveragedModel` does."""
        if not self._count:
            self._begin([p.detach().clone() for p in self._parameters])
        else:
            for averages, weights in self._alike:
                self._merge(averages, weights)
        self._count += 1

    def _begin(self, average: list[torch.Tensor]) -> None:
        """From now on there is an average. Tensors of one device and element type are taken in one call."""
        self._average = average
        alike: dict[Any, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}
        for mine, parameter in zip(average, self._parameters, strict=True):
            averages, weights = alike.setdefault((mine.dtype, mine.device), ([], []))
            averages.append(mine)
            weights.append(parameter)
        self._alike = list(alike.values())

    def _merge(self, averages: list[torch.Tensor], weights: list[torch.Tensor]) -> None:
        raise NotImplementedError

    @contextmanager
    def applied(self, replay: Replay) -> Iterator[None]:
        if not self.active:
            yield
            return
        self._exchange()
        try:
            with self._statistics(replay):
                yield
        finally:
            self._exchange()

    def settle(self, replay: Replay) -> None:
        if self.active:
            self._exchange()

    def _exchange(self) -> None:
        for number, parameter in enumerate(self._parameters):
            mine = self._average[number]
            if is_piece(mine):  # torch gathers the whole from where the pieces are: they stay there
                exchange(mine, parameter)
                continue
            self._average[number] = parameter.data
            parameter.data = mine
        self._applied = not self._applied

    @contextmanager
    def _statistics(self, replay: Replay) -> Iterator[None]:
        """What batch norms know of the data, for the averaged weights."""
        yield

    def state_dict(self) -> dict[str, Any]:
        averages = [p.data for p in self._parameters] if self._applied else self._average
        return {"count": self._count, "weights": dict(zip(self._names, averages, strict=False))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._count = state["count"]
        weights = state["weights"]
        if self._count:
            # A parameter that was frozen before has been what it is all the time.
            pairs = zip(self._names, self._parameters, strict=True)
            self._begin([piece_of(weights.get(n, p.detach()).to(p.device, p.dtype, copy=True), p) for n, p in pairs])


class _Ema(_Kept):
    def __init__(self, described: EMA, parameters: Mapping[str, nn.Parameter], module: nn.Module) -> None:
        super().__init__(parameters, module)
        self._function = get_ema_multi_avg_fn(described.decay)  # type: ignore[no-untyped-call]

    def step(self) -> None:
        self._take()

    def _merge(self, averages: list[torch.Tensor], weights: list[torch.Tensor]) -> None:
        self._function(averages, weights, None)


class _Swa(_Kept):
    def __init__(self, described: SWA, parameters: Mapping[str, nn.Parameter], module: nn.Module, epochs: int) -> None:
        super().__init__(parameters, module)
        self._before = described.first(epochs)
        self._epochs = 0
        self._norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        self._known: tuple[int, list[torch.Tensor]] | None = None
        """The statistics for the average of so many epochs."""

    def epoch(self) -> None:
        self._epochs += 1
        if self._epochs > self._before:
            self._take()

    def _merge(self, averages: list[torch.Tensor], weights: list[torch.Tensor]) -> None:
        if averages[0].device.type != "cpu":
            get_swa_multi_avg_fn()(averages, weights, self._count)  # type: ignore[no-untyped-call]
            return
        one = get_swa_avg_fn()  # type: ignore[no-untyped-call]
        for average, weight in zip(averages, weights, strict=True):
            average.copy_(one(average, weight, self._count))

    @contextmanager
    def _statistics(self, replay: Replay) -> Iterator[None]:
        before = self._read()
        try:
            if self._known is None or self._known[0] != self._count:
                self._recompute(replay)
                self._known = (self._count, self._read())
            self._write(self._known[1])
            yield
        finally:
            self._write(before)

    def settle(self, replay: Replay) -> None:
        super().settle(replay)
        if self.active:
            with self._statistics(replay):
                statistics = self._read()
            self._write(statistics)

    @torch.no_grad()
    def _recompute(self, replay: Replay) -> None:
        """As `torch.optim.swa_utils.update_bn` does it: means over all batches, each counting alike.

        What else a model remembers of batches stays as it is.
        """
        if not self._norms:
            return
        own = {id(buffer) for buffer in self._buffers()}
        others = [(buffer, buffer.clone()) for buffer in self._module.buffers() if id(buffer) not in own]
        momenta, modes = [norm.momentum for norm in self._norms], [m.training for m in self._module.modules()]
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None
        self._module.train()
        try:
            replay()
        finally:
            for norm, momentum in zip(self._norms, momenta, strict=True):
                norm.momentum = momentum
            for inner, mode in zip(self._module.modules(), modes, strict=True):
                inner.training = mode
            for buffer, value in others:
                buffer.copy_(value)

    def _buffers(self) -> list[torch.Tensor]:
        names = ("running_mean", "running_var", "num_batches_tracked")
        return [getattr(norm, name) for norm in self._norms for name in names]

    def _read(self) -> list[torch.Tensor]:
        return [buffer.clone() for buffer in self._buffers()]

    @torch.no_grad()
    def _write(self, values: list[torch.Tensor]) -> None:
        for buffer, value in zip(self._buffers(), values, strict=True):
            buffer.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"epochs": self._epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self._epochs = state["epochs"]


def average_of(
    record: ir.Record | None,
    parameters: Mapping[str, nn.Parameter],
    module: nn.Module,
    *,
    steps_per_epoch: int,
    settings: Mapping[str, Any],
) -> Averaging:
    """The average of a module's weights that a record describes. Raises `SettingError` for a run that is too short.

    Frozen parameters have their mark already: they need no average.
    """
    if record is None:
        return Averaging()
    cls = registry.find("average", record.name)
    assert cls is not None, f"there is no average {record.name}"
    described = cls(**record.arguments)
    epochs = lengths(settings, steps_per_epoch)["epoch"]
    described.check_length(epochs)
    if isinstance(described, SWA):
        return _Swa(described, parameters, module, epochs)
    return _Ema(described, parameters, module)
