"""What gradients pass through where several updates share what is worked out once a batch."""

from __future__ import annotations

from collections.abc import Collection

from nnspec import ir

_STOPS = ("detach",)
"""Functions that let no gradient through."""


def taken(graph: ir.Graph) -> frozenset[int]:
    """The positions of the inputs of a graph whose gradient its output may have."""
    needed = set(ir.refs(graph.outputs))
    for node in reversed(graph.nodes):
        if not isinstance(node, ir.Read) and not _stops(node) and not needed.isdisjoint(ir.flat(node.outputs)):
            needed.update(ir.refs(node.inputs))
    return frozenset(at for at, value in enumerate(graph.inputs) if value in needed)


def passed(graph: ir.Graph, outputs: Collection[int], members: Collection[str]) -> dict[int, str]:
    """The calls in a graph that gradients pass from some of its outputs (by position) to parameters of some members.

    Each with the member that it calls; the calls of those members are among them.
    """
    needed = {value for at in outputs for value in ir.refs(graph.outputs[at])}
    upstream = set()
    for at, node in reversed(list(enumerate(graph.nodes))):
        if isinstance(node, ir.Read) or _stops(node) or needed.isdisjoint(ir.flat(node.outputs)):
            continue
        upstream.add(at)
        needed.update(ir.refs(node.inputs))
    carried: set[int] = set()
    found = {}
    for at, node in enumerate(graph.nodes):
        if at not in upstream or isinstance(node, ir.Read):
            continue
        member = node.path.partition(".")[0] if isinstance(node, ir.Call) else ""
        if member in members or not carried.isdisjoint(ir.refs(node.inputs)):
            carried.update(ir.flat(node.outputs))
            if member:
                found[at] = member
    return found


def _stops(node: ir.Node) -> bool:
    return isinstance(node, ir.Op) and node.function in _STOPS
