"""Layers that wrap layers: names, outputs, gradients and training are those of torch's parametrizations."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

from nnspec import loads
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.torch import build, load_state
from nnspec.compiler import check_text, compile_text

from ..contract import judge, run_module

TEMPORAL = """
block Temporal(width, kernel = 3) {
  input x: float[N, C, L]
  y = x -> conv1: weight_norm(Conv1d(width, kernel, padding=1), dim=0) -> ReLU
        -> conv2: weight_norm(Conv1d(width, kernel, padding=1, bias=false))
  output relu(x + y)
}
model Net(width = 6) {
  input x: float[N, 6, L]
  x = x -> Temporal(width) -> net: {
    spectral_norm(Conv1d(5, 1), n_power_iterations=2) -> Tanh -> out: weight_norm(Conv1d(4, 1), dim=none)
  }
  output y = mean(x, dim=-1) -> head: spectral_norm(Linear(3))
}
"""


class Temporal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = parametrizations.weight_norm(nn.Conv1d(6, 6, 3, padding=1), dim=0)
        self.conv2 = parametrizations.weight_norm(nn.Conv1d(6, 6, 3, padding=1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.conv2(torch.relu(self.conv1(x))))


class Net(nn.Module):
    """The same, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.temporal = Temporal()
        self.net = nn.Sequential()
        self.net.add_module("0", parametrizations.spectral_norm(nn.Conv1d(6, 5, 1), n_power_iterations=2))
        self.net.add_module("1", nn.Tanh())
        self.net.add_module("out", parametrizations.weight_norm(nn.Conv1d(5, 4, 1), dim=None))  # type: ignore[arg-type]  # torch takes it
        self.head = parametrizations.spectral_norm(nn.Linear(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.net(self.temporal(x)).mean(-1))
        return y


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    theirs = Net()
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p) * 0.3)
    ours = loads(TEMPORAL)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", [(1, 6, 5), (4, 6, 9)])
def test_names_outputs_and_gradients_are_those_of_torch(shape: tuple[int, ...], training: bool) -> None:
    ours, theirs = pair()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x = torch.randn(shape)
    for _ in range(2):
        # In training each forward pass moves the power iteration on.
        got, want = ours.train(training)(x), theirs.train(training)(x)
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    got.square().sum().backward()
    want.square().sum().backward()
    for (name, mine), (other, yours) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        torch.testing.assert_close(mine.grad, yours.grad, rtol=1e-4, atol=1e-5)
    for name, tensor in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), tensor)


def test_every_backend_agrees() -> None:
    judge(compile_text(TEMPORAL).program)


def test_a_shared_layer_is_one_parametrization() -> None:
    text = """
    model M {
      input x: float[N, 6]
      enc = spectral_norm(Linear(6))
      output y = x -> enc -> relu -> enc -> last: weight_norm(Linear(6, bias=enc.bias), dim=1)
    }
    """
    model = loads(text)
    assert model.get_parameter("last.bias") is model.get_parameter("enc.bias")
    assert len(list(model.parameters())) == 4
    judge(compile_text(text).program)


def test_checkpoints_with_the_older_names_load_as_they_are(tmp_path: Path) -> None:
    text = """
    model M {
      input x: float[N, 4, L]
      x = x -> a: weight_norm(Conv1d(6, 3)) -> b: spectral_norm(Conv1d(5, 1))
      output y = x -> c: weight_norm(Conv1d(2, 1), dim=none)
    }
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        old = nn.Sequential(
            nn.utils.weight_norm(nn.Conv1d(4, 6, 3)),
            nn.utils.spectral_norm(nn.Conv1d(6, 5, 1)),
            nn.utils.weight_norm(nn.Conv1d(5, 2, 1), dim=None),  # type: ignore[arg-type]  # torch takes it
        )
    x = torch.randn(2, 4, 7)
    for _ in range(30):
        old.train()(x)
    state = {f"{'abc'[int(n[0])]}{n[1:]}": t.detach().contiguous() for n, t in old.state_dict().items()}
    assert "a.weight_g" in state
    program = compile_text(text).program
    want = old.eval()(x)
    torch.testing.assert_close(build(program, state=state).eval()(x), want)
    fresh = build(program)
    load_state(fresh, state)
    torch.testing.assert_close(fresh.eval()(x), want)
    save_file(state, tmp_path / "old.safetensors")
    torch.testing.assert_close(loads(text, weights=tmp_path / "old.safetensors").eval()(x), want)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    model = onnx_backend.build(program, None, arrays)
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], want.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_fresh_module_starts_as_torch_makes_it() -> None:
    torch.manual_seed(5)
    theirs = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(6, 4)), parametrizations.spectral_norm(nn.Linear(4, 4))
    )
    torch.manual_seed(5)
    ours = loads("""
    model M {
      input x: float[N, 6]
      output y = x -> weight_norm(Linear(4)) -> spectral_norm(Linear(4))
    }
    """)
    for mine, yours in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, yours)


def test_wrappers_take_their_automatic_name_from_the_layer() -> None:
    text = (
        "model M {\n  input x: float[N, 6]\n  output y = x -> weight_norm(Linear(4)) -> spectral_norm(Linear(4))\n}\n"
    )
    names = [name for name, _ in loads(text).named_children()]
    assert names == ["linear", "linear_1"]


REFUSED = [
    ("weight_norm(ReLU)", "NNS208", "`ReLU` has no parameter `weight`"),
    ("weight_norm(Linear(8), dim=2)", "NNS304", "no dimension 2"),
    ("weight_norm(Linear(8), dim=-1)", "NNS304", "no dimension -1"),
    ("spectral_norm(Linear(8), dim=2)", "NNS304", "no dimension 2"),
    ('spectral_norm(Linear(8), name="wieght")', "NNS208", "no parameter `wieght`"),
    ('spectral_norm(BatchNorm1d, name="running_mean")', "NNS208", "no parameter `running_mean`"),
    ("spectral_norm(Linear(8), n_power_iterations=0)", "NNS304", "at least 1"),
    ("spectral_norm(Linear)", "NNS302", "`Linear` needs `out_features`"),
    ("spectral_norm", "NNS302", "needs `layer`"),
    ("spectral_norm()", "NNS302", "needs `layer`"),
    ("spectral_norm({ Linear(8) -> ReLU })", "NNS303", "wraps one layer"),
    ("spectral_norm(Linear(8) * 2)", "NNS303", "wraps one layer"),
    ("spectral_norm(x)", "NNS303", "wraps one layer"),
    ("spectral_norm(Linear(8, in_features=3))", "NNS401", "cannot follow"),
    ("spectral_norm(Conv2d(8, 3))", "NNS402", "`Conv2d`"),
    ("weight_norm(weight_norm(Linear(8)))", "NNS208", "no parameter `weight`"),
    ("weight_norm(" * 5 + "Linear(8)" + ")" * 5, "NNS208", "no parameter `weight`"),
    ('spectral_norm(weight_norm(weight_norm(Linear(8))), "bias")', "NNS208", "no parameter `weight`"),
    ('weight_norm(weight_norm(Linear(8)), "parametrizations.weight.original1")', "NNS208", "no parameter"),
    ("weight_norm(Linear(8), axis=0)", "NNS301", "no argument `axis`"),
    ("weight_norm(Linear(8, weight=first.weight))", "NNS311", "is tied"),
    ("spectral_norm(Bilinear(8))", "NNS412", "takes 2 inputs"),
]


@pytest.mark.parametrize(("text", "code", "said"), REFUSED, ids=[text for text, _, _ in REFUSED])
def test_what_cannot_be_wrapped_is_refused(text: str, code: str, said: str) -> None:
    spec = f"model M {{\n  input x: float[N, 8]\n  first = Linear(8)\n  x = x -> first\n  output y = x -> {text}\n}}\n"
    errors = [d for d in check_text(spec) if d.severity == "error"]
    assert [d.code for d in errors] == [code], errors
    assert said in errors[0].message, errors[0].message


def test_a_transposed_convolution_is_one_in_another_wrapper_too() -> None:
    """Its outputs lie along dimension 1, which torch looks for in its bias as well."""
    wrapped = 'spectral_norm(weight_norm(ConvTranspose1d(8, 3)), "bias")'
    found = check_text(f"model M {{\n  input x: float[N, 3, T]\n  output y = x -> {wrapped}\n}}\n")
    assert [(d.code, d.message) for d in found] == [("NNS304", "`bias` of `ConvTranspose1d` has no dimension 1")]


def test_the_module_is_what_torch_would_make() -> None:
    ours, theirs = pair()
    x = torch.randn(3, 6, 4)
    np.testing.assert_allclose(run_module(ours.eval(), {"x": x.numpy()})[0], theirs.eval()(x).detach(), atol=1e-6)
