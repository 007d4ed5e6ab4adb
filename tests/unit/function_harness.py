"""Runs functions of the language: their examples through the whole pipeline, and single ones against torch itself."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F

from nnspec import ir, registry
from nnspec.backends import onnx as onnx_backend
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.diagnostics import Diagnostic, NnspecError
from nnspec.dims import evaluate, symbols
from nnspec.layer import Example, Function
from nnspec.types import TensorType, is_float

TOLERANCE = 1e-5

_POSITIVE = ("log", "sqrt", "rsqrt", "binary_cross_entropy", "kl_div")
_CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss", "multilabel_margin_loss", "ctc_loss")


def function(name: str) -> type[Function]:
    """The class of that name."""
    found = registry.find("function", name)
    assert found is not None, name
    return found


def all_examples() -> list[tuple[str, Example]]:
    """Every example of every function."""
    return [(name, example) for name in sorted(registry.index("function")) for example in function(name).examples]


# --- examples, as models ---------------------------------------------------------------------------------------------


def spec(example: Example) -> str:
    """A model that is the example and nothing else."""
    inputs = "\n".join(f"  input {name}: {kind}" for name, kind in example.inputs.items())
    return f"model M {{\n{inputs}\n  output out = {example.text}\n}}\n"


def program_of(example: Example) -> ir.Program:
    """The example in the IR."""
    return compile_text(spec(example)).program


def method_of(program: ir.Program) -> ir.Method:
    """What the model computes."""
    return program.methods[program.main.methods["infer"]]


def input_types(method: ir.Method) -> dict[str, TensorType]:
    """The inputs' types by name."""
    return {
        name: method.graph.values[value].type
        for name, value in zip(method.input_names, method.graph.inputs, strict=True)
        if value is not None
    }


def output_types(method: ir.Method) -> list[TensorType]:
    """The types of the outputs, those in tuples one by one."""
    return [method.graph.values[i].type for output in method.graph.outputs for i in ir.refs(output)]


def sizes_for(method: ir.Method, seed: int) -> list[dict[str, int]]:
    """Three ways to size the symbols that the model would let in, all at 1 first if it may be."""
    names = sorted({s for t in input_types(method).values() for d in t.dims for s in symbols(d)})
    generator = random.Random(seed)
    tries = [dict.fromkeys(names, 1)] + [{n: generator.randint(1, 7) for n in names} for _ in range(50)]
    fitting = [s for s in tries if all(evaluate(r.size, s) >= 0 for r in method.requires)]
    return [s for i, s in enumerate(fitting) if s not in fitting[:i]][:3]


def shape_of(kind: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Dimensions as numbers."""
    return tuple(evaluate(d, sizes) for d in kind.dims)


def data(kind: TensorType, sizes: Mapping[str, int], name: str, generator: torch.Generator) -> torch.Tensor:
    """Random elements that the function is meant for."""
    shape, dtype = shape_of(kind, sizes), getattr(torch, kind.dtype)
    if is_float(kind.dtype):
        x = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (x.sigmoid() if name in _POSITIVE else 2 * x).to(dtype)
    if kind.dtype == "bool":
        return torch.rand(shape, generator=generator) < 0.6
    low = 0 if name in _CLASSES or kind.dtype == "uint8" else 1 if name in _POSITIVE else -5
    high = 2 if name == "ctc_loss" else 5  # there, numbers of steps are among them
    return torch.randint(low, high, shape, generator=generator).to(dtype)


def feeds(name: str, method: ir.Method, sizes: Mapping[str, int], seed: int = 0) -> list[torch.Tensor]:
    """Random inputs of the example."""
    generator = torch.Generator().manual_seed(seed)
    return [data(kind, sizes, name, generator) for kind in input_types(method).values()]


def run_torch(program: ir.Program, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The outputs of the emitted module."""
    with torch.no_grad():
        result = build(program).eval()(*inputs)
    return list(flat(result))


def flat(result: Any) -> Any:
    """Tensors in nested tuples, in order."""
    if isinstance(result, torch.Tensor):
        yield result
    else:
        for part in result:
            yield from flat(part)


def session(program: ir.Program, opset: int) -> onnxruntime.InferenceSession:
    """The example in ONNX Runtime."""
    model = onnx_backend.build(program, None, {}, opset=opset)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_onnx(loaded: onnxruntime.InferenceSession, method: ir.Method, inputs: Sequence[torch.Tensor]) -> list[Any]:
    """The outputs in ONNX Runtime."""
    names = {i.name for i in loaded.get_inputs()}
    given = {n: x.numpy() for n, x in zip(input_types(method), inputs, strict=True) if n in names}
    return list(loaded.run(None, given))


# --- texts at random -------------------------------------------------------------------------------------------------


def agree(text: str, reference: Any = None, /, **inputs: str) -> list[torch.Tensor]:
    """Compile a text over inputs of fixed sizes; shape rule, torch and ONNX Runtime must agree, and with a reference.

    The reference is a Python expression over torch, or a function of the inputs.
    """
    program = program_of(Example(text, **inputs))  # type: ignore[arg-type]  # inputs by name
    method = method_of(program)
    generator = torch.Generator().manual_seed(0)
    values = [_without_zero(data(kind, {}, "", generator)) for kind in input_types(method).values()]
    results = run_torch(program, values)
    said = [(t.dtype, t.dims) for t in output_types(method)]
    assert said == [(str(r.dtype).removeprefix("torch."), tuple(r.shape)) for r in results]
    if reference is not None:
        scope = dict(zip(inputs, values, strict=True)) | {"torch": torch, "F": F}
        wanted = eval(reference, scope) if isinstance(reference, str) else reference(*values)
        same(results, [w.numpy() for w in flat(wanted)])
    same(results, run_onnx(session(program, 17), method, values))
    return results


def _without_zero(x: torch.Tensor) -> torch.Tensor:
    return x if x.dtype == torch.bool or x.is_floating_point() else torch.where(x == 0, torch.ones_like(x), x)


def same(results: Sequence[torch.Tensor], others: Sequence[np.ndarray]) -> None:
    """Assert that tensors are equal within tolerance, and of the same element types."""
    for a, b in zip(results, others, strict=True):
        assert a.numpy().dtype == b.dtype
        tolerance = 4e-3 if a.dtype == torch.float16 else TOLERANCE
        np.testing.assert_allclose(b, a.numpy(), rtol=tolerance, atol=tolerance)


def refusal(text: str, **inputs: str) -> Diagnostic:
    """What is said against a text over these inputs."""
    with pytest.raises(NnspecError) as caught:
        program_of(Example(text, **inputs))  # type: ignore[arg-type]  # inputs by name
    assert len(caught.value.diagnostics) == 1, [d.message for d in caught.value.diagnostics]
    return caught.value.diagnostics[0]
