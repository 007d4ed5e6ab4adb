"""Functions whose weights are tensors: random arguments against torch, and what they keep and draw."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnspec.backends.torch import build
from nnspec.diagnostics import NnspecError
from nnspec.layer import Example

from .function_harness import agree, method_of, program_of, refusal, run_onnx, session

SPATIAL = {1: "L", 2: "HW", 3: "DHW"}


def shape_text(shape: list[int]) -> str:
    return f"float[{', '.join(map(str, shape))}]"


def spread(draw: random.Random, rank: int, *values: int) -> Any:
    """One number, or one for each dimension."""
    return draw.choice([draw.choice(values), tuple(draw.choice(values) for _ in range(rank))])


def words(options: dict[str, Any]) -> tuple[str, str]:
    """Options as a spec spells them, and as Python does."""
    python = "".join(f", {name}={value!r}" for name, value in options.items())
    return python.replace("'", '"').replace("True", "true").replace("False", "false"), python


def torch_takes(reference: str, **shapes: str) -> bool:
    """Whether torch has a result, with at least one element."""
    sizes = {n: [int(s) for s in kind[6:-1].split(",") if s] for n, kind in shapes.items()}
    try:
        found = eval(reference, {"F": F, "torch": torch} | {n: torch.ones(s) for n, s in sizes.items()})
    except (RuntimeError, ValueError):
        return False
    return bool(found.numel())


def check(text: str, reference: str, **shapes: str) -> None:
    """The spec agrees with torch everywhere, or both refuse."""
    if torch_takes(reference, **shapes):
        agree(text, reference, **shapes)
    else:
        with pytest.raises(NnspecError):
            agree(text, reference, **shapes)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_convolutions_are_torchs(name: str, rank: int) -> None:
    draw = random.Random(f"{name}{rank}")
    for _ in range(12):
        groups = draw.choice([1, 1, 2, 3])
        into, out = groups * draw.choice([1, 2]), groups * draw.choice([1, 2])
        channels = [into, out // groups] if name == "conv_transpose" else [out, into // groups]
        places = [draw.randint(2, 7) for _ in range(rank)]
        shapes = {"x": shape_text([*draw.choice([[], [1], [2]]), into, *places])}
        shapes["w"] = shape_text([*channels, *(draw.randint(1, 3) for _ in range(rank))])
        options = {"stride": spread(draw, rank, 1, 2, 3), "dilation": spread(draw, rank, 1, 2), "groups": groups}
        options["padding"] = spread(draw, rank, 0, 1, 2)
        if name == "conv" and draw.random() < 0.3:
            options["padding"] = draw.choice(["same", "valid"])
        if name == "conv_transpose":
            options["output_padding"] = spread(draw, rank, 0, 1)
        if draw.random() < 0.5:
            shapes["b"] = shape_text([out])
        spelt, python = words(options)
        call = f"{name}{rank}d({', '.join(shapes)}"
        check(f"{call}{spelt})", f"F.{call}{python})", **shapes)


def test_norms_of_channels_are_torchs() -> None:
    draw = random.Random(0)
    for _ in range(20):
        shape = [draw.choice([1, 2, 3]), draw.choice([1, 4]), *(draw.choice([1, 3]) for _ in range(draw.randint(0, 3)))]
        shapes = {"x": shape_text(shape), "m": shape_text(shape[1:2]), "v": shape_text(shape[1:2])}
        options: dict[str, Any] = {"eps": draw.choice([1e-5, 0.1])}
        scaled = draw.random() < 0.5
        shapes |= {"w": shape_text(shape[1:2]), "b": shape_text(shape[1:2])} if scaled else {}
        behind = ", w, b" if scaled else ""
        name, way = draw.choice([("batch_norm", {"training": True}), ("batch_norm", {}), ("instance_norm", {})])
        if name == "instance_norm":
            way = {"use_input_stats": draw.random() < 0.5}
        spelt, python = words(way | options)
        # torch changes running values that it is given while it measures.
        call = f"(x, m, exp(v){behind}{spelt})"
        check(name + call, f"F.{name}(x, m.clone(), torch.exp(v){behind}{python})", **shapes)


@pytest.mark.parametrize(
    ("text", "reference", "inputs"),
    [
        ("local_response_norm(x, 3, 0.5, k=2.0)", "F.local_response_norm(x, 3, 0.5, k=2.0)", {"x": "float[2, 5, 3]"}),
        ("prelu(x, w)", "F.prelu(x, w)", {"x": "float[2, 3, 2, 2]", "w": "float[3]"}),
        ("prelu(x, w)", "F.prelu(x, w)", {"x": "float64[2, 3, 4]", "w": "float64[3]"}),
        ("prelu(x, w)", "F.prelu(x, w)", {"x": "float[]", "w": "float[1]"}),
        (
            "bilinear(x, y, w, b)",
            None,
            {"x": "float[2, 3]", "y": "float[2, 4]", "w": "float[5, 3, 4]", "b": "float[5]"},
        ),
        ("bilinear(x, y, w)", None, {"x": "float[2, 7, 3]", "y": "float[2, 7, 3]", "w": "float[1, 3, 3]"}),
        (
            "pairwise_distance(x, y, 3.0, 0.1, true)",
            "F.pairwise_distance(x, y, 3.0, 0.1, True)",
            {"x": "float[3]", "y": "float[2, 3]"},
        ),
        ("pairwise_distance(x, y)", None, {"x": "float[]", "y": "float[]"}),
        ("pairwise_distance(x, y)", None, {"x": "int[2, 3]", "y": "int[2, 3]"}),
        ("cdist(x, y)", "torch.cdist(x, y)", {"x": "float[2, 4, 3]", "y": "float[1, 3]"}),
        ("cdist(x, y, p=1.5)", "torch.cdist(x, y, p=1.5)", {"x": "float64[4, 3]", "y": "float64[2, 5, 3]"}),
        ("cdist(x, x, 0)", "torch.cdist(x, x, 0)", {"x": "float[30, 3]"}),
        ("pdist(x)", None, {"x": "float[5, 3]"}),
        ("pdist(x, 0.5)", None, {"x": "float[2, 3]"}),
    ],
)
def test_others_are_torchs(text: str, reference: str | None, inputs: dict[str, str]) -> None:
    agree(text, reference or f"F.{text}", **inputs)


@pytest.mark.parametrize(
    ("text", "inputs", "code", "part"),
    [
        ("conv1d(x, w, groups=2)", {"x": "float[N, 3, 8]", "w": "float[4, 2, 3]"}, "NNS401", "takes 4 channels"),
        ("conv1d(x, w)", {"x": "float[N, 3, 8]", "w": "float[K, 3, 3]"}, "NNS405", "must be of fixed sizes"),
        ("conv1d(x, w)", {"x": "float[N, 3, 8]", "w": "float64[4, 3, 3]"}, "NNS406", "operands of one type"),
        ("conv1d(x, w, b)", {"x": "float[3, 8]", "w": "float[4, 3, 3]", "b": "float[3]"}, "NNS401", "must be [4]"),
        ("conv1d(x, w)", {"x": "float[3, 2]", "w": "float[4, 3, 3]"}, "NNS403", "does not fit"),
        ("conv_transpose1d(x, w)", {"x": "float[N, 3, 8]", "w": "float[4, 3, 3]"}, "NNS401", "takes 4 channels"),
        (
            "batch_norm(x, m)",
            {"x": "float[N, 3]", "m": "float[3]"},
            "NNS302",
            "needs both `running_mean` and `running_var`",
        ),
        ("batch_norm(x, m, m)", {"x": "float[N, 3]", "m": "float[4]"}, "NNS401", "a number for each channel"),
        ("batch_norm(x, training=true)", {"x": "float[1, 3]"}, "NNS403", "at least 2 numbers"),
        ("instance_norm(x)", {"x": "float[N, 3]"}, "NNS403", "at least 2 numbers"),
        ("prelu(x, w)", {"x": "float[N, 3]", "w": "float[2]"}, "NNS401", "needs one weight, or 3"),
        ("bilinear(x, y, w)", {"x": "float[3]", "y": "float[4]", "w": "float[5, 4, 3]"}, "NNS401", "do not fit"),
        ("cdist(x, y)", {"x": "float[4, 3]", "y": "float[4, 2]"}, "NNS401", "vectors of one size"),
        ("cdist(x, x)", {"x": "int[4, 3]"}, "NNS406", "float32 and float64 only"),
        ("pdist(x)", {"x": "float[2, 4, 3]"}, "NNS402", "needs 2 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, inputs: dict[str, str], code: str, part: str) -> None:
    said = refusal(text, **inputs)
    assert (said.code, part in said.message) == (code, True), said.message


def test_batch_norm_leaves_the_running_values_as_they_are() -> None:
    module = build(
        program_of(Example("batch_norm(x, m, v, training=true)", x="float[N, 3]", m="float[3]", v="float[3]"))
    )
    mean, variance = torch.zeros(3), torch.ones(3)
    module.train()(torch.randn(8, 3) + 5, mean, variance)
    assert mean.equal(torch.zeros(3))
    assert variance.equal(torch.ones(3))


def test_gumbel_softmax_draws_classes_by_their_probability() -> None:
    program = program_of(Example("gumbel_softmax(x, 0.7, hard=true, dim=1)", x="float[N, 3]"))
    x = torch.tensor([0.0, 1.0, 2.0]).repeat(20_000, 1)
    torch.manual_seed(0)
    drawn = build(program)(x.requires_grad_())
    (found,) = run_onnx(session(program, 17), method_of(program), [x.detach()])
    wanted = x[0].detach().softmax(0).numpy()
    for share in (drawn.detach().numpy().mean(0), found.mean(0)):
        np.testing.assert_allclose(share, wanted, atol=0.015)
    assert set(np.unique(found)) == {0.0, 1.0}
    (gradient,) = torch.autograd.grad(drawn[:, 0].sum(), x)
    assert gradient.abs().sum() > 0
