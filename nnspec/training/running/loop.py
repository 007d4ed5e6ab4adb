"""The training loop: steps within epochs, validation after each, and a state from which all of it can go on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any

import torch

from nnspec.backends.torch import load_state, weights_of
from nnspec.training.fault import Fault
from nnspec.training.feeding.feed import Batch, Batches, Fields
from nnspec.training.listener import Listener, Row, Step
from nnspec.training.processes.spread import Spread
from nnspec.training.processes.world import ALONE, World
from nnspec.training.result import Status
from nnspec.training.running.culprit import not_finite_in
from nnspec.training.running.judge import Patience
from nnspec.training.running.keep import Keeper
from nnspec.training.running.ledger import Ledger
from nnspec.training.running.meters import Meter
from nnspec.training.running.objective import Clock, Objective
from nnspec.training.running.stop import Stopper
from nnspec.training.running.tally import Tally
from nnspec.training.running.watch import not_finite, nothing_to_learn, weights_not_finite
from nnspec.training.runs.checkpoint import Snapshot
from nnspec.training.updating.averaging import Averaging
from nnspec.training.updating.pieces import apart, piece_of
from nnspec.training.updating.precision import Precision
from nnspec.training.updating.update import Update

_SHOW_EVERY = 0.1
"""Seconds between steps that are shown."""
_AGREE_EVERY = 1.0
"""Seconds between questions that all processes must answer together."""
_MOST_STEPS = 64
"""Steps between them at most."""
_CHECK_EVERY = 32
"""Batches between looks at the loss on a device where a look waits for all that was asked of it."""


@dataclass
class Loop:
    """One run. What it is made of is put together by `nnspec.training.running.run`."""

    objective: Objective
    updates: Sequence[Update]
    meters: Mapping[str, Meter]
    train: Batches
    held: Batches | None
    listener: Listener
    clock: Clock
    order: torch.Generator
    """Draws the order of the samples."""
    vary: torch.Generator
    """Draws what augmentation needs."""
    steps: int
    """How many there are to do."""
    precision: Precision
    average: Averaging
    spread: Spread
    accumulate: int = 1
    patience: Patience | None = None
    world: World = ALONE
    position: int = 0
    """How many batches of the epoch under way are done."""
    ledger: Ledger = field(default_factory=Ledger)
    """What came out of the epochs."""
    seconds: float = 0.0
    """How long earlier parts of the run took."""
    ended: Status | None = None
    tally: Tally | None = None

    def __post_init__(self) -> None:
        self.device = self.train.device
        self._started = time.perf_counter()
        self._epoch_began = self.order.get_state()
        self._epoch_step = 0
        turns = tuple(self.objective.turns)
        self._turns = turns if any(every != 1 for every in turns) else None
        self.fields: Fields = {}
        """The batch that is, or was last, at work."""
        self._check_every = 1 if self.device.type == "cpu" else _CHECK_EVERY
        self._agrees_at, self._agreed = 0, (0, self._started)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self.clock.step

    @property
    def rows(self) -> list[Row]:
        """What came out of the epochs so far."""
        return self.ledger.rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps in a whole epoch."""
        return -(-len(self.train) // self.accumulate)

    def run(self, keeper: Keeper, stopper: Stopper) -> Status:
        """Go on until the end, or until it is asked to stop; what is there then is on disk."""
        self._started = time.perf_counter()
        while self.ended is None and self._goes_on() and not self.world.any(stopper.asked):
            row = self.epoch(keeper, stopper)
            if row is not None:
                self.listener.epoch(row)
                keeper.epoch(row)
        self._check_weights()
        keeper.write()
        return self.ended or ("finished" if self.step >= self.steps else "interrupted")

    def _goes_on(self) -> bool:
        """Whether there is a step to make, or an epoch to end whose last step is made."""
        return self.step < self.steps or self.tally is not None

    def epoch(self, keeper: Keeper, stopper: Stopper) -> Row | None:
        """Once through the data, or through the rest of it; None when it was asked to stop on the way."""
        start = shown = time.perf_counter()
        if self.tally is None:
            self.tally = Tally(self.objective.names, self.meters)
            self._epoch_began = self.order.get_state()
        tally, before = self.tally, self.tally.count
        self._epoch_step = self.step - self.position // self.accumulate
        self.objective.module.train()
        self.order.set_state(self._epoch_began)
        batches = self.train.shuffled(self.order, self.vary, self.position) if self.step < self.steps else ()
        for batch in batches:
            self.batch(batch, tally)
            if self.position % self.accumulate == 0 or self.position == len(self.train):
                self.clock.step += 1
                if self.position < len(self.train) and self.step < self.steps:  # else the epoch ends, and is kept
                    keeper.step(self.step)
            now = time.perf_counter()
            if self.listener.every_step or now - shown > _SHOW_EVERY:
                shown = now
                self._show(tally, (tally.count - before) / (now - start))
            if self.step == self.steps:
                break
            if self._stops(stopper):
                return None
        return self._end_epoch(tally, tally.count - before, time.perf_counter() - start)

    def _stops(self, stopper: Stopper) -> bool:
        """Whether to stop here, in the middle of an epoch: between two steps, and all processes at the same one."""
        if self.position % self.accumulate or self.position == len(self.train):
            return False
        if self.world.size == 1:
            return stopper.asked
        if self.step < self._agrees_at:
            return False
        (step, at), now = self._agreed, time.perf_counter()
        pace = (self.step - step) / max(now - at, 1e-9)
        self._agreed = self.step, now
        self._agrees_at = self.step + self.world.decided(max(min(int(pace * _AGREE_EVERY), _MOST_STEPS), 1))
        return self.world.any(stopper.asked)

    def batch(self, batch: Batch, tally: Tally) -> None:
        """One batch: forward and backward for each update, and its step when that is due."""
        self.fields = batch.fields
        begins = self.position % self.accumulate == 0
        self.position += 1
        ends = self.position % self.accumulate == 0 or self.position == len(self.train)
        arguments: Sequence[torch.Tensor] | None = None
        stepped = False
        for index, update in enumerate(self.updates):
            if self._turns is not None and (self.clock.step + 1) % self._turns[index]:
                continue
            if begins:
                update.zero_grad()
            with self.precision.autocast():
                loss, arguments = self.objective.loss(index, batch.fields, self.clock)
            known = loss.detach()
            if self._check_every == 1 and self.world.any(not isfinite(known.item())):
                raise self._not_finite(index, known.item(), batch.fields, tally.before(index))
            tally.loss(index, known, len(batch))
            if not loss.requires_grad:
                raise nothing_to_learn(self.objective, index)
            self._backward(index, loss, batch)
            if ends:
                self.spread.exchange(update.trained)
                stepped |= update.step(self._joint(update, loss, batch), partial(self._again, index, batch))
        if stepped:
            self.average.step()
        tally.batch(arguments, len(batch))
        if self._check_every > 1 and self.position % self._check_every == 0:
            self._check(tally)

    def _backward(self, index: int, loss: torch.Tensor, batch: Batch) -> None:
        if self.objective.retains(index):
            self.updates[index].backward(loss, self._share(batch), retain=True)
        else:
            self.updates[index].backward(loss, self._share(batch))

    def _again(self, index: int, batch: Batch) -> torch.Tensor:
        """The loss of a batch once more, with its gradients, for an optimizer that searches."""
        self.updates[index].zero_grad()
        with self.precision.autocast():
            loss, _ = self.objective.loss(index, batch.fields, self.clock)
        self._backward(index, loss, batch)
        self.spread.exchange(self.updates[index].trained)
        return self._joint(self.updates[index], loss, batch)

    def _joint(self, update: Update, loss: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss as an optimizer gets to see it: one that searches must decide the same in all processes."""
        return self.world.mean(loss * self._share(batch)) if update.searches and self.world.size > 1 else loss

    def _share(self, batch: Batch) -> float:
        """How much this batch, which has just been begun, counts in its step: by its samples.

        Of several processes each has a part of it, and their gradients are averaged.
        """
        share = 1.0 if self.world.size == 1 else len(batch) * self.world.size / batch.size
        if self.accumulate == 1:
            return share
        first = (self.position - 1) // self.accumulate * self.accumulate
        return share * batch.size / self.train.samples(first, first + self.accumulate)

    def _check(self, tally: Tally) -> None:
        """Stop at a loss that was not finite, on a device that was not asked for each."""
        found = tally.not_finite()
        if self.world.any(found is not None):
            index, number, value = found or (0, 0, 0.0)
            raise self._not_finite(index, value, {}, tally.before(index, number), number)

    def _where(self, number: int | None = None) -> str:
        """Where the run is, in words; or where it was at an earlier batch of the epoch, counted from 0."""
        position, step = self.position, self.step
        if number is not None and self._turns is None:
            position, step = number + 1, self._epoch_step + number // self.accumulate
        steps = "1 step" if step == 1 else f"{step:,} steps"
        return f"epoch {self.clock.epoch + 1}, batch {position:,} of {len(self.train):,}, after {steps}"

    def _check_weights(self) -> None:
        """Stop at weights that are not finite: no checkpoint is made of them, and no end of a run."""
        if self.tally is not None:
            self._check(self.tally)
        name = not_finite_in(self.objective.module.named_parameters())
        if self.world.any(name is not None):
            names = [each for each in self.world.gathered(name) if each is not None]
            raise weights_not_finite(names[0], self._where())

    def _not_finite(
        self, index: int, value: float, fields: Fields, before: float | None, number: int | None = None
    ) -> Fault:
        """What to say of a loss, of one process at least. All look for the reason, since they may have to together."""
        where, autocast = self._where(number), self.precision.autocast()
        fault = not_finite(self.objective, fields, self.clock, index, value, where, before, autocast)
        faults = self.world.gathered(None if isfinite(value) else fault)
        found: Fault = next(each.of_process(at, len(faults)) for at, each in enumerate(faults) if each is not None)
        return found

    @torch.no_grad()
    def evaluate(self, batches: Batches) -> dict[str, float]:
        """Losses and metrics over all samples of a part, in inference, with the averaged weights if there are any."""
        tally = Tally(self.objective.names, self.meters)
        self.spread.agree()
        with self.average.applied(self._replay):
            self.objective.module.eval()
            for batch in batches.in_order():
                with self.precision.autocast():
                    losses, arguments = self.objective.evaluate(batch.fields, self.clock)
                for index, loss in enumerate(losses):
                    tally.loss(index, loss, len(batch))
                tally.batch(arguments, len(batch))
        return tally.means(self.world)

    def _end_epoch(self, tally: Tally, count: int, seconds: float) -> Row:
        self._check(tally)
        count = sum(self.world.gathered(count))
        train, lr = tally.means(self.world), self._lr()
        self.average.epoch()
        validation = {} if self.held is None else self.evaluate(self.held)
        row = Row(self.clock.epoch + 1, self.step, train, validation, seconds, count / max(seconds, 1e-9), lr)
        self.ledger.add(row)
        self.clock.epoch += 1
        self.position, self.tally = 0, None
        for update in self.updates:
            update.epoch(row.values())
        if self.patience is not None and self.patience.exhausted(row):
            self.ended = "stopped early"
        return row

    def _show(self, tally: Tally, speed: float) -> None:
        speed *= self.world.size
        self.listener.step(Step(self.clock.epoch + 1, self.step, tally.last(), self._lr(), speed))

    def _lr(self) -> dict[str, float]:
        if len(self.updates) == 1:
            return dict(self.updates[0].lr)
        names = self.objective.names
        return {f"{name}/{k}": v for name, u in zip(names, self.updates, strict=True) for k, v in u.lr.items()}

    def _replay(self) -> None:
        """All training batches through the model, for what it measures on the way; nothing else is changed by it."""
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            self.objective.module.train()
            torch.manual_seed(0)  # what it draws is the same whenever it is done
            for batch in self.train.in_order():
                for index in range(len(self.updates)):
                    with self.precision.autocast():
                        self.objective.loss(index, batch.fields, self.clock)
        self.spread.agree()

    def settle(self) -> None:
        """The run is over: the model has the weights that are kept of it, the averaged ones if there are any."""
        self.average.settle(self._replay)

    # --- states ------------------------------------------------------------------------------------------------------

    def capture(self) -> Snapshot:
        """All of the run as it is now, apart from it. Processes do this together."""
        self._check_weights()
        module, keep = self.objective.module, self.world.main
        self.spread.agree()
        plain = apart(weights_of(module), keep=keep) if self.average.active else None
        with self.average.applied(self._replay):
            weights = apart(weights_of(module), keep=keep)
        tally = self.tally
        state = {
            "step": self.step,
            "epoch": self.clock.epoch,
            "position": self.position,
            "seconds": self.elapsed,
            "order": self._epoch_began if tally is not None else self.order.get_state(),
            "processes": self.world.gathered(self._own()),
            "updates": [apart(update.state_dict(), keep=keep) for update in self.updates],
            "average": apart(self.average.state_dict(), keep=keep),
            "module": plain,
            "patience": None if self.patience is None else dict(self.patience.state),
        }
        values = self.rows[-1].values() if self.rows else {}
        return Snapshot(self.step, self.clock.epoch, weights, state, values, self.ledger.packed())

    def _own(self) -> dict[str, Any]:
        """What is another in each process."""
        return {
            "vary": self.vary.get_state(),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "tally": None if self.tally is None else self.tally.state(),
        }

    def _restore_own(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Of as many processes as there were: what random numbers come next, and the epoch under way."""
        if self.world.rank < len(states):
            own = states[self.world.rank]
            self.vary.set_state(own["vary"])
            torch.set_rng_state(own["random"])
            if own["cuda"] is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(own["cuda"], self.device)
        if states[0]["tally"] is not None:
            mine = [state["tally"] for state in states[self.world.rank :: self.world.size]]
            self.tally = Tally(self.objective.names, self.meters)
            self.tally.load_states(mine, self.device)

    def restore(self, weights: Mapping[str, torch.Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; KeyError, ValueError or RuntimeError when it is one of something else."""
        module = self.objective.module
        own = module.state_dict()
        known = {n: piece_of(x, own[n]) if n in own else x for n, x in (state["module"] or weights).items()}
        load_state(module, known)
        for update, known in zip(self.updates, state["updates"], strict=True):
            update.load_state_dict(known)
        self.average.load_state_dict(state["average"])
        self.clock.step, self.clock.epoch, self.position = state["step"], state["epoch"], state["position"]
        self.seconds = state["seconds"]
        self.order.set_state(state["order"])
        self._epoch_began = state["order"]
        self.ledger.load(state["rows"])
        if self.patience is not None and state["patience"] is not None:
            self.patience.state.update(state["patience"])
            self.ended = "stopped early" if self.patience.over else None
        self._restore_own(state["processes"])

    @property
    def elapsed(self) -> float:
        """Seconds that the run took so far, those of its earlier parts included."""
        return self.seconds + time.perf_counter() - self._started
