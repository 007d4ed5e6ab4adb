"""The ONNX backend over hand-built programs and a handful of tiny layers."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from nnspec import ir, registry
from nnspec.arguments import arg, inferred
from nnspec.backends import onnx as backend
from nnspec.backends.onnx_graph import GraphBuilder
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.onnx_sizes import Place, Sizes
from nnspec.backends.onnx_verify import VerifyError, verify
from nnspec.diagnostics import Span
from nnspec.dims import evaluate, parse_dim
from nnspec.layer import Function, Layer, OnnxGraph, Unsupported, Weight
from nnspec.types import TensorType

State = dict[str, np.ndarray]


class Affine(Layer):
    """y = x @ weight."""

    width: int = arg(ge=1, doc="size of the output")
    in_features: int = inferred(axis=-1)

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight((self.in_features, self.width))}

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("MatMul", x, g.weight("weight"))


class Offset(Layer):
    """y = x + 2 * bias, the doubled bias being a derived constant."""

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Add", x, g.initializer(2 * g.array("bias"), "twice"))


class Nothing(Layer):
    """No nodes at all."""

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class Exotic(Layer):
    """What ONNX cannot express."""

    reason: str = arg("it is exotic", doc="why")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise Unsupported(f"`Exotic` has no ONNX form: {self.reason}")


class add(Function):
    """x + y, where y may be a number or a size."""

    scalars = ("y",)

    def onnx(self, g: OnnxGraph, x: str, y: Any) -> Any:
        if isinstance(y, float):
            y = g.constant(y, "float32")
        elif not isinstance(y, str):
            y = g.cast(g.size(y), "float32")
        return g.node("Add", x, y)


class reshape(Function):
    """x in another shape."""

    shape: tuple[Any, ...] = arg(doc="the new sizes")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Reshape", x, g.shape(self.shape))


class halves(Function):
    """The two halves of the last dimension."""

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Split", x, outputs=2, axis=-1, num_outputs=2)


CLASSES = {c.__name__: c for c in (Affine, Offset, Nothing, Exotic, add, reshape, halves)}


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", lambda kind, name: CLASSES.get(name))


def kind(text: str, dtype: str = "float32") -> TensorType:
    """The type of these sizes."""
    return TensorType(dtype, tuple(parse_dim(d) for d in text.split(",")))


def values(*texts: str) -> tuple[ir.Value, ...]:
    return tuple(ir.Value(kind(t)) for t in texts)


def layer(name: str, weights: dict[str, str] | None = None, **arguments: Any) -> ir.Module:
    members = tuple(ir.Member(n, "param", "auto", type=kind(t)) for n, t in (weights or {}).items())
    return ir.Module("layer", name, {k: ir.Attr(v) for k, v in arguments.items()}, members=members)


def child(name: str, module: int) -> ir.Member:
    return ir.Member(name, "module", "label", module=module)


def method(module: int, graph: ir.Graph, symbols: tuple[ir.Symbol, ...] = (), **options: Any) -> ir.Method:
    inputs = tuple(f"in{i}" if i else "x" for i in range(len(graph.inputs)))
    outputs = options.pop("outputs", tuple(f"out{i}" if i else "y" for i in range(len(graph.outputs))))
    return ir.Method(module, "both", inputs, outputs, symbols, options.pop("requires", ()), graph)


def program(modules: list[ir.Module], methods: list[ir.Method]) -> ir.Program:
    """The first module is the entry's, its first method the entry."""
    return ir.Program(tuple(modules), tuple(methods), (ir.Entry("Net", 0, {"infer": 0}),))


def block(*members: ir.Member, **options: Any) -> ir.Module:
    return ir.Module("block", options.pop("name", "Net"), members=members, **options)


N = ir.Symbol("N", 0, 0)


def ops(
    *nodes: ir.Node, types: tuple[str, ...], outputs: tuple[int, ...], inputs: int = 1, **options: Any
) -> ir.Program:
    """A model of functions only."""
    refs = tuple(ir.Ref(i) for i in outputs)
    graph = ir.Graph(tuple(range(inputs)), values(*types), nodes, refs)
    return program([block()], [method(0, graph, **options)])


def run(model: onnx.ModelProto, *inputs: np.ndarray) -> list[np.ndarray]:
    """What ONNX Runtime makes of it, after the checker has passed it."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def dims(info: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def rand(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def two_blocks() -> tuple[ir.Program, State]:
    """A block applied twice, once to [N, 4] and once to a reshaped [2 * N, 2]; inside, its own symbols."""
    inner = ir.Graph(
        (0,),
        values("B,4", "B,4", "B,4"),
        (ir.Call("fc", (ir.Ref(0),), (1,)), ir.Op("add", (ir.Ref(1), parse_dim("B + 1")), {}, (2,))),
        (ir.Ref(2),),
    )
    outer = ir.Graph(
        (0,),
        values("N,4", "N,4", "N,4", "2 * N,2"),
        (
            ir.Call("a", (ir.Ref(0),), (1,), 1, {"B": parse_dim("N")}),
            ir.Call("b", (ir.Ref(1),), (2,), 1, {"B": parse_dim("N")}),
            ir.Op("reshape", (ir.Ref(2),), {"shape": (parse_dim("2 * N"), 2)}, (3,)),
        ),
        (ir.Ref(3),),
    )
    modules = [
        block(child("a", 1), child("b", 1)),
        block(child("fc", 2), name="Inner"),
        layer("Affine", {"weight": "4,4"}, width=4),
    ]
    state = {"a.fc.weight": rand(4, 4), "b.fc.weight": rand(4, 4) + 1}
    return program(modules, [method(0, outer, (N,)), method(1, inner, (ir.Symbol("B", 0, 0),))]), state


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
    assert dims(model.graph.output[0]) == ["2 * N", 2]
    inferred_model = onnx.shape_inference.infer_shapes(model)
    assert dims(inferred_model.graph.output[0]) == ["2 * N", 2]


def test_equal_programs_give_equal_bytes() -> None:
    net, state = two_blocks()
    first, second = (backend.build(net, net.main, dict(s)) for s in (state, reversed(state.items())))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_a_size_is_computed_once() -> None:
    net, state = two_blocks()
    shapes = [n for n in backend.build(net, None, state).graph.node if n.op_type == "Shape"]
    assert len(shapes) == 1


@pytest.mark.parametrize("opset", range(backend.MIN_OPSET, 24))
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


def chain() -> tuple[ir.Program, State]:
    """Three products, the middle one with few weights."""
    widths = (40, 40, 2, 600)
    modules = [block(*(child(f"fc{i}", i + 1) for i in range(3)))]
    modules += [layer("Affine", {"weight": f"{a},{b}"}, width=b) for a, b in itertools.pairwise(widths)]
    calls = tuple(ir.Call(f"fc{i}", (ir.Ref(i),), (i + 1,)) for i in range(3))
    graph = ir.Graph((0,), values(*(f"N,{w}" for w in widths)), calls, (ir.Ref(3),))
    state = {f"fc{i}.weight": rand(a, b) for i, (a, b) in enumerate(itertools.pairwise(widths))}
    return program(modules, [method(0, graph, (N,))]), state


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


def test_a_file_of_weights_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\x00" * 20)
    with pytest.raises(backend.WeightsFileError, match="there is no file"):
        backend.load_state(tmp_path / "none")
    with pytest.raises(backend.WeightsFileError, match="not a file of safetensors"):
        backend.load_state(tmp_path / "bad")
    with pytest.raises(backend.WeightsFileError):
        backend.load_state(tmp_path)


SIZES = [
    "N", "2 * N - T", "N * T + 3", "T // 2", "(H - 1) // 2 + 1", "(N - H) // 3", "N * T * H // 4", "(T + 5) // N",
    "min(N, T - 4)", "max(2 * H, 7)", "(N if N >= T else T)", "(1 if H == 8 else H * (H // 3))", "-(T // 2)", "12",
]  # fmt: skip


@pytest.mark.parametrize("text", SIZES)
def test_sizes_are_computed_as_python_does(text: str) -> None:
    size = parse_dim(text)
    graph = GraphBuilder()
    sizes = Sizes(graph, {"N": Place("x", 0), "T": Place("x", 1), "H": Place("y", 2)})
    graph.finish([("scalar", sizes.scalar(size)), ("shape", sizes.vector((size, 4, parse_dim("N"), parse_dim("T"))))])
    float_, int_ = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    proto = onnx.helper.make_graph(
        graph.nodes, "g",
        [onnx.helper.make_tensor_value_info(n, float_, d) for n, d in (("x", ["N", "T"]), ("y", [1, 1, "H"]))],
        [onnx.helper.make_tensor_value_info(n, int_, d) for n, d in (("scalar", []), ("shape", [4]))],
        [onnx.numpy_helper.from_array(a, n) for n, a in graph.arrays.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(proto, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    # Inputs that no size needs are dropped by ONNX Runtime's optimiser, but are still inputs.
    for n, t, h in ((1, 1, 1), (2, 5, 8), (7, 3, 2), (1, 9, 4)):
        scalar, shape = run(model, np.zeros((n, t), np.float32), np.zeros((1, 1, h), np.float32))
        expected = evaluate(size, {"N": n, "T": t, "H": h})
        assert (scalar.item(), shape.tolist()) == (expected, [expected, 4, n, t])


def test_neighbouring_dimensions_are_read_by_one_node() -> None:
    graph = GraphBuilder()
    sizes = Sizes(graph, {"N": Place("x", 0), "T": Place("x", 1)})
    sizes.vector([parse_dim("N"), parse_dim("T"), 3, 4])
    assert [n.op_type for n in graph.nodes] == ["Shape", "Concat"]
    assert sizes.vector([parse_dim("N"), parse_dim("T"), 3, 4]) == "size/[N, T, 3, 4]"


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
