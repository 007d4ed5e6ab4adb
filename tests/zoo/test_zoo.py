"""Every network of the zoo is its original: names, outputs, gradients, training, ONNX, and in fewer lines."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch

import nnspec
from nnspec.compiler import check

from . import compare, length
from .libraries import is_there
from .network import ZOO, Case, Network
from .table import NETWORKS

TOLERANCE = 1e-5
"""The largest difference that counts as equal, relative to the largest magnitude."""

BY_NAME = {network.name: network for network in NETWORKS}


def cases() -> list[object]:
    """Each case of each network, the long ones marked as slow."""
    return [
        pytest.param((network, case), id=f"{network.name}-{number}", marks=() if case.quick else pytest.mark.slow)
        for network in NETWORKS
        for number, case in enumerate(network.cases)
    ]


def skip_without(network: Network) -> None:
    """Skip where the original's library is missing."""
    if not is_there(network.needs):
        pytest.skip(f"the original of {network.name} needs {network.needs}, which is not installed")


@pytest.fixture(scope="module", params=cases())
def pair(request: pytest.FixtureRequest) -> Iterator[compare.Pair]:
    """Both modules; one pair at a time is held."""
    network, case = request.param
    assert isinstance(network, Network)
    assert isinstance(case, Case)
    skip_without(network)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, and as much CPU as the rest of the tests
    yield compare.Pair(network, case)
    torch.set_num_threads(threads)
    gc.collect()


def close(differences: dict[str, float]) -> None:
    """None of these is too large."""
    assert {what: gap for what, gap in differences.items() if not gap <= TOLERANCE} == {}


def test_every_spec_of_the_zoo_has_an_original() -> None:
    assert sorted(path.stem for path in ZOO.glob("*.nns")) == sorted(BY_NAME)


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_network_of_the_zoo_has_no_fault(name: str) -> None:
    path = BY_NAME[name].path
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert check(text, path.name, base=ZOO).diagnostics == ()


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_network_is_tried_at_two_sizes_and_two_batch_sizes(name: str) -> None:
    for quick in {case.quick for case in BY_NAME[name].cases}:
        chosen = [case for case in BY_NAME[name].cases if case.quick == quick]
        assert len([size for case in chosen for size in case.sizes]) > 1
        assert all(len(set(case.batches)) > 1 and min(case.batches) == 1 for case in chosen)
    assert any(case.quick for case in BY_NAME[name].cases)


def test_the_originals_weights_load_by_their_names(pair: compare.Pair) -> None:
    ours, theirs = compare.names(pair)
    assert ours == theirs


def test_parameters_start_as_the_originals_do(pair: compare.Pair) -> None:
    if not (pair.network.starts and pair.case.quick):
        pytest.skip("what parameters start from is not compared")
    assert {name: gap for name, gap in compare.starts(pair).items() if gap > 1} == {}


def test_outputs_are_the_originals(pair: compare.Pair) -> None:
    close(compare.outputs(pair))


def test_gradients_are_the_originals(pair: compare.Pair) -> None:
    close(compare.gradients(pair))


def test_a_step_in_training_mode_is_the_originals(pair: compare.Pair) -> None:
    if not pair.case.train:
        pytest.skip("its training mode draws in another order, or is compared in another case")
    close(compare.training(pair))


def test_one_exported_graph_is_the_original_at_every_size(pair: compare.Pair) -> None:
    close(compare.exported(pair))


def test_a_spec_is_no_longer_than_the_code_of_its_original(pair: compare.Pair) -> None:
    assert length.spec_lines(pair.network) <= length.original_lines(pair.network, pair.theirs)


@pytest.mark.parametrize("name", sorted(name for name, network in BY_NAME.items() if network.needs != "torch"))
def test_emitted_source_is_at_most_twice_as_long_as_the_librarys(name: str) -> None:
    network = BY_NAME[name]
    skip_without(network)
    emitted = length.python_lines(nnspec.source(network.path))
    assert emitted <= 2 * length.original_lines(network, network.cases[0].original())


@pytest.mark.parametrize(("name", "most"), [("resnet50", 30), ("gpt2", 45)])
def test_a_network_with_its_training_fits_on_a_page(name: str, most: int) -> None:
    text = BY_NAME[name].path.read_text(encoding="utf-8")
    assert "\ntrain" in text
    assert length.spec_lines(BY_NAME[name]) <= most
