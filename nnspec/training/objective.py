"""What is computed from a batch: the loss of each update, and the tensors that metrics are worked out from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import nn

from nnspec.training.feed import Fields
from nnspec.training.wiring import Wiring

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

    def evaluate(self, fields: Fields, clock: Clock) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        """The losses of all updates for a batch, in inference, and what metrics take."""
        ...


class Single:
    """One model, with one loss."""

    names: tuple[str, ...] = ("loss",)
    turns: tuple[int, ...] = (1,)

    def __init__(self, module: nn.Module, wiring: Wiring, loss: Loss, call: nn.Module | None = None) -> None:
        self.module = module
        self.call = call or module
        """What computes the outputs in training: the module itself, or as it was compiled or spread over processes."""
        self._wiring = wiring
        self._loss = loss
        self._train, self._infer = (wiring.reader(training=training) for training in (True, False))

    def loss(self, index: int, fields: Fields, clock: Clock) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        arguments = self._train(self._wiring.call(self.call, fields), fields, clock)
        return self._loss(*arguments), arguments

    def retains(self, index: int) -> bool:
        return False

    def evaluate(self, fields: Fields, clock: Clock) -> tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]]:
        arguments = self._infer(self._wiring.call(self.module, fields), fields, clock)
        return (self._loss(*arguments),), arguments
