"""The training loop: exact steps, a hand-written loop's bits, means over all samples, and what a run leaves behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from nnspec import ir
from nnspec.training.dataset import BATCH, Loaded, field_type
from nnspec.training.fault import Fault
from nnspec.training.feeding.feed import Batches, Part, Share
from nnspec.training.feeding.pipeline import Pipeline
from nnspec.training.listener import Listener, Row
from nnspec.training.result import Result
from nnspec.training.running import keep
from nnspec.training.running.assemble import Assembled, assemble
from nnspec.training.running.fit import explained, fit
from nnspec.training.running.meters import Ratio
from nnspec.training.running.objective import Loss, Single
from nnspec.training.running.wiring import wire
from nnspec.training.runs.checkpoint import FOLDER, WEIGHTS, names_in, read_index
from nnspec.training.runs.directory import RunDirectory

NO_GRAPH = ir.Graph((), (), (), ())
CPU = torch.device("cpu")


def accuracy(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return (scores.argmax(1) == label).float().mean()


def blobs(count: int = 90, features: int = 4, classes: int = 3) -> Loaded:
    rng = np.random.default_rng(0)
    label = np.arange(count, dtype="int64") % classes
    x = rng.normal(size=(count, features)).astype("float32") + 2 * np.eye(classes, features, dtype="float32")[label]
    return Loaded({"x": x, "label": label})


def training(optimizer: ir.Record | None = None, **settings: Any) -> ir.Training:
    return ir.Training(
        0,
        ir.Record("Moons", {}),
        {"x": field_type("float32", 4), "label": field_type("int64")},
        {"x": "x"},
        (("model", "scores"), ("data", "label")),
        (ir.Update(NO_GRAPH, optimizer or ir.Record("Adam", {"lr": 0.01})),),
        settings={"epochs": 3, "batch_size": 16, "seed": 3, "split": 0.2} | settings,
    )


def network(seed: int = 0, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 3))


class Accuracy(Ratio):
    """The accuracy of arguments that are scores and labels."""

    def __init__(self) -> None:
        super().__init__(lambda scores, label: ((scores.argmax(1) == label).sum(), len(label)))


def put_together(
    module: nn.Module,
    section: ir.Training,
    loss: Loss = F.cross_entropy,
    listener: Listener | None = None,
    loaded: Loaded | None = None,
    standardized: Sequence[str] = (),
) -> Assembled:
    objective = Single(module, wire(section), [loss])
    data, listener = (loaded or blobs(), None), listener or Listener()
    return assemble(section, objective, {"accuracy": Accuracy()}, data, CPU, listener, standardized=standardized)


def fitted(
    module: nn.Module,
    section: ir.Training,
    loss: Loss = F.cross_entropy,
    run: RunDirectory | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> Result:
    made = put_together(module, section, loss, listener, **options)
    with explained(run, made.loop):
        return fit(made, section, listener or Listener(), run)


def test_plain_sgd_moves_every_weight_by_minus_lr_times_its_gradient() -> None:
    # A power of two times the gradient is exact, so that the whole step has one rounding.
    lr, loaded = 0.25, blobs()
    section = training(ir.Record("SGD", {"lr": lr}), epochs=1, batch_size=len(loaded), split=0.0)
    module, before = network(), network()
    fitted(module, section, loaded=loaded)
    order = torch.randperm(len(loaded), generator=torch.Generator().manual_seed(3))
    x, label = (torch.from_numpy(loaded.fields[name])[order] for name in ("x", "label"))
    F.cross_entropy(before(x), label).backward()  # type: ignore[no-untyped-call]
    for moved, start in zip(module.parameters(), before.parameters(), strict=True):
        assert start.grad is not None
        assert start.grad.abs().sum() > 0
        assert torch.equal(moved, start - lr * start.grad)


def test_training_equals_a_hand_written_loop_to_the_last_bit() -> None:
    loaded, epochs, size, seed = blobs(), 3, 16, 3
    module, mine = network(dropout=0.3), network(dropout=0.3)
    result = fitted(module, training(), loaded=loaded)

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(90, generator=generator)
    x, label = torch.from_numpy(loaded.fields["x"]), torch.from_numpy(loaded.fields["label"])
    x_train, label_train, x_held, label_held = x[order[18:]], label[order[18:]], x[order[:18]], label[order[:18]]
    optimizer = torch.optim.Adam(mine.parameters(), lr=0.01, fused=True)
    for row in result.rows[:epochs]:
        mine.train()
        total = 0.0
        for picked in _parts(torch.randperm(72, generator=generator), size):
            optimizer.zero_grad()
            loss = F.cross_entropy(mine(x_train[picked]), label_train[picked])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(picked)
        assert row.train["loss"] == pytest.approx(total / 72, rel=1e-12)
        mine.eval()
        with torch.no_grad():
            scores = torch.cat([mine(part) for part in _parts(x_held, size)])
        assert row.validation["loss"] == pytest.approx(F.cross_entropy(scores, label_held).item(), rel=1e-6)
        assert row.validation["accuracy"] == pytest.approx(accuracy(scores, label_held).item(), rel=1e-7)
    for mine_weight, weight in zip(mine.parameters(), module.parameters(), strict=True):
        assert torch.equal(mine_weight, weight)


def _parts(x: torch.Tensor, size: int) -> list[torch.Tensor]:
    return [x[i : i + size] for i in range(0, len(x), size)]


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    def losses(seed: int) -> list[float]:
        return [row.train["loss"] for row in fitted(network(dropout=0.2), training(seed=seed)).rows]

    assert losses(1) == losses(1) != losses(2)


def test_means_weigh_a_smaller_last_batch_by_its_size() -> None:
    section = training(ir.Record("SGD", {"lr": 0.0}), epochs=1, batch_size=16, split=0.0)
    loaded, module = blobs(40), network()
    row = fitted(module, section, loaded=loaded).rows[0]
    scores, label = module(torch.from_numpy(loaded.fields["x"])), torch.from_numpy(loaded.fields["label"])
    assert row.train["accuracy"] == pytest.approx(accuracy(scores, label).item(), rel=1e-7)
    assert row.train["loss"] == pytest.approx(F.cross_entropy(scores, label).item(), rel=1e-6)


def batches(count: int, size: int, share: Share | None = None) -> Batches:
    part = Part({"x": np.arange(count)}, None)
    return Batches(part, {"x": Pipeline()}, size, CPU, share=share)


@pytest.mark.parametrize(("count", "size", "sizes"), [(7, 3, [3, 4]), (8, 3, [3, 3, 2]), (1, 3, [1]), (4, 9, [4])])
def test_a_single_sample_at_the_end_joins_the_batch_before(count: int, size: int, sizes: list[int]) -> None:
    made = batches(count, size)
    seen = [batch.fields["x"] for batch in made.shuffled(torch.Generator().manual_seed(0), torch.Generator())]
    assert [len(x) for x in seen] == sizes == [len(batch) for batch in made.in_order()]
    assert len(made) == len(sizes)
    assert sorted(torch.cat(seen).tolist()) == list(range(count))


def test_standardisation_uses_the_training_part_only() -> None:
    loaded = blobs(50)
    loaded.fields["x"][:, 1] = 7.0  # type: ignore[index]
    seen: list[torch.Tensor] = []

    class Spy(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.append(x)
            return super().forward(x)

    fitted(Spy(4, 3), training(epochs=1), loaded=loaded, standardized=("x", "unused"))
    x = torch.cat(seen)
    assert x.mean(0).tolist() == pytest.approx([0.0] * 4, abs=1e-6)
    assert x.std(0, correction=0).tolist() == pytest.approx([1, 0, 1, 1], abs=1e-5)


def test_steps_end_a_run_in_the_middle_of_an_epoch() -> None:
    result = fitted(network(), training(epochs=None, steps=7))  # an epoch has 5
    assert (result.status, result.steps, [row.step for row in result.rows]) == ("finished", 7, [5, 7])


def test_a_run_without_validation_is_judged_by_its_training_loss() -> None:
    result = fitted(network(), training(split=0.0))
    assert all(row.validation == {} for row in result.rows)
    assert result.best == min(result.rows, key=lambda row: row.train["loss"])


def saved(run: RunDirectory, which: str = "last") -> dict[str, torch.Tensor]:
    name = read_index(run.path / FOLDER)[which]
    assert name is not None
    return load_file(run.path / FOLDER / name / WEIGHTS)


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_run_leaves_its_result_and_checkpoints(tmp_path: Path) -> None:
    run, module = RunDirectory.create(tmp_path / "runs", "my net"), network()
    result = fitted(module, training(), run=run)
    assert result.directory == run.path == tmp_path / "runs" / "my_net-1"
    assert json.loads((run.path / "result.json").read_text())["status"] == "finished"
    assert same(saved(run), module.state_dict())
    assert names_in(run.path / FOLDER) == ["step-00000015"]
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "result.json"]


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    states: list[dict[str, torch.Tensor]] = []
    module, run = network(), RunDirectory(tmp_path)

    class Watch(Listener):
        def epoch(self, row: Row) -> None:
            states.append({name: w.clone() for name, w in module.state_dict().items()})

    section = training(ir.Record("SGD", {"lr": 3.0}), epochs=8, batch_size=8)  # too high: the loss jumps about
    result = fitted(module, section, run=run, listener=Watch())
    assert result.best is not None
    assert result.best.validation["loss"] == min(row.validation["loss"] for row in result.rows)
    assert result.best.epoch < 8
    assert same(saved(run, "best"), states[result.best.epoch - 1])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_best(value: float, tmp_path: Path) -> None:
    calls = 0

    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += scores.requires_grad
        return F.cross_entropy(scores, label) * (value if calls == 8 else 1.0)

    module, run = network(), RunDirectory(tmp_path)
    with pytest.raises(Fault) as caught:
        fitted(module, training(), loss, run=run)
    assert caught.value.code == "NNS621"
    assert caught.value.message == f"the loss is {value} in epoch 2, batch 3 of 5, after 7 steps"
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "failed"
    assert all(w.isfinite().all() for w in saved(run, "best").values())
    assert all(w.isfinite().all() for w in module.parameters())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops(number: signal.Signals, tmp_path: Path) -> None:
    before = signal.getsignal(number)

    class Interrupt(Listener):
        def epoch(self, row: Row) -> None:
            if row.epoch == 2:
                os.kill(os.getpid(), number)

    module, run = network(), RunDirectory(tmp_path)
    result = fitted(module, training(epochs=100), run=run, listener=Interrupt())
    assert (result.status, result.epochs) == ("interrupted", 2)
    assert json.loads((tmp_path / "result.json").read_text())["status"] == "interrupted"
    assert same(saved(run), module.state_dict())
    assert signal.getsignal(number) is before


def test_a_second_interrupt_stops_at_once() -> None:
    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return F.cross_entropy(scores, label)

    with pytest.raises(KeyboardInterrupt):
        fitted(network(), training(batch_size=72), lambda *x: loss(*x) + loss(*x))


@pytest.mark.parametrize(("shortest", "steps"), [(10.0, []), (0.0, [5, 10, 15])])
def test_epochs_are_saved_but_not_more_often_than_that(
    shortest: float, steps: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    class Look(Listener):
        def checkpoint(self, directory: Path) -> None:
            written.append(directory.name)

        def finish(self, result: Result) -> None:
            written.append("end")

    monkeypatch.setattr(keep, "SHORTEST", shortest)
    fitted(network(), training(), run=RunDirectory(tmp_path), listener=Look())
    assert written == [f"step-{step:08}" for step in steps or [15]] + ["end"]


def test_tied_weights_are_saved_once(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)
            self.last.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.last(self.first(x))
            return found

    run = RunDirectory(tmp_path)
    fitted(Tied(), training(), run=run)
    assert sorted(saved(run)) == ["first.bias", "first.weight", "last.bias"]


def test_too_little_memory_says_which_batch_fits() -> None:
    def loss(scores: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        if len(label) > 5:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate 20 MiB")
        return F.cross_entropy(scores, label)

    with pytest.raises(Fault) as caught:
        fitted(network(), training(), loss)
    assert caught.value.code == "NNS625"
    assert caught.value.helps[0] == "batch_size = 4 fits"


def test_a_single_sample_cannot_be_split() -> None:
    with pytest.raises(Fault, match="cannot be split"):
        fitted(network(), training(), loaded=blobs(1))


def test_the_batch_has_a_symbol_of_its_own() -> None:
    assert str(field_type("float32", 3)) == f"float[{BATCH}, 3]"
