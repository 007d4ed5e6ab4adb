"""A spec to an ONNX file from a cold process, against torch's exporter from a cold process."""

from __future__ import annotations

import random
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bench.installed import SPECS, install
from bench.measure import cpu_of, interleaved, output_of, python
from bench.table import Row, row

ROUNDS = 7

_LOADED_WEIGHTS = 0.1
_FRESH_WEIGHTS = 0.5
_SHAPES = {"fc1": (512, 784), "fc2": (512, 512), "fc3": (10, 512)}
_MODULES = """
import sys
from nnspec.cli import main
try:
    main(sys.argv[1:])
except SystemExit as done:
    assert not done.code, done.code
print('loaded', *sys.modules)
"""


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """CPU of writing an MLP with weights from a file, and with fresh ones; empty where the exporter is missing."""
    environment = install(folder)
    weights, ours, theirs = str(folder / "mlp.safetensors"), str(folder / "ours.onnx"), folder / "theirs.onnx"
    save_file(_weights(), weights)
    compile_ = ["compile", str(SPECS / "mlp.nns"), "-o", ours]
    loaded = output_of(python("-c", _MODULES, *compile_, "--weights", weights), environment, folder)
    assert "torch" not in loaded.split("loaded ")[-1].split(), "weights from a file have loaded torch"
    if find_spec("onnxscript") is None:
        print("torch.onnx.export(dynamo=True) needs the package `onnxscript`, which is not installed: left out")
        return []
    export = python("-m", "bench.export", weights, str(theirs))
    output_of(export, environment, folder)
    _assert_equal(ours, str(theirs))
    commands = {
        "compile --weights": python("-m", "nnspec", *compile_, "--weights", weights),
        "compile, fresh weights": python("-m", "nnspec", *compile_),
        "torch.onnx.export": export,
        "import torch": python("-c", "import torch"),
    }
    samples = {name: partial(cpu_of, command, environment, folder) for name, command in commands.items()}
    taken = interleaved(samples, rounds, chance)
    return [
        row(taken, "compile --weights", "torch.onnx.export", _LOADED_WEIGHTS),
        row(taken, "compile, fresh weights", "torch.onnx.export", _FRESH_WEIGHTS),
        row(taken, "import torch", "torch.onnx.export"),
    ]


def _weights() -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    weights = {f"{name}.weight": chance.normal(0, 0.05, shape) for name, shape in _SHAPES.items()}
    biases = {f"{name}.bias": chance.normal(0, 0.05, shape[:1]) for name, shape in _SHAPES.items()}
    return {name: array.astype(np.float32) for name, array in (weights | biases).items()}


def _assert_equal(*paths: str) -> None:
    """Both files compute the same: else their making is not worth comparing."""
    import onnxruntime

    image = np.random.default_rng(1).normal(size=(3, 784)).astype(np.float32)
    found = []
    for path in paths:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        found.append(session.run(None, {session.get_inputs()[0].name: image})[0])
    assert np.allclose(found[0], found[1], atol=1e-5), "the two ONNX files differ"
