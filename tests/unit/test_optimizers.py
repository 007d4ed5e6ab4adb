"""Optimizers from a spec, against torch's own tables of them: trajectories to the last bit, state, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing._internal.common_optimizers import optim_db

from nnspec import registry
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.diagnostics import Diagnostic, NnspecError
from nnspec.training.optimizer import Optimizer
from nnspec.training.run import train

from ..measured_memory import optimizer

STEPS, SIZE, COUNT, SEED = 20, 12, 60, 5

SPEC = """
model Net {{
  input x: float[N, 1, 4, 4]
  input word: int[N]
  output scores: float[N, 3] = {body}
}}

train {{
  data = NPZ("data.npz")
  loss = cross_entropy(scores, label)
  optimizer = {optimizer}
  steps = 20
  batch_size = 12
  seed = 5
  split = 0
}}
"""

DENSE = "(x -> Conv2d(3, 3) -> Flatten -> Tanh -> Dropout(0.1) -> Linear(3)) + 0.0 * mean(to(word, float))"
MATRICES = "(x -> Flatten -> Linear(9, bias=false) -> Tanh -> Linear(3, bias=false)) + 0.0 * mean(to(word, float))"
EMBEDDED = "(word -> Embedding(7, 5, sparse=true) -> Linear(3)) + 0.0 * mean(x)"
SPARSE = "(word -> Embedding(7, 3, sparse=true)) + 0.0 * mean(x)"
BODIES = {"Muon": MATRICES, "SparseAdam": SPARSE}
INFO = {info.name: info for info in optim_db}


def options(name: str) -> Iterator[dict[str, Any]]:
    """Torch's own choices of options, less learning rates in tensors and what is for CUDA graphs."""
    for entry in INFO[name].optim_inputs_func(device="cpu"):
        if "capturable" not in entry.kwargs and not any(torch.is_tensor(v) for v in entry.kwargs.values()):
            yield dict(entry.kwargs)


MORE: dict[str, list[dict[str, Any]]] = {
    "ASGD": [{"t0": 3.0, "alpha": 0.5, "lambd": 0.01}],
    "Adafactor": [{"eps": (1e-20, 1e-2), "foreach": False}],
    "Adam": [{"fused": False}, {"foreach": True, "amsgrad": True}, {"decoupled_weight_decay": True, "betas": (0.5, 0.9)}],
    "LBFGS": [{"max_iter": 4, "history_size": 3, "lr": 0.5}, {"max_eval": 3, "line_search_fn": "strong_wolfe"}],
    "Muon": [{"adjust_lr_fn": "match_rms_adamw", "nesterov": False, "eps": 1e-3}],
    "SGD": [{"lr": 0.1, "momentum": 0.9, "foreach": False}],
}
CASES = [(n, o) for n in sorted(INFO) for o in (*options(n), *MORE.get(n, ()))]


def written(value: Any) -> str:
    """A value of Python as a spec has it."""
    if isinstance(value, tuple):
        return f"({', '.join(map(written, value))})"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def spec(name: str, arguments: dict[str, Any], body: str = "") -> str:
    made = f"{name}({', '.join(f'{key}={written(value)}' for key, value in arguments.items())})"
    return SPEC.format(optimizer=made, body=body or BODIES.get(name, DENSE))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, COUNT)
    x = (rng.normal(size=(COUNT, 1, 4, 4)) + label[:, None, None, None]).astype("float32")
    np.savez(folder / "data.npz", x=x, word=rng.integers(0, 7, COUNT), label=label)
    return folder


def trained(text: str, base: Path) -> tuple[dict[str, torch.Tensor], list[float]]:
    compiled = compile_text(text, "net.nns", train=True, base=base)
    module, result = train(compiled.program, compiled.sources, base=base)
    assert result.steps == STEPS
    return dict(module.state_dict()), [row.train["loss"] for row in result.rows]


def refused(text: str, base: Path) -> Diagnostic:
    with pytest.raises(NnspecError) as caught:
        trained(text, base)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def by_hand(
    text: str, base: Path, name: str, arguments: dict[str, Any]
) -> tuple[dict[str, torch.Tensor], list[float], torch.optim.Optimizer]:
    """What torch's optimizer makes of the same model and the same data in a loop as one writes it."""
    torch.manual_seed(SEED)
    program = compile_text(text, base=base).program
    module: nn.Module = build(program, program.main)
    theirs: torch.optim.Optimizer = getattr(torch.optim, name)(module.parameters(), **arguments)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    data = {key: torch.from_numpy(array) for key, array in np.load(base / "data.npz").items()}
    first = torch.randperm(COUNT, generator=generator)
    losses: list[float] = []
    module.train()
    for _ in range(STEPS // (COUNT // SIZE)):
        of_epoch = []
        for picked in first[torch.randperm(COUNT, generator=generator)].split(SIZE):

            def closure(picked: torch.Tensor = picked) -> torch.Tensor:
                theirs.zero_grad()
                loss = F.cross_entropy(module(data["x"][picked], data["word"][picked]), data["label"][picked])
                loss.backward()  # type: ignore[no-untyped-call]
                return loss

            of_epoch.append(float(theirs.step(closure)))
        losses.append(sum(of_epoch) / len(of_epoch))
    return dict(module.state_dict()), losses, theirs


def fastest(name: str, arguments: dict[str, Any], *, sparse: bool = False) -> dict[str, Any]:
    """The implementation that a good hand-written loop asks for, by torch's own table of what it has."""
    info = INFO[name]
    if arguments.keys() & {"foreach", "fused"}:
        return arguments
    if "fused" in info.supported_impls and "cpu" in info.supports_fused_on and not sparse:
        return {**arguments, "fused": True}
    return {**arguments, "foreach": True} if "foreach" in info.supported_impls else arguments


def test_every_optimizer_of_torch_is_there() -> None:
    assert set(registry.index("optimizer")) == set(INFO)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda x: x if isinstance(x, str) else written(tuple(x)))
def test_a_trajectory_from_a_spec_is_torchs_to_the_last_bit(name: str, arguments: dict[str, Any], base: Path) -> None:
    text = spec(name, arguments)
    mine, losses = trained(text, base)
    theirs, wanted, _ = by_hand(text, base, name, fastest(name, arguments))
    assert mine.keys() == theirs.keys()
    for key in mine:
        assert torch.equal(mine[key], theirs[key]), key
    assert losses == pytest.approx(wanted, rel=1e-12)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
@pytest.mark.parametrize("name", sorted(INFO))
def test_sparse_gradients_are_taken_by_those_that_torch_says_take_them(name: str, base: Path) -> None:
    info, text = INFO[name], spec(name, {"lr": 0.05}, SPARSE if name == "SparseAdam" else EMBEDDED)
    if name == "Muon":
        text = text.replace("Linear(3)", "Linear(3, bias=false)")
    if not (info.supports_sparse or info.only_supports_sparse_grads):
        fault = refused(text, base)
        assert fault.code == "NNS627"
        assert fault.message == f"`{name}` takes no sparse gradients, and that of `embedding.weight` is"
        return
    mine, _ = trained(text, base)
    theirs, _, _ = by_hand(text, base, name, fastest(name, {"lr": 0.05}, sparse=True))
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_sparse_adam_takes_nothing_else(base: Path) -> None:
    fault = refused(spec("SparseAdam", {}, EMBEDDED), base)
    assert fault.message == "`SparseAdam` takes no dense gradients, and that of `linear.weight` is"


def test_a_fused_step_that_the_author_wants_takes_no_sparse_gradients(base: Path) -> None:
    fault = refused(spec("SGD", {"fused": True}, EMBEDDED), base)
    assert (fault.code, fault.message) == ("NNS603", "no fused step takes sparse gradients")


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda x: x if isinstance(x, str) else written(tuple(x)))
def test_what_is_kept_for_each_parameter_is_what_torch_keeps(name: str, arguments: dict[str, Any], base: Path) -> None:
    mine = optimizer(name, **arguments)
    if mine.searches:
        mine = mine.replace(history_size=2)
    made = {key: value for key, value in mine.given() if key not in ("foreach", "fused")}
    _, _, theirs = by_hand(spec(name, made), base, name, made)
    parameters = [p for group in theirs.param_groups for p in group["params"]]
    kept = sum(_numbers(state) for state in theirs.state.values())
    assert kept == sum(mine.state_of(p.shape) for p in parameters)


def _numbers(state: dict[str, Any]) -> int:
    """The elements of what is kept, less what is a single number, as a count of steps."""
    found = [v for value in state.values() for v in (value if isinstance(value, list) else [value])]
    return sum(v.numel() for v in found if torch.is_tensor(v) and v.numel() > 1)


ERRORS = [
    (info.name, dict(entry.optimizer_input.kwargs))
    for info in optim_db
    for entry in info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
    if entry.optimizer_input.kwargs and not any(torch.is_tensor(v) for v in _flat(entry.optimizer_input.kwargs))
] if (_flat := lambda k: [v for x in k.values() for v in (x if isinstance(x, tuple) else (x,))]) else []
