"""How weights are updated: all that happens between the loss of a batch and the next batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from nnspec import ir
from nnspec.patterns import Within
from nnspec.training import build
from nnspec.training.averages import SWA
from nnspec.training.fault import Fault
from nnspec.training.scheduler import Scheduler, Unit, scheduler, unit_of
from nnspec.training.updating.accumulate import lengths
from nnspec.training.updating.gradients import insists, look, not_fused
from nnspec.training.updating.groups import Chosen, choose
from nnspec.training.updating.optimizer_state import OptimizerState
from nnspec.training.updating.precision import Precision
from nnspec.training.updating.schedule import Schedule

Again = Callable[[], torch.Tensor]
"""Computes the loss of a batch once more, and its gradients."""


class Update:
    """Updates parameters by the gradients of a loss: groups, optimizers, clipping, scaling, the schedule.

    For each batch `backward`; for each step, which may be made of several batches, `zero_grad` before the first one and
    `step` after the last one; `epoch` at the end of each epoch.
    """

    def __init__(
        self,
        update: ir.Update,
        settings: Mapping[str, Any],
        parameters: Mapping[str, nn.Parameter],
        device: torch.device,
        *,
        steps_per_epoch: int = 1,
        kinds: Mapping[str, Within] | None = None,
        average: ir.Record | None = None,
        rising: Collection[str] = (),
    ) -> None:
        """`kinds` has the layers around each parameter, for patterns; of the metrics that are `rising`, more is better.

        The run has `steps_per_epoch`, and makes an update in each of them, or in every so many.

        Parameters that are frozen lose `requires_grad`. Raises `Fault` for what cannot be trained.
        """
        schedule = None if update.schedule is None else scheduler(update.schedule)
        also = {name for each in schedule.everything() for name in each.by_group} if schedule else ()
        self._chosen, frozen = choose(update, parameters, kinds or {}, also)
        self._parameters = {name: p for name, p in parameters.items() if name not in set(frozen)}
        if not any(parameter.requires_grad for parameter in self._parameters.values()):
            raise _nothing_to_train(bool(frozen))
        self._in_turn = bool(update.name)
        for name in () if self._in_turn else frozen:  # another update may train it
            parameters[name].requires_grad_(False)
        self.trained = tuple(p for p in self._parameters.values() if p.requires_grad)
        """What a step changes, in the order of the module."""
        self._device = device
        for chosen in self._chosen:
            chosen.optimizer.check_settings(settings)
        self.optimizers = [self._built(chosen) for chosen in self._chosen]
        self.searches = any(chosen.optimizer.searches for chosen in self._chosen)
        """Whether a step looks at the loss of its batch at several places."""
        self._accumulate: int = settings.get("accumulate") or 1
        self._norm: float | None = settings.get("clip_grad_norm")
        self._value: float | None = settings.get("clip_grad_value")
        self._clips = self._norm is not None or self._value is not None
        self._scaler = Precision(settings.get("precision") or "32", device).scaler()
        length = lengths(settings, steps_per_epoch)
        length["step"] = max(length["step"] // update.every, 1)
        self._schedule = self._scheduled(schedule, settings, length, average, rising)
        self._by_step = self._schedule is not None and self._schedule.by_step
        self._state = OptimizerState(self.optimizers, self._parameters)
        self._watched = self._by_step or average is not None
        self._looked = False
        self._one: torch.Tensor | None = None
        """The gradient of a loss by itself."""

    def _built(self, chosen: Chosen) -> torch.optim.Optimizer:
        groups = [({n: self._parameters[n] for n in g.names}, g.about(chosen.optimizer)) for g in chosen.groups]
        return build.optimizer(chosen.optimizer, groups, self._device)

    def _scheduled(
        self,
        schedule: Scheduler | None,
        settings: Mapping[str, Any],
        length: Mapping[Unit, int],
        average: ir.Record | None,
        rising: Collection[str],
    ) -> Schedule | None:
        swa = SWA(**average.arguments) if average is not None and average.name == "SWA" else None
        swa = swa if swa is not None and swa.swa_lr is not None else None
        if schedule is None and swa is None:
            return None
        unit = "epoch" if schedule is None else unit_of(schedule, settings)
        trained = list(zip(self._chosen, self.optimizers, strict=True))
        return Schedule(schedule, unit, trained, length, swa, rising)

    @property
    def lr(self) -> dict[str, float]:
        """The learning rates of the next step: `lr`, and `lr/PATTERN` for parameters that patterns are about."""
        return {
            f"lr/{group.label}" if group.label else "lr": options["lr"]
            for chosen, optimizer in zip(self._chosen, self.optimizers, strict=True)
            for group, options in zip(chosen.groups, optimizer.param_groups, strict=True)
        }

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        for parameter in self.trained:
            parameter.grad = None

    def backward(self, loss: torch.Tensor, share: float | None = None, *, retain: bool = False) -> None:
        """Add the gradients of a batch's loss, weighed by its share of the samples of the step.

        Without a `share`, all batches of a step count alike. `retain` what another update goes back through as well.
        """
        if share is not None:
            loss = loss * share if share != 1 else loss
        elif self._accumulate > 1:
            loss = loss / self._accumulate
        if self._scaler is not None:
            loss = self._scaler.scale(loss)
        # One of several updates: gradients go to its own parameters only.
        inputs = self.trained if self._in_turn else None
        if self._one is None or self._one.dtype != loss.dtype:
            self._one = torch.ones_like(loss)
        # What `loss.backward` comes to, which makes the one anew each time.
        torch.autograd.backward((loss,), (self._one,), inputs=inputs, retain_graph=retain)

    def step(self, loss: torch.Tensor, again: Again) -> bool:
        """Make a step by the gradients that are there; `again` computes the loss anew, and its gradients.

        An optimizer that searches gets the loss itself first: a step computes it no more often than in torch. False
        when nothing was done, since scaled gradients were not finite (which is looked at only if it matters to
        anybody: looking waits for the device).
        """
        made = self._advance(loss, again) if self._looked else self._first(loss, again)
        if made and self._by_step:
            assert self._schedule is not None
            self._schedule.step()
        return made

    def epoch(self, values: Mapping[str, float]) -> None:
        """An epoch is over; these are its numbers, for a schedule that goes by one."""
        if self._schedule is not None:
            self._schedule.epoch(values)

    def _first(self, loss: torch.Tensor, again: Again) -> bool:
        """The first step: whether the optimizers take such gradients, and whether their kernels do."""
        self._looked = True
        clipped = "" if not self._clips else "clip_grad_norm" if self._value is None else "clip_grad_value"
        for chosen, optimizer in zip(self._chosen, self.optimizers, strict=True):
            look(chosen, optimizer, self._parameters, self._device, clipped)
        try:
            return self._advance(loss, again)
        except RuntimeError as error:
            # Torch's own words: it looks at devices and types when it first steps.
            insisting = next((chosen for chosen in self._chosen if insists(chosen)), None)
            if insisting is None or "fused" not in str(error):
                raise
            raise not_fused(insisting, self._device, error) from None

    def _advance(self, loss: torch.Tensor, again: Again) -> bool:
        if self.searches:
            self._search(loss, again)
        elif self._scaler is not None:
            return self._scaled(self._scaler)
        else:
            if self._clips:
                self._clip()
            for optimizer in self.optimizers:
                optimizer.step()
        return True

    def _search(self, loss: torch.Tensor, again: Again) -> None:
        known = [loss]

        def at() -> float:
            found = known.pop() if known else again()
            if self._clips:
                self._clip()
            return found.item()

        (optimizer,) = self.optimizers
        optimizer.step(at)

    def _scaled(self, scaler: torch.amp.GradScaler) -> bool:
        # An optimizer of which no parameter had a part in the loss has nothing to unscale, and torch says so loudly.
        at_work = [o for o in self.optimizers if any(p.grad is not None for g in o.param_groups for p in g["params"])]
        if self._clips:
            for optimizer in at_work:
                scaler.unscale_(optimizer)
            self._clip()
        before = scaler.get_scale() if self._watched else 0.0
        for optimizer in at_work:
            scaler.step(optimizer)
        scaler.update()
        return not self._watched or scaler.get_scale() >= before

    def _clip(self) -> None:
        # Torch thinks of this by itself on other devices; on the CPU it is faster as well, and gives the same bits.
        foreach = True if self._device.type == "cpu" else None
        if self._value is not None:
            clip_grad_value_(self.trained, self._value, foreach=foreach)
        if self._norm is not None:
            clip_grad_norm_(self.trained, self._norm, foreach=foreach)

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on besides weights: tensors (not copied) and plain values."""
        return {
            "optimizers": self._state.state_dict(),
            "schedule": None if self._schedule is None else self._schedule.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was stored.

        What the spec says otherwise now, counts: a new learning rate, a new schedule, another optimizer (which begins
        anew).
        """
        before = state["schedule"] or {"begins": None}
        same = (self._schedule.begins if self._schedule else None) == before["begins"]
        self._state.load_state_dict(state["optimizers"], options=same)
        if self._schedule is not None and state["schedule"] is not None:
            self._schedule.load_state_dict(state["schedule"])
        if self._scaler is not None and state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])


def _nothing_to_train(frozen: bool) -> Fault:
    if frozen:
        helps = ("let a pattern without `freeze = true` come after it",)
        return Fault("all parameters are frozen: there is nothing to train", code="NNS626", helps=helps)
    return Fault("the model has no parameters: there is nothing to train", code="NNS626")
