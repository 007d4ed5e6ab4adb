"""Runs that are killed at random moments: there is always a checkpoint, and they go on to the very same end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 50
SPEC = """
model Net(hidden = 32) {
  input image: float[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(hidden) -> BatchNorm1d -> ReLU -> Dropout(0.2) -> Linear(10)
}

train {
  data       = Digits()
  augment    = (image=[RandomCrop(8, padding=1)])
  loss       = cross_entropy(logits, label)
  optimizer  = AdamW(lr=1e-2)
  schedule   = OneCycleLR(max_lr=1e-2)
  average    = EMA(decay=0.9)
  metrics    = [accuracy(logits, label)]
  accumulate = 2
  epochs     = 4
  batch_size = 32
  checkpoint = (every=23)
}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the runs are forks of one process")
def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "net.nns").write_text(SPEC)
    command = [sys.executable, "-m", "tests.survival.killer", str(tmp_path / "net.nns"), str(tmp_path), str(KILLS), "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["killed"] == KILLS
    assert found["begun"] == found["with a checkpoint"] >= KILLS * 0.2, (
        found
    )  # the others were killed before there was a run
    assert found["went on to the same end"] >= KILLS, found
