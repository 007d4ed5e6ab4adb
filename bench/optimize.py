"""ResNets for inference on a CPU, batch 1: as compiled, and optimized, against torchvision's modules."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import nnspec
from bench.measure import Sample, cpu_in, interleaved
from bench.table import Row, row
from nnspec.backends.torch import build
from nnspec.compiler_input import compile_input, read_input
from nnspec.compiler_optimize import DEFAULT, PASSES, serve
from tests.zoo.libraries import is_there
from tests.zoo.network import Network
from tests.zoo.table import NETWORKS

ROUNDS = 60
WANTED = ("resnet18", "resnet50")

_PLAIN = 1.02
_OPTIMIZED = 0.90
_TOLERANCE = 1e-5
_SIZE = 224

WAYS = {
    "plain": None,
    "optimized": DEFAULT,
    "fold-batch-norm alone": ("remove-identities", "fold-batch-norm", "drop-unused"),
    "channels-last instead of packed": tuple(name for name in PASSES if name != "pack-convolutions"),
    "all passes": tuple(PASSES),
}
"""What is measured, and the passes of it."""


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """Time of a forward pass in one thread; that outputs are equal within 1e-5 is asserted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = [network for network in NETWORKS if network.name in WANTED and is_there(network.needs)]
        return [each for network in found for each in _measure(network, rounds, chance)]
    finally:
        torch.set_num_threads(threads)


def _measure(network: Network, rounds: int, chance: random.Random) -> list[Row]:
    case = next(each for each in network.cases if not each.hyperparameters)
    torch.manual_seed(0)
    theirs = _unsettled(case.original().eval())
    image = torch.randn(1, 3, _SIZE, _SIZE)
    models = {way: _made(network, theirs, passes) for way, passes in WAYS.items()}
    with torch.no_grad():
        wanted = theirs(image)
        for way, model in models.items():
            apart = float((model(image) - wanted).abs().max() / wanted.abs().max())
            assert apart <= _TOLERANCE, f"{network.name}, {way}: differs by {apart:.1e}"
    names = {way: f"{network.name}: {way}" for way in WAYS}
    hand = f"{network.name}: torchvision"
    samples: dict[str, Sample] = {hand: _timed(theirs, image)}
    samples |= {names[way]: _timed(model, image) for way, model in models.items()}
    taken = interleaved(samples, rounds, chance)
    bounds = {"plain": _PLAIN, "optimized": _OPTIMIZED}
    return [row(taken, names[way], hand, bounds.get(way)) for way in WAYS]


def _made(network: Network, theirs: nn.Module, passes: tuple[str, ...] | None) -> nn.Module:
    """The spec's module with the original's weights."""
    compiled = compile_input(read_input(network.path))
    module = nnspec.load(network.path).eval()
    module.load_state_dict(network.renamed(theirs.state_dict()), strict=True)
    if passes is None:
        return module
    served = serve(compiled, passes)
    return build(served.compiled.program, state=served.state(module))


def _unsettled(module: nn.Module) -> nn.Module:
    """The module with statistics that are neither zeros nor ones."""
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.8, 1.25)
    return module


def _timed(model: Callable[[Tensor], Tensor], image: Tensor) -> Sample:
    def run() -> None:
        with torch.no_grad():
            model(image)

    return partial(cpu_in, run, 1)
