"""Each pass, and all of them, on every example, every network of the zoo, every block of std, and random programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from nnspec import ir, registry
from nnspec.compiler import compile_text
from nnspec.compiler_input import compile_input, read_input
from nnspec.layer import Example
from nnspec.reference import example_spec

from ..generate.program import write
from ..test_random_programs import compiled
from ..unit.std_sequences import SEQUENCES
from ..unit.std_vision import VISION
from ..zoo.network import Case, Network
from ..zoo.table import NETWORKS
from .keeping import ALL, Trial, keeps, random_trials

FILES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.nns"))
TOGETHER = [ALL]
EACH = [*([name] for name in ALL), ALL]

FEW = range(12)
MANY = range(4000, 4300)
ADDED_UP = 1e-4
"""Rounding adds up along a random program, as in `tests.test_random_programs`."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order, and as much CPU as the rest of the tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_example_keeps_its_outputs(path: Path) -> None:
    keeps(compile_input(read_input(path)).program, EACH)


@pytest.mark.parametrize("seed", FEW)
def test_a_random_program_keeps_its_outputs(seed: int) -> None:
    keeps(compiled(write(seed)), EACH, tolerance=ADDED_UP)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_another_random_program_keeps_its_outputs(seed: int) -> None:
    keeps(compiled(write(seed)), EACH, tolerance=ADDED_UP)


def small(networks: Sequence[Network]) -> list[object]:
    """The first quick case of each network by itself, and the other cases as slow ones."""
    found: list[object] = []
    for network in networks:
        quick = [case for case in network.cases if case.quick]
        for number, case in enumerate(network.cases):
            marks = () if quick and case is quick[0] else pytest.mark.slow
            found.append(pytest.param(network, case, id=f"{network.name}-{number}", marks=marks))
    return found


def keeps_case(network: Network, case: Case, ways: Sequence[Sequence[str]]) -> None:
    torch.manual_seed(1)
    trials: list[Trial] = [network.inputs(batch, *size) for size in case.sizes for batch in case.batches]
    keeps(_program(network, case), ways, trials)


def _program(network: Network, case: Case) -> ir.Program:
    return compile_input(read_input(network.path), overrides=dict(case.hyperparameters)).program


@pytest.mark.parametrize(("network", "case"), small(NETWORKS))
def test_a_network_of_the_zoo_keeps_its_outputs(network: Network, case: Case) -> None:
    keeps_case(network, case, TOGETHER)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS, ids=[network.name for network in NETWORKS])
def test_a_network_of_the_zoo_keeps_its_outputs_after_each_pass(network: Network) -> None:
    for case in network.cases:
        if case.quick:
            keeps_case(network, case, EACH)


@pytest.mark.parametrize(("network", "case"), small((*VISION, *SEQUENCES)))
def test_a_block_of_std_keeps_its_outputs(network: Network, case: Case) -> None:
    keeps_case(network, case, TOGETHER)


def examples() -> list[object]:
    """Every example of every layer and function."""
    found: list[object] = []
    for kind in ("layer", "function"):
        for name in sorted(registry.index(kind)):
            cls = registry.find(kind, name)
            assert cls is not None
            found += [pytest.param(kind, e, id=f"{name}-{i}") for i, e in enumerate(cls.examples)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "example"), examples())
def test_every_layer_and_function_keeps_its_outputs(kind: str, example: Example) -> None:
    program = compile_text(example_spec(kind, example)).program
    trials = list(random_trials(program))
    if example.text.startswith("binary_cross_entropy("):
        trials = [{name: tensor.sigmoid() for name, tensor in trial.items()} for trial in trials]
    keeps(program, EACH, trials, with_onnx=example.onnx)
