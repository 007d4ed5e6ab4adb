"""The contract of every function, from its examples: shape rule = torch, ONNX = torch, cost = torch's own counter."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from nnspec import ir, registry
from nnspec.backends.onnx import DEFAULT_OPSET, MIN_OPSET
from nnspec.dims import Size, evaluate
from nnspec.layer import Example
from nnspec.types import Operand, TensorType, is_float
from tests.opsets import NEWEST

from .function_harness import (
    all_examples,
    feeds,
    function,
    input_types,
    method_of,
    output_types,
    program_of,
    run_onnx,
    run_torch,
    same,
    session,
    shape_of,
    sizes_for,
)

EXAMPLES = all_examples()
IDS = [f"{name}-{i}" for i, (name, _) in enumerate(EXAMPLES)]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_the_shape_rule_is_torchs(name: str, example: Example) -> None:
    program = program_of(example)
    method = method_of(program)
    for sizes in sizes_for(method, zlib.crc32(example.text.encode())):
        results = run_torch(program, feeds(name, method, sizes))
        said = [(t.dtype, shape_of(t, sizes)) for t in output_types(method)]
        assert said == [(str(r.dtype).removeprefix("torch."), tuple(r.shape)) for r in results]


@pytest.mark.parametrize("opset", [MIN_OPSET, DEFAULT_OPSET, NEWEST])
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_onnx_runtime_computes_what_torch_does(name: str, example: Example, opset: int) -> None:
    if not example.onnx:
        pytest.skip("has no ONNX form")
    if function(name).draws and opset > 21:
        pytest.skip("ONNX Runtime lacks the random operators of opset 22")
    program = program_of(example)
    method = method_of(program)
    loaded = session(program, opset)
    for sizes in sizes_for(method, zlib.crc32(example.text.encode())):
        inputs = feeds(name, method, sizes, 1)
        with warnings.catch_warnings():
            # A mean over no samples that count is not a number, and torch says so.
            warnings.simplefilter("ignore")
            wanted = run_torch(program, inputs)
        found = run_onnx(loaded, method, inputs)
        if function(name).draws:
            wanted, found = [x * 0 for x in wanted], [np.zeros_like(x) for x in found]
        same(wanted, found)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_the_cost_is_that_of_torchs_counter(name: str, example: Example) -> None:
    program = program_of(example)
    method = method_of(program)
    sizes = {s.name: 2 for s in method.symbols}
    if any(evaluate(r.size, sizes) < 0 for r in method.requires):
        return
    said = sum(evaluate(_cost(method, node), sizes) for node in method.graph.nodes if isinstance(node, ir.Op))
    wanted = example.macs
    if wanted is None:
        with FlopCounterMode(display=False) as counter:
            run_torch(program, feeds(name, method, sizes))
        wanted = counter.get_total_flops() // 2
    assert said == wanted


def _cost(method: ir.Method, node: ir.Op) -> Size:
    def kind(operand: ir.Operand) -> Operand:
        if isinstance(operand, ir.Ref):
            return method.graph.values[operand.id].type
        return tuple(map(kind, operand)) if isinstance(operand, tuple) else None

    applied = function(node.function)(**node.attributes)
    outputs = [method.graph.values[i].type for i in ir.flat(node.outputs)]
    return applied.macs(tuple(map(kind, node.inputs)), outputs[0])


@pytest.mark.parametrize("name", sorted(registry.index("function")))
def test_every_function_says_what_it_is(name: str) -> None:
    cls = function(name)
    assert cls.__doc__
    assert "Source: " in cls.__doc__
    assert len(cls.examples) >= 2
    assert all(field.doc for field in cls.fields.values())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("full((3,), 2.0)", "float[3]"),
        ("full((3,), 2)", "int[3]"),
        ("full((3,), 4 / 2)", "int[3]"),
        ("arange(4.0)", "float[4]"),
        ("arange(4)", "int[4]"),
    ],
)
def test_a_number_with_a_point_is_a_float_where_ints_fit_as_well(text: str, kind: str) -> None:
    graph = method_of(program_of(Example(text))).graph
    (output,) = ir.refs(graph.outputs)
    assert str(graph.values[output].type) == kind


def test_examples_come_at_several_sizes() -> None:
    counts = [len(sizes_for(method_of(program_of(e)), 0)) for _, e in EXAMPLES if e.inputs]
    assert sum(counts) > 2 * len(counts)


def test_the_examples_use_floats_integers_and_bools() -> None:
    types = [t for _, e in EXAMPLES for t in input_types(method_of(program_of(e))).values()]
    assert any(is_float(t.dtype) for t in types)
    assert {"int64", "bool", "int8", "uint8"} <= {t.dtype for t in types}
    assert all(isinstance(t, TensorType) for t in types)
