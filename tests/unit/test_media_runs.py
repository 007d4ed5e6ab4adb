"""Recipes for pictures, sounds and texts, from a folder to a trained model; and data that is streamed, not held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec import registry
from nnspec.training.dataset import Loaded
from nnspec.training.feeding.feed import Batches, Part
from nnspec.training.feeding.pipeline import Pipeline

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")

SHARED = Path(__file__).parents[3] / "shared" / "data"

PICTURES = """
model Digits {
  input image: float[N, 1, 16, 16]
  output logits: float[N, 10] = image
    -> Conv2d(8, 3, padding=1) -> BatchNorm2d -> ReLU -> MaxPool2d(2)
    -> Conv2d(24, 3, padding=1) -> BatchNorm2d -> ReLU -> MaxPool2d(2) -> Flatten -> Linear(10)
}

train {
  data       = ImageFolder("digits", size=16, channels=1)
  split      = 0.2
  transform  = (image=[Normalize(0.3, 0.35)])
  augment    = (image=[RandomCrop(16, padding=1), RandomAffine(8, interpolation="bilinear")])
  loss       = cross_entropy(logits, label)
  optimizer  = AdamW(lr=5e-3)
  schedule   = CosineAnnealingLR(T_max=8)
  metrics    = [accuracy(logits, label)]
  epochs     = 8
  batch_size = 64
}
"""

SOUNDS = """
model Spoken {
  input audio: float[N, 40, T]
  output logits: float[N, 10] = audio
    -> Conv1d(64, 5, padding=2) -> BatchNorm1d -> ReLU -> MaxPool1d(2)
    -> Conv1d(128, 5, padding=2) -> BatchNorm1d -> ReLU -> MaxPool1d(2)
    -> Conv1d(128, 3, padding=1) -> BatchNorm1d -> ReLU
    -> AdaptiveMaxPool1d(2) -> Flatten -> Dropout(0.5) -> Linear(10)
}

train {
  data       = WAVFolder(FOLDER, samples=4096, label="(*)_*")
  split      = 0.2
  transform  = (audio=[MelSpectrogram(256, hop_length=64, sample_rate=8_000, n_mels=40), Log, Standardize])
  augment    = (audio=[TimeMasking(8), FrequencyMasking(6)])
  loss       = cross_entropy(logits, label)
  optimizer  = AdamW(lr=2e-3)
  metrics    = [accuracy(logits, label)]
  epochs     = 40
  batch_size = 32
}
"""

NAMES = """
model Names {
  input tokens: int[N, T]
  output logits: float[N, T, 27] = tokens -> Embedding(27, 16) -> Linear(64) -> ReLU -> Linear(27)
}

train {
  data       = Lines(FILE)
  split      = 0.1
  loss       = cross_entropy(logits, target, dim=-1)
  optimizer  = AdamW(lr=1e-2)
  steps      = 300
  batch_size = 256
}
"""


def trained(text: str, base: Path) -> Any:
    """The result of a run of a spec that lies in a folder."""
    (base / "net.nns").write_text(text)
    return nnspec.train(base / "net.nns", out=None, progress=False).result


def write_digits(folder: Path) -> None:
    """Some of scikit-learn's digits as pictures, a sub-folder for each class."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    for i, (pixels, label) in enumerate(zip(bunch.images[:900], bunch.target[:900], strict=True)):
        place = folder / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype("uint8")).save(place / f"{i}.png")


def test_a_folder_of_pictures_is_learned(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    result = trained(PICTURES, tmp_path)
    assert result.best.validation["accuracy"] > 0.94


@pytest.mark.slow
def test_spoken_digits_are_learned(tmp_path: Path) -> None:
    if not (SHARED / "fsdd").is_dir():
        pytest.skip("the folder fsdd is not beside this one")
    result = trained(SOUNDS.replace("FOLDER", f'"{SHARED / "fsdd"}"'), tmp_path)
    assert result.best.validation["accuracy"] > 0.85


def test_names_are_learned_letter_by_letter(tmp_path: Path) -> None:
    if not (SHARED / "names.txt").is_file():
        pytest.skip("names.txt is not beside this folder")
    result = trained(NAMES.replace("FILE", f'"{SHARED / "names.txt"}"'), tmp_path)
    # Counting pairs of letters gives 2.45 nats a letter, and no model that sees one letter does better.
    assert 2.4 < result.rows[-1].validation["loss"] < 2.5


@pytest.mark.parametrize("workers", [0, 2])
def test_what_is_streamed_is_what_would_be_held(workers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(11):
        place = tmp_path / "abc"[i % 3]
        place.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 7, 3)).astype("uint8")).save(place / f"{i}.png")
    (tmp_path / "t.txt").write_text("hello there, who is it? " * 9)
    for name, arguments in (("ImageFolder", (".", 8)), ("Text", ("t.txt", 9, "character"))):
        cls = registry.find("dataset", name)
        assert cls is not None
        loaded: Loaded = cls(*arguments).load(tmp_path)
        found = []
        for memory in (0, 1 << 30):
            part = Part(loaded.fields, np.arange(len(loaded))[::-1].copy())
            pipelines = {field: Pipeline(divisor=loaded.divisor.get(field)) for field in loaded.fields}
            batches = Batches(part, pipelines, 4, torch.device("cpu"), workers=workers, memory=memory)
            assert (batches.streamed is None) == (memory > 0)
            found.append([batch.fields for batch in batches.in_order()])
        for streamed, held in zip(*found, strict=True):
            for field in held:
                assert torch.equal(streamed[field], held[field])
                assert streamed[field].dtype == (torch.float32 if field == "image" else torch.int64)
