"""What long and unlucky runs meet: epochs without end, sums that do not depend on when they are taken, batch norms."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnspec import ir
from nnspec.compiler import compile_text
from nnspec.compiler_run import train
from nnspec.diagnostics import NnspecError
from nnspec.training.feeding import feed, headroom
from nnspec.training.feeding.feed import Batches, Part
from nnspec.training.feeding.pipeline import Pipeline
from nnspec.training.listener import Listener, Listeners, Row
from nnspec.training.running import tally
from nnspec.training.running.culprit import culprit
from nnspec.training.running.judge import Best, Judge, Patience
from nnspec.training.running.ledger import Ledger
from nnspec.training.running.meters import Mean
from nnspec.training.running.tally import Tally
from nnspec.training.updating.averaging import average_of
from nnspec.training.updating.precision import Precision

CPU = torch.device("cpu")
EAGER = Precision("32", CPU)

SPEC = """
model Net {
  input features: float[N, 4]
  h = features -> Linear(8) -> ReLU
  output logits = h -> Linear(3)
  if training { output aux = h -> Linear(3) }
}

train {
  data      = Iris()
  loss      = cross_entropy(logits, label) + cross_entropy(aux, label)
  optimizer = Adam()
  epochs    = 2
  SETTINGS
}
"""


# --- what adds up ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [1, 1023, 1024, 2047, 2048, 2049, 5000])
def test_a_mean_does_not_depend_on_when_it_was_stored(batches: int) -> None:
    draw = random.Random(batches)
    losses = [torch.tensor(draw.uniform(0, 10)) for _ in range(batches)]
    sizes = [draw.randint(1, 64) for _ in losses]
    whole, parts = Tally(["loss"], {}), Tally(["loss"], {})
    mean, stored = Mean(), Mean()
    for at, (loss, size) in enumerate(zip(losses, sizes, strict=True)):
        if at in (1, batches // 3, batches // 2):
            again = Tally(["loss"], {})
            again.load_states([parts.state()], CPU)
            parts = again
            stored.load_state(stored.state())
        for each in (whole, parts):
            each.loss(0, loss, size)
            each.batch(None, size)
        mean.update((loss,), size)
        stored.update((loss,), size)
        assert len(parts._losses[0].values) < 2 * tally._KEPT
    expected = sum(x.item() * n for x, n in zip(losses, sizes, strict=True)) / sum(sizes)
    assert mean.compute() == stored.compute() == expected
    assert whole.means() == parts.means() == {"loss": expected}


@pytest.mark.parametrize("bad", [0, 31, 1500, 2047, 2048, 2500])
def test_a_loss_that_is_not_finite_is_found_late_by_its_number(bad: int) -> None:
    known = Tally(["loss"], {})
    for at in range(3000):
        known.loss(0, torch.tensor(float("nan") if at == bad else float(at)), 1)
        if at % 32 == 31 and (found := known.not_finite()) is not None:
            break
    else:
        found = known.not_finite()
    assert found is not None
    assert found[:2] == (0, bad)
    assert known.before(0, bad) == (bad - 1 if bad else None)


def test_rows_are_packed_and_come_back_as_they_were() -> None:
    rows = [
        Row(1, 5, {"loss": 0.1}, {}, 0.25, 1e6, {"lr": 0.1}),
        Row(2, 10, {"loss": float("nan"), "f1": 1 / 3}, {"loss": float("inf")}, 0.5, 7.0, {"lr": 0.05}),
        Row(3, 15, {"loss": 1e-300, "f1": 0.5}, {"loss": -0.0}, 0.5, 7.0, {"lr": 0.05}),
    ]
    ledger, again = Ledger(), Ledger()
    later = []
    for row in rows:
        ledger.add(row)
        later.append(ledger.packed())
    again.load(later[-1]())
    assert repr(again.rows) == repr(rows)
    again.load(later[0]())  # packed late, and of its own moment all the same
    assert repr(again.rows) == repr(rows[:1])
    again.load([])
    assert again.rows == []


def test_a_hundred_thousand_rows_take_few_bytes_in_a_checkpoint(tmp_path: Path) -> None:
    ledger = Ledger()
    for epoch in range(100_000):
        ledger.add(Row(epoch + 1, epoch, {"loss": 0.5}, {"loss": 0.25}, 0.1, 1.0, {"lr": 0.1}))
    torch.save(ledger.packed()(), tmp_path / "rows.pt")
    assert (tmp_path / "rows.pt").stat().st_size < 8 << 20


# --- what is not finite ----------------------------------------------------------------------------------------------


class Masked(nn.Module):
    """Takes the softmax of what a mask leaves, and a logarithm on the way."""

    def __init__(self, shift: float, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.shift, self.hidden = shift, hidden

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.arange(3) < self.hidden
        scores = self.fc(x).masked_fill(mask, float("-inf")).softmax(1)
        found: torch.Tensor = (scores + self.shift).log().clamp_min(-100)
        return found


def told(module: nn.Module, x: torch.Tensor, loss: Any = torch.mean) -> str:
    return culprit(module, {"x": x}, lambda: loss(module(x)), EAGER.autocast())


def test_the_first_that_is_not_finite_is_named() -> None:
    x = torch.ones(4, 3)
    assert "`log` in the model, outside of its layers" in told(Masked(-2.0, 0), x)
    assert "`softmax` in the model" in told(Masked(1.0, 3), x)  # of nothing but what is masked: not the mask
    assert "`log` in the loss" in told(Masked(1.0, 1), x, lambda y: (y - 1e3).log().mean())
    assert "finite" in told(Masked(1.0, 1), x)
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    nested = nn.Sequential(first, nn.Sequential(second, nn.Tanh()))
    with torch.no_grad():
        second.weight.fill_(3e38)
        first.weight.fill_(9.0)
    assert "that of `1.0` (Linear)" in told(nested, x, lambda y: y.sum() * float("inf"))
    blocks = nn.Sequential(nn.Identity(), Masked(-2.0, 0))
    assert "`log` in `1` (Masked)" in told(blocks, x)


def test_data_and_weights_that_are_not_finite_are_named_first() -> None:
    x = torch.ones(4, 3)
    x[2, 1] = float("nan")
    assert told(nn.Linear(3, 2), x) == "the data is not finite: `x`, first in sample 3 of the batch"
    x[0] = float("inf")
    assert "first in sample 1" in told(nn.Linear(3, 2), x)
    column = torch.tensor([1.0, 2.0, float("nan")])
    assert "first in sample 3" in culprit(nn.Linear(1, 1), {"y": column}, column.sum, EAGER.autocast())
    broken = nn.Linear(3, 2)
    with torch.no_grad():
        broken.bias[0] = float("inf")
    assert "the parameter `bias` is not finite" in told(broken, torch.ones(4, 3))


def test_what_is_drawn_at_random_may_hide_it() -> None:
    x = torch.ones(4, 3)
    assert "drawn at random" in culprit(nn.Linear(3, 2), {"x": x}, x.sum, EAGER.autocast())


def test_half_precision_overflows_where_it_did() -> None:
    x, module = torch.full((4, 3), 3e4), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        module.weight.fill_(3.0)
    half = Precision("16-mixed", CPU)
    assert "(Linear)" in culprit(nn.Sequential(module), {"x": x}, lambda: module(x).float().mean(), half.autocast())


ROOT = """
model Net {
  input features: float[N, 4]
  output y = features -> Linear(1, bias=false)
}

train {
  data      = Iris()
  loss      = mean(sqrt(y * y * 0.0))
  optimizer = SGD(lr=0.1)
  SETTINGS
}
"""


@pytest.mark.parametrize("settings", ["steps = 1", "steps = 1\n  split = 0", "checkpoint = (every=1, keep=1)"])
def test_weights_that_a_step_spoils_are_not_kept(settings: str, tmp_path: Path) -> None:
    with pytest.raises(NnspecError) as caught:
        train(compile_text(ROOT.replace("SETTINGS", settings), "net.nns", train=True), base=tmp_path, root=tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS621"
    assert "the parameter `linear.weight` is not finite any more" in str(caught.value)
    assert [place.name for place in (tmp_path / "Net-1/checkpoints").glob("step-*")] == ["step-00000000"]


# --- what there is in training only ----------------------------------------------------------------------------------


def test_an_output_in_training_only_trains_without_validation(tmp_path: Path) -> None:
    _, result = train(compile_text(SPEC.replace("SETTINGS", "split = 0"), "net.nns", train=True), base=tmp_path)
    assert result.status == "finished"


@pytest.mark.parametrize("settings", ["split = 0.2", "fold = (0, 5)", "validation = Iris()"])
def test_and_is_refused_where_something_is_validated(settings: str, tmp_path: Path) -> None:
    with pytest.raises(NnspecError) as caught:
        train(compile_text(SPEC.replace("SETTINGS", settings), "net.nns", train=True), base=tmp_path)
    assert caught.value.diagnostics[0].code == "NNS604"


# --- averages --------------------------------------------------------------------------------------------------------


def test_batch_norms_are_measured_anew_and_nothing_else() -> None:
    module = nn.Sequential(nn.InstanceNorm1d(2, track_running_stats=True), nn.BatchNorm1d(2))
    settings = {"epochs": 2}
    parameters = dict(module.named_parameters())
    average = average_of(ir.Record("SWA", {"start": 0}), parameters, module, steps_per_epoch=1, settings=settings)
    module(torch.randn(8, 2, 5))
    before = {name: x.clone() for name, x in module.state_dict().items()}
    replays = []

    def replay() -> None:
        replays.append(module(3 + torch.randn(8, 2, 5)))

    average.epoch()
    with average.applied(replay):
        within = {name: x.clone() for name, x in module.state_dict().items()}
    after = module.state_dict()
    assert all(torch.equal(after[name], x) for name, x in before.items())
    changed = {name for name, x in within.items() if not torch.equal(x, before[name])}
    assert changed == {"1.running_mean", "1.running_var"}
    average.settle(replay)
    assert all(torch.equal(module.state_dict()[name], x) for name, x in within.items())
    assert len(replays) == 1


def test_the_model_comes_back_with_the_average(tmp_path: Path) -> None:
    text = SPEC.replace("SETTINGS", "split = 0\n  average = EMA(decay=0.5)")
    model, result = train(compile_text(text, "net.nns", train=True), base=tmp_path, root=tmp_path)
    assert result.directory is not None
    from safetensors.torch import load_file

    kept = load_file(result.directory / "checkpoints" / f"step-{result.steps:08}" / "model.safetensors")
    assert all(torch.equal(kept[name], x) for name, x in model.state_dict().items())


# --- data that is read on the way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_it_within_an_epoch_does_not_disturb_the_epoch(workers: int) -> None:
    part = Part({"x": np.arange(40, dtype="int64")}, None)
    batches = Batches(part, {"x": Pipeline()}, 4, CPU, workers=workers, memory=0)
    draws = torch.Generator().manual_seed(0), torch.Generator()
    seen = []
    for at, batch in enumerate(batches.shuffled(*draws)):
        seen += batch.fields["x"].tolist()
        if at in (0, 5):
            assert [x for each in batches.in_order() for x in each.fields["x"].tolist()] == list(range(40))
    assert seen == torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist()


def test_memory_is_what_a_container_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert feed._free_memory() > 0
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 200000\nactive_file 5\n")
    assert headroom._allowed(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert headroom._allowed(tmp_path) is None
    assert headroom._allowed(tmp_path / "nowhere") is None


def test_all_listeners_are_closed_whatever_one_of_them_raises() -> None:
    closed = []

    class Bad(Listener):
        def close(self) -> None:
            closed.append("bad")
            raise OSError("cannot be closed")

    class Good(Listener):
        def close(self) -> None:
            closed.append("good")

    with pytest.raises(OSError, match="cannot be closed"):
        Listeners([Good(), Bad(), Good()]).close()
    assert closed == ["good", "bad", "good"]


# --- steps of several batches, and patience --------------------------------------------------------------------------

SHARES = """
model Net {
  input features: float[N, 4]
  output y = features -> Linear(1)
}

train {
  data      = Iris()
  split     = 0
  loss      = mean((y - 1.0) ** 2)
  optimizer = SGD(lr=0.125)
  SETTINGS
}
"""


@pytest.mark.parametrize(("size", "accumulate"), [(40, 4), (70, 2), (40, 8), (149, 2)])
def test_uneven_batches_make_the_step_of_all_their_samples(size: int, accumulate: int, tmp_path: Path) -> None:
    def end(settings: str) -> nn.Module:
        return train(compile_text(SHARES.replace("SETTINGS", settings), "net.nns", train=True), base=tmp_path)[0]

    whole = end("batch_size = 150\n  epochs = 2")
    parts = end(f"batch_size = {size}\n  accumulate = {accumulate}\n  epochs = 2")
    for mine, theirs in zip(parts.parameters(), whole.parameters(), strict=True):
        if size * accumulate >= 150:
            torch.testing.assert_close(mine, theirs)
        else:
            assert not torch.allclose(mine, theirs)


@pytest.mark.parametrize(
    ("numbers", "delta", "higher", "ends"),
    [
        ([1.0, 0.95, 0.9, 0.85], 0.2, False, 3),
        ([1.0, 0.95, 0.9, 0.85], 0.0, False, None),
        ([1.0, 0.7, 0.65, 0.6], 0.2, False, 4),
        ([0.1, 0.15, 0.2, 0.25], 0.2, True, 3),
        ([0.1, 0.4, 0.35, 0.7], 0.2, True, None),
        ([float("nan"), float("nan"), 0.1], 0.0, False, 2),
        ([float("inf"), 0.5, 0.4, 0.3], 0.0, False, None),
    ],
)
def test_patience_waits_for_what_is_better_by_so_much(
    numbers: list[float], delta: float, higher: bool, ends: int | None
) -> None:
    patience = Patience(Judge("val/x", higher), 2, delta)
    rows = [Row(i, i, {}, {"x": value}, 0.0, 0.0) for i, value in enumerate(numbers, 1)]
    ended = next((row.epoch for row in rows if patience.exhausted(row)), None)
    assert ended == ends


@pytest.mark.parametrize(
    ("numbers", "higher", "best"),
    [
        ([float("nan"), float("-inf"), 0.5, 0.4, float("nan"), 0.4], False, 4),
        ([float("inf"), 0.5, 0.6, 0.6, float("inf")], True, 3),
        ([float("nan")], False, None),
    ],
)
def test_the_best_epoch_is_one_whose_number_is_finite(numbers: list[float], higher: bool, best: int | None) -> None:
    known = Best(Judge("val/x", higher))
    for i, value in enumerate(numbers, 1):
        known.see(Row(i, i, {}, {"x": value}, 0.0, 0.0))
    assert (known.row.epoch if known.row is not None else None) == best


def test_signals_that_reach_all_processes_do_not_end_those_that_read() -> None:
    part = Part({"x": np.arange(200, dtype="int64")}, None)
    batches = Batches(part, {"x": Pipeline()}, 4, CPU, workers=2, memory=0)
    seen = []
    for at, batch in enumerate(batches.in_order()):
        seen += batch.fields["x"].tolist()
        if at == 1:
            for child in multiprocessing.active_children():
                assert child.pid is not None
                for number in (signal.SIGINT, signal.SIGTERM):
                    os.kill(child.pid, number)
    assert seen == list(range(200))
