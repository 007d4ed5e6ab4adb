"""How long `nnspec check` takes from a cold process: it must be done before torch would be imported."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

from bench.installed import EXAMPLES, install
from bench.measure import Sample, cpu_of, interleaved, output_of, python
from bench.table import Row, row

ROUNDS = 15

_BOUND = 0.15
_HEAVY = {"torch", "onnx", "onnxruntime", "numpy", "pydantic", "rich", "sklearn"}
_LOADED = """
import sys
from nnspec.cli import main
try:
    main(['check', *sys.argv[1:]])
except SystemExit as done:
    assert not done.code, done.code
print('loaded', *sys.modules)
"""


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """A check of single examples, small and large, against the import of torch."""
    environment = install(folder)
    loaded = output_of(python("-c", _LOADED, *map(str, sorted(EXAMPLES.glob("*.nns")))), environment, folder)
    assert not _HEAVY & set(loaded.split("loaded ")[-1].split()), "a check has loaded something heavy"

    def check(name: str) -> float:
        return cpu_of(python("-m", "nnspec", "check", str(EXAMPLES / name)), environment, folder)

    def first() -> float:
        shutil.rmtree(folder / "cache")
        return check("digits_cnn.nns")

    names = [f"{name}.nns" for name in ("simple_nn", "digits_cnn", "transformer_encoder")]
    torch = "import torch"
    samples: dict[str, Sample] = {f"check {name}": partial(check, name) for name in names}
    samples[torch] = partial(cpu_of, python("-c", torch), environment, folder)
    samples["the first check ever, which builds the parser's tables"] = first
    taken = interleaved(samples, rounds, chance)
    return [row(taken, each, torch, _BOUND if each.startswith("check") else None) for each in samples if each != torch]
