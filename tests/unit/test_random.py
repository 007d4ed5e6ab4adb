"""Random draws: distributions in torch and ONNX Runtime, and what networks do with them in training only."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import nnspec
from nnspec.backends import onnx as onnx_backend
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError

DRAWN = [
    ("rand(N, 200, 200)", 0.5, 1 / 12),
    ("randn(N, 200, 200)", 0.0, 1.0),
    ("rand_like(x)", 0.5, 1 / 12),
    ("randn_like(x)", 0.0, 1.0),
    ("bernoulli(full((N, 200, 200), 0.25))", 0.25, 0.1875),
    ("rand(N, 200, 200, dtype=float16)", 0.5, 1 / 12),
]


@pytest.mark.parametrize(("text", "mean", "variance"), DRAWN)
def test_draws_are_distributed_as_torchs_in_both_backends(text: str, mean: float, variance: float) -> None:
    spec = f"model M {{\n  input x: float[N, 200, 200]\n  output y = {text}\n  output z = {text}\n}}\n"
    torch.manual_seed(0)
    drawn = [t.numpy() for t in nnspec.loads(spec)(torch.zeros(2, 200, 200))]
    model = onnx_backend.build(compile_text(spec).program, None, {})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = {i.name: np.zeros((2, 200, 200), "float32") for i in session.get_inputs()}
    for arrays in (drawn, session.run(None, given), session.run(None, given)):
        for array in arrays:
            assert array.shape == (2, 200, 200)
            assert abs(float(array.astype("float64").mean()) - mean) < 0.015
            assert abs(float(array.astype("float64").var()) - variance) < 0.015
        assert (arrays[0] != arrays[1]).any()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rand(N, dtype=int)", "`rand` draws floats, not int"),
        ("randn_like(ids)", "`randn_like` draws floats, not int"),
        ("bernoulli(ids)", "`bernoulli` draws floats, not int"),
    ],
)
def test_only_floats_are_drawn(text: str, says: str) -> None:
    with pytest.raises(NnspecError) as caught:
        compile_text(f"model M {{\n  input ids: int[N]\n  output y = {text}\n}}\n")
    assert [d.message for d in caught.value.diagnostics] == [says]


STOCHASTIC_DEPTH = """
block drop_path(p) {
  input x: float[N, D]
  if training and p > 0 { x = x * bernoulli(full((N, 1), 1 - p)) / (1 - p) }
  output x
}

block Residual(p) {
  input x: float[N, D]
  output x + (x -> fc: Linear(D) -> tanh -> drop_path(p=p))
}

model M(depth = 3, rate = 0.5) {
  input x: float[N, 4]
  for i in range(depth) { x = x -> "blocks.{i}": Residual(rate * i / depth) }
  output y = x
}
"""


class Residual(nn.Module):
    def __init__(self, p: float) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.p = p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.fc(x))
        if self.training and self.p > 0:
            h = h * torch.bernoulli(torch.full((x.shape[0], 1), 1 - self.p)) / (1 - self.p)
        return x + h


def test_stochastic_depth_is_a_block_of_the_language() -> None:
    ours = nnspec.loads(STOCHASTIC_DEPTH)
    theirs = nn.Module()
    theirs.blocks = nn.Sequential(*(Residual(0.5 * i / 3) for i in range(3)))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 4)
    for mode in (False, True):
        ours.train(mode), theirs.train(mode)
        torch.manual_seed(1)
        got = ours(x)
        torch.manual_seed(1)
        torch.testing.assert_close(got, theirs.blocks(x))
    assert not torch.equal(ours(x), ours(x))


VAE = """
model VAE(latent = 2) {
  input x: float[N, 8]
  h = x -> encoder: Linear(16) -> relu
  mu = h -> mu: Linear(latent)
  logvar = h -> logvar: Linear(latent)
  z = mu
  if training { z = mu + exp(0.5 * logvar) * randn_like(mu) }
  output recon = z -> decoder: { Linear(16) -> ReLU -> Linear(8) }
  output mu
  output logvar
}
"""


class HandWritten(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.mu, self.logvar = nn.Linear(8, 16), nn.Linear(16, 2), nn.Linear(16, 2)
        self.decoder = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        h = torch.relu(self.encoder(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu) if self.training else mu
        return self.decoder(z), mu, logvar


def test_a_variational_autoencoder_draws_in_training_only() -> None:
    ours, theirs = nnspec.loads(VAE), HandWritten()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 8)
    for mode in (False, True):
        ours.train(mode), theirs.train(mode)
        torch.manual_seed(2)
        got = ours(x)
        torch.manual_seed(2)
        for mine, other in zip(got, theirs(x), strict=True):
            torch.testing.assert_close(mine, other)
    ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])
