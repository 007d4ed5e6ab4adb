"""Runs layer classes by themselves: examples read, modules built from `torch()`, ONNX from a one-layer program."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import nn

from nnspec import ir, registry
from nnspec.arguments import convert
from nnspec.dims import Dim, evaluate, parse_dim, render, symbols
from nnspec.facts import Facts
from nnspec.layer import Code, Example, Layer, Ref
from nnspec.proof import Proof
from nnspec.types import TensorType, canonical, is_float

TOLERANCE = 1e-5


class Case(NamedTuple):
    """A layer with its sizes complete, what it was fed, what came out, and what must hold on entry."""

    layer: Layer
    inputs: tuple[Any, ...]
    output: Any
    proof: Proof


MORE = (
    ("ConvTranspose2d", Example("ConvTranspose2d(6, 3, stride=2, groups=2)", onnx=False, x="float[N, 4, H, W]")),
    ("ConvTranspose2d", Example("ConvTranspose2d(2, 3, dilation=2, output_padding=1)", x="float[N, 3, 5, 5]")),
    ("LSTM", Example("LSTM(4, 2, proj_size=3)", macs=2 * 4 * (16 * (3 + 3) + 3 * 4), x="float[T, N, 3]")),
    ("MultiheadAttention", Example("MultiheadAttention(1, kdim=8)", query="float[5, 8]", value="float[5, 6]")),
)
"""Not examples: warned of by torch, or beyond ONNX or its reference evaluator."""


def all_examples() -> list[tuple[str, Example]]:
    """Every example of every layer, and some that are for tests only."""
    return [*MORE, *_examples()]


def _examples() -> list[tuple[str, Example]]:
    return [(name, example) for name in sorted(registry.index("layer")) for example in layer_class(name).examples]


def layer_class(name: str) -> type[Layer]:
    """The class of that name."""
    found = registry.find("layer", name)
    assert found is not None, name
    return found


def read_layer(text: str) -> Layer:
    """The layer that a text such as `Conv2d(8, 3, bias=false)` configures."""
    words = {"true": "True", "false": "False", "none": "None"}
    python = re.sub(r"\b(true|false|none)\b(?=[,)\]])", lambda m: words[m[0]], text)
    return _configured(ast.parse(python, mode="eval").body)


def _configured(node: ast.expr) -> Layer:
    if isinstance(node, ast.Name):
        return layer_class(node.id)()
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return make(node.func.id, *map(_value, node.args), **{k.arg: _value(k.value) for k in node.keywords if k.arg})


def _value(node: ast.expr) -> Any:
    """A literal, or the record of a layer that another one wraps."""
    if not isinstance(node, (ast.Call, ast.Name)):
        return ast.literal_eval(node)
    layer = _configured(node)
    return ir.Record(type(layer).__name__, dict(layer.given()))


def make(name: str, /, *args: Any, **kwargs: Any) -> Layer:
    """A layer from arguments as an author would give them: of the right kinds and within bounds."""
    cls = layer_class(name)
    names = [n for n, f in cls.fields.items() if not f.keyword]
    values = dict(zip(names, args, strict=False)) | kwargs
    for key, value in values.items():
        spec = cls.fields[key]
        values[key] = convert(f"{spec.kind} | None" if spec.inferred else spec.kind, value)
        assert spec.bound_fault(values[key]) is None, (name, key, value)
    return cls(**values)


def read_type(text: str | tuple[str, ...]) -> Any:
    """`float[N, 3]` as a type; several as a tuple."""
    if isinstance(text, tuple):
        return tuple(map(read_type, text))
    word, inside = text.rstrip("]").split("[")
    dtype = canonical(word)
    assert dtype is not None, text
    return TensorType(dtype, tuple(parse_dim(d) for d in inside.split(",") if d.strip()))


def feed(layer: Layer, *inputs: Any, **named: Any) -> Case:
    """Complete a layer and work out its output; inputs are types or their texts."""
    starred = any(n.startswith("*") for n in layer.input_names())
    names = list(named) if starred else layer.input_names()[len(inputs) :]
    given = list(inputs) + [named.get(n) for n in names]
    while given and given[-1] is None:
        given.pop()
    types = tuple(x if isinstance(x, TensorType) or x is None else read_type(x) for x in given)
    proof = Proof(Facts())
    complete = layer.complete(proof, *types)
    return Case(complete, types, complete.infer(proof, *types), proof)


def feed_example(example: Example) -> Case:
    """The case of an example."""
    return feed(read_layer(example.text), **example.inputs)


# --- sizes and data --------------------------------------------------------------------------------------------------


def leaves(value: Any) -> Iterator[Any]:
    """What nested tuples hold, without None."""
    if isinstance(value, tuple) and not isinstance(value, NestedDims):
        for part in value:
            yield from leaves(part)
    elif value is not None:
        yield value


class NestedDims(tuple[int, ...]):
    """A shape, told apart from a tuple of results."""

    __slots__ = ()


def nested(value: Any, leaf: Any) -> Any:
    """The same nesting with every leaf replaced."""
    if isinstance(value, tuple) and not isinstance(value, NestedDims):
        return tuple(nested(part, leaf) for part in value)
    return None if value is None else leaf(value)


def free_symbols(types: Any) -> list[str]:
    """Names of the symbols in types, in order."""
    return list(dict.fromkeys(s for t in leaves(types) for d in t.dims for s in sorted(symbols(d))))


def sizes_for(case: Case, seed: int) -> list[dict[str, int]]:
    """Sizes that a model would let in: all symbols at 1 if it may be, and some at random."""
    names, generator = free_symbols(case.inputs), random.Random(seed)
    tries = [dict.fromkeys(names, 1)] + [{n: generator.randint(1, 9) for n in names} for _ in range(60)]
    fitting = [s for s in tries if all(evaluate(r.size, s) >= 0 for r in case.proof.requires)]
    return [s for i, s in enumerate(fitting) if s not in fitting[:i]][:3]


def shape_of(kind: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A type's dimensions as numbers."""
    return tuple(evaluate(d, sizes) for d in kind.dims)


def tensors(case: Case, sizes: Mapping[str, int], seed: int = 0) -> tuple[Any, ...]:
    """Random inputs of the case's types. No row of a bool mask is all true, which would ask for the mean of nothing."""
    generator = torch.Generator().manual_seed(seed)

    def one(kind: TensorType) -> torch.Tensor:
        shape, dtype = shape_of(kind, sizes), getattr(torch, kind.dtype)
        if is_float(kind.dtype):
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        if kind.dtype == "bool":
            mask = torch.rand(shape, generator=generator) < 0.5
            mask[..., 0] = False
            return mask
        rows = getattr(case.layer, "num_embeddings", None) or getattr(case.layer, "n_classes", None)
        if case.layer.title.startswith("MaxUnpool"):
            rows = 2  # places in the smallest plane
        signed = rows is None and kind.dtype != "uint8" and case.layer.title != "Embedding"
        low = -5 if signed else 0
        return torch.randint(low, rows or 5, shape, generator=generator).to(dtype)

    found = nested(case.inputs, one)
    assert isinstance(found, tuple)
    return found


# --- torch -----------------------------------------------------------------------------------------------------------


def source(value: Any) -> str:
    """What the emitter would write for a piece of code."""
    if isinstance(value, Ref):
        return str(value)
    if isinstance(value, Code):
        args = [source(a) for a in value.args]
        if value.kind == "index":
            return f"{args[0]}[{', '.join(args[1:])}]"
        if value.kind == "method":
            return f"{args[0]}.{value.name}({', '.join(args[1:])})"
        if value.kind == "attribute":
            return f"{args[0]}.{value.name}"
        assert value.kind == "call", value.kind
        return f"{value.name}({', '.join(args + [f'{k}={source(v)}' for k, v in value.kwargs.items()])})"
    if isinstance(value, tuple):
        return "(" + "".join(source(v) + ", " for v in value) + ")"
    if isinstance(value, Dim):
        return render(value, str)
    return f'float("{value}")' if value in (float("inf"), -float("inf")) else repr(value)


def build(layer: Layer, seed: int = 0) -> nn.Module:
    """The torch module that the layer's code makes, with random weights and statistics, in inference mode."""
    namespace: dict[str, Any] = {"torch": torch, "nn": nn, "F": F}
    exec(layer.definition, namespace)
    module = eval(source(layer.torch()), namespace)
    assert isinstance(module, nn.Module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5)
            if name == "running_var":
                value.abs_().add_(0.1)
    return module.eval()


def apply(layer: Layer, module: nn.Module, inputs: Sequence[Any]) -> Any:
    """What the layer's `forward` code computes."""
    names: list[str] = []

    def name(_: Any) -> Ref:
        names.append(f"x{len(names)}")
        return Ref(names[-1])

    code = layer.forward(Ref("module"), *nested(tuple(inputs), name))
    namespace = {"module": module, "torch": torch} | dict(zip(names, leaves(tuple(inputs)), strict=True))
    with torch.no_grad():
        return eval(source(code), namespace)


# --- ONNX ------------------------------------------------------------------------------------------------------------


def onnx_model(case: Case, state: Mapping[str, torch.Tensor], opset: int) -> onnx.ModelProto:
    """The model that applies the layer to its inputs."""
    from nnspec.backends import onnx as backend

    values: list[ir.Value] = []

    def number(kind: TensorType) -> int:
        values.append(ir.Value(kind))
        return len(values) - 1

    inputs = nested(case.inputs, number)
    count = len(values)
    outputs = nested(case.output, number)
    flat = list(leaves(case.inputs))
    bound = [
        ir.Symbol(name, *next((i, a) for i, t in enumerate(flat) for a, d in enumerate(t.dims) if str(d) == name))
        for name in free_symbols(case.inputs)
    ]
    call = ir.Call("layer", nested(inputs, ir.Ref), outputs if isinstance(outputs, tuple) else (outputs,))
    results = tuple(range(count, len(values)))
    graph = ir.Graph(tuple(range(count)), tuple(values), (call,), tuple(map(ir.Ref, results)))
    names = tuple(f"x{i}" for i in range(count)), tuple(f"y{i}" for i in range(len(results)))
    members = tuple(
        ir.Member(name, "param" if w.trained else "buffer", "auto", type=TensorType(w.dtype, w.shape))
        for name, w in case.layer.weights().items()
    )
    arguments = {name: ir.Attr(value) for name, value in vars(case.layer).items()}
    modules = (
        ir.Module("block", "Net", members=(ir.Member("layer", "module", "label", module=1),)),
        ir.Module("layer", type(case.layer).__name__, arguments, members=members),
    )
    method = ir.Method(0, "both", *names, tuple(bound), (), graph)
    program = ir.Program(modules, (method,), (ir.Entry("Net", 0, {"infer": 0}, "One layer."),))
    arrays = {f"layer.{name}": value.numpy() for name, value in state.items()}
    return backend.build(program, None, arrays, opset=opset)


def onnx_feed(inputs: Sequence[Any]) -> dict[str, np.ndarray]:
    """Tensors under the names that `onnx_model` gives them."""
    return {f"x{i}": x.numpy() for i, x in enumerate(leaves(tuple(inputs)))}
