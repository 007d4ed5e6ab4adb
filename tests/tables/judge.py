"""Holds what a spec computes against what torch computes, and what its ONNX form computes against both."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator

from nnspec import ir
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.dims import evaluate

from ..contract import close
from .say import Spec, Unsayable


@dataclass(frozen=True)
class Sample:
    """A call of torch's, and the spec that says the same."""

    name: str
    """Of the class or function."""
    write: Callable[[Spec], str]
    """The expression of the spec."""
    ask: Callable[[], Any]
    """Calls torch."""
    state: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Parameters and buffers of the torch module, under the names that the spec gives them."""
    after: Callable[[], Mapping[str, torch.Tensor]] = dict
    """The same after the call."""
    training: bool = False
    draws: bool = False
    """Whether the outputs are drawn at random: torch is given the same seed, and ONNX compared by shapes and types."""
    literal: bool = True
    """Whether it was made from plain literals (and not from tensors or other objects)."""


@dataclass(frozen=True)
class Verdict:
    """How one sample fared. Empty strings mean that nothing is wrong."""

    unsaid: str = ""
    """Why no spec says it: a kind of value, or a diagnostic."""
    symbolic: bool = False
    """Whether the first dimension can be a symbol as well."""
    differs: str = ""
    """How the result differs from torch's."""
    onnx: str = "agrees"
    """`agrees`, `refused` with the reason, `differs` with the difference, `no` where there is nothing to compare."""
    reference: bool = False
    """Whether the reference evaluator was the judge, as ONNX Runtime lacks an operator."""


def judge(sample: Sample, opset: int = onnx_backend.DEFAULT_OPSET) -> Verdict:
    """Everything about one sample."""
    spec = Spec()
    try:
        spec.expression = sample.write(spec)
        program = compile_text(spec.text()).program
    except Unsayable as reason:
        return Verdict(unsaid=str(reason), onnx="no")
    except NnspecError as refusal:
        first = refusal.diagnostics[0]
        return Verdict(unsaid=f"{first.code}: {first.message}", onnx="no")
    programs = [program]
    if any(x.dim() for x in spec.inputs):
        with suppress(NnspecError):
            open_program = compile_text(spec.text(symbol=True)).program
            programs += [open_program] if _lets_in(open_program, spec.inputs) else []
    symbolic = len(programs) > 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed()
        expected = flat(sample.ask())
        differs = next((d for p in programs if (d := _differs(sample, p, spec.inputs, expected))), "")
        onnx_says, reference = "no", False
        if not sample.training:
            if all(x.is_complex() for x in expected) and len(expected) == 1:
                # ONNX gives out no complex numbers.
                expected = [torch.view_as_real(expected[0].resolve_conj())]
                programs = [compile_text(spec.text(symbolic, pairs=True)).program]
            onnx_says, reference = _onnx(sample, programs[-1], spec.inputs, expected, opset)
    return Verdict("", symbolic, differs, onnx_says, reference)


def _lets_in(program: ir.Program, inputs: list[torch.Tensor]) -> bool:
    """Whether the sample's size is one that the program may be given."""
    method = program.methods[program.main.methods["infer"]]
    sizes = {symbol.name: inputs[symbol.input].shape[symbol.axis] for symbol in method.symbols}
    found = [(evaluate(each.size, sizes), each.relation) for each in method.requires]
    return all(value == 0 if relation == "==" else value >= 0 for value, relation in found)


def seed() -> None:
    """The same random numbers from here on, wherever they come from."""
    torch.default_generator.manual_seed(42)  # the number that `op_db` sets before it calls what draws
    np.random.seed(0)
    random.seed(0)


def flat(value: Any) -> list[torch.Tensor]:
    """The tensors of a nested result, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [tensor for part in value for tensor in flat(part)]


def _differs(sample: Sample, program: ir.Program, inputs: list[torch.Tensor], expected: list[torch.Tensor]) -> str:
    """How the module of a program differs from torch, bit by bit."""
    module = build(program)
    module.load_state_dict(dict(sample.state))
    module.train(sample.training)
    seed()
    with torch.no_grad():
        found = flat(module(*(x.clone() for x in inputs)))
    if len(found) != len(expected):
        return f"{len(found)} tensors instead of {len(expected)}"
    after = sample.after()
    if module.state_dict().keys() != after.keys():
        return "other parameters"
    pairs = [*zip(found, expected, strict=True), *((v, after[k]) for k, v in module.state_dict().items())]
    return next((d for got, want in pairs if (d := _difference(got, want))), "")


def _difference(got: torch.Tensor, want: torch.Tensor) -> str:
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return f"{got.dtype} {tuple(got.shape)} instead of {want.dtype} {tuple(want.shape)}"
    if torch.equal(got, want) or torch.allclose(got, want, rtol=0, atol=0, equal_nan=True):
        return ""
    return f"by {(got.double() - want.double()).abs().nan_to_num().max().item():.1e}"


def _onnx(
    sample: Sample, program: ir.Program, inputs: list[torch.Tensor], expected: list[torch.Tensor], opset: int
) -> tuple[str, bool]:
    """What ONNX says of it, and whether the reference evaluator had to."""
    state = {name: tensor.numpy() for name, tensor in sample.state.items()}
    try:
        model = onnx_backend.build(program, None, state, opset=opset)
    except onnx_backend.OnnxError as refusal:
        return f"refused: {refusal.diagnostics[0].message}", False
    feed = {given.name: x.numpy() for given, x in zip(model.graph.input, inputs, strict=True)}
    reference = False
    try:
        found = _runtime(model, feed)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        reference = True
        found = [np.asarray(array) for array in ReferenceEvaluator(model).run(None, feed)]
    try:
        for position, (got, want) in enumerate(zip(found, expected, strict=True)):
            pair = (got, want.resolve_neg().resolve_conj().numpy())
            given, wanted = map(np.zeros_like, pair) if sample.draws else pair
            close(given, wanted, f"output {position}")
    except AssertionError as difference:
        return f"differs: {str(difference).strip().splitlines()[0]}", reference
    return "agrees", reference


def _runtime(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feed))
