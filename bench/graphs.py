"""The exported graph against that of torch's exporter: nodes after ONNX Runtime's own optimisation, latency, and what
building it costs in a warm process; and the peak memory of exporting a model of one gigabyte."""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from torch.export import Dim

from bench import handwritten
from bench.handwritten_gpt2 import Gpt2
from bench.installed import EXAMPLES, SPECS, install
from bench.measure import cpu_in, interleaved, output_of, peak_of, python
from bench.table import Row, row
from nnspec.backends import onnx as backend
from nnspec.compiler_input import compile_input, read_input
from tests.zoo.table import NETWORKS

ROUNDS = 30

_NODES = 1.0
_LATENCY = 1.02
_BUILDING = 0.2
_MEMORY = 1.3
_BUILDS = 3
"""How often torch builds each graph: that takes seconds, and is far from the bound."""

_WIDTH, _DEPTH = 5120, 10
"""Of the linear layers that hold a gigabyte of weights."""

_GIGABYTE = f"""
import sys
import numpy as np
from safetensors.numpy import save_file
state = {{f'fc.{{i}}.weight': np.ones(({_WIDTH}, {_WIDTH}), np.float32) for i in range({_DEPTH})}}
state |= {{f'fc.{{i}}.bias': np.zeros({_WIDTH}, np.float32) for i in range({_DEPTH})}}
save_file(state, sys.argv[1])
print(sum(array.nbytes for array in state.values()))
"""


class Case(NamedTuple):
    """A network, what flows into it, which of its dimensions vary, and how many runs make a sample."""

    title: str
    spec: Path
    written: Callable[[], nn.Module]
    given: Callable[[], Tensor]
    varies: Mapping[int, str]
    runs: int


def _resnet50() -> nn.Module:
    network = next(each for each in NETWORKS if each.name == "resnet50")
    return network.cases[-1].original()


CASES = (
    Case("MLP", SPECS / "mlp.nns", handwritten.Mlp, lambda: torch.randn(2, 784), {0: "N"}, 200),
    Case("CNN", SPECS / "cnn.nns", handwritten.Cnn, lambda: torch.randn(2, 1, 28, 28), {0: "N"}, 20),
    Case("LSTM", SPECS / "lstm.nns", handwritten.Lstm, lambda: torch.randn(2, 20, 64), {0: "N", 1: "T"}, 20),
    Case("ResNet-50", EXAMPLES / "zoo/resnet50.nns", _resnet50, lambda: torch.randn(2, 3, 224, 224), {0: "N"}, 1),
    Case("GPT-2", EXAMPLES / "zoo/gpt2.nns", Gpt2, lambda: torch.randint(50_257, (2, 64)), {0: "N", 1: "T"}, 1),
)


def measure(rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    """One thread, the same weights, the same outputs."""
    rows = [_memory(folder)]
    if find_spec("onnxscript") is None:
        print("torch.onnx.export(dynamo=True) needs the package `onnxscript`, which is not installed: left out")
        return rows
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    try:
        return rows + [found for case in CASES for found in _measure(case, rounds, chance, folder)]
    finally:
        logging.disable(logging.NOTSET)
        torch.set_num_threads(threads)


def _measure(case: Case, rounds: int, chance: random.Random, folder: Path) -> list[Row]:
    torch.manual_seed(0)
    given = case.given()
    module = _trained(case.written(), given)
    files = {"nnspec": folder / f"{case.title}.onnx", "torch": folder / f"{case.title}.torch.onnx"}
    builds = {"nnspec": partial(_ours, case, module, files["nnspec"])}
    builds |= {"torch": partial(_theirs, case, module, given, files["torch"])}
    built = interleaved({name: partial(cpu_in, build) for name, build in builds.items()}, _BUILDS, chance)
    opened = {name: _open(path) for name, path in files.items()}
    sessions = {name: session for name, (session, _) in opened.items()}
    _assert_equal(sessions, given)
    runs = {name: partial(cpu_in, partial(_run, session, given), case.runs) for name, session in sessions.items()}
    taken = interleaved(runs, rounds, chance)
    nodes = {name: count for name, (_, count) in opened.items()}
    print(f"{case.title}: {nodes['nnspec']} nodes, torch's graph has {nodes['torch']}", flush=True)
    for path in folder.glob(f"{case.title}*"):
        path.unlink()
    return [
        Row(f"{case.title}: nodes", "torch's graph", nodes["nnspec"] / nodes["torch"], None, _NODES),
        row(taken, "nnspec", "torch", _LATENCY)._replace(ours=f"{case.title}: latency", theirs="torch's graph"),
        row(built, "nnspec", "torch", _BUILDING)._replace(ours=f"{case.title}: building", theirs="torch.onnx.export"),
    ]


def _trained(module: nn.Module, given: Tensor) -> nn.Module:
    """The module with weights and statistics as training leaves them: what is zero would be left out of a graph."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
        module(given)
    return module.eval()


def _ours(case: Case, module: nn.Module, path: Path) -> None:
    """From the text of the spec to the file."""
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    backend.write(compile_input(read_input(case.spec)).program, None, state, path)


def _theirs(case: Case, module: nn.Module, given: Tensor, path: Path) -> None:
    shapes = ({axis: Dim(name, min=1, max=1024) for axis, name in case.varies.items()},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (given,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)


def _open(path: Path) -> tuple[Any, int]:
    """A session on one thread, and how many nodes are left of the graph once ONNX Runtime has optimised it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(path.with_suffix(".optimized"))
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(options.optimized_model_filepath, load_external_data=False).graph
    return session, len(graph.node)


def _run(session: Any, given: Tensor) -> np.ndarray:
    found: np.ndarray = session.run(None, {session.get_inputs()[0].name: given.numpy()})[0]
    return found


def _assert_equal(sessions: Mapping[str, Any], given: Tensor) -> None:
    ours, theirs = (_run(session, given) for session in sessions.values())
    assert np.abs(ours - theirs).max() <= 1e-5 * max(1.0, float(np.abs(theirs).max())), "the two graphs differ"


def _memory(folder: Path) -> Row:
    """The most memory of a process that exports linear layers with weights from a file, against these weights."""
    environment = install(folder)
    spec, weights, target = folder / "large.nns", folder / "large.safetensors", folder / "large.onnx"
    spec.write_text(
        f"model Large {{\n  input x: float[N, {_WIDTH}]\n  output y = x -> fc: Linear({_WIDTH}) * {_DEPTH}\n}}\n"
    )
    # In a process of its own: a new process counts the most that this one ever held.
    size = int(output_of(python("-c", _GIGABYTE, str(weights)), environment, folder))
    command = python("-m", "nnspec", "compile", str(spec), "--weights", str(weights), "-o", str(target))
    peak = peak_of(command, environment, folder)
    for path in (weights, target):
        os.unlink(path)
    return Row(f"compile of {size / 1e9:.2f} GB: peak memory", "the weights", peak / size, None, _MEMORY)
