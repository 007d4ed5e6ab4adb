"""Whether passes keep what a program computes: torch against torch, and ONNX Runtime against torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from nnspec import ir
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.onnx_constants import constant, own_weights
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.source import emit
from nnspec.backends.torch import build, rewritten
from nnspec.layer import Operation
from nnspec.passes.operations import Effects, Operations
from nnspec.passes.pipeline import PASSES, Optimized, optimize
from nnspec.verify import verify

from ..contract import Arrays, close, flat

ALL = tuple(PASSES)
TO_THE_BIT = ("remove-identities", "fold-constants", "share-equal", "drop-unused")
"""Passes after which the same operators see the same numbers."""

SIZES = 2
TOLERANCE = 1e-5

Trial = Mapping[str, torch.Tensor]


def keeps(
    program: ir.Program,
    ways: Collection[Sequence[str]],
    trials: Sequence[Trial] | None = None,
    *,
    with_onnx: bool = True,
    tolerance: float = TOLERANCE,
) -> None:
    """Each of these choices of passes leaves the outputs as they are, at several sizes with batch 1 among them."""
    torch.manual_seed(0)
    module = build(program).eval().requires_grad_(False)  # with gradients, some of torch's kernels round otherwise
    unsettle(module)
    trials = list(random_trials(program)) if trials is None else trials
    assert trials
    draws = is_random(program)
    names = program.methods[program.main.methods["infer"]].input_names
    wanted = [run(module, names, trial, draws) for trial in trials]
    untouched = optimize(program, ()).program
    for passes in ways:
        optimized = optimize(program, passes)
        assert verify(optimized.program) == [], passes
        if optimized.program == untouched and passes:
            continue
        state = rewritten(module.state_dict(), optimized)
        twin = build(optimized.program, state=state)
        assert not twin.training
        exact = set(passes) <= set(TO_THE_BIT)
        for trial, want in zip(trials, wanted, strict=True):
            for position, (got, right) in enumerate(zip(run(twin, names, trial, draws), want, strict=True)):
                what = f"{passes}, output {position}"
                if exact:
                    np.testing.assert_array_equal(got, right, err_msg=what)
                close(got, right, what, tolerance)
        if with_onnx and set(passes) == set(ALL):
            _keeps_in_onnx(program, module, optimized, trials, wanted, draws, tolerance)


def _keeps_in_onnx(
    program: ir.Program,
    module: nn.Module,
    optimized: Optimized,
    trials: Sequence[Trial],
    wanted: Sequence[list[np.ndarray]],
    draws: bool,
    tolerance: float,
) -> None:
    """One ONNX graph of the optimized program, its weights worked out in numpy, gives what torch did before."""
    arrays = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    state = optimized.weights(own_weights(program, program.main, arrays), constant)
    sessions: dict[frozenset[str], Any] = {}
    for trial, want in zip(trials, wanted, strict=True):
        given = frozenset(trial).intersection(program.main.optional)
        if given not in sessions:
            sessions[given] = _session(optimized.program, state, given)
        found = sessions[given].run(None, {name: tensor.numpy() for name, tensor in trial.items()})
        for got, right in zip(found, want, strict=True):
            close(got * 0 if draws else got, right, "ONNX Runtime", tolerance)


def _session(program: ir.Program, state: Arrays, given: Collection[str]) -> Any:
    model = onnx_backend.build(program, None, state, given=given)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def random_trials(program: ir.Program) -> Iterator[dict[str, torch.Tensor]]:
    """Random inputs of several sizes, for every choice of optional inputs."""
    generator = np.random.default_rng(0)
    for form in program.main.choices:
        method = program.methods[form.methods["infer"]]
        for sizes in trial_sizes(method, SIZES):
            inputs = random_inputs(program, method, sizes, generator)
            yield {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}


def run(module: nn.Module, names: Sequence[str], trial: Trial, draws: bool = False) -> list[np.ndarray]:
    """Outputs of a module for inputs of these names; of those that draw random numbers, shapes and types are left."""
    with torch.no_grad():
        found = [tensor.numpy() for tensor in flat(module(*map(trial.get, names)))]
    return [array * 0 for array in found] if draws else found


def is_random(program: ir.Program) -> bool:
    """Whether inference draws random numbers."""
    effects = Effects(program)
    return any(
        effects.is_random(program.methods[number].module, node)
        for form in program.main.choices
        for number in [form.methods["infer"]]
        for node in program.methods[number].graph.nodes
    )


def unsettle(module: nn.Module) -> None:
    """Statistics of a training, and noise on what starts constant: what has no effect cannot be compared."""
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.3, 2)
            elif name.endswith("running_mean"):
                buffer.normal_()
        for parameter in module.parameters():
            if parameter.is_floating_point() and (parameter == parameter.flatten()[:1]).all():
                parameter.add_(torch.randn_like(parameter) * 0.3)


def operations(program: ir.Program) -> list[Operation]:
    """What the methods of a program apply."""
    applied = Operations(program)
    found = (applied.of(method.module, node) for method in program.methods for node in method.graph.nodes)
    return [operation for operation in found if operation is not None]


def source(program: ir.Program, names: Sequence[str] = ALL) -> str:
    """The source of a program after passes."""
    return emit(optimize(program, names).program)
