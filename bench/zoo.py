"""The networks of examples/zoo against their originals, and what checking them costs."""

from __future__ import annotations

import gc
import random
from functools import partial
from pathlib import Path
from statistics import median

import torch

import nnspec
from bench.installed import install
from bench.measure import Sample, cpu_in, cpu_of, interleaved, python
from bench.table import Row, row
from nnspec import compiler
from tests.zoo import compare, length
from tests.zoo.libraries import is_there
from tests.zoo.network import Network
from tests.zoo.table import NETWORKS

ROUNDS = 7

_BOUND = 1.0
_RESNET = """
import torch
library = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from torchvision.models.resnet import resnet50
resnet50()
"""
_CHECK, _TORCH, _MADE = "check all of the zoo", "import torch", "import torch, construct torchvision's resnet50"


_HEAD = (
    *("network", "parameters", "spec", "original", "emitted"),
    *("outputs", "gradients", "training", "ONNX", "check"),
)


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """Print what each network is and how near its original; then the cost of checking all, against making one."""
    environment = install(folder)
    specs = [str(network.path) for network in NETWORKS]
    samples: dict[str, Sample] = {
        _CHECK: partial(cpu_of, python("-m", "nnspec", "check", *specs), environment, folder),
        _TORCH: partial(cpu_of, python("-c", "import torch"), environment, folder),
    }
    if is_there("torchvision"):
        samples[_MADE] = partial(cpu_of, python("-c", _RESNET), environment, folder)
    taken = interleaved(samples, rounds, chance)
    _compare(median(taken[_TORCH]), rounds)
    return [row(taken, _CHECK, other, _BOUND if other == _MADE else None) for other in samples if other != _CHECK]


def _compare(torch_import: float, rounds: int) -> None:
    print("Lines of spec, original and emitted source, less blank ones, comments and docstrings; largest relative")
    print("differences of any case; CPU of a check in a warm process against that of `import torch`.\n")
    _print(_HEAD)
    for network in NETWORKS:
        if is_there(network.needs):
            check = median(_check(network) for _ in range(rounds)) / torch_import
            _print((*cells(network), f"{check:.3f}"))
        else:
            print(f"{network.name}: its original needs {network.needs}, which is not installed")
    print()


def cells(network: Network) -> tuple[str, ...]:
    """What is said of a network, but for its cost."""
    worst: dict[str, float] = {}
    for case in network.cases:
        pair = compare.Pair(network, case)
        found = {"outputs": compare.outputs(pair), "gradients": compare.gradients(pair), "onnx": compare.exported(pair)}
        if case.train:
            found["training"] = compare.training(pair)
        for kind, gaps in found.items():
            worst[kind] = max(worst.get(kind, 0.0), *gaps.values())
        lines = length.spec_lines(network), length.original_lines(network, pair.theirs)
        del pair
        gc.collect()  # some are large, and one at a time is enough
    emitted = length.python_lines(nnspec.source(network.path))
    return (
        network.name,
        f"{_parameters(network):,}",
        *map(str, (*lines, emitted)),
        *(f"{worst[kind]:.0e}" if kind in worst else "-" for kind in ("outputs", "gradients", "training", "onnx")),
    )


def _parameters(network: Network) -> int:
    """Of the network as its spec has it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in nnspec.load(network.path).parameters())


def _check(network: Network) -> float:
    text = network.path.read_text(encoding="utf-8")
    gc.collect()
    return cpu_in(lambda: compiler.check(text, network.path.name, base=network.path.parent))


def _print(cells: tuple[str, ...]) -> None:
    print(f"{cells[0]:20}{cells[1]:>13}" + "".join(f"{cell:>10}" for cell in cells[2:]), flush=True)
