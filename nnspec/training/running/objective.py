"""What is computed from a batch: the loss of each update, and the tensors that metrics are worked out from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import torch
from torch import nn

from nnspec import ir
from nnspec.training.feeding.feed import Fields
from nnspec.training.running.wiring import Reader, Wiring

Loss = Callable[..., torch.Tensor]
"""A function of tensors in the order of `Training.names`."""


class Clock:
    """How much of a run is done; a loss may depend on it."""

    def __init__(self, device: torch.device) -> None:
        self.step = 0
        self.epoch = 0
        self._tensors = {name: torch.zeros((), device=device) for name in ("step", "epoch")}

    def tensor(self, name: str) -> torch.Tensor:
        """`step` or `epoch` as a float32 without dimensions."""
        count = self.step if name == "step" else self.epoch
        return self._tensors[name].fill_(count)


class Objective(Protocol):
    """The seam between the loop and what is trained: one model with a loss, or several that are updated in turn."""

    module: nn.Module
    """Owns every parameter, under the names that checkpoints have."""

    names: tuple[str, ...]
    """What the loss of each update is called in logs: `loss`, or the update's name."""

    turns: tuple[int, ...]
    """Every how many steps each update is made."""

    def loss(self, index: int, fields: Fields, clock: Clock) -> tuple[torch.Tensor, Sequence[torch.Tensor] | None]:
        """The loss of an update for a batch, in training, and what metrics take (None: they are for inference only)."""
        ...

    def retains(self, index: int) -> bool:
        """Whether another update of the same batch goes back through what this one computed."""
        ...

    def check_evaluates(self) -> None:
        """Raise `Fault` if a loss or a metric needs what there is in training only: nothing can be validated."""
        ...

    def evaluate(self, fields: Fields, clock: Clock) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """The losses of all updates for a batch, in inference, and what metrics take."""
        ...


class Single:
    """One model, with one loss; or with several, by which it is updated in turn: it is called anew for each."""

    def __init__(
        self,
        module: nn.Module,
        wiring: Wiring,
        losses: Sequence[Loss],
        call: nn.Module | None = None,
        updates: Sequence[ir.Update] = (),
    ) -> None:
        self.module = module
        self.call = module if call is None else call
        """What computes the outputs in training: the module itself, or as it was compiled or spread over processes."""
        self.names = tuple(update.name or "loss" for update in updates) or ("loss",)
        self.turns = tuple(update.every for update in updates) or (1,)
        self._losses = tuple(losses)
        self._wiring = wiring
        self._train = wiring.reader(training=True)

    def loss(self, index: int, fields: Fields, clock: Clock) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """As in `Objective`."""
        arguments = self._train(self._wiring.call(self.call, fields), fields, clock)
        return self._losses[index](*arguments), arguments

    def retains(self, index: int) -> bool:
        """As in `Objective`."""
        return False

    @cached_property
    def _infer(self) -> Reader:
        return self._wiring.reader(training=False)

    def check_evaluates(self) -> None:
        """As in `Objective`."""
        _ = self._infer  # making it is what raises

    def evaluate(self, fields: Fields, clock: Clock) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """As in `Objective`."""
        arguments = self._infer(self._wiring.call(self.module, fields), fields, clock)
        return tuple(loss(*arguments) for loss in self._losses), arguments
