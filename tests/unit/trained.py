"""Small runs that the tests of what comes afterwards share."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

import nnspec

FLOWERS = """\
model Net(hidden = 8) {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> fc1: Linear(hidden) -> BatchNorm1d -> Tanh -> Dropout(0.2) -> fc2: Linear(3)
}

train {
  data       = CSV("flowers.csv", target="kind", one_hot=["color"], standardize=true)
  loss       = cross_entropy(logits, label)
  optimizer  = Adam(lr=2e-2)
  metrics    = [accuracy(logits, label)]
  epochs     = 4
  batch_size = 16
}
"""

CENTERS = {"ash": (0.0, 100.0), "elm": (3.0, 104.0), "fir": (-3.0, 96.0)}


def flowers(folder: Path, count: int = 90) -> Path:
    """A table with numbers, words and classes."""
    random = np.random.default_rng(0)
    lines = ["height,weight,color,kind"]
    for _ in range(count):
        kind = str(random.choice(list(CENTERS)))
        height, weight = (center + random.normal() for center in CENTERS[kind])
        lines.append(f"{height:.4f},{weight:.4f},{random.choice(['red', 'blue'])},{kind}")
    place = folder / "flowers.csv"
    place.write_text("\n".join(lines) + "\n")
    return place


def trained(folder: Path, text: str = FLOWERS, name: str = "net") -> Path:
    """The directory of a run of a spec in a folder that has its data."""
    spec = folder / f"{name}.nns"
    spec.write_text(text)
    run = nnspec.train(spec, out=folder / "runs", progress=False).directory
    assert run is not None
    return run


def copied(run: Path, to: Path) -> Path:
    """A copy of a run, to be damaged."""
    return Path(shutil.copytree(run, to / run.name))
