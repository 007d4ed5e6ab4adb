"""The module that a spec becomes against one that is written by hand: the same bits, in the same time and memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import nnspec
from bench import handwritten
from bench.installed import SPECS
from bench.measure import cpu_in, interleaved
from bench.table import Row, row

ROUNDS = 150

_TIME = 1.02
_MEMORY = 1.0


class Case(NamedTuple):
    """A network, what flows into it, and how many calls of it make a sample that the clock can tell from noise."""

    title: str
    spec: str
    written: Callable[[], nn.Module]
    given: Callable[[], Tensor]
    calls: int
    backward: bool = False


CASES = (
    Case("MLP, batch 1", "mlp", handwritten.Mlp, lambda: torch.randn(1, 784), 100),
    Case("MLP, batch 1, backward", "mlp", handwritten.Mlp, lambda: torch.randn(1, 784), 50, True),
    Case("CNN, batch 32", "cnn", handwritten.Cnn, lambda: torch.randn(32, 1, 28, 28), 1),
    Case("CNN, batch 32, backward", "cnn", handwritten.Cnn, lambda: torch.randn(32, 1, 28, 28), 1, True),
    Case("transformer", "transformer", handwritten.Transformer, lambda: torch.randint(512, (4, 64)), 1),
    Case("transformer, backward", "transformer", handwritten.Transformer, lambda: torch.randint(512, (4, 64)), 1, True),
)


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """Time and peak memory of forward and backward passes; that all results are equal to the bit is asserted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [found for case in CASES for found in _measure(case, rounds, chance)]
    finally:
        torch.set_num_threads(threads)


def _measure(case: Case, rounds: int, chance: random.Random) -> list[Row]:
    torch.manual_seed(0)
    ours, theirs = nnspec.load(SPECS / f"{case.spec}.nns"), case.written()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    given = case.given()
    names = f"{case.title}: nnspec", f"{case.title}: by hand"
    step = _backward if case.backward else _forward
    models = dict(zip(names, (ours, theirs), strict=True))
    steps = {name: partial(step, model.train(case.backward), given) for name, model in models.items()}
    results = [step() for step in steps.values()]
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True)), f"{case.title} differs"
    peaks = [_peak(step) for step in steps.values()]
    taken = interleaved({name: partial(cpu_in, step, case.calls) for name, step in steps.items()}, rounds, chance)
    memory = Row(f"{case.title}: peak memory", "by hand", peaks[0] / peaks[1], None, _MEMORY)
    return [row(taken, *names, _TIME)._replace(ours=case.title, theirs="by hand"), memory]


def _forward(model: nn.Module, given: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return [model(given)]


def _backward(model: nn.Module, given: Tensor) -> list[Tensor]:
    """Output and gradients, by name so that both models have them in one order."""
    model.zero_grad()
    result = model(given)
    result.square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return [result.detach(), *(gradients[name] for name in sorted(gradients))]


def _peak(step: Callable[[], object]) -> int:
    """The most bytes of tensors that a step makes and holds at a time; what operators need inside is not seen."""
    step()
    with _Held() as held:
        step()
    most: int = held.most
    return most


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Notes after each operator which of the tensors made so far are still alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._made: dict[int, tuple[Any, int]] = {}
        self._given: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and look at what it gave."""
        self._made = {key: made for key, made in self._made.items() if not made[0].expired()}
        self._given |= {key for key, _, _ in _storages((args, kwargs))} - self._made.keys()
        result = func(*args, **(kwargs or {}))
        self._made |= {key: (ref, size) for key, ref, size in _storages(result) if key not in self._given}
        self.most = max(self.most, sum(size for _, size in self._made.values()))
        return result


def _storages(tree: Any) -> list[tuple[int, Any, int]]:
    weak: Any = StorageWeakRef
    found = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return [(storage.data_ptr(), weak(storage), storage.nbytes()) for storage in found if storage.nbytes()]
