"""Runs that are stopped go on to the very end that they would have had; what differs is shown, what is damaged is said."""

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
from nnspec.training import checkpoint, keep
from nnspec.training.checkpoint import FOLDER, STATE, WEIGHTS, names_in, read_index
from nnspec.training.listener import Listener, Row, Step
from nnspec.training.result import Result

SPEC = """
model Net(hidden = 8) {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> Linear(hidden) -> BatchNorm1d -> ReLU -> Dropout(0.3) -> Linear(3)
}

train {
  data       = Iris(standardize=true)
  loss       = cross_entropy(logits, label)
  optimizer  = OPTIMIZER
  metrics    = [accuracy(logits, label), f1=accuracy(logits, label, average="macro")]
  epochs     = 4
  batch_size = 16
  seed       = 5
  SETTINGS
}
"""


def spec(settings: str = "", optimizer: str = "Adam(lr=0.01)", text: str = SPEC) -> str:
    text = text.replace(', f1=accuracy(logits, label, average="macro")', "")
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
    "lbfgs": ("batch_size = 120\n  clip_grad_norm = 1.0".replace("batch_size = 120\n  ", ""), "LBFGS(lr=0.1)"),
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


@pytest.mark.parametrize("after", [1, 10, 14])
@pytest.mark.parametrize("name", SETTINGS)
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
