"""Comparing an ONNX model with another implementation, and the inputs for it."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from nnspec import ir, registry
from nnspec.backends import onnx as backend
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.onnx_verify import VerifyError, verify
from nnspec.dims import parse_dim

from .onnx_harness import N, State, block, child, find, kind, layer, method, ops, program, rand, two_blocks, values


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", find)


def test_a_comparison_runs_several_sizes_batch_one_first() -> None:
    net, state = two_blocks()

    def reference(inputs: State) -> list[np.ndarray]:
        x = inputs["x"]
        for name in ("a", "b"):
            x = x @ state[f"{name}.fc.weight"] + np.float32(len(x) + 1)
        return [x.reshape(-1, 2)]

    report = verify(backend.build(net, None, state), reference, net, net.main)
    assert report.ok
    assert [case.sizes["N"] for case in report.cases] == [1, 3, 4]
    assert str(report).startswith("y at N = 1: max difference ")


def test_a_comparison_shows_what_differs() -> None:
    net = ops(ir.Op("add", (ir.Ref(0), 1.0), {}, (1,)), types=("N,4",) * 2, outputs=(1, 0), symbols=(N,))
    model = backend.build(net, None, {})
    report = verify(model, lambda i: [i["x"] + np.float32(1.5), i["x"]], net, net.main, sizes=[{"N": 2}])
    assert not report.ok
    assert [bool(d.problem) for d in report.cases[0].differences] == [True, False]
    assert "max difference 0.5 (relative" in str(report)
    report = verify(model, lambda i: [i["x"][:1], i["x"].astype(np.float64)], net, net.main, sizes=[{"N": 2}])
    assert [d.problem for d in report.cases[0].differences] == [
        "is float32[2, 4] in ONNX Runtime and float32[1, 4] in torch",
        "is float32[2, 4] in ONNX Runtime and float64[2, 4] in torch",
    ]


@pytest.mark.parametrize(
    ("number", "reference", "ok"),
    [("inf", "inf", True), ("inf", "-inf", False), ("inf", "1.0", False), ("nan", "nan", True), ("nan", "0.0", False)],
)
def test_infinities_and_undefined_numbers_must_agree(number: str, reference: str, ok: bool) -> None:
    net = ops(ir.Op("add", (ir.Ref(0), float(number)), {}, (1,)), types=("3",) * 2, outputs=(1,))
    wanted = np.full(3, float(reference), np.float32)
    assert verify(backend.build(net, None, {}), lambda _: [wanted], net, net.main).ok is ok


def test_a_missing_run_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    net, state = two_blocks()
    model = backend.build(net, None, state)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(VerifyError, match="needs the package `onnxruntime`, which is not installed"):
        verify(model, lambda _: [], net, net.main)


def test_a_model_that_the_run_time_refuses_is_a_fault_of_its_own() -> None:
    net, state = two_blocks()
    model = backend.build(net, None, state)
    with pytest.raises(VerifyError, match=r"ONNX Runtime fails for x: \[1, 5\]"):
        verify(model, lambda _: [rand(1)], _with_input(net, "N,5"), net.main)
    model.graph.node[0].op_type = "Nonsense"
    with pytest.raises(VerifyError, match="ONNX Runtime refuses the model"):
        verify(model, lambda _: [rand(1)], net, net.main)


def _with_input(net: ir.Program, text: str) -> ir.Program:
    first = net.methods[0]
    graph = replace(first.graph, values=(ir.Value(kind(text)), *first.graph.values[1:]))
    return replace(net, methods=(replace(first, graph=graph), *net.methods[1:]))


REQUIREMENTS = {
    "H - 32 * (H // 32)": "==",
    "100 - H": ">=",
    "T - H - 3": ">=",
    "N - 1": ">=",
}


def test_trial_sizes_satisfy_the_requirements() -> None:
    requires = tuple(ir.Requirement(parse_dim(t), r, "") for t, r in REQUIREMENTS.items())  # type: ignore[arg-type]
    symbols = tuple(ir.Symbol(n, 0, i) for i, n in enumerate("NHT"))
    graph = ir.Graph((0,), values("N,H,T"), (), (ir.Ref(0),))
    found = trial_sizes(method(0, graph, symbols, requires=requires))
    assert found[0] == {"N": 1, "H": 32, "T": 36}
    assert len(found) == 3
    assert [sizes["H"] for sizes in found[:2]] == [32, 64], "a multiple is tried in several sizes"
    for sizes in found:
        assert sizes["H"] % 32 == 0
        assert sizes["T"] >= sizes["H"] + 3


def test_there_are_no_trial_sizes_for_what_cannot_hold() -> None:
    impossible = ir.Requirement(parse_dim("-N"), ">=", "no rows")
    graph = ir.Graph((0,), values("N,H,T"), (), (ir.Ref(0),))
    symbols = tuple(ir.Symbol(n, 0, i) for i, n in enumerate("HTN"))
    assert trial_sizes(method(0, graph, symbols, requires=(impossible,))) == []


def test_random_integers_stay_below_the_tables_that_they_index() -> None:
    ids = ir.Value(kind("N,50", "int64"))
    table = layer("Embedding", num_embeddings=9)
    inner = ir.Graph((0,), (ids,), (ir.Call("emb", (ir.Ref(0),), (0,)),), (ir.Ref(0),))
    nodes = (ir.Op("add", (ir.Ref(0), ir.Ref(1)), {}, (3,)), ir.Call("enc", (ir.Ref(3),), (4,), 1))
    outer = ir.Graph((0, 1, 2), (ids,) * 5, nodes, (ir.Ref(4),))
    net = program([block(child("enc", 1)), block(child("emb", 2)), table], [method(0, outer, (N,)), method(1, inner)])
    inputs = random_inputs(net, net.methods[0], {"N": 20}, np.random.default_rng(0))
    assert [int(inputs[name].max()) for name in ("x", "in1", "in2")] == [8, 8, 1]
    assert inputs["x"].shape == (20, 50)
