"""The training loop: epochs over batches in memory, with validation, and everything kept that a run yields."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import torch

from nnspec import ir
from nnspec.training.dataset import Loaded
from nnspec.training.fault import Fault
from nnspec.training.keep import Keeper
from nnspec.training.progress import Outline, Progress, Row
from nnspec.training.rundir import RunDirectory
from nnspec.training.samples import Batches, Fields, Samples, prepare
from nnspec.training.stop import Stopper
from nnspec.training.update import Update
from nnspec.training.wiring import Wiring, wire

Measure = Callable[..., torch.Tensor]
"""A loss or a metric: tensors by the order of `Training.names` -> a scalar."""

_SHOW_EVERY = 0.1
_CHECK_EVERY = 32
"""Steps between looks at the loss on a device where a look waits for all that was asked of it."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    status: Literal["finished", "interrupted"]
    epochs: int
    steps: int
    seconds: float
    rows: tuple[Row, ...]
    best: Row | None
    directory: Path | None

    def json(self) -> dict[str, Any]:
        """As it is written into `result.json`."""
        last = self.rows[-1].json() if self.rows else None
        best = self.best.json() if self.best else None
        numbers = {"epochs": self.epochs, "steps": self.steps, "seconds": round(self.seconds, 3)}
        return {"status": self.status, **numbers, "best": best, "last": last}


def fit(
    module: torch.nn.Module,
    training: ir.Training,
    loaded: Loaded,
    loss: Measure,
    metrics: Mapping[str, Measure],
    *,
    device: torch.device | None = None,
    wiring: Wiring | None = None,
    standardized: Sequence[str] = (),
    run: RunDirectory | None = None,
    progress: Progress | None = None,
    title: str = "",
) -> Result:
    """Train a module in place. The data has been checked (`check_fields`); `standardized` fields are brought to scale.

    The seed decides the split, the order of the samples and dropout; the weights are what the module comes with.
    Raises `Fault` when the loss stops being finite: the best weights so far are kept.
    """
    device = device or torch.device("cpu")
    progress = progress or Progress()
    seed = training.settings.get("seed", 0)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    samples = prepare(training, loaded, standardized, generator)
    module.to(device)
    fitting = _Fitting(
        module=module,
        measures={"loss": loss, **metrics},
        wiring=wiring or wire(training),
        samples=samples,
        update=Update(training.updates[0].optimizer, dict(module.named_parameters()), device),
        keeper=Keeper(module, run),
        progress=progress,
        generator=generator,
        device=device,
        settings=training.settings,
    )
    if run is not None:
        run.write_json("data.json", _describe(samples, loaded))
    progress.start(fitting.outline(_headline(title, module, samples, device), loaded.notes))
    try:
        return _finished(fitting, _in_memory(fitting), run)
    except Fault as fault:
        fitting.keeper.save_best()
        if run is not None:
            where = {"epoch": len(fitting.rows) + 1, "step": fitting.step}
            run.write_json("result.json", {"status": "failed", "message": fault.message, **where})
        raise
    finally:
        progress.close()


def _in_memory(fitting: _Fitting) -> Result:
    try:
        return fitting.run()
    except torch.OutOfMemoryError as error:
        half = max(fitting.batches.size // 2, 1)
        reason = str(error).partition("\n")[0]
        raise Fault(
            f"{fitting.device} has not enough memory for batches of {fitting.batches.size:,}",
            code="NNS625",
            notes=(reason,),
            helps=(f"try batch_size = {half}",),
        ) from None
    except ValueError as error:
        # Torch's own words: a batch norm has no variance to take from a single value.
        if "more than 1 value per channel" not in str(error):
            raise
        raise Fault(
            "a batch norm cannot train on one sample at a time",
            code="NNS603",
            notes=(str(error),),
            helps=("use a larger batch_size",),
        ) from None


def _finished(fitting: _Fitting, result: Result, run: RunDirectory | None) -> Result:
    if run is not None:
        run.write_json("result.json", result.json())
    rows = {"last": result.rows[-1]} if result.rows else {}
    if result.best is not None:
        rows = {"best": result.best} | (rows if result.best is not result.rows[-1] else {})
    how = "finished" if result.status == "finished" else "stopped"
    where = f"; weights in {run.path}" if run is not None else ""
    fitting.progress.finish(rows, f"{how} after {result.steps:,} steps in {result.seconds:.1f} s{where}")
    return result


@dataclass
class _Fitting:
    """One run of the loop."""

    module: torch.nn.Module
    measures: Mapping[str, Measure]
    wiring: Wiring
    samples: Samples
    update: Update
    keeper: Keeper
    progress: Progress
    generator: torch.Generator
    device: torch.device
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        size = self.settings.get("batch_size", 32)
        self.batches = Batches(self.samples.train, size, self.device)
        held = self.samples.validation
        self.held = None if held is None else Batches(held, size, self.device)
        steps = self.settings.get("steps")
        self.epochs = self.settings.get("epochs") or (-(-steps // len(self.batches)) if steps else 1)
        self.steps = steps or self.epochs * len(self.batches)
        self.step = 0
        self.rows: list[Row] = []
        self.check_every = 1 if self.device.type == "cpu" else _CHECK_EVERY

    def outline(self, headline: str, notes: tuple[str, ...]) -> Outline:
        return Outline(self.epochs, len(self.batches), self.steps, self.batches.size, headline, notes)

    def run(self) -> Result:
        start = time.perf_counter()
        with Stopper() as stopper:
            while self.step < self.steps and not stopper.asked:
                row = self.epoch(stopper)
                if row is None:
                    break
                self.rows.append(row)
                self.keeper.epoch(row)
                self.progress.epoch(row)
        self.keeper.save(len(self.rows), self.step)
        return Result(
            "finished" if self.step >= self.steps else "interrupted",
            len(self.rows),
            self.step,
            time.perf_counter() - start,
            tuple(self.rows),
            self.keeper.best,
            self.keeper.run.path if self.keeper.run else None,
        )

    def epoch(self, stopper: Stopper) -> Row | None:
        """Once through the data; None when it was asked to stop on the way."""
        start = shown = time.perf_counter()
        tally = Tally(self.measures)
        self.module.train()
        for batch in self.batches.shuffled(self.generator):
            if stopper.asked:
                return None
            if self.step == self.steps:
                break
            self.train_step(batch, tally)
            now = time.perf_counter()
            if now - shown > _SHOW_EVERY:
                shown = now
                self.progress.step(len(self.rows) + 1, self.step, tally.last_loss(), tally.count / (now - start))
        self.check(tally)
        train = tally.means()
        seconds = time.perf_counter() - start
        validation = {} if self.held is None else self.evaluate(self.held)
        return Row(len(self.rows) + 1, self.step, train, validation, seconds, tally.count / seconds)

    def train_step(self, batch: Fields, tally: Tally) -> None:
        """One batch: forward, backward, update."""
        self.update.zero_grad()
        loss, arguments = self.loss(batch)
        tally.add(loss.detach(), arguments, len(next(iter(batch.values()))))
        if tally.steps % self.check_every == 0:
            self.check(tally)
        if not loss.requires_grad:
            raise Fault(
                "the loss does not depend on the model's parameters: there is nothing to learn",
                code="NNS626",
                helps=("let it use an output that is computed from them, by more than comparisons and choices",),
            )
        loss.backward()  # type: ignore[no-untyped-call]
        self.update.step(loss, lambda: self.gradients(batch))
        self.step += 1

    def loss(self, batch: Fields) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        """The loss of a batch, and what the metrics are worked out from."""
        arguments = self.wiring.arguments(self.wiring.call(self.module, batch), batch, training=True)
        return self.measures["loss"](*arguments), arguments

    def gradients(self, batch: Fields) -> torch.Tensor:
        """The loss of a batch once more, with its gradients, for an optimizer that searches."""
        self.update.zero_grad()
        loss, _ = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    def check(self, tally: Tally) -> None:
        """Stop at a loss that is not finite: nothing good comes after it."""
        found = tally.not_finite()
        if found is None:
            return
        step = found + 1
        before = f"the loss before it was {tally.losses[found - 1].item():.6g}" if found else "it is the epoch's first"
        raise Fault(
            f"the loss is {tally.losses[found].item()} in epoch {len(self.rows) + 1}, step {step:,} of the epoch",
            code="NNS621",
            notes=(before, *(("the best weights so far are kept",) if self.keeper.kept else ())),
            helps=("a smaller learning rate, such as a tenth, is the usual repair",),
        )

    @torch.no_grad()
    def evaluate(self, batches: Batches) -> dict[str, float]:
        """Loss and metrics over all samples, in inference."""
        self.module.eval()
        tally = Tally(self.measures)
        for batch in batches.in_order():
            arguments = self.wiring.arguments(self.wiring.call(self.module, batch), batch, training=False)
            tally.add(self.measures["loss"](*arguments), arguments, len(next(iter(batch.values()))))
        return tally.means()


class Tally:
    """Means over all samples of an epoch: values of batches, weighed by their sizes, so that a smaller one counts less.

    Values stay on the device until the end; a number that is no mean over samples would need a state of its own here.
    """

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        self.measures = measures
        self.losses: list[torch.Tensor] = []
        self.others: dict[str, list[torch.Tensor]] = {name: [] for name in measures if name != "loss"}
        self.sizes: list[int] = []
        self.count = 0
        self._checked = 0

    @property
    def steps(self) -> int:
        """Batches so far."""
        return len(self.losses)

    def add(self, loss: torch.Tensor, arguments: Sequence[torch.Tensor], size: int) -> None:
        """A batch: its loss, what the metrics are worked out from, and how many samples it has."""
        self.losses.append(loss)
        if self.others:
            with torch.no_grad():
                for name, values in self.others.items():
                    values.append(self.measures[name](*arguments))
        self.sizes.append(size)
        self.count += size

    def last_loss(self) -> float:
        """The loss of the last batch."""
        return self.losses[-1].item()

    def not_finite(self) -> int | None:
        """The first batch, of those not looked at before, whose loss is not finite."""
        fresh = range(self._checked, len(self.losses))
        self._checked = len(self.losses)
        return next((i for i in fresh if not isfinite(self.losses[i].item())), None)

    def means(self) -> dict[str, float]:
        """Each measure's mean over all samples."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        everything = {"loss": self.losses, **self.others}
        return {name: _mean(values, sizes) for name, values in everything.items()}


def _mean(values: Sequence[torch.Tensor], sizes: torch.Tensor) -> float:
    return (torch.stack(tuple(values)).to("cpu", torch.float64) @ sizes / sizes.sum()).item()


def _headline(title: str, module: torch.nn.Module, samples: Samples, device: torch.device) -> str:
    count = _length(samples.train)
    held = f", {_length(samples.validation):,} to validate" if samples.validation else ""
    weights = sum(p.numel() for p in module.parameters())
    return f"{title}{': ' * bool(title)}{count:,} samples to train{held}; {weights:,} parameters; {device}"


def _length(fields: Fields) -> int:
    return len(next(iter(fields.values())))


def _describe(samples: Samples, loaded: Loaded) -> dict[str, Any]:
    """What the data was, and the constants that whoever uses the weights must apply to theirs."""
    return {
        "samples": {"train": _length(samples.train), "validation": _length(samples.validation or {"": torch.empty(0)})},
        "fields": {name: f"{x.dtype}{list(x.shape[1:])}".removeprefix("torch.") for name, x in samples.train.items()},
        "classes": loaded.classes,
        "standardize": {
            name: {"mean": s.mean.tolist(), "deviation": s.deviation.tolist()} for name, s in samples.standard.items()
        },
        "notes": loaded.notes,
    }
