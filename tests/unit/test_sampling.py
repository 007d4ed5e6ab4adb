"""Sampling at places of a grid, grids of affine maps, and resizing without aliases: against torch."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
import torch.nn.functional as F

from nnspec.compiler import compile_text
from nnspec.layer import Example

from ..contract import judge
from .function_harness import agree, program_of, refusal, run_onnx, same, session
from .test_layers_windows import text

CORNERS = (None, True, False)
PLACES = ("zeros", "border", "reflection")


@pytest.mark.parametrize(
    ("mode", "outside", "corners"), list(itertools.product(("bilinear", "nearest", "bicubic"), PLACES, CORNERS))
)
def test_images_are_sampled_as_torch_does(mode: str, outside: str, corners: bool | None) -> None:
    agree(
        f'grid_sample(x, 0.7 * g, "{mode}", "{outside}", {text(corners)})',
        lambda x, g: F.grid_sample(x, 0.7 * g, mode, outside, corners or False),
        x="float[2, 3, 4, 5]",
        g="float[2, 3, 6, 2]",
    )


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(("mode", "outside"), list(itertools.product(("bilinear", "nearest"), PLACES)))
def test_volumes_are_sampled_as_torch_does(mode: str, outside: str, corners: bool) -> None:
    """In operator sets with and without an operator for it."""
    call = f'grid_sample(x, g, "{mode}", "{outside}", {text(corners)})'
    types = {"x": "float[N, 2, D, H, W]", "g": "float[N, S, T, 2, 3]"}
    program = program_of(Example(call, x=types["x"], g=types["g"]))
    method = program.methods[program.main.methods["infer"]]
    sessions = [session(program, opset) for opset in (17, 20)]
    for shape in ((3, 4, 5), (1, 2, 1)):
        inputs = [torch.randn(2, 2, *shape), torch.randn(2, 3, 4, 2, 3)]
        wanted = F.grid_sample(inputs[0], inputs[1], mode, outside, corners)
        for loaded in sessions:
            same([wanted], run_onnx(loaded, method, inputs))


@pytest.mark.parametrize("corners", CORNERS)
def test_grids_of_maps_are_torchs(corners: bool | None) -> None:
    agree(
        f"affine_grid(m, [2, 3, 4, 5], {text(corners)})",
        lambda m: F.affine_grid(m, [2, 3, 4, 5], corners or False),
        m="float[2, 2, 3]",
    )
    agree(
        f"affine_grid(m, [2, 1, 3, 4, 5], {text(corners)})",
        lambda m: F.affine_grid(m, [2, 1, 3, 4, 5], corners or False),
        m="float[2, 3, 4]",
    )


@pytest.mark.parametrize("seed", range(12))
def test_resizing_without_aliases_is_torchs(seed: int) -> None:
    number = random.Random(seed)
    height, width = number.randint(1, 12), number.randint(2, 12)
    size = (number.randint(1, 12), number.randint(2, 12))
    mode, corners = number.choice(["bilinear", "bicubic"]), number.choice(CORNERS)
    agree(
        f'interpolate(x, {size}, mode="{mode}", align_corners={text(corners)}, antialias=true)',
        lambda x: F.interpolate(x, size, None, mode, corners, antialias=True),
        x=f"float[2, 1, {height}, {width}]",
    )
    factors = (number.choice([0.5, 1.0, 1.5, 0.3]), number.choice([0.5, 1.0, 2.0]))
    agree(
        f'interpolate(x, scale_factor={factors}, mode="{mode}", antialias=true)',
        lambda x: F.interpolate(x, None, factors, mode, antialias=True),
        x="float[2, 1, 8, 6]",
    )


def test_torch_is_wrong_about_a_width_of_one() -> None:
    """Where this fails, torch was repaired, and `interpolate` need not refuse it any more."""
    rows = torch.tensor([[[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]]])
    narrow = F.interpolate(rows, (6, 1), mode="bilinear", antialias=True)
    assert not torch.allclose(narrow[..., 0], F.interpolate(rows, (6, 2), mode="bilinear", antialias=True)[..., 0])
    found = refusal('interpolate(x, (6, 1), mode="bilinear", antialias=true)', x="float[1, 1, 3, 2]")
    assert found.code == "NNS403"


def test_what_cannot_be_sampled_is_refused() -> None:
    assert refusal("grid_sample(x, g)", x="float[2, 3, 4, 5]", g="float[2, 3, 3, 3]").code == "NNS401"
    assert refusal("grid_sample(x, g)", x="float[2, 3, 4, 5]", g="float[1, 3, 3, 2]").code == "NNS401"
    assert refusal("grid_sample(x, g)", x="float[2, 3, 4, 5]", g="float64[2, 3, 3, 2]").code == "NNS406"
    found = refusal('grid_sample(x, g, "bicubic")', x="float[2, 3, 4, 5, 6]", g="float[2, 3, 3, 3, 3]")
    assert found.message == "`grid_sample` has no bicubic volumes, and float[2, 3, 4, 5, 6] is one"
    assert refusal("affine_grid(m, [2, 3])", m="float[2, 2, 3]").code == "NNS402"
    assert refusal("affine_grid(m, [2, 3, 4, 5, 6])", m="float[2, 2, 3]").code == "NNS401"
    found = refusal("interpolate(x, 3, antialias=true)", x="float[1, 1, 4, 4]")
    assert found.message == '`interpolate(mode="nearest")` has no filter that `antialias` could widen'


def test_a_grid_from_a_network_bends_its_own_input() -> None:
    source = """
    model Transformer {
      input x: float[N, 1, H, W]
      theta = x -> AdaptiveAvgPool2d(4) -> Flatten -> Linear(6) -> Unflatten(1, (2, 3))
      output y: float[N, 1, H, W] = grid_sample(x, affine_grid(theta, [N, 1, H, W]))
    }
    """
    judge(compile_text(source).program)
