"""Layers that are made of others: as arguments, and in a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from nnspec import ir, registry
from nnspec.layer import Layer, OnnxGraph
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np


Kind = TypeVar("Kind", bound=Layer)


def configured(cls: type[Kind], **arguments: Any) -> Kind:
    """A layer from its arguments by name, sizes included."""
    return cls(**arguments)


def recorded(layer: Layer) -> ir.Record:
    """A layer as an argument of another one."""
    return ir.Record(type(layer).__name__, dict(layer.given()))


def from_record(record: Any) -> Layer:
    """The layer that an argument holds."""
    found = registry.find("layer", cast(ir.Record, record).name)
    if found is None:
        raise ValueError(f"no layer is called {record.name!r}")
    layer: Layer = found(**record.arguments)
    return layer


class _Inside:
    """What a part sees of the graph: its own weights, and the types of its inputs."""

    def __init__(self, graph: OnnxGraph, name: str, types: Mapping[str, TensorType]) -> None:
        self._graph = graph
        self._name = name
        self._types = types

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def weight(self, name: str) -> str:
        return self._graph.weight(f"{self._name}.{name}")

    def array(self, name: str) -> np.ndarray:
        return self._graph.array(f"{self._name}.{name}")

    def initializer(self, array: np.ndarray, hint: str) -> str:
        return self._graph.initializer(array, f"{self._name}.{hint}")

    def type(self, value: str) -> TensorType:
        return self._types[value] if value in self._types else self._graph.type(value)


def inside(graph: OnnxGraph, name: str, types: Mapping[str, TensorType] | None = None) -> OnnxGraph:
    """The graph as a part of that name sees it; `types` are those of values that the IR does not know."""
    return cast(OnnxGraph, _Inside(graph, name, types or {}))
