"""What `import nnspec` offers to Python."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec

NET = """\
model Net(hidden = 4) {
  input x: float[N, 3]
  output y: float[N, 2] = x -> fc1: Linear(hidden) -> ReLU -> fc2: Linear(2)
}
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A spec in a file."""
    path = tmp_path / "net.nns"
    path.write_text(NET)
    return path


def test_importing_nnspec_loads_nothing_heavy() -> None:
    heavy = {"click", "lark", "numpy", "onnx", "pydantic", "rich", "torch"}
    program = f"import nnspec, sys; print(sorted({heavy} & set(sys.modules)))"
    root = Path(nnspec.__file__).parents[1]
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_everything_that_is_public_exists_and_is_documented() -> None:
    for name in nnspec.__all__:
        assert inspect.getdoc(getattr(nnspec, name)), name


def test_load_gives_a_module_that_is_its_source(net: Path) -> None:
    module = nnspec.load(net, hidden=7)
    assert module(torch.zeros(5, 3)).shape == (5, 2)
    assert list(module.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert module.state_dict()["fc1.weight"].shape == (7, 3)
    assert inspect.getsource(type(module)) in nnspec.source(net, hidden=7)


def test_loads_takes_text_and_numbers_of_numpy() -> None:
    assert nnspec.loads(NET, hidden=np.int64(3)).state_dict()["fc1.weight"].shape == (3, 3)
    biased = "model M(bias = true) {\n  input x: float[N, 2]\n  output y = x -> fc: Linear(2, bias=bias)\n}\n"
    assert list(nnspec.loads(biased, bias=np.bool_(False)).state_dict()) == ["fc.weight"]


def test_load_takes_weights_and_a_device(net: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = nnspec.load(net)
    torch.save(first.state_dict(), tmp_path / "net.pt")
    second = nnspec.load(str(net), weights=tmp_path / "net.pt", device=torch.device("cpu"))
    x = torch.randn(2, 3)
    assert torch.equal(first(x), second(x))


def test_fresh_weights_follow_torchs_generator(net: Path) -> None:
    torch.manual_seed(3)
    first = nnspec.load(net).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(first[name], tensor) for name, tensor in nnspec.load(net).state_dict().items())


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"hiden": 3}, "NNS314", "did you mean `hidden`?"),
        ({"hidden": 0}, "NNS304", "must be at least 1"),
        ({"model": "Other"}, "NNS210", "no model `Other`"),
        ({"device": "cuda:99"}, "NNS620", "devices that are there: cpu"),
        ({"weights": "nix.safetensors"}, "NNS505", "there is no file"),
        ({"train.epochs": 3}, "NNS314", "only `nnspec run` looks at"),
    ],
)
def test_what_is_wrong_is_raised_with_diagnostics(net: Path, options: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.load(net, **options)
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert says in str(caught.value)


def test_weights_of_another_shape_are_named(net: Path, tmp_path: Path) -> None:
    torch.save(nnspec.load(net, hidden=9).state_dict(), tmp_path / "net.pt")
    with pytest.raises(nnspec.NnspecError, match=r"`fc1.weight` has shape \[4, 3\] in the model and \[9, 3\]"):
        nnspec.load(net, weights=tmp_path / "net.pt")


def test_a_hyperparameter_that_the_language_does_not_have_is_a_type_error(net: Path) -> None:
    with pytest.raises(TypeError, match="hyperparameter `hidden` must be a number"):
        nnspec.load(net, hidden=torch.zeros(1))


def test_a_missing_file_is_no_oserror(tmp_path: Path) -> None:
    with pytest.raises(nnspec.NnspecError, match="cannot read"):
        nnspec.load(tmp_path / "nix.nns")
    with pytest.raises(nnspec.NnspecError, match="cannot read"):
        nnspec.check(tmp_path)


def test_check_lists_what_is_wrong(net: Path) -> None:
    assert nnspec.check(net) == ()
    (fault,) = nnspec.check_text(NET.replace("ReLU", "Relu6"))
    assert (fault.code, fault.severity) == ("NNS201", "error")
