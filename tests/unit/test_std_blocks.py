"""Every block of `std` with parameters is the same module of another library: names, outputs, gradients, ONNX."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nnspec import registry_std

from ..zoo import compare
from ..zoo.libraries import is_there
from .std_block import Block
from .std_sequences import SEQUENCES
from .std_vision import VISION

TOLERANCE = 1e-5
BLOCKS = (*VISION, *SEQUENCES)
NAMELESS = {"StochasticDepth"}
"""Blocks that own nothing, and are tested by themselves."""


@pytest.fixture(scope="module", params=BLOCKS, ids=[f"{i}-{block.name}" for i, block in enumerate(BLOCKS)])
def pair(request: pytest.FixtureRequest) -> Iterator[compare.Pair]:
    """The block and its original."""
    block = request.param
    assert isinstance(block, Block)
    if not is_there(block.needs):
        pytest.skip(f"the original of {block.name} needs {block.needs}, which is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield compare.Pair(block, block.cases[0])
    torch.set_num_threads(threads)


def close(differences: dict[str, float]) -> None:
    """None of these is too large."""
    assert {what: gap for what, gap in differences.items() if not gap <= TOLERANCE} == {}


def test_every_block_has_an_original() -> None:
    layers = {name for name in registry_std.blocks() if name[0].isupper()}
    assert {block.name for block in BLOCKS} == layers - NAMELESS


def test_weights_of_the_original_load_by_their_names(pair: compare.Pair) -> None:
    ours, theirs = compare.names(pair)
    assert ours == theirs


def test_outputs_are_those_of_the_original(pair: compare.Pair) -> None:
    close(compare.outputs(pair))


def test_gradients_are_those_of_the_original(pair: compare.Pair) -> None:
    close(compare.gradients(pair))


def test_a_step_of_training_is_that_of_the_original(pair: compare.Pair) -> None:
    close(compare.training(pair))


def test_the_exported_graph_computes_what_the_original_does(pair: compare.Pair) -> None:
    close(compare.exported(pair))
