"""Where augmentation stands: after the transforms, and before those at their end that bring numbers to scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnspec.compiler import compile_text
from nnspec.training.dataset import Loaded
from nnspec.training.feeding.feed import Batches, Parts, split

CPU = torch.device("cpu")
SPEC = """
model Net {
  input image: float[N, 3, 4, 4]
  output logits: float[N, 2] = image -> Flatten -> Linear(2)
}

train {
  data      = RandomImages(4, 4, classes=2, samples=24)
  transform = TRANSFORM
  augment   = [ColorJitter(brightness=(2.0, 2.0))]
  loss      = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
  split     = 0
}
"""


def parts(transform: str, image: np.ndarray) -> Parts:
    training = compile_text(SPEC.replace("TRANSFORM", transform), train=True).program.training
    assert training is not None
    loaded = Loaded({"image": image, "label": np.zeros(len(image), "int64")})
    return split(training, loaded, (), torch.Generator())


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((24, 3, 4, 4), dtype="float32")


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.parametrize(
    ("transform", "mean", "std"),
    [("[Normalize(mean=0.5, std=0.1)]", 0.5, 0.1), ("[CenterCrop(4), Normalize(mean=0.25, std=2.0)]", 0.25, 2.0)],
)
def test_colours_are_changed_before_they_are_brought_to_scale(
    transform: str, mean: float, std: float, memory: int | None, image: np.ndarray
) -> None:
    made = parts(transform, image)
    batches = Batches(made.train, made.pipelines, 24, CPU, memory=memory, workers=0)
    (plain,) = batches.in_order()
    torch.testing.assert_close(plain.fields["image"], (torch.from_numpy(image) - mean) / std)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    (varied,) = batches.shuffled(torch.Generator().manual_seed(1), torch.Generator())
    brighter = (torch.from_numpy(image)[order] * 2).clamp(0, 1)
    torch.testing.assert_close(varied.fields["image"], (brighter - mean) / std)


def test_what_is_measured_is_measured_on_data_as_it_is(image: np.ndarray) -> None:
    made = parts("[Standardize()]", image)
    batches = Batches(made.train, made.pipelines, 24, CPU)
    (plain,) = batches.in_order()
    assert plain.fields["image"].mean().item() == pytest.approx(0, abs=1e-5)
    assert plain.fields["image"].std(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_what_is_no_scaling_stays_before_augmentation(image: np.ndarray) -> None:
    made = parts("[Normalize(mean=0.5, std=0.5), Clamp(-1.0, 1.0)]", image)
    assert made.pipelines["image"].late == 0
