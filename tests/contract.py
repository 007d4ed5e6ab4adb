"""The contract that every spec keeps, whatever it says, judged by torch, ONNX Runtime and the reference evaluator."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator

from nnspec import ir, ir_json
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.source import emit
from nnspec.backends.torch import build
from nnspec.dims import evaluate
from nnspec.verify import verify

TOLERANCE = 1e-5
"""Largest difference between float32 results, relative to the largest magnitude where that exceeds 1."""

Arrays = dict[str, np.ndarray]


def judge(
    program: ir.Program,
    *,
    with_onnx: bool = True,
    squeeze: bool = False,
    draws: bool = False,
    tolerance: float = TOLERANCE,
) -> None:
    """All backends agree at three sizes, batch 1 among them, for every choice of optional inputs.

    Names and shapes are those that the IR says.
    With `squeeze`, float inputs lie between 0 and 1, as probabilities do. What `draws` random numbers is compared by
    its shapes and types.
    """
    assert verify(program) == []
    again = ir_json.loads(ir_json.dumps(program))
    assert again == program
    source = emit(program)
    assert emit(again) == source
    torch.manual_seed(0)
    module = build(program).eval()
    assert state_shapes(module) == parameters(program)
    written = run_source(source, program.main.name)
    written.load_state_dict(module.state_dict())
    written.eval()
    for form in program.main.choices:
        sessions = onnx_judges(program, module, form) if with_onnx else []
        _judge_form(program, form, (module, written), sessions, squeeze, draws, tolerance)


def _judge_form(
    program: ir.Program,
    form: ir.Form,
    modules: tuple[torch.nn.Module, ...],
    sessions: list[Any],
    squeeze: bool,
    draws: bool,
    tolerance: float,
) -> None:
    module, written = modules
    method = program.methods[form.methods["infer"]]
    cases = trial_sizes(method, 3)
    assert cases
    generator = np.random.default_rng(0)
    for sizes in cases:
        inputs = random_inputs(program, method, sizes, generator)
        if squeeze:
            inputs = {k: 1 / (1 + np.exp(-v)) if v.dtype.kind == "f" else v for k, v in inputs.items()}
        expected = run_module(module, inputs, method.input_names)
        check_types(method, expected, sizes)
        for got, want in zip(run_module(written, inputs, method.input_names), expected, strict=True):
            np.testing.assert_array_equal(got * 0 if draws else got, want * 0 if draws else want)
        for name, run in sessions:
            for position, (got, want) in enumerate(zip(run(inputs), expected, strict=True)):
                pair = (np.zeros_like(got), np.zeros_like(want)) if draws else (got, want)
                close(*pair, f"{name}, output {position}, sizes {sizes}", tolerance)


def close(got: np.ndarray, want: np.ndarray, what: str, tolerance: float = TOLERANCE) -> None:
    """Equal within the tolerance, types and shapes included."""
    assert got.shape == want.shape, f"{what}: {got.shape} instead of {want.shape}"
    assert got.dtype == want.dtype, f"{what}: {got.dtype} instead of {want.dtype}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    finite = np.isfinite(want)
    np.testing.assert_array_equal(np.where(finite, 0, got), np.where(finite, 0, want), err_msg=what)
    scale = max(1.0, float(np.abs(want[finite]).max(initial=0)))
    worst = float(np.abs(got[finite].astype("float64") - want[finite].astype("float64")).max(initial=0))
    assert worst <= tolerance * scale, f"{what}: differs by {worst:.2g} (magnitude {scale:.2g})"


def flat(outputs: Any) -> list[Any]:
    """Tensors of a nested result, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]


def run_module(module: torch.nn.Module, inputs: Arrays, names: Sequence[str] = ()) -> list[np.ndarray]:
    """Outputs of a module for inputs in order; those among `names` that are lacking are left out."""
    given = {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}
    with torch.no_grad():
        found = module(*(given.get(name) for name in names or given))
    return [tensor.numpy() for tensor in flat(found)]


def check_types(method: ir.Method, outputs: Sequence[np.ndarray], sizes: dict[str, int]) -> None:
    """The shape rules say what torch computes: dims evaluated at these sizes, and element types."""
    ids = [number for operand in method.graph.outputs for number in ir.refs(operand)]
    for number, array in zip(ids, outputs, strict=True):
        said = method.graph.values[number].type
        assert tuple(evaluate(dim, sizes) for dim in said.dims) == array.shape
        assert said.dtype == str(array.dtype)


def parameters(program: ir.Program, module: int | None = None, prefix: str = "") -> dict[str, tuple[Any, ...]]:
    """State-dict names and shapes as the IR has them, in order."""
    found: dict[str, tuple[Any, ...]] = {}
    for member in program.modules[program.main.module if module is None else module].members:
        if member.module is not None:
            found |= parameters(program, member.module, f"{prefix}{member.name}.")
        elif member.type is not None:
            found[prefix + member.name] = member.type.dims
    return found


def state_shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """State-dict names and shapes of a module."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict(keep_vars=True).items()}


def run_source(source: str, name: str) -> torch.nn.Module:
    """The module of emitted source, executed by itself."""
    assert "nnspec" not in [line.split()[1] for line in source.splitlines() if line.startswith(("import", "from"))]
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "<emitted>", "exec"), namespace)
    module: torch.nn.Module = namespace[name]()
    return module


def onnx_judges(program: ir.Program, module: torch.nn.Module, form: ir.Form | None = None) -> list[tuple[str, Any]]:
    """ONNX Runtime and onnx's own evaluator on the exported graph, which the checker accepts."""
    form = form or program.main.choices[0]
    state = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    model = onnx_backend.build(program, None, state, given=form.given)
    onnx.checker.check_model(model, full_check=True)
    check_dimension_names(program.methods[form.methods["infer"]], model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runtime = ("ONNX Runtime", lambda inputs: session.run(None, inputs))
    if b"scan_input_directions" in model.SerializeToString():
        return [runtime]  # the evaluator has no Scan that goes backwards
    reference = ReferenceEvaluator(model)

    def run_reference(inputs: Arrays) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return [np.asarray(array) for array in reference.run(None, inputs)]

    return [runtime, ("reference", run_reference)]


def check_dimension_names(method: ir.Method, model: onnx.ModelProto) -> None:
    """Dimensions have names exactly where the spec has symbols: none is invented."""
    symbols = {s.name for s in method.symbols if not s.name.startswith("_")}
    values = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    named = {d.dim_param for value in values for d in value.type.tensor_type.shape.dim if d.dim_param}
    assert named <= symbols, named
    inputs = {d.dim_param for value in model.graph.input for d in value.type.tensor_type.shape.dim if d.dim_param}
    assert inputs == symbols


def run_without_nnspec(source: str, name: str, state: Path, inputs: Path, outputs: Path) -> None:
    """Run emitted source in a process that cannot import nnspec; leaves its outputs in a file."""
    script = f"""
import sys
import numpy as np
import torch

sys.modules["nnspec"] = None
{source}

model = {name}()
model.load_state_dict(torch.load({str(state)!r}, weights_only=True))
model.eval()
arrays = np.load({str(inputs)!r})
with torch.no_grad():
    found = model(*(torch.from_numpy(arrays[key]) for key in arrays.files))
found = found if isinstance(found, tuple) else (found,)
np.savez({str(outputs)!r}, *(tensor.numpy() for tensor in found))
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=outputs.parent)
