"""Pools and the places of their maxima, unpooling, columns of windows, and sizes that flow in: against torch."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nnspec.backends.onnx import OnnxError
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.layer import Example, ShapeError

from ..contract import judge
from .function_harness import agree, program_of, refusal, session
from .layer_harness import feed, make, onnx_model, read_layer

SEEDS = range(9)


def some(number: random.Random, rank: int, low: int, high: int) -> int | tuple[int, ...]:
    """One number, or one for each dimension."""
    numbers = tuple(number.randint(low, high) for _ in range(rank))
    return numbers if number.random() < 0.5 else numbers[0]


def text(value: Any) -> str:
    """As a spec has it."""
    words = {None: "none", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def sizes(number: random.Random, rank: int) -> tuple[int, ...]:
    return (number.randint(1, 2), 2, *(number.randint(5, 8) for _ in range(rank)))


def tensor_type(shape: tuple[int, ...]) -> str:
    return f"float[{', '.join(map(str, shape))}]"


@pytest.mark.parametrize("seed", SEEDS)
def test_places_of_maxima_are_torchs(seed: int) -> None:
    number = random.Random(seed)
    rank = 1 + seed % 3
    kernel, stride = some(number, rank, 2, 3), some(number, rank, 1, 4)
    padding, dilation, ceil = some(number, rank, 0, 1), number.choice([1, 1, 2]), number.random() < 0.5
    arguments = f"{text(kernel)}, {text(stride)}, {text(padding)}, {dilation}, {text(ceil)}, true"
    pool = getattr(torch.nn, f"MaxPool{rank}d")(kernel, stride, padding, dilation, True, ceil)
    call = f"max_pool{rank}d(round(x), {arguments})"
    agree(call, lambda x: pool(x.round()), x=tensor_type(sizes(number, rank)))


@pytest.mark.parametrize("seed", SEEDS)
def test_adaptive_pools_find_the_first_of_equal_maxima(seed: int) -> None:
    number = random.Random(seed)
    rank = 1 + seed % 3
    out = some(number, rank, 1, 5)
    pool = getattr(torch.nn, f"AdaptiveMaxPool{rank}d")(out, True)
    call = f"adaptive_max_pool{rank}d(round(x), {text(out)}, true)"
    agree(call, lambda x: pool(x.round()), x=tensor_type(sizes(number, rank)))


@pytest.mark.parametrize("seed", SEEDS)
def test_power_pools_are_torchs(seed: int) -> None:
    number = random.Random(seed)
    rank = 1 + seed % 3
    kernel = number.randint(1, 3) if rank == 1 else some(number, rank, 1, 3)
    power, stride, ceil = number.choice([1, 2, 2.5, -1, 4]), number.choice([None, 1, 2, 3]), number.random() < 0.5
    arguments = f"{power}, {text(kernel)}, {text(stride)}, {text(ceil)}"
    pool = getattr(torch.nn, f"LPPool{rank}d")(power, kernel, stride, ceil)
    call = f"lp_pool{rank}d(abs(x) + 0.1, {arguments})"
    agree(call, lambda x: pool(x.abs() + 0.1), x=tensor_type(sizes(number, rank)))


@pytest.mark.parametrize("seed", SEEDS)
def test_columns_and_their_sums_are_torchs(seed: int) -> None:
    number = random.Random(seed)
    shape = sizes(number, 2)[seed % 2 :]
    kernel, dilation, padding, stride = (some(number, 2, low, high) for low, high in ((1, 3), (1, 2), (0, 2), (1, 3)))
    window = f"{text(kernel)}, {text(dilation)}, {text(padding)}, {text(stride)}"
    columns = F.unfold(torch.rand(shape), kernel, dilation, padding, stride)
    agree(f"unfold(x, {window})", lambda x: F.unfold(x, kernel, dilation, padding, stride), x=tensor_type(shape))
    agree(
        f"fold(x, {shape[-2:]}, {window})",
        lambda x: F.fold(x, shape[-2:], kernel, dilation, padding, stride),
        x=tensor_type(tuple(columns.shape)),
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling_to_the_size_before_the_pool_needs_no_proof(rank: int) -> None:
    places = ["D", "H", "W"][-rank:]
    unpooled = f"MaxUnpool{rank}d(3, stride=2, padding=1)"
    source = f"""
    model M {{
      input x: float[N, 2, {", ".join(places)}]
      y, indices = x -> MaxPool{rank}d(3, stride=2, padding=1, return_indices=true)
      output z = (y, indices, output_size=[{", ".join(places)}]) -> {unpooled}
    }}
    """
    judge(compile_text(source).program)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_transposed_convolution_goes_back_to_any_size(rank: int) -> None:
    places = ["D", "H", "W"][-rank:]
    source = f"""
    model M {{
      input x: float[N, 2, {", ".join(places)}]
      h = x -> Conv{rank}d(3, 3, stride=3, padding=1)
      output y = (h, output_size=[{", ".join(places)}]) -> ConvTranspose{rank}d(2, 3, stride=3, padding=1)
    }}
    """
    judge(compile_text(source).program)


def test_an_unpooled_size_has_as_many_choices_as_the_stride() -> None:
    for size in range(6, 13):
        call = f"max_unpool1d(x, zeros_like(x, dtype=int), 3, 2, output_size=[{size}])"
        if 8 <= size <= 10:
            agree(call, x="float[2, 3, 4]")
        else:
            found = refusal(call, x="float[2, 3, 4]")
            assert (found.code, found.labels[0].text) == ("NNS411", "must be from 8 to 10")
            with pytest.raises(ValueError, match="invalid output_size"):
                torch.nn.MaxUnpool1d(3, 2)(torch.rand(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.int64), [size])


def test_a_transposed_convolution_has_as_many_choices_as_the_stride() -> None:
    convolution = torch.nn.ConvTranspose1d(3, 2, 4, stride=3, padding=1)
    types = "model M {\n  input x: float[N, 3, 5]\n"
    for size in range(11, 19):
        source = types + f"  output y = (x, output_size=[{size}]) -> ConvTranspose1d(2, 4, stride=3, padding=1)\n}}\n"
        if 14 <= size <= 16:
            judge(compile_text(source).program)
            continue
        with pytest.raises(NnspecError, match="makes no length"):
            compile_text(source)
        with pytest.raises(ValueError, match="valid sizes range"):
            convolution(torch.rand(1, 3, 5), [size])


@pytest.mark.parametrize("rank", [2, 3])
def test_windows_at_random_fit_where_torchs_do(rank: int) -> None:
    pool = getattr(torch.nn, f"FractionalMaxPool{rank}d")
    for size in range(2, 7):
        for kernel in (1, 2, 3):
            for out in (1, 2, 3):
                shape = (1, 1) + (size,) * rank
                try:
                    case = feed(make(f"FractionalMaxPool{rank}d", kernel, out), tensor_type(shape))
                except ShapeError:
                    with pytest.raises(RuntimeError):
                        pool(kernel, out)(torch.rand(shape))
                else:
                    assert case.output.dims == tuple(pool(kernel, out)(torch.rand(shape)).shape)


def test_windows_at_random_are_no_part_of_onnx() -> None:
    with pytest.raises(OnnxError, match="the nearest are `AdaptiveMaxPool2d` and `MaxPool2d`"):
        onnx_model(feed(read_layer("FractionalMaxPool2d(2, 3)"), "float[1, 2, 8, 8]"), {}, 21)


def test_a_pool_with_ceil_mode_runs_after_all_optimizations() -> None:
    """A pad in front of it is merged into it by ONNX Runtime, which then wants it smaller than the window."""
    program = program_of(Example("avg_pool2d(x, (3, 2), 2, 1, ceil_mode=true)", x="float[N, 3, H, W]"))
    assert session(program, 21).get_outputs()
