"""Multiply-adds of every layer and function that has any, against torch's counter, at several sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nnspec import registry
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.layer import Example, Operation
from nnspec.reference import example_spec
from nnspec.summary import summarize

from ..contract import run_module


def cases() -> list[object]:
    """The examples of classes that say what they cost; what torch does not count has a number worked out by hand."""
    found: list[object] = []
    for kind in ("layer", "function"):
        for name in sorted(registry.index(kind)):
            cls = registry.find(kind, name)
            assert cls is not None
            if cls.macs is not Operation.macs:
                counted = [(i, each) for i, each in enumerate(cls.examples) if each.macs is None]
                found += [pytest.param(kind, each, id=f"{name}-{i}") for i, each in counted]
    return found


@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # asked for by the flags of oneDNN, whatever they are
@pytest.mark.parametrize(("kind", "example"), cases())
def test_multiply_adds_are_half_of_what_torch_counts(kind: str, example: Example) -> None:
    program = compile_text(example_spec(kind, example)).program
    method = program.methods[program.main.methods_with(program.main.optional)["infer"]]
    module = build(program).eval()
    chance = np.random.default_rng(0)
    seen = False
    for sizes in trial_sizes(method, 4):
        inputs = random_inputs(program, method, sizes, chance)
        # The counter knows no kernels that do attention or an LSTM as one operator.
        plainly = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
        with plainly[0], plainly[1], FlopCounterMode(display=False) as counter:
            run_module(module, inputs, method.input_names)
        counted = counter.get_total_flops() // 2
        # Where a size is 1, some functions come to elementwise products, which count nothing.
        if counted or 1 not in sizes.values():
            assert summarize(program, sizes=sizes).macs == counted, sizes
            seen = True
    assert seen
