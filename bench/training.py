"""A `train` section against loops in Python: one as tutorials write it, one tuned by hand, and Lightning's.

CPU time of the same epochs over the same samples, in one thread. That the loss of each batch is that of the tuned loop,
to the bit, is asserted. With `--device cuda` it is time on the wall, in bfloat16 for all but the tutorial's loop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import isclose
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench import handwritten, loops
from bench.installed import SPECS
from bench.loops import Task, now
from bench.measure import Sample, interleaved
from bench.table import Row, row
from nnspec import compiler_run
from nnspec.backends.torch import build
from nnspec.compiler import Compiled, compile_text
from nnspec.training.listener import Listener, Outline, Step
from nnspec.training.listener import Row as Epoch

ROUNDS = 15
ON_DEVICES = True
"""`--device` means something here."""

_SMALL, _OTHER = 0.556, 0.833
_TUNED = 1.02
_LIGHTNING = 0.5
_TOLERANCE = 1e-2
"""How far a loss may be from that of the tuned loop on a GPU, whose kernels are chosen while it runs."""


class Case(NamedTuple):
    """A network, the samples that it is trained on, and the bound against the tutorial's loop."""

    title: str
    model: str
    written: Callable[..., nn.Module]
    field: str
    shape: tuple[int, ...]
    classes: int
    samples: int
    batch_size: int
    epochs: int
    bound: float
    text: bool = False
    """Whether a sample is one of symbols, with a class at each."""
    hyperparameters: Mapping[str, int] = MappingProxyType({})


_CHARACTERS = {"vocab": 65, "width": 64, "heads": 4, "depth": 3, "context": 32}
_TEXT: dict[str, Any] = {"text": True, "hyperparameters": _CHARACTERS}

CASES = (
    Case("tiny MLP, batch 32", "Tiny", handwritten.Tiny, "features", (2,), 2, 2048, 32, 10, _SMALL),
    Case("MLP, batch 64", "Mlp", handwritten.Mlp, "image", (784,), 10, 4096, 64, 1, _OTHER),
    Case("MLP, batch 512", "Mlp", handwritten.Mlp, "image", (784,), 10, 8192, 512, 1, _OTHER),
    Case("digits CNN, batch 64", "Digits", handwritten.Digits, "image", (1, 8, 8), 10, 1797, 64, 1, _OTHER),
    Case(
        "transformer, batch 16",
        "Transformer",
        handwritten.Transformer,
        "tokens",
        (32,),
        65,
        512,
        16,
        1,
        _OTHER,
        **_TEXT,
    ),
)


def measure(rounds: int, chance: random.Random, folder: Path, device: str = "cpu") -> list[Row]:
    """Time of training by each loop; that the losses are equal is asserted."""
    with one_thread():
        return [found for case in CASES for found in _measure(case, rounds, chance, folder, device)]


def _measure(case: Case, rounds: int, chance: random.Random, folder: Path, device: str) -> list[Row]:
    compiled, task = prepared(case, folder, device)
    ours, theirs = losses(compiled, folder, device), loops.tuned(task)[1]
    assert_alike(case.title, ours, theirs, exactly=device == "cpu")
    bounds = {"by hand": _TUNED, "tutorial": case.bound, "Lightning": _LIGHTNING}
    samples: dict[str, Sample] = {
        case.title: partial(_timed, compiled, folder, device),
        "by hand": lambda: loops.tuned(task)[0],
        "tutorial": partial(loops.tutorial, task),
    }
    if loops.has_lightning():
        samples["Lightning"] = partial(loops.lightning, task)
    taken = interleaved(samples, rounds, chance)
    rows = [row(taken, case.title, name, bound) for name, bound in bounds.items() if name in taken]
    rows.append(row(taken, "by hand", "tutorial")._replace(ours=f"{case.title}: by hand"))
    missing = [Row(case.title, "Lightning: not installed", float("nan"))] if "Lightning" not in taken else []
    return [*rows, *missing]


def prepared(case: Case, folder: Path, device: str = "cpu", epochs: int | None = None) -> tuple[Compiled, Task]:
    """A case as a spec with a `train` section, whose samples lie in the folder, and the same for a loop in Python."""
    epochs = epochs or case.epochs
    given, wanted = _samples(case)
    data = f"{case.model.lower()}-{case.batch_size}.npz"
    arrays: Any = {case.field: given.numpy(), "target": wanted.numpy()}
    np.savez(folder / data, **arrays)
    spec = SPECS / f"{case.model.lower()}.nns"
    train = f"""
train {case.model}({", ".join(f"{name}={value}" for name, value in case.hyperparameters.items())}) {{
  data = NPZ("{data}")
  split = 0
  loss = cross_entropy(logits, target{", dim=-1" * case.text})
  optimizer = Adam(lr=1e-3)
  epochs = {epochs}
  batch_size = {case.batch_size}
  {"" if device == "cpu" else 'precision = "bf16-mixed"'}
}}
"""
    compiled = compile_text(spec.read_text(encoding="utf-8") + train, spec.name, train=True, base=folder)
    torch.manual_seed(0)
    weights = build(compiled.program).state_dict()

    def make() -> nn.Module:
        module = case.written(**case.hyperparameters)
        module.load_state_dict(weights)
        return module

    loss = _loss_of_text if case.text else F.cross_entropy
    return compiled, Task(make, given, wanted, loss, case.batch_size, epochs, device=device)


def _samples(case: Case) -> tuple[Tensor, Tensor]:
    """Made up: what is learned from them costs as much as anything else."""
    chance = torch.Generator().manual_seed(0)
    if case.text:
        text = torch.randint(case.classes, (case.samples, case.shape[0] + 1), generator=chance)
        return text[:, :-1].contiguous(), text[:, 1:].contiguous()
    given = torch.randn((case.samples, *case.shape), generator=chance)
    return given, torch.randint(case.classes, (case.samples,), generator=chance)


def _loss_of_text(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), target.flatten())


def losses(compiled: Compiled, folder: Path, device: str = "cpu") -> list[float]:
    """The loss of each batch of a run."""
    heard = _Losses()
    compiler_run.train(compiled, base=folder, device=device, listener=heard)
    return heard.found


def assert_alike(title: str, ours: list[float], theirs: list[float], *, exactly: bool) -> None:
    """Refuse losses that are not those of the tuned loop."""
    assert len(ours) == len(theirs), f"{title}: {len(ours)} batches, not {len(theirs)}"
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
        same = a == b if exactly else isclose(a, b, rel_tol=_TOLERANCE)
        assert same, f"{title}: the loss of batch {number} is {a!r}, and {b!r} in the tuned loop"


class _Losses(Listener):
    every_step = True

    def __init__(self) -> None:
        self.found: list[float] = []

    def step(self, now: Step) -> None:
        self.found.append(now.losses["loss"])


def _timed(compiled: Compiled, folder: Path, device: str) -> float:
    watch = _Watch(device)
    compiler_run.train(compiled, base=folder, device=device, listener=watch)
    return watch.taken


class _Watch(Listener):
    """Takes the time from the first step to the end of the last epoch."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._started = 0.0
        self.taken = 0.0

    def start(self, outline: Outline) -> None:
        self._started = now(self._device)

    def epoch(self, row: Epoch) -> None:
        self.taken = now(self._device) - self._started


@contextmanager
def one_thread() -> Iterator[None]:
    """The seconds of several threads would be added up, those of waiting too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
