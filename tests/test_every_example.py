"""Every example of the repository: checked, compiled, exported, compared, and trained where it says how."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from nnspec import ir
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.source import emit
from nnspec.backends.torch import build
from nnspec.compiler import check, compile_text

from .contract import judge, parameters, run_module, run_without_nnspec

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("*.nns"))
IDS = [path.stem for path in FILES]

NAMES = {
    "simple_nn": {"fc1.weight": (2, 2), "fc1.bias": (2,), "fc2.weight": (1, 2), "fc2.bias": (1,)},
    "simple_net": {"hidden.weight": (5, 2), "hidden.bias": (5,), "out.weight": (1, 5), "out.bias": (1,)},
    "fashion_mnist": {
        "linear_relu_stack.0.weight": (512, 784),
        "linear_relu_stack.0.bias": (512,),
        "linear_relu_stack.2.weight": (512, 512),
        "linear_relu_stack.2.bias": (512,),
        "linear_relu_stack.4.weight": (10, 512),
        "linear_relu_stack.4.bias": (10,),
    },
    "binary_classifier": {
        "linear1.weight": (5, 30),
        "linear1.bias": (5,),
        "linear2.weight": (1, 5),
        "linear2.bias": (1,),
    },
    "conv_stack": {
        "conv1.weight": (20, 1, 1, 1),
        "conv1.bias": (20,),
        "conv2.weight": (20, 20, 5, 5),
        "conv2.bias": (20,),
    },
    "rnn_classifier": {"step.weight": (64, 72), "step.bias": (64,), "out.weight": (10, 64), "out.bias": (10,)},
}
"""What published code calls these parameters, and what a reader of the example expects."""


def program(path: Path) -> ir.Program:
    return compile_text(path.read_text(encoding="utf-8"), path.name).program


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_an_example_is_short_says_what_it_shows_and_has_no_fault(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert lines[0].startswith("# ")
    assert check("\n".join(lines), path.name, base=EXAMPLES).diagnostics == ()


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_an_example_means_the_same_everywhere(path: Path) -> None:
    judge(program(path))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_have_the_names_that_are_written(name: str) -> None:
    assert parameters(program(EXAMPLES / f"{name}.nns")) == NAMES[name]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_emitted_source_runs_where_nnspec_is_not_installed(path: Path, tmp_path: Path) -> None:
    found = program(path)
    torch.manual_seed(0)
    module = build(found).eval()
    method = found.methods[found.main.methods["infer"]]
    sizes = trial_sizes(method, 2)[-1]
    inputs = random_inputs(found, method, sizes, np.random.default_rng(0))
    torch.save(module.state_dict(), tmp_path / "state.pt")
    np.savez(tmp_path / "in.npz", **inputs)  # type: ignore[arg-type]
    run_without_nnspec(emit(found), found.main.name, tmp_path / "state.pt", tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as outputs:
        for key, want in zip(outputs.files, run_module(module, inputs), strict=True):
            np.testing.assert_array_equal(outputs[key], want)


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_an_example_is_an_ordinary_module(path: Path) -> None:
    """Copied, pickled, compiled without a graph break, and exported with a dynamic batch, it computes the same."""
    found = program(path)
    torch.manual_seed(0)
    module = build(found).eval()
    method = found.methods[found.main.methods["infer"]]
    small, large = trial_sizes(method, 3)[0], trial_sizes(method, 3)[-1]
    generator = np.random.default_rng(0)
    few, many = (random_inputs(found, method, sizes, generator) for sizes in (large | {"N": 3}, large))
    assert small["N"] == 1
    expected = [run_module(module, inputs) for inputs in (few, many)]
    arguments = tuple(torch.from_numpy(array) for array in few.values())
    batch = torch.export.Dim("N", min=1, max=64)
    dynamic = tuple({0: batch} for _ in arguments)
    exported = torch.export.export(module, arguments, dynamic_shapes=dynamic).module()
    twins = [copy.deepcopy(module), pickle.loads(pickle.dumps(module)), exported]
    twins.append(torch.compile(module, fullgraph=True, backend="eager"))
    for twin in twins:
        for inputs, want in zip((few, many), expected, strict=True):
            for got, right in zip(run_module(twin, inputs), want, strict=True):
                np.testing.assert_allclose(got, right, rtol=1e-5, atol=1e-6)
