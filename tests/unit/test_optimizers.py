"""Optimizers from a spec, against torch's own tables: trajectories to the last bit, state, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.testing._internal.common_optimizers import optim_db
from torch.utils._pytree import tree_leaves

from nnspec import ir, registry
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.diagnostics import Diagnostic, NnspecError
from nnspec.training import build as making
from nnspec.training.fault import Fault
from nnspec.training.running.run import Wanted, train
from nnspec.training.updating.update import Update

from ..measured_memory import optimizer

STEPS, COUNT, SEED = 20, 60, 5

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
  batch_size = {size}
  seed = 5
  split = 0
}}
"""

DENSE = "(x -> Conv2d(3, 3) -> Flatten -> Tanh -> Dropout(0.1) -> Linear(3)) + 0.0 * mean(to(word, float))"
MATRICES = "(x -> Flatten -> Linear(9, bias=false) -> Tanh -> Linear(3, bias=false)) + 0.0 * mean(to(word, float))"
EMBEDDED = "(word -> Embedding(7, 5, sparse=true) -> Linear(3)) + 0.0 * mean(x)"
SPARSE = "(word -> Embedding(7, 3, sparse=true)) + 0.0 * mean(x)"
BODIES = {"LBFGS": DENSE.replace(" -> Dropout(0.1)", ""), "Muon": MATRICES, "SparseAdam": SPARSE}
SIZES = {"LBFGS": COUNT}
"""Of batches; what looks for a minimum is for all the data at once."""
INFO = {info.name: info for info in optim_db}


def options(name: str) -> Iterator[dict[str, Any]]:
    """Torch's own choices of options, less learning rates in tensors and what is for CUDA graphs."""
    for entry in INFO[name].optim_inputs_func(device="cpu"):
        if "capturable" not in entry.kwargs and not any(torch.is_tensor(v) for v in entry.kwargs.values()):
            yield dict(entry.kwargs)


MORE: dict[str, list[dict[str, Any]]] = {
    "ASGD": [{"t0": 3.0, "alpha": 0.5, "lambd": 0.01}],
    "Adafactor": [{"eps": (1e-20, 1e-2), "foreach": False}],
    "Adam": [
        {"fused": False},
        {"foreach": True, "amsgrad": True},
        {"decoupled_weight_decay": True, "betas": (0.5, 0.9)},
    ],
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
    return SPEC.format(optimizer=made, body=body or BODIES.get(name, DENSE), size=SIZES.get(name, 12))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, COUNT)
    x = (rng.normal(size=(COUNT, 1, 4, 4)) + label[:, None, None, None]).astype("float32")
    np.savez(folder / "data.npz", x=x, word=rng.integers(0, 7, COUNT), label=label)
    return folder


def trained(text: str, base: Path, steps: int = STEPS) -> tuple[dict[str, torch.Tensor], list[float]]:
    compiled = compile_text(text, "net.nns", train=True, base=base)
    module, result = train(compiled.program, compiled.sources, Wanted(base))
    assert result.steps == steps
    return dict(module.state_dict()), [row.train["loss"] for row in result.rows]


def refused(text: str, base: Path) -> Diagnostic:
    with pytest.raises(NnspecError) as caught:
        trained(text, base)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert text[diagnostic.span.start :].startswith(text.partition("optimizer = ")[2].splitlines()[0])
    return diagnostic


def by_hand(
    text: str, base: Path, name: str, arguments: dict[str, Any], steps: int = STEPS
) -> tuple[dict[str, torch.Tensor], list[float], torch.optim.Optimizer]:
    """What torch's optimizer makes of the same model and the same data in a loop as one writes it."""
    torch.manual_seed(SEED)
    program = compile_text(text, base=base).program
    module: nn.Module = build(program, program.main)
    theirs: torch.optim.Optimizer = getattr(torch.optim, name)(module.parameters(), **arguments)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    data = {key: torch.from_numpy(array) for key, array in np.load(base / "data.npz").items()}
    losses: list[float] = []
    module.train()
    size = int(text.partition("batch_size = ")[2].split()[0])
    for _ in range(steps // (COUNT // size)):
        order, of_epoch = torch.randperm(COUNT, generator=generator), []
        for start in range(0, COUNT, size):
            picked = order[start : start + size]

            def closure(picked: torch.Tensor = picked) -> float:
                theirs.zero_grad()
                loss = F.cross_entropy(module(data["x"][picked], data["word"][picked]), data["label"][picked])
                loss.backward()  # type: ignore[no-untyped-call]
                return loss.item()

            of_epoch.append(theirs.step(closure))
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


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
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
    # Torch's table does not say that LBFGS takes them, too: it makes one dense vector of all gradients.
    info, text = INFO[name], spec(name, {"lr": 0.05}, SPARSE if name == "SparseAdam" else EMBEDDED)
    if name == "Muon":
        text = text.replace("Linear(3)", "Linear(3, bias=false)")
    if not (info.supports_sparse or info.only_supports_sparse_grads or name == "LBFGS"):
        fault = refused(text, base)
        assert fault.code == "NNS627"
        assert fault.message == f"`{name}` takes no sparse gradients, and that of `embedding.weight` is"
        return
    mine, _ = trained(text, base)
    theirs, _, _ = by_hand(text, base, name, fastest(name, {"lr": 0.05}, sparse=True))
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def updating(record: ir.Record, parameters: dict[str, nn.Parameter]) -> Update:
    """An optimizer at work, on the CPU."""
    return Update(ir.Update(ir.Graph((), (), (), ()), record), {}, parameters, torch.device("cpu"))


def test_what_was_resumed_survives_the_first_look_at_the_gradients() -> None:
    embedding = nn.Embedding(5, 2, sparse=True)
    update = updating(ir.Record("SGD", {"lr": 0.5, "momentum": 0.9}), dict(embedding.named_parameters()))
    (theirs,) = update.optimizers
    assert theirs.param_groups[0]["fused"]
    state = update.state_dict()
    state["optimizers"][0]["state"] = {"weight": {"momentum_buffer": torch.full((5, 2), 4.0).to_sparse(1)}}
    state["optimizers"][0]["groups"][0]["options"]["lr"] = 0.25
    update.load_state_dict(state)
    before = embedding.weight.detach().clone()
    loss = (embedding(torch.tensor([1])) * 0.0).sum()
    loss.backward()
    update.step(loss, lambda: loss)
    assert not theirs.param_groups[0]["fused"]
    assert torch.equal(embedding.weight.detach(), before - 0.25 * 0.9 * 4.0)


def test_complex_parameters_have_no_fused_step() -> None:
    weight = {"weight": nn.Parameter(torch.ones(2, dtype=torch.complex64))}
    made = making.optimizer(making.described(ir.Record("Adam", {})), [(weight, {})], torch.device("cpu"))
    assert made.param_groups[0]["foreach"]
    for name in ("Adam", "Adagrad"):
        update = updating(ir.Record(name, {"fused": True}), weight)
        weight["weight"].grad = torch.ones(2, dtype=torch.complex64)
        with pytest.raises(Fault, match=f"torch has no fused `{name}` for these parameters on cpu") as caught:
            update.step(torch.zeros(()), lambda: torch.zeros(()))
        assert caught.value.code == "NNS603"


def test_groups_schedule_clipping_and_accumulation_together_are_a_loop_by_hand(base: Path) -> None:
    more = """params "*.bias" { lr = 0.02 }
  params "conv2d.*" { optimizer = SGD(lr=0.1, momentum=0.9) }
  clip_grad_norm = 0.3
  schedule = SequentialLR([LinearLR(total_iters=2), CosineAnnealingLR()], milestones=[2])
  accumulate = 2
  steps = 9"""
    text = spec("AdamW", {"lr": 0.05}).replace("steps = 20", more)
    mine, _ = trained(text, base, 9)
    torch.manual_seed(SEED)
    program = compile_text(text, base=base).program
    module: nn.Module = build(program, program.main)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    data = {key: torch.from_numpy(array) for key, array in np.load(base / "data.npz").items()}
    named = dict(module.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [named["linear.weight"]]},
        {"params": [named["linear.bias"]], "lr": 0.02},
    ]
    convolution = [named["conv2d.weight"], named["conv2d.bias"]]
    theirs = [torch.optim.AdamW(groups, lr=0.05, fused=True), torch.optim.SGD(convolution, 0.1, 0.9, fused=True)]
    schedules = []
    for each in theirs:
        parts = [LinearLR(each, total_iters=2), CosineAnnealingLR(each, 7)]
        schedules.append(SequentialLR(each, parts, [2]))
    module.train()
    for _ in range(3):
        batches = torch.split(torch.randperm(COUNT, generator=generator), 12)
        for together in (batches[:2], batches[2:4], batches[4:]):
            module.zero_grad()
            for picked in together:
                loss = F.cross_entropy(module(data["x"][picked], data["word"][picked]), data["label"][picked])
                (loss / len(together)).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), 0.3)
            for each, schedule in zip(theirs, schedules, strict=True):
                each.step()
                schedule.step()
    assert all(torch.equal(mine[key], value) for key, value in module.state_dict().items())


def test_a_search_draws_dropout_anew_each_time_it_looks(base: Path) -> None:
    text = spec("LBFGS", {"lr": 0.1, "max_iter": 3}, DENSE).replace("batch_size = 60", "batch_size = 20")
    mine, losses = trained(text.replace("steps = 20", "steps = 21"), base, 21)
    theirs, wanted, _ = by_hand(text, base, "LBFGS", {"lr": 0.1, "max_iter": 3}, 21)
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    assert losses == pytest.approx(wanted, rel=1e-12)


def test_sparse_adam_takes_nothing_else(base: Path) -> None:
    fault = refused(spec("SparseAdam", {}, EMBEDDED), base)
    assert fault.message == "`SparseAdam` takes no dense gradients, and that of `linear.weight` is"


def test_a_fused_step_that_the_author_wants_takes_no_sparse_gradients(base: Path) -> None:
    fault = refused(spec("SGD", {"fused": True}, EMBEDDED), base)
    assert (fault.code, fault.message) == ("NNS603", "no fused step takes sparse gradients")


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
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


# --- what is refused -------------------------------------------------------------------------------------------------


def wrong() -> Iterator[tuple[str, dict[str, Any]]]:
    """Arguments that torch says its optimizers refuse."""
    for info in optim_db:
        for entry in info.optim_error_inputs_func(device="cpu", dtype=torch.float32):
            arguments = dict(entry.optimizer_error_input.kwargs)
            if arguments and not any(torch.is_tensor(v) for v in tree_leaves(arguments)):
                yield info.name, arguments


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *wrong(),
        *((name, {"lr": -0.1}) for name in sorted(INFO)),
        ("SGD", {"nesterov": True}),
        ("SGD", {"foreach": True, "fused": True}),
        ("Rprop", {"step_sizes": (1.0, 0.5)}),
        ("LBFGS", {"line_search_fn": "wolfe"}),
        ("LBFGS", {"history_size": 0}),
        ("Muon", {"ns_steps": 100}),
        ("SparseAdam", {"eps": 0.0}),
    ],
)
def test_arguments_that_torch_refuses_are_refused(name: str, arguments: dict[str, Any], base: Path) -> None:
    with pytest.raises(NnspecError) as caught:
        compile_text(spec(name, arguments), "net.nns", train=True, base=base)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code in ("NNS303", "NNS304", "NNS603")


def test_muon_is_for_matrices_before_anything_runs(base: Path) -> None:
    with pytest.raises(NnspecError) as caught:
        compile_text(spec("Muon", {}, DENSE), "net.nns", train=True, base=base)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS627"
    assert diagnostic.message == (
        "`Muon` trains matrices only, and `conv2d.weight` has 4 dimensions; 2 more are none either"
    )


def test_a_torch_that_is_too_old_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    fault = refused(spec("Muon", {}), base)
    assert fault.code == "NNS605"
    assert fault.message == f"`Muon` came with torch 2.9, and this is torch {torch.__version__}"

    class Adam(torch.optim.SGD):
        def __init__(self, params: Any, lr: float = 0.1, *, fused: bool = False) -> None:
            super().__init__(params, lr)

    monkeypatch.setattr(torch.optim, "Adam", Adam)
    trained(spec("Adam", {"lr": 0.1}), base)
    fault = refused(spec("Adam", {"decoupled_weight_decay": True}), base)
    assert fault.message.startswith("`decoupled_weight_decay` of `Adam` came with torch 2.7")


@pytest.mark.parametrize("name", [n for n in sorted(INFO) if "foreach" in INFO[n].supported_impls])
def test_implementations_differ_in_rounding_at_most(name: str) -> None:
    described = optimizer(name, lr=0.01)
    start, gradients = torch.randn(5, 4), torch.randn(STEPS, 5, 4)
    ends = []
    for chosen in (described.options("cpu"), described.options("cpu", fusible=False), {"lr": 0.01, "foreach": False}):
        weight = nn.Parameter(start.clone())
        made = getattr(torch.optim, name)([weight], **chosen)
        for gradient in gradients:
            weight.grad = gradient.clone()
            made.step()
        ends.append(weight.detach())
    assert not torch.equal(ends[0], start)
    torch.testing.assert_close(ends[0], ends[1])
    torch.testing.assert_close(ends[0], ends[2])
