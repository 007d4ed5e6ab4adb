"""Collects the nodes and initializers of one ONNX graph: unique readable names, shared constants, nothing unused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from nnspec.dims import Size, show, symbols
from nnspec.types import TensorType, is_complex, real_part

_NUMPY_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The numpy type of an element type of the language."""
    return _NUMPY_BFLOAT16 if name == "bfloat16" else np.dtype(name)


def onnx_dtype(name: str) -> int:
    """The ONNX number of an element type of the language."""
    return int(onnx.helper.np_dtype_to_tensor_dtype(numpy_dtype(name)))


class GraphBuilder:
    """A graph under construction. Values, initializers and inputs share one namespace; so do node names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.arrays: dict[str, np.ndarray] = {}
        """Initializers by name, in the order of their first use."""
        self.types: dict[str, TensorType] = {}
        """Types of the values that the IR knows, in the entry's symbols."""
        self._counts: dict[str, int] = {}
        self._stored: dict[str, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def inner(self) -> GraphBuilder:
        """A graph in a node of this one: it has nodes of its own, and sees all values, names and initializers."""
        graph = copy(self)
        graph.nodes, graph.inputs = [], []
        return graph

    def unique(self, name: str) -> str:
        """The name itself the first time, then `name_1`, `name_2`."""
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return name if count == 0 else self.unique(f"{name}_{count}")

    def node(self, name: str, op: str, inputs: Sequence[str | None], outputs: int, attributes: dict[str, Any]) -> Any:
        """Add a node; returns its output's name, or a tuple of names for several outputs.

        Inputs of None at the end are not written at all: runtimes fuse what has the inputs that they expect.
        """
        name = self.unique(name)
        last = max((i for i, each in enumerate(inputs, 1) if each is not None), default=0)
        names = (name,) if outputs == 1 else tuple(self.unique(f"{name}.{i}") for i in range(outputs))
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(onnx.helper.make_node(op, [each or "" for each in inputs[:last]], names, name, **given))
        return name if outputs == 1 else names

    def initializer(self, array: np.ndarray, name: str) -> str:
        """Store an array under a name (or one like it, if that is taken); the same array again is stored once."""
        stored = self._stored.get(name)
        if stored is not None and _same(self.arrays[stored], array):
            return stored
        stored = self._stored[name] = self.unique(name)
        self.arrays[stored] = np.asarray(array, order="C")
        return stored

    def constant(self, value: Any, dtype: str) -> str:
        """A small constant as an initializer; equal ones are one."""
        array = np.asarray(value, dtype=numpy_dtype(dtype))
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.initializer(array, "constant")
        return self._constants[key]

    def finish(self, outputs: Sequence[tuple[str, str]]) -> None:
        """Give values their names as outputs (pairs of output name and value); drops what no output needs.

        A value that cannot be renamed (an input, an initializer, a second output of the same value) is copied.
        """
        produced = {name for node in self.nodes for name in node.output}
        renamed: dict[str, str] = {}
        for wanted, value in outputs:
            if value in produced and value not in renamed:
                renamed[value] = wanted
            else:
                self.nodes.append(onnx.helper.make_node("Identity", [value], [wanted], wanted))
        if renamed:
            for node in _nested(self.nodes):
                _rename(node.input, renamed)
                _rename(node.output, renamed)
        self._prune([wanted for wanted, _ in outputs])

    def _prune(self, outputs: Sequence[str]) -> None:
        needed = set(outputs)
        kept = []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                needed.update(name for inner in _nested([node]) for name in inner.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.arrays = {name: array for name, array in self.arrays.items() if name in needed}


def stored(kind: TensorType) -> TensorType:
    """The type of what a graph holds for a value: complex numbers are pairs of floats."""
    return TensorType(real_part(kind.dtype), (*kind.dims, 2)) if is_complex(kind.dtype) else kind


def value_info(name: str, kind: TensorType) -> onnx.ValueInfoProto:
    """A value's declaration: dimensions have the author's names, and no others."""
    kind = stored(kind)
    return onnx.helper.make_tensor_value_info(name, onnx_dtype(kind.dtype), list(map(_dim, kind.dims)))


def _dim(size: Size) -> int | str | None:
    if isinstance(size, int):
        return size
    name = show(size)
    # The spec's `_` is a symbol called `_1` inside.
    return name if name in symbols(size) and not name.startswith("_") else None


def _nested(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, and those of the graphs in them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nested(attribute.g.node)


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or (a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def _rename(names: Any, renamed: dict[str, str]) -> None:
    for i, name in enumerate(names):
        if name in renamed:
            names[i] = renamed[name]
