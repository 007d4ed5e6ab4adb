"""Hand-built programs over a handful of tiny layers: what the ONNX backend is tested with, apart from the library."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime

from nnspec import ir
from nnspec.arguments import arg, inferred
from nnspec.dims import parse_dim
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


def find(kind: str, name: str) -> type[Any] | None:
    """Stands in for `nnspec.registry.find`."""
    return CLASSES.get(name)


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


def chain() -> tuple[ir.Program, State]:
    """Three products, the middle one with few weights."""
    widths = (40, 40, 2, 600)
    modules = [block(*(child(f"fc{i}", i + 1) for i in range(3)))]
    modules += [layer("Affine", {"weight": f"{a},{b}"}, width=b) for a, b in itertools.pairwise(widths)]
    calls = tuple(ir.Call(f"fc{i}", (ir.Ref(i),), (i + 1,)) for i in range(3))
    graph = ir.Graph((0,), values(*(f"N,{w}" for w in widths)), calls, (ir.Ref(3),))
    state = {f"fc{i}.weight": rand(a, b) for i, (a, b) in enumerate(itertools.pairwise(widths))}
    return program(modules, [method(0, graph, (N,))]), state
