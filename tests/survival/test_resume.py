"""Runs that are stopped go on to the very end that they would have had; what is another or damaged is said."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nnspec import compiler_run
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.training.listener import Listener, Row, Step
from nnspec.training.result import Result
from nnspec.training.running import keep
from nnspec.training.runs import checkpoint
from nnspec.training.runs.checkpoint import FOLDER, STATE, WEIGHTS, names_in, read_index

SPEC = """
model Net(hidden = 8) {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> Linear(hidden) -> BatchNorm1d -> ReLU -> Dropout(0.3) -> Linear(3)
}

train {
  data       = Iris(standardize=true)
  loss       = cross_entropy(logits, label)
  optimizer  = OPTIMIZER
  metrics    = (accuracy=accuracy(logits, label), top2=accuracy(logits, label, top_k=2))
  epochs     = 4
  batch_size = 16
  seed       = 5
  SETTINGS
}
"""


def spec(settings: str = "", optimizer: str = "Adam(lr=0.01)", text: str = SPEC) -> str:
    return text.replace("SETTINGS", settings).replace("OPTIMIZER", optimizer)


class Stopping(Listener):
    """Stops a run after so many steps, as Ctrl-C does."""

    every_step = True

    def __init__(self, after: int) -> None:
        self.after = after

    def step(self, now: Step) -> None:
        if now.step == self.after:
            os.kill(os.getpid(), signal.SIGINT)


def run(text: str, root: Path, **options: Any) -> tuple[nn.Module, Result]:
    compiled = compile_text(text, "net.nns", train=True, base=root)
    return compiler_run.train(compiled, base=root, root=root, **options)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


def told(result: Result) -> list[dict[str, Any]]:
    """The numbers of all epochs, without how long they took."""
    return [row.values() | dict(row.lr) for row in result.rows]


SETTINGS = {
    "plain": ("", "Adam(lr=0.01)"),
    "momentum": ("", "SGD(lr=0.1, momentum=0.9)"),
    "lbfgs": ("clip_grad_norm = 1.0", "LBFGS(lr=0.1)"),
    "schedule by step": ('schedule = CosineAnnealingLR(T_max=28)\n  schedule_unit = "step"', "Adam(lr=0.01)"),
    "schedule by epoch": ("schedule = ReduceLROnPlateau(patience=0)", "SGD(lr=1.0)"),
    "accumulation": ("accumulate = 3", "Adam(lr=0.01)"),
    "ema": ("average = EMA(decay=0.9)", "Adam(lr=0.01)"),
    "swa": ("average = SWA(start=2, swa_lr=0.05)", "SGD(lr=0.1)"),
    "half precision": ('precision = "bf16-mixed"', "Adam(lr=0.01)"),
    "groups": ('params "*.bias" { weight_decay = 0 }\n  params "linear.weight" { lr = 0.1 }', "AdamW(lr=0.01)"),
    "early stopping": ("early_stopping = (patience=1)", "SGD(lr=5.0)"),
    "a fold": ("fold = (1, 5)", "Adam(lr=0.01)"),
}


CASES = [(name, 10) for name in SETTINGS] + [("plain", 1), ("plain", 16), ("swa", 22), ("accumulation", 1)]


@pytest.mark.parametrize(("name", "after"), CASES)
def test_a_run_that_was_stopped_goes_on_to_the_same_end(name: str, after: int, tmp_path: Path) -> None:
    text = spec(*SETTINGS[name])
    whole, expected = run(text, tmp_path / "whole")
    stopped, result = run(text, tmp_path / "parts", listener=Stopping(after))
    if result.status == "interrupted":
        assert result.steps >= after
        assert not same(stopped, whole)
        stopped, result = run(text, tmp_path / "parts", resume="auto")
        assert len(list((tmp_path / "parts").iterdir())) == 1
    assert same(stopped, whole)
    assert (result.status, result.steps) == (expected.status, expected.steps)
    assert told(result) == told(expected)
    assert result.best is not None
    assert expected.best is not None
    assert result.best.values() == expected.best.values()


def test_what_is_finished_is_not_gone_on_with(tmp_path: Path) -> None:
    run(spec(), tmp_path)
    _, result = run(spec(), tmp_path, resume="auto")
    assert result.directory == tmp_path / "Net-2"
    assert result.steps == 32


def test_a_run_goes_on_from_its_best_epoch_and_forgets_what_came_after(tmp_path: Path) -> None:
    text = spec(optimizer="SGD(lr=2.0)", settings="checkpoint = (every=8, keep=10)")
    _, result = run(text, tmp_path)
    assert result.best is not None
    assert result.best.epoch < 4
    assert result.directory is not None
    (result.directory / "result.json").unlink()  # as if it had been killed at the end
    heard = Rows()
    _, again = run(text, tmp_path, resume="best", listener=heard)
    assert [row.epoch for row in heard.rows] == list(range(result.best.epoch + 1, 5))
    assert told(again) == told(result)
    steps = [checkpoint.step_of(name) for name in names_in(result.directory / FOLDER)]
    assert steps == sorted(set(steps))
    assert steps[-1] == 32


class Rows(Listener):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def epoch(self, row: Row) -> None:
        self.rows.append(row)


def refused(text: str, root: Path, code: str, **options: Any) -> str:
    with pytest.raises(NnspecError) as caught:
        run(text, root, **options)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    return str(caught.value)


def test_another_spec_is_shown_and_needs_leave(tmp_path: Path) -> None:
    run(spec(), tmp_path, listener=Stopping(10))
    longer = spec().replace("epochs     = 4", "epochs     = 6")
    words = refused(longer, tmp_path, "NNS629", resume="last")
    assert "epochs = 6" in " ".join(words.split())
    assert "--accept-changes" in words
    _, result = run(longer, tmp_path, resume="last", accept_changes=True)
    assert (result.status, result.epochs) == ("finished", 6)
    wider = longer.replace("hidden = 8", "hidden = 9")
    refused(wider, tmp_path, "NNS628", resume="last", accept_changes=True)


def test_what_is_only_written_otherwise_is_the_same_run(tmp_path: Path) -> None:
    run(spec(), tmp_path, listener=Stopping(10))
    other = "# A comment.\n\n" + spec().replace("  epochs     = 4\n", "").replace(
        "seed       = 5", "seed = 5\n\n  epochs = 4"
    )
    _, result = run(other, tmp_path, resume="last")
    assert result.status == "finished"


def test_a_damaged_checkpoint_is_said_and_an_earlier_one_does(tmp_path: Path) -> None:
    _, result = run(spec(settings="checkpoint = (every=4, keep=9)"), tmp_path, listener=Stopping(14))
    assert result.directory is not None
    folder = result.directory / FOLDER
    *_, before, last = names_in(folder)
    for name in (STATE, WEIGHTS):
        whole = (folder / last / name).read_bytes()
        (folder / last / name).write_bytes(whole[: len(whole) // 2])
        refused(spec(settings="checkpoint = (every=4, keep=9)"), tmp_path, "NNS628", resume="last")
        (folder / last / name).write_bytes(whole)
    (folder / last / STATE).unlink()
    text = spec(settings="checkpoint = (every=4, keep=9)")
    _, result = run(text, tmp_path, resume=str(folder / before))
    assert result.status == "finished"


def test_a_state_runs_no_code(tmp_path: Path) -> None:
    import pickle

    _, result = run(spec(), tmp_path, listener=Stopping(10))
    assert result.directory is not None
    folder = result.directory / FOLDER
    state = folder / names_in(folder)[-1] / STATE

    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"step": Evil()}, state)
    refused(spec(), tmp_path, "NNS628", resume="last")
    state.write_bytes(pickle.dumps(Evil()))
    refused(spec(), tmp_path, "NNS628", resume="last")
    assert not (tmp_path / "executed").exists()


def test_an_index_that_is_damaged_is_done_without(tmp_path: Path) -> None:
    _, result = run(spec(), tmp_path, listener=Stopping(10))
    assert result.directory is not None
    (result.directory / FOLDER / "index.json").write_text("{")
    _, result = run(spec(), tmp_path, resume="last")
    assert result.status == "finished"
    assert result.directory is not None
    assert json.loads((result.directory / FOLDER / "index.json").read_text())["last"] == "step-00000032"


def test_so_many_checkpoints_are_kept_and_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "SHORTEST", 0.0)
    text = spec(optimizer="SGD(lr=2.0)", settings="checkpoint = (keep=1)")
    _, result = run(text, tmp_path)
    assert result.best is not None
    assert result.directory is not None
    steps = [checkpoint.step_of(name) for name in names_in(result.directory / FOLDER)]
    assert steps == sorted({result.best.step, 32})
    index = read_index(result.directory / FOLDER)
    assert index == {"last": "step-00000032", "best": f"step-{result.best.step:08}"}


@pytest.mark.parametrize("writes", range(0, 24, 3))
def test_a_full_disk_loses_no_earlier_checkpoint(writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, left = spec(settings="checkpoint = (every=4, keep=2)"), [writes]
    sync = os.fsync

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    refused(text, tmp_path, "NNS623")
    monkeypatch.undo()
    for name in [path.name for path in tmp_path.glob("Net-*")]:
        for each in names_in(tmp_path / name / FOLDER):
            checkpoint.read_state(tmp_path / name / FOLDER / each)
            checkpoint.read_weights(tmp_path / name / FOLDER / each)
    whole, _ = run(text, tmp_path / "whole")
    resumed, result = run(text, tmp_path, resume="auto")
    assert result.status == "finished"
    assert same(resumed, whole)
