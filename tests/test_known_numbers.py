"""Numbers that anybody can work out by hand, through a spec."""

from __future__ import annotations

import math

import pytest
import torch

from nnspec.backends.torch import build, training_functions
from nnspec.compiler import compile_text

SPEC = """
model Scores {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> fc: Linear(3)
}
train {
  data = Iris()
  loss = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
}
"""


@pytest.mark.parametrize(("scores", "expected"), [([2.0, 1.0, 0.1], 0.4170), ([0.5, 2.0, 0.3], 1.8406)])
def test_cross_entropy_for_class_0(scores: list[float], expected: float) -> None:
    training = compile_text(SPEC, train=True).program.training
    assert training is not None
    assert training.names == (("model", "logits"), ("data", "label"))
    (loss,), _ = training_functions(training)
    found = float(loss(torch.tensor([scores]), torch.tensor([0])))
    assert found == pytest.approx(math.log(sum(map(math.exp, scores))) - scores[0], abs=1e-6)
    assert round(found, 4) == expected


def test_the_same_loss_as_an_output_of_a_model() -> None:
    text = """
model Loss {
  input logits: float[N, 3]
  input label: int[N]
  output loss = cross_entropy(logits, label)
}
"""
    module = build(compile_text(text).program)
    assert round(float(module(torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([0]))), 4) == 0.4170
    both = module(torch.tensor([[2.0, 1.0, 0.1], [0.5, 2.0, 0.3]]), torch.tensor([0, 0]))
    assert float(both) == pytest.approx((0.4170 + 1.8406) / 2, abs=1e-4)
