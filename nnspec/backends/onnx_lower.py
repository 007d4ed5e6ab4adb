"""Walks the IR of one entry, inlining calls of blocks, and lets every layer and function add its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx

from nnspec import ir, registry
from nnspec.backends.onnx_complex import lower
from nnspec.backends.onnx_graph import GraphBuilder, onnx_dtype, stored, value_info
from nnspec.backends.onnx_sizes import Sizes
from nnspec.backends.onnx_weights import Weights
from nnspec.diagnostics import Diagnostic, Span, error
from nnspec.dims import Dim, Size, substitute
from nnspec.facts import Facts
from nnspec.layer import Function, Layer, Unsupported
from nnspec.types import TensorType


class View:
    """What one call of a layer or function sees of the graph: implements `nnspec.layer.OnnxGraph`."""

    def __init__(self, lowering: Lowering, scope: str, path: str = "") -> None:
        self.opset = lowering.opset
        self._graph = lowering.graph
        self._sizes = lowering.sizes
        self._weights = lowering.weights
        self.scope = scope
        self._path = path

    def node(self, op: str, *inputs: str | None, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node named after the place of the layer."""
        name = f"{self.scope}/{op}" if self.scope else op
        return self._graph.node(name, op, inputs, outputs, attributes)

    def transpose(self, value: str, order: Sequence[int]) -> str:
        """A Transpose node, unless the dimensions are in order."""
        moves = list(order) != sorted(order)
        return str(self.node("Transpose", value, perm=list(order))) if moves else value

    def weight(self, name: str) -> str:
        """The layer's own parameter or buffer, under its state-dict name."""
        return read_weight(self._graph, self._weights, f"{self._path}.{name}")

    def array(self, name: str) -> np.ndarray:
        """The layer's own parameter or buffer as an array."""
        return self._weights.array(f"{self._path}.{name}")

    def initializer(self, array: np.ndarray, hint: str) -> str:
        """A derived constant, named by the layer's place and `hint`."""
        return self._graph.initializer(array, f"{self.scope}/{hint}" if self.scope else hint)

    def constant(self, value: Any, dtype: str = "int64") -> str:
        """A small constant."""
        return self._graph.constant(value, dtype)

    def size(self, size: Size) -> str:
        """A dimension as a scalar."""
        return self._sizes.scalar(size)

    def shape(self, dims: Sequence[Size]) -> str:
        """Dimensions as a 1-D tensor."""
        return self._sizes.vector(dims)

    def type(self, value: str) -> TensorType:
        """The type of an operand, in the symbols of the entry."""
        return self._graph.types[value]

    def cast(self, value: str, dtype: str) -> str:
        """A Cast node, unless the operand is known to be of that type."""
        known = self._graph.types.get(value)
        if known is not None and known.dtype == dtype:
            return value
        cast: str = self.node("Cast", value, to=onnx_dtype(dtype))
        return cast

    def scan(
        self, step: Callable[..., Sequence[str]], states: Sequence[str], parts: Sequence[str], dtypes: Sequence[str]
    ) -> tuple[str, ...]:
        """A Scan node whose graph the step makes."""
        name = f"{self.scope}/Scan".lstrip("/")

        def declared(dtype: str) -> onnx.ValueInfoProto:
            return onnx.helper.make_tensor_value_info(self._graph.unique(f"{name}/value"), onnx_dtype(dtype), None)

        inner = copy(self)
        inner._graph = self._graph.inner()
        own = list(map(declared, dtypes))
        given = list(map(declared, dtypes[: len(states)]))
        results = step(inner, *(info.name for info in own))
        inner._graph.finish([(info.name, result) for info, result in zip(given, results, strict=True)])
        body = onnx.helper.make_graph(inner._graph.nodes, name, own, given)
        last = self.node("Scan", *states, *parts, outputs=len(states), body=body, num_scan_inputs=len(parts))
        return last if isinstance(last, tuple) else (last,)


def read_weight(graph: GraphBuilder, weights: Weights, path: str) -> str:
    """The initializer of the parameter at a path, stored once under the name that owns it."""
    array = weights.array(path)
    name = graph.initializer(array, weights.owner(path))
    graph.types.setdefault(name, TensorType(array.dtype.name, array.shape))
    return name


@dataclass
class _Frame:
    """One call of a method: which values its numbers stand for, and its symbols in those of the entry.

    A scan's body is one as well: its graph is not the method's own.
    """

    method: ir.Method
    graph: ir.Graph
    prefix: str
    dims: Mapping[str, Size]
    simplify: Callable[[Size], Size]
    values: dict[int, Any] = field(default_factory=dict)

    def size(self, size: Size) -> Size:
        """A size in the entry's symbols."""
        return size if isinstance(size, int) else self.simplify(substitute(size, self.dims))

    def close(self, operand: Any) -> Any:
        """An operand or argument with values looked up and sizes in the entry's symbols."""
        if isinstance(operand, ir.Ref):
            return self.values[operand.id]
        if isinstance(operand, ir.Attr):
            return self.close(operand.value)
        if isinstance(operand, Dim):
            return self.size(operand)
        if isinstance(operand, tuple):
            return tuple(map(self.close, operand))
        return operand

    def type(self, value: int) -> TensorType:
        """The type of a value, in the entry's symbols."""
        kind = self.graph.values[value].type
        return TensorType(kind.dtype, tuple(map(self.size, kind.dims)))


class Lowering:
    """Turns methods into nodes; faults are collected, so that one run names every layer that ONNX lacks."""

    def __init__(self, program: ir.Program, weights: Weights, graph: GraphBuilder, sizes: Sizes, opset: int) -> None:
        self.program = program
        self.weights = weights
        self.graph = graph
        self.sizes = sizes
        self.opset = opset
        self.faults: list[Diagnostic] = []
        self.simplify: Callable[[Size], Size] = lambda size: size

    def entry(self, method: ir.Method, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs of the entry's method. Layers see sizes as the entry's equalities make them: `3 * T` for S."""
        facts = Facts()
        equalities = [requirement.size for requirement in method.requires if requirement.relation == "=="]
        for size in equalities:
            facts.assume_equal(size, 0)
        if equalities:
            self.simplify = cache(facts.simplify)
        return self.call(method, "", inputs, {})

    def call(self, method: ir.Method, prefix: str, inputs: Sequence[Any], dims: Mapping[str, Size]) -> tuple[Any, ...]:
        """The outputs of a method for these inputs; `dims` gives its symbols in those of the entry."""
        return self._run(_Frame(method, method.graph, prefix, dims, self.simplify), inputs)

    def _run(self, frame: _Frame, inputs: Sequence[Any]) -> tuple[Any, ...]:
        for value, given in zip(frame.graph.inputs, inputs, strict=True):
            if value is not None:
                self._bind(frame, value, given)
        for node in frame.graph.nodes:
            self._node(frame, node)
        return tuple(frame.close(output) for output in frame.graph.outputs)

    def _node(self, frame: _Frame, node: ir.Node) -> None:
        if isinstance(node, ir.Read):
            results: tuple[Any, ...] = (read_weight(self.graph, self.weights, frame.prefix + node.path),)
        elif isinstance(node, ir.Op):
            results = self._op(frame, node)
        elif isinstance(node, ir.Scan):
            results = self._scan(frame, node)
        elif isinstance(node, ir.Foreign):
            raise AssertionError("what Python computes has no form in ONNX, and was refused before")
        elif node.method is not None:
            dims = {name: frame.size(size) for name, size in node.dims.items()}
            method = self.program.methods[node.method]
            results = self.call(method, f"{frame.prefix}{node.path}.", frame.close(node.inputs), dims)
        else:
            results = self._layer(frame, node)
        self._bind(frame, ir.result_of(node.outputs), results[0] if len(results) == 1 else results)

    def _scan(self, frame: _Frame, node: ir.Scan) -> tuple[Any, ...]:
        """A Scan node along the first dimension, with Transposes around it where that is another one.

        States come first in ONNX, and the body sees the values outside by their names.
        """
        body, count = node.body, len(node.sequences)
        view = View(self, f"{frame.prefix.rstrip('.')}/Scan".lstrip("/"))
        inner, given = self._step(frame, node, view)
        back = [int(node.reverse)] if node.reverse else []
        orders = [_to_front(node.axis, frame.type(ref.id)) for ref in node.sequences]
        made = view.node(
            "Scan",
            *frame.close(node.states),
            *map(view.transpose, frame.close(node.sequences), orders),
            outputs=len(node.outputs),
            body=onnx.helper.make_graph(inner.nodes, view.scope, inner.inputs, given),
            num_scan_inputs=count,
            scan_input_directions=back * count or None,
            scan_output_directions=back * node.yields or None,
        )
        made = made if isinstance(made, tuple) else (made,)
        states, stacked = made[: len(node.states)], made[len(node.states) :]
        orders = [_from_front(node.axis, body.values[ref.id].type) for ref in body.outputs[: node.yields]]
        return (*map(view.transpose, stacked, orders), *states)

    def _step(self, frame: _Frame, node: ir.Scan, view: View) -> tuple[GraphBuilder, list[onnx.ValueInfoProto]]:
        """The graph of a step, and its outputs: the states, then the yields."""
        body, count = node.body, len(node.sequences)
        outside, self.graph = self.graph, self.graph.inner()
        inner = _Frame(frame.method, body, frame.prefix, frame.dims, self.simplify)

        def declared(value: int) -> onnx.ValueInfoProto:
            name = outside.unique(f"{view.scope}/{body.values[value].hint or 'value'}")
            return value_info(name, inner.type(value))

        own = list(map(declared, body.inputs[: count + len(node.states)]))
        results = self._run(inner, [*(info.name for info in own), *frame.close(node.captures)])
        order = [*range(node.yields, len(results)), *range(node.yields)]
        given = [declared(body.outputs[i].id) for i in order]
        self.graph.finish([(info.name, results[i]) for info, i in zip(given, order, strict=True)])
        self.graph.inputs = [*own[count:], *own[:count]]
        built, self.graph = self.graph, outside
        return built, given

    def _op(self, frame: _Frame, node: ir.Op) -> tuple[Any, ...]:
        cls = registry.find("function", node.function)
        assert cls is not None, node.function
        function = cls(**{name: frame.close(value) for name, value in node.attributes.items()})
        return self._lower(frame, node, function, View(self, frame.prefix.rstrip(".")))

    def _layer(self, frame: _Frame, node: ir.Call) -> tuple[Any, ...]:
        module = self.program.modules[self.program.module_at(frame.method.module, node.path)]
        cls = registry.find("layer", module.name)
        assert cls is not None, module.name
        layer = cls(**{name: frame.close(value) for name, value in module.arguments.items()})
        path = frame.prefix + node.path
        return self._lower(frame, node, layer, View(self, path, path))

    def _lower(self, frame: _Frame, node: ir.Op | ir.Call, operation: Layer | Function, view: View) -> tuple[Any, ...]:
        try:
            result = lower(view, self.graph, operation, frame.close(node.inputs))
        except Unsupported as reason:
            self.faults.append(_unsupported(reason, node.span))
            # Stand-ins let the layers after it be tried too.
            result = _stand_in(self.graph, ir.result_of(node.outputs))
        return result if isinstance(result, tuple) and len(result) > 1 else (result,)

    def _bind(self, frame: _Frame, outputs: Any, result: Any) -> None:
        if not isinstance(outputs, int):
            for part, value in zip(outputs, result, strict=True):
                self._bind(frame, part, value)
            return
        frame.values[outputs] = result
        if isinstance(result, str):
            self.graph.types[result] = frame.type(outputs)


def _to_front(axis: int, whole: TensorType) -> list[int]:
    """The order of dimensions in which one comes first."""
    first, last = axis % whole.rank, len(stored(whole).dims)
    return [first, *(i for i in range(last) if i != first)]


def _from_front(axis: int, part: TensorType) -> list[int]:
    """The order that brings the first dimension, along which such parts were stacked, to its place."""
    place, last = axis % (part.rank + 1), len(stored(part).dims) + 1
    return [*range(1, place + 1), 0, *range(place + 1, last)]


def _unsupported(reason: Unsupported, span: Span | None) -> Diagnostic:
    return error("NNS501", str(reason), span, "has no form in ONNX")


def _stand_in(graph: GraphBuilder, outputs: Any) -> Any:
    if isinstance(outputs, int):
        return graph.unique("unsupported")
    return tuple(_stand_in(graph, part) for part in outputs)
