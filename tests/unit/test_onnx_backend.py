"""The ONNX backend over hand-built programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from nnspec import ir, registry
from nnspec.backends import onnx as backend
from nnspec.backends import onnx_file
from nnspec.backends.onnx_graph import GraphBuilder
from nnspec.diagnostics import Span
from nnspec.dims import parse_dim
from nnspec.layer import Function, OnnxGraph
from tests.opsets import OPSETS

from .onnx_harness import (
    CLASSES,
    N,
    block,
    chain,
    child,
    dims,
    find,
    kind,
    layer,
    method,
    ops,
    program,
    rand,
    run,
    two_blocks,
    values,
)


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", find)


def test_blocks_are_inlined_with_weights_under_their_own_names() -> None:
    net, state = two_blocks()
    model = backend.build(net, None, state)
    x = rand(3, 4)
    expected = ((x @ state["a.fc.weight"] + 4) @ state["b.fc.weight"] + 4).reshape(6, 2)
    np.testing.assert_allclose(run(model, x)[0], expected, rtol=1e-5)
    weights = [i.name for i in model.graph.initializer if not i.name.startswith("constant")]
    assert weights == ["a.fc.weight", "b.fc.weight"]
    assert [n.name for n in model.graph.node if n.op_type == "MatMul"] == ["a.fc/MatMul", "b.fc/MatMul"]


def test_dimensions_are_named_as_in_the_spec_and_none_is_invented() -> None:
    net, state = two_blocks()
    model = backend.build(net, None, state)
    assert dims(model.graph.input[0]) == ["N", 4]
    # 2 * N is no name of the spec.
    assert dims(model.graph.output[0]) == [0, 2]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [o.shape for o in session.get_outputs()] == [[None, 2]]


def test_nameless_sizes_stay_nameless() -> None:
    step = ir.Op("add", (ir.Ref(0), 1.0), {}, (1,))
    symbols = (ir.Symbol("_1", 0, 0), ir.Symbol("T", 0, 1))
    model = backend.build(ops(step, types=("_1,T", "_1,T"), outputs=(1,), symbols=symbols), None, {})
    assert dims(model.graph.input[0]) == dims(model.graph.output[0]) == [0, "T"]


def test_equal_programs_give_equal_bytes() -> None:
    net, state = two_blocks()
    first, second = (backend.build(net, net.main, dict(s)) for s in (state, reversed(state.items())))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_constants_are_numbered_from_the_second_on() -> None:
    graph = GraphBuilder()
    names = [graph.constant(value, "int64") for value in (1, 2, 1, [3, 4])]
    assert names == ["constant", "constant_1", "constant", "constant_2"]


def test_a_size_is_computed_once() -> None:
    net, state = two_blocks()
    shapes = [n for n in backend.build(net, None, state).graph.node if n.op_type == "Shape"]
    assert len(shapes) == 1


@pytest.mark.parametrize("opset", OPSETS)
def test_other_opsets_are_served(opset: int) -> None:
    net, state = two_blocks()
    model = backend.build(net, None, state, opset=opset)
    assert model.opset_import[0].version == opset
    assert run(model, rand(1, 4))[0].shape == (2, 2)


def test_an_opset_that_onnx_does_not_know_is_refused() -> None:
    net, state = two_blocks()
    for opset in (16, backend.max_opset() + 1):
        with pytest.raises(backend.OnnxError, match=f"opset {opset} cannot be written"):
            backend.build(net, None, state, opset=opset)


def test_outputs_that_are_inputs_or_the_same_value_twice_keep_their_names() -> None:
    step = ir.Op("add", (ir.Ref(0), 1.0), {}, (1,))
    model = backend.build(ops(step, types=("N,4", "N,4"), outputs=(1, 0, 1), symbols=(N,)), None, {})
    assert [o.name for o in model.graph.output] == ["y", "out1", "out2"]
    x = rand(2, 4)
    for got, expected in zip(run(model, x), (x + 1, x, x + 1), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_several_results_are_bound_in_order() -> None:
    split = ir.Op("halves", (ir.Ref(0),), {}, (1, 2))
    first, second = run(backend.build(ops(split, types=("2,6", "2,3", "2,3"), outputs=(2, 1)), None, {}), rand(2, 6))
    np.testing.assert_array_equal(np.concatenate([second, first], -1), rand(2, 6))


def test_what_no_output_needs_is_left_out() -> None:
    unused = ir.Op("add", (ir.Ref(0), parse_dim("N")), {}, (1,))
    used = ir.Op("add", (ir.Ref(0), 2.0), {}, (2,))
    model = backend.build(ops(unused, used, types=("N,4",) * 3, outputs=(2,), symbols=(N,)), None, {})
    assert [n.op_type for n in model.graph.node] == ["Add"]
    assert len(model.graph.initializer) == 1


def test_an_optional_input_that_is_not_given_is_no_input_of_the_graph() -> None:
    graph = ir.Graph((0, None), values("2,2", "2,2"), (ir.Op("add", (ir.Ref(0), 1.0), {}, (1,)),), (ir.Ref(1),))
    model = backend.build(program([block()], [method(0, graph)]), None, {})
    assert [i.name for i in model.graph.input] == ["x"]


def test_names_of_inputs_win_over_weights_and_layers() -> None:
    graph = ir.Graph(
        (0,),
        values("2,2", "2,2", "2,2"),
        (ir.Read("x", (1,)), ir.Op("add", (ir.Ref(0), ir.Ref(1)), {}, (2,))),
        (ir.Ref(2),),
    )
    net = program([block(ir.Member("x", "param", "bound", type=kind("2,2")))], [method(0, graph, outputs=("x",))])
    model = backend.build(net, None, {"x": rand(2, 2)})
    assert [i.name for i in model.graph.input] == ["x"]
    np.testing.assert_array_equal(run(model, rand(2, 2))[0], 2 * rand(2, 2))


def tied() -> ir.Program:
    graph = ir.Graph(
        (0,),
        values("2,4", "2,4", "2,4"),
        (ir.Call("head", (ir.Ref(0),), (1,)), ir.Call("body", (ir.Ref(1),), (2,))),
        (ir.Ref(2),),
    )
    root = block(child("body", 1), child("head", 1), ties=(ir.Tie("head.weight", "body.weight"),))
    return program([root, layer("Affine", {"weight": "4,4"}, width=4)], [method(0, graph)])


@pytest.mark.parametrize("name", ["body.weight", "head.weight"])
def test_a_tied_weight_is_stored_once_under_its_owner_and_loaded_under_either_name(name: str) -> None:
    w, x = rand(4, 4), rand(2, 4)
    model = backend.build(tied(), None, {name: w})
    assert [i.name for i in model.graph.initializer] == ["body.weight"]
    np.testing.assert_allclose(run(model, x)[0], x @ w @ w, rtol=1e-5)


def test_a_shared_layer_stores_its_derived_constants_once() -> None:
    graph = ir.Graph(
        (0,),
        values("2,4", "2,4", "2,4"),
        (ir.Call("b", (ir.Ref(0),), (1,)), ir.Call("b", (ir.Ref(1),), (2,))),
        (ir.Ref(2),),
    )
    net = program([block(child("b", 1)), layer("Offset", {"bias": "4"})], [method(0, graph)])
    model = backend.build(net, None, {"b.bias": rand(4)})
    assert [i.name for i in model.graph.initializer] == ["b/twice"]
    np.testing.assert_allclose(run(model, rand(2, 4))[0], rand(2, 4) + 4 * rand(4), rtol=1e-5)


def test_weights_of_another_float_type_are_converted() -> None:
    model = backend.build(tied(), None, {"body.weight": rand(4, 4).astype(np.float16)})
    assert model.graph.initializer[0].data_type == onnx.TensorProto.FLOAT


def test_weights_that_do_not_fit_are_all_named() -> None:
    net, state = two_blocks()
    bad = {"a.fc.weight": rand(3, 4), "b.fc.weigth": state["b.fc.weight"]}
    with pytest.raises(backend.OnnxError) as caught:
        backend.build(net, None, bad)
    lack, hold, shape = caught.value.diagnostics
    assert {d.code for d in caught.value.diagnostics} == {"NNS502"}
    assert lack.message == "the weights lack `b.fc.weight`"
    assert lack.helps == ("`b.fc.weight` may be what is called `b.fc.weigth` in the weights",)
    assert hold.message == "the weights hold `b.fc.weigth`, which the model does not have"
    assert shape.message == "`a.fc.weight` has shape [4, 4] in the model and [3, 4] in the weights"
    with pytest.raises(backend.OnnxError, match="float32 in the model and int64 in the weights"):
        backend.build(net, None, state | {"a.fc.weight": np.zeros((4, 4), np.int64)})


def test_every_layer_without_a_form_is_reported_once() -> None:
    first, second = Span(10, 20), Span(30, 40)
    graph = ir.Graph(
        (0,),
        values(*["2,4"] * 5),
        (
            ir.Call("a", (ir.Ref(0),), (1,), span=first),
            ir.Call("b", (ir.Ref(1),), (2,), span=second),
            ir.Call("c", (ir.Ref(2),), (3,)),
            ir.Call("a", (ir.Ref(3),), (4,), span=first),
        ),
        (ir.Ref(4),),
    )
    modules = [block(child("a", 1), child("b", 2), child("c", 3)), layer("Exotic"), layer("Exotic", reason="odd")]
    net = program([*modules, layer("Nothing")], [method(0, graph)])
    with pytest.raises(backend.OnnxError) as caught:
        backend.build(net, None, {})
    assert [(d.code, d.span, d.message) for d in caught.value.diagnostics] == [
        ("NNS501", first, "`Exotic` has no ONNX form: it is exotic"),
        ("NNS501", second, "`Exotic` has no ONNX form: odd"),
    ]


def test_requirements_are_kept_as_metadata() -> None:
    need = ir.Requirement(parse_dim("8 - N"), ">=", "at most 8 rows")
    step = ir.Op("add", (ir.Ref(0), 1.0), {}, (1,))
    model = backend.build(ops(step, types=("N,4",) * 2, outputs=(1,), symbols=(N,), requires=(need,)), None, {})
    assert json.loads(model.metadata_props[0].value) == ["8 - N >= 0: at most 8 rows"]
    assert model.producer_name == "nnspec"


def test_large_weights_go_to_a_file_beside_the_model(tmp_path: Path) -> None:
    net, state = chain()
    path, x = tmp_path / "net.onnx", rand(3, 40)
    assert backend.write(net, None, state, path, external=True) == (path, tmp_path / "net.onnx.data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]
    onnx.checker.check_model(str(path), full_check=True)
    stored = {i.name: i for i in onnx.load(path, load_external_data=False).graph.initializer}
    assert [bool(i.external_data) for i in stored.values()] == [True, False, True]
    assert {e.key: e.value for e in stored["fc2.weight"].external_data} == {
        "location": "net.onnx.data", "offset": "8192", "length": "4800"
    }  # fmt: skip
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(got, run(backend.build(net, None, state), x)[0])


def test_small_models_are_one_file_and_replace_what_was_there(tmp_path: Path) -> None:
    net, state = chain()
    path = tmp_path / "net.onnx"
    path.write_text("old")
    assert backend.write(net, None, state, path) == (path,)
    assert path.read_bytes() == backend.build(net, None, state).SerializeToString(deterministic=True)


def test_a_written_model_is_what_protobuf_itself_would_write(tmp_path: Path) -> None:
    """The tags and lengths around weights are ours: sizes on both sides of one more byte for a length."""
    for width in (1, 5, 6, 31, 32, 181, 182, 2100):
        state = {"b.bias": rand(width), "b.weight": rand(1, width), "c": np.asarray(rand())}
        model = onnx.ModelProto(ir_version=10, producer_name="p", doc_string="d" * width)
        model.graph.name, model.graph.doc_string = "g" * width, "after the weights"
        path = tmp_path / "net.onnx"
        onnx_file.write(model, state, path, external=False)
        model.graph.initializer.extend(onnx_file.inline(name, array) for name, array in state.items())
        assert path.read_bytes() == model.SerializeToString(deterministic=True)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, state = chain()
    path = tmp_path / "net.onnx"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        backend.write(net, None, state, path, external=True)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert path.read_text() == "old"


def test_weights_are_read_without_torch(tmp_path: Path) -> None:
    state = {"a": torch.randn(2, 3), "b": torch.arange(3), "c": torch.randn(4).bfloat16()}
    save_file(state, tmp_path / "w.safetensors")
    code = (
        "import sys; from nnspec.backends.onnx import load_state; s = load_state(sys.argv[1]);"
        "print(*(f'{n} {a.dtype} {a.astype(float).sum()}' for n, a in sorted(s.items())), 'torch' in sys.modules)"
    )
    shown = subprocess.check_output([sys.executable, "-c", code, tmp_path / "w.safetensors"], text=True).split()
    sums = [float(t.double().sum()) for t in state.values()]
    assert [shown[1], shown[4], shown[7], shown[9]] == ["float32", "int64", "bfloat16", "False"]
    assert [float(shown[i]) for i in (2, 5, 8)] == pytest.approx(sums)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"])
def test_weights_of_every_type_are_those_of_the_file(tmp_path: Path, dtype: str) -> None:
    kind = getattr(torch, dtype)
    state = {
        "odd": torch.ones(3, dtype=torch.uint8),
        "x": (torch.randn(2, 3) * 9).to(kind),
        "s": torch.ones((), dtype=kind),
    }
    state |= {"none": torch.zeros(0, 4, dtype=kind)}
    save_file(state, tmp_path / "w.safetensors")
    found = backend.load_state(tmp_path / "w.safetensors")
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


def test_a_file_of_weights_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\x00" * 20)
    with pytest.raises(backend.WeightsFileError, match="there is no file"):
        backend.load_state(tmp_path / "none")
    with pytest.raises(backend.WeightsFileError, match="not a file of safetensors"):
        backend.load_state(tmp_path / "bad")
    with pytest.raises(backend.WeightsFileError):
        backend.load_state(tmp_path)
    save_file({"w": torch.ones(2).to(torch.float8_e5m2)}, tmp_path / "eighths")
    with pytest.raises(backend.WeightsFileError, match="`w` has elements of type F8_E5M2"):
        backend.load_state(tmp_path / "eighths")


def test_layers_see_sizes_as_the_equalities_of_the_entry_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class look(Function):
        def onnx(self, g: OnnxGraph, x: str) -> Any:
            seen.append(str(g.type(x)))
            return g.node("Relu", x)

    monkeypatch.setitem(CLASSES, "look", look)
    need = ir.Requirement(parse_dim("S - 3 * T"), "==", "S is thrice T")
    graph = ir.Graph((0, 1), values("T", "S", "S"), (ir.Op("look", (ir.Ref(1),), {}, (2,)),), (ir.Ref(2),))
    symbols = (ir.Symbol("T", 0, 0), ir.Symbol("S", 1, 0))
    model = backend.build(program([block()], [method(0, graph, symbols, requires=(need,))]), None, {})
    assert seen == ["float[3 * T]"]
    assert dims(model.graph.output[0]) == ["S"]


def test_lists_of_outputs_are_numbered() -> None:
    graph = ir.Graph((0,), values("2,4"), (), ((ir.Ref(0), ir.Ref(0)),))
    model = backend.build(program([block()], [method(0, graph)]), None, {})
    assert [o.name for o in model.graph.output] == ["y.0", "y.1"]
