"""Random programs mean one thing: to the checker, to the formatter, in torch, in ONNX, and however they are written.

`tests.generate` makes them, and works out the types of their outputs by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import ir, registry_std
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.source import write_module
from nnspec.compiler import check, compile_text
from nnspec.diagnostics import Sink
from nnspec.elaborate.files import Unreadable
from nnspec.render import render_all
from nnspec.syntax import ast
from nnspec.syntax.format import format_text
from nnspec.syntax.parse import parse

from .contract import judge, run_module
from .generate.noise import disturbed
from .generate.program import Program, write

FEW = range(20)
MANY = range(1000, 3000)

TOLERANCE = 1e-4
"""Errors of rounding add up along a program: ten times what one layer is allowed."""


class Files:
    """Reads the files of a program."""

    main = ""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files

    def locate(self, path: str, importer: str) -> str:
        """A path is its own key."""
        if path not in self._files:
            raise Unreadable("NNS218", "there is no such file")
        return path

    def locate_library(self, name: str) -> str:
        """The library is the one that ships."""
        return name

    def read(self, key: str) -> str:
        """The text of a file."""
        return registry_std.text_of(key) if key.startswith("std.") else self._files[key]


def compiled(program: Program) -> ir.Program:
    """The program in the IR; a fault is shown with the text."""
    checked = check(program.text, reader=Files(program.files))
    assert checked.ok, f"{program.text}\n{program.files}\n{render_all(checked.diagnostics, checked.sources)}"
    return compile_text(program.text, reader=Files(program.files)).program


def built(program: ir.Program, *, merged: bool) -> torch.nn.Module:
    """The module of one way to write the source, from one seed."""
    written = write_module(program, merged=merged)
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(written.text, "<emitted>", "exec"), namespace)
    torch.manual_seed(0)
    module: torch.nn.Module = namespace[written.names[-1]]()
    return module


def is_formatted_stably(text: str, seed: int) -> None:
    """The tree and the comments stay, whoever wrote the text; formatting again changes nothing."""
    sink = Sink()
    untidy = disturbed(text, Random(seed))
    assert ast.same(parse(text, sink), parse(untidy, sink))
    for each in (text, untidy):
        once = format_text(each, sink)  # reports itself where a word or a comment would change
        assert format_text(once, sink) == once
    assert not sink.diagnostics, sink.diagnostics


class _TooSmall(Exception):
    """Batch statistics of a single value per channel."""


def run_once(module: torch.nn.Module, inputs: dict[str, Any], names: Sequence[str]) -> list[Any]:
    """Outputs of a module; raises `_TooSmall` where a batch norm has nothing to train on."""
    try:
        return run_module(module, inputs, names)
    except ValueError as fault:
        if "more than 1 value per channel" not in str(fault):
            raise
        raise _TooSmall from fault


def is_written_equally(program: ir.Program) -> None:
    """Classes that are merged start, name and compute everything as classes of their own, random draws included."""
    method = program.methods[program.main.methods["infer"]]
    inputs = random_inputs(program, method, trial_sizes(method, 3)[-1], np.random.default_rng(0))
    modules = [built(program, merged=merged) for merged in (True, False)]
    states = [module.state_dict() for module in modules]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    for training in (False, True):
        results = []
        for module in modules:
            torch.manual_seed(1)
            with suppress(_TooSmall):
                results.append(run_once(module.train(training), inputs, method.input_names))
        for a, b in zip(*results, strict=True) if results else ():
            np.testing.assert_array_equal(a, b)


def holds(seed: int) -> None:
    """All that a random program has to keep."""
    program = write(seed)
    for text in (program.text, *program.files.values()):
        is_formatted_stably(text, seed)
    found = compiled(program)
    judge(found, tolerance=TOLERANCE)
    is_written_equally(found)


@pytest.mark.parametrize("seed", FEW)
def test_a_random_program_means_the_same_everywhere(seed: int) -> None:
    holds(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_another_random_program_means_the_same_everywhere(seed: int) -> None:
    holds(seed)


# --- what they found -------------------------------------------------------------------------------------------------

FOUND = {
    "a loop over a group whose members are not numbered from zero": """
model M {
  input x: float[N, 8]
  part: {
    for i in range(1, 4) { x = x -> "fc.{i}": Linear(8) -> gelu }
  }
  output y = x
}
""",
}


@pytest.mark.parametrize("name", FOUND)
def test_what_a_random_program_found_stays_mended(name: str) -> None:
    found = compiled(Program(FOUND[name], {}))
    judge(found)
    is_written_equally(found)
