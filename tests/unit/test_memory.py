"""What each class says of memory, against torch; optimizers; and what is asked of the tape."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from nnspec import registry
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.layer import Example
from nnspec.memory import batch_symbol, largest, measurer
from nnspec.memory_layout import in_order, reshaped
from nnspec.reference import example_spec
from nnspec.summary import summarize
from nnspec.summary_memory import optimizer_named, report_memory
from nnspec.training.optimizer import Optimizer

from ..measured_memory import Held, measured, optimizer, said

FAMILIES = (
    *("activation", "adaptive_pool", "attention", "conv", "conv_transpose", "dropout", "embedding", "gating", "linear"),
    *("norm", "padding", "piecewise", "pool", "recurrent", "shape", "smooth", "softmax", "upsample"),
    *("affine", "arithmetic", "comparison", "creation", "cumulative", "elementwise", "extremes", "indexing", "joining"),
    *("likeness", "moving", "normalizing", "pooling", "product", "rearrange", "reduction", "repeating", "rounding"),
    *("selecting", "shaping", "transcendental", "triangle"),
)
"""Files whose classes are looked at: what networks are mostly made of."""

ROUGH = {
    "recurrent": ("GRU", "LSTM", "RNN", "MultiheadAttention"),
    "several operators, or small tensors beside": (
        *("Bilinear", "FeatureAlphaDropout", "RMSNorm", "RReLU", "Softsign", "Step", "Upsample", "argsort", "bilinear"),
        *("cummax", "cummin", "deg2rad", "div", "exp2", "feature_alpha_dropout", "floor_divide", "group_norm"),
        *("fractional_max_pool2d", "fractional_max_pool3d", "isfinite", "isinf", "isnan", "isneginf", "isposinf"),
        *("linear", "lp_pool1d", "lp_pool2d", "lp_pool3d", "matmul", "meshgrid", "msort", "nanmean", "outer"),
        *("rad2deg", "reduce", "repeat", "rms_norm", "rrelu", "softsign", "where"),
    ),
}
"""Classes that do not say everything about every form: looked at in whole networks only."""


def cases() -> list[object]:
    """The examples of the families."""
    rough = {name for names in ROUGH.values() for name in names}
    found: list[object] = []
    for kind in ("layer", "function"):
        for name in sorted(registry.index(kind)):
            cls = registry.find(kind, name)
            assert cls is not None
            if cls.__module__.rpartition(".")[2] in FAMILIES and name not in rough:
                found += [pytest.param(kind, each, id=f"{name}-{i}") for i, each in enumerate(cls.examples)]
    return found


@pytest.mark.parametrize(("kind", "example"), cases())
def test_a_class_says_what_torch_allocates_and_keeps(kind: str, example: Example) -> None:
    program = compile_text(example_spec(kind, example)).program
    method = program.methods[program.main.methods_with(program.main.optional)["infer"]]
    sizes = trial_sizes(method, 3)[-1]
    arrays = random_inputs(program, method, sizes, np.random.default_rng(0))
    given = {name: _tensor(array) for name, array in arrays.items()}
    module = build(program)
    torch.manual_seed(0)
    found = measured(module, lambda: [_fresh(given.get(name)) for name in method.input_names])
    ours = said(program, sizes)
    assert (ours.inference, ours.kept) == (found.inference, found.kept)


def _tensor(array: Any) -> Any:
    if isinstance(array, list | tuple):
        return [_tensor(part) for part in array]
    tensor = torch.from_numpy(np.array(array))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _fresh(operand: Any) -> Any:
    """New tensors of the same numbers, through which gradients flow."""
    if isinstance(operand, list):
        return [_fresh(part) for part in operand]
    return None if operand is None else operand | False if operand.dtype == torch.bool else operand + 0


# --- optimizers ------------------------------------------------------------------------------------------------------

OPTIMIZERS = (
    optimizer("SGD"),
    optimizer("SGD", momentum=0.9),
    optimizer("SGD", weight_decay=0.1, foreach=True),
    optimizer("Adam"),
    optimizer("Adam", foreach=True),
    optimizer("AdamW", amsgrad=True),
    optimizer("AdamW", amsgrad=True, fused=False, foreach=True),
    optimizer("Adamax", weight_decay=0.1),
    optimizer("NAdam"),
    optimizer("NAdam", weight_decay=0.1),
    optimizer("NAdam", weight_decay=0.1, decoupled_weight_decay=True, maximize=True),
    optimizer("RAdam", weight_decay=0.1),
    optimizer("RMSprop"),
    optimizer("RMSprop", maximize=True),
    optimizer("RMSprop", momentum=0.5, centered=True, weight_decay=0.1),
    optimizer("Adagrad"),
    optimizer("Adagrad", foreach=True),
    optimizer("Adadelta"),
    optimizer("Adadelta", weight_decay=0.1),
    optimizer("Adafactor", maximize=True),
    optimizer("Adafactor"),
    optimizer("ASGD"),
    optimizer("ASGD", maximize=True),
    optimizer("Rprop"),
    optimizer("Muon"),
    optimizer("LBFGS", history_size=2),
    optimizer("LBFGS", history_size=2, line_search_fn="strong_wolfe"),
)


def test_every_optimizer_is_looked_at() -> None:
    # Sparse gradients have no storage that could be watched.
    assert {type(chosen).__name__ for chosen in OPTIMIZERS} == set(registry.index("optimizer")) - {"SparseAdam"}


@pytest.mark.parametrize("chosen", OPTIMIZERS, ids=lambda chosen: type(chosen).__name__)
def test_an_optimizer_keeps_what_it_says(chosen: Optimizer) -> None:
    weights = [torch.nn.Parameter(torch.randn(100, 100)) for _ in range(3)]
    size = sum(weight.nbytes for weight in weights)
    made = getattr(torch.optim, type(chosen).__name__)(weights, **chosen.options("cpu"))
    steep = torch.linspace(0.001, 0.1, 10_000).reshape(100, 100)

    def look() -> float:
        made.zero_grad()
        loss = 0.0
        for weight in weights:
            weight.grad = steep * weight.detach()
            loss += float(weight.grad.view(-1) @ weight.detach().view(-1)) / 2
        return loss

    with Held() as held:
        for _ in range(4):
            if chosen.searches:
                made.step(look)
            else:
                look()
                made.step()
        kept, most = held.live(), held.most
    tensors = [x for each in made.state.values() for x in tree_leaves(dict(each)) if isinstance(x, torch.Tensor)]
    state, expected = sum(x.nbytes for x in tensors), 4 * sum(chosen.state_of(weight.shape) for weight in weights)
    assert state == pytest.approx(expected, abs=64)
    assert kept - size <= state
    assert most <= expected + (1 + chosen.scratch()) * size + 512


# --- how tensors lie -------------------------------------------------------------------------------------------------


def test_a_reshape_is_a_view_where_torch_makes_one() -> None:
    chance = random.Random(0)
    views = 0
    for _ in range(2000):
        x = torch.empty([chance.choice((1, 2, 3, 4, 6)) for _ in range(chance.randint(1, 4))])
        x = x.permute(chance.sample(range(x.dim()), x.dim()))
        if chance.random() < 0.5:
            x = x[tuple(slice(0, chance.randint(1, size)) for size in x.shape)]
        if chance.random() < 0.3:
            x = x.expand(chance.randint(1, 3), *x.shape)
        wanted = _other_shape(x.numel(), chance)
        found = reshaped(x.shape, x.stride(), wanted)
        try:
            view = x.view(wanted)
        except RuntimeError:
            assert found is None
            continue
        views += 1
        assert found is not None
        assert [a for a, size in zip(found, wanted, strict=True) if size > 1] == [
            a for a, size in zip(view.stride(), wanted, strict=True) if size > 1
        ]
    assert views > 200
    assert in_order((2, 3, 4)) == (12, 4, 1)


def _other_shape(count: int, chance: random.Random) -> list[int]:
    shape = []
    while count > 1:
        shape.append(chance.choice([n for n in range(1, count + 1) if count % n == 0]))
        count //= shape[-1]
    return shape or [1]


# --- scans ---------------------------------------------------------------------------------------------------------

SCAN = """
model M {
  input rows: float[N, T, 4]
  y = scan row in rows over dim=1 with h = zeros(N, 8) {
    h = tanh(cat([row, h], dim=1) -> cell: Linear(8))
    yield 2 * h
  }
  output y
}
"""


@pytest.mark.parametrize("steps", [7, 32, 33, 200])
def test_a_long_scan_takes_what_all_its_steps_do(steps: int) -> None:
    program = compile_text(SCAN).program
    rows = torch.randn(3, steps, 4).requires_grad_()
    found = measured(build(program), lambda: [rows + 0])
    ours = said(program, {"N": 3, "T": steps})
    for mine, theirs in zip(ours, found, strict=True):
        assert mine == pytest.approx(theirs, rel=0.1)


# --- what fits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", [lambda n: 7 + 3 * n, lambda n: n * n, lambda n: 10 + 5 * n + n // 7, lambda n: 2**n])
@pytest.mark.parametrize("limit", [0, 9, 10, 11, 100, 12_345, 10**9])
def test_the_largest_batch_is_the_last_that_fits(curve: Any, limit: int) -> None:
    looks: list[int] = []

    def needs(samples: int) -> int | None:
        looks.append(samples)
        return None if samples > 10_000 else curve(samples)

    most = largest(needs, limit)
    fits = [n for n in range(1, 10_001) if (n < 64 and curve(n) <= limit) or (n >= 64 and curve(n) <= limit)]
    assert most == (fits[-1] if fits else 0)
    assert len(looks) <= 80


def test_a_bend_in_the_curve_takes_few_looks() -> None:
    """In a step of training the weights count at first, and what is kept for the backward pass counts later."""
    looks: list[int] = []

    def needs(samples: int) -> int:
        looks.append(samples)
        return max(960_000 + 48 * samples, 320_000 + 48_048 * samples)

    assert largest(needs, 8 * 10**9) == (8 * 10**9 - 320_000) // 48_048
    assert len(looks) <= 8


@pytest.mark.parametrize(
    ("condition", "limit", "most", "least"),
    [
        ("N >= 3", 1000, 31, 3),
        ("N >= 3", 95, 0, 3),
        ("N % 4 == 0", 1000, 28, 4),
        ("N <= 7", 1000, 7, 1),
        ("N == 2", 1000, 2, 2),
        ("N % 4000 == 0", 10**9, None, 0),
    ],
)
def test_only_batches_that_a_model_takes_are_said_to_fit(
    condition: str, limit: int, most: int | None, least: int
) -> None:
    """Each sample takes 16 bytes as an input, and 16 as an output."""
    text = f"model M {{ input x: float[N, 4]\n assert {condition}\n output y = relu(x) }}"
    program = compile_text(text).program
    report = report_memory(program, summarize(program), {}, optimizer_named(None), limit)
    assert report is not None
    assert report.fit is not None
    assert (report.fit.most_inference, report.fit.least) == (most, least)


def test_deep_and_wide_specs_are_given_up_in_time() -> None:
    lines = ["block B0 {\n  input x: float[N, D]\n  output tanh(x)\n}"]
    lines += [f"block B{i} {{\n  input x: float[N, D]\n  output x -> B{i - 1} -> B{i - 1}\n}}" for i in range(1, 17)]
    lines.append("model M {\n  input x: float[N, 4]\n  output y = x -> B16\n}")
    program = compile_text("\n".join(lines)).program
    report = report_memory(program, summarize(program), {}, optimizer("SGD"), 10**9)
    assert report is not None
    assert report.fit is not None
    assert report.fit.most_training is None


def test_the_batch_is_the_first_dimension_of_the_first_input() -> None:
    program = compile_text("model M {\n  input x: float[N, T]\n  output y = relu(x)\n}").program
    assert batch_symbol(program, program.main) == "N"
    program = compile_text("model M {\n  input x: float[3, N]\n  output y = relu(x)\n}").program
    assert batch_symbol(program, program.main) == ""


def test_memory_grows_with_the_batch_and_not_the_weights() -> None:
    text = "model M {\n  input x: float[N, 8]\n  output y = x -> Linear(16) -> ReLU -> Linear(2)\n}"
    program = compile_text(text).program
    one, two = (measurer(program, program.main, optimizer("Adam"))({"N": n}) for n in (1, 2))
    assert one is not None
    assert two is not None
    assert one.weights == two.weights == 4 * (9 * 16 + 17 * 2)
    assert one.optimizer == two.optimizer == 2 * one.weights
    assert one.kept[""] == 4 * 16  # the input was there before, and the second layer's is the first's output
    assert two.kept[""] == 2 * one.kept[""]
    assert one.training < two.training < 2 * one.training
