"""Bags of embeddings against torch: bags by row and by offset, empty ones, weights, numbers that do not count."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nnspec import ir
from nnspec.backends.torch import build
from nnspec.compiler import compile_text

from .function_harness import agree, refusal, run_onnx, same, session


def program_of(options: str, numbers: str = "int[L]", weighted: bool = False) -> ir.Program:
    """A model that is a call of `embedding_bag` with offsets."""
    weights = "  input v: float[L]\n" if weighted else ""
    given = ", per_sample_weights=v" if weighted else ""
    return compile_text(
        f"model M {{\n  input i: {numbers}\n  input w: float[5, 3]\n  input o: int[B]\n{weights}"
        f"  output y = embedding_bag(i, w, o, {options}{given})\n}}\n"
    ).program


@pytest.mark.parametrize("opset", [17, 18, 21])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("padding", [None, 2, -1])
def test_bags_between_offsets_are_torchs(opset: int, mode: str, last: bool, padding: int | None) -> None:
    number = random.Random(opset)
    weighted = mode == "sum"
    words = {None: "none", True: "true", False: "false"}
    options = f'mode="{mode}", include_last_offset={words[last]}, padding_idx={padding if padding else "none"}'
    program = program_of(options, weighted=weighted)
    method = program.methods[program.main.methods["infer"]]
    loaded = session(program, opset)
    for length in (1, 4, 9):
        numbers, table = torch.randint(0, 5, (length,)), torch.randn(5, 3)
        starts = sorted(number.randint(0, length) for _ in range(4))
        offsets = torch.tensor([0, *starts, *([length] if last else [])])
        inputs = [numbers, table, offsets] + ([torch.randn(length)] if weighted else [])
        weights = inputs[3] if weighted else None
        wanted = F.embedding_bag(
            numbers, table, offsets, None, 2, False, mode, False, weights, last, padding_idx=padding
        )
        (found,) = run_onnx(loaded, method, inputs)
        same([build(program)(*inputs)], [wanted.numpy()])
        same([wanted], [found])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_row_is_a_bag_and_one_without_numbers_that_count_is_zero(mode: str) -> None:
    call = f'embedding_bag(i % 2, w, mode="{mode}", padding_idx=1)'
    (found,) = agree(
        call, lambda i, w: F.embedding_bag(i % 2, w, mode=mode, padding_idx=1), i="int[20, 2]", w="float[2, 3]"
    )
    assert (found == 0).all(1).any()


def test_the_layer_takes_offsets() -> None:
    source = "model M {\n  input i: int[L]\n  input o: int[B]\n  output y = (i, o) -> bag: EmbeddingBag(5, 3)\n}\n"
    program = compile_text(source).program
    module = build(program)
    table = module.state_dict()["bag.weight"]
    numbers, offsets = torch.tensor([1, 4, 4, 0]), torch.tensor([0, 0, 3])
    wanted = [table[0] * 0, (table[1] + table[4] + table[4]) / 3, table[0]]
    np.testing.assert_allclose(module(numbers, offsets).detach(), torch.stack(wanted), rtol=1e-6)


def test_what_makes_no_bags_is_refused() -> None:
    types = {"i": "int[6]", "w": "float[5, 3]"}
    rows = {"i": "int[2, 6]", "w": "float[5, 3]"}
    assert (
        refusal("embedding_bag(i, w)", **types).message
        == "`embedding_bag` needs to know where the bags begin in int[6]"
    )
    found = refusal("embedding_bag(i, w, o)", **rows, o="int[2]")
    assert found.message == "each row of int[2, 6] is a bag for `embedding_bag`, which then takes no offsets"
    assert refusal("embedding_bag(i, w, o)", **types, o="float[2]").code == "NNS406"
    assert refusal("embedding_bag(i, w, o, include_last_offset=true)", **types, o="int[1]").code == "NNS403"
    assert refusal('embedding_bag(i, w, mode="max", sparse=true)', **rows).code == "NNS304"
    assert refusal("embedding_bag(i, w, padding_idx=5)", **rows).code == "NNS411"
    found = refusal("embedding_bag(i, w, per_sample_weights=v)", **rows, v="float[2, 6]")
    assert found.message == '`embedding_bag(mode="mean")` takes no per_sample_weights: only sums are weighted'
    assert refusal('embedding_bag(i, w, mode="sum", per_sample_weights=v)', **rows, v="float[2, 5]").code == "NNS401"
    assert refusal('embedding_bag(i, w, mode="sum", per_sample_weights=v)', **rows, v="float64[2, 6]").code == "NNS406"
