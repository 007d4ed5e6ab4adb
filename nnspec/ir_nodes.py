"""Walking the nodes of a graph where scans hold graphs of their own, and giving values other numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from nnspec import ir

Number = Callable[[int], int]
"""The new number of a value."""


def nodes_of(nodes: Iterable[ir.Node]) -> Iterator[ir.Node]:
    """The nodes, each scan followed by those of its body."""
    for node in nodes:
        yield node
        if isinstance(node, ir.Scan):
            yield from nodes_of(node.body.nodes)


def count_nodes(graph: ir.Graph) -> int:
    """How many nodes a graph has, those in the bodies of its scans included."""
    return sum(1 for _ in nodes_of(graph.nodes))


def renumbered(node: ir.Node, number: Number) -> ir.Node:
    """The node with other numbers for the values that it takes and gives; a scan keeps its body as it is."""
    outputs = tuple(_outputs(part, number) for part in node.outputs)
    if isinstance(node, ir.Read):
        return replace(node, outputs=outputs)
    if isinstance(node, ir.Scan):
        sequences, states, captures = (moved(o, number) for o in (node.sequences, node.states, node.captures))
        return replace(node, sequences=sequences, states=states, captures=captures, outputs=outputs)
    return replace(node, inputs=moved(node.inputs, number), outputs=outputs)


def moved(operand: ir.Operand, number: Number) -> ir.Operand:
    """The operand with other numbers for the values in it."""
    if isinstance(operand, ir.Ref):
        return ir.Ref(number(operand.id))
    if isinstance(operand, tuple):
        return tuple(moved(part, number) for part in operand)
    return operand


def _outputs(part: Any, number: Number) -> Any:
    return number(part) if isinstance(part, int) else tuple(_outputs(inner, number) for inner in part)
