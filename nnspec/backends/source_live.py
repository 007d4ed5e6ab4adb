"""What of a graph is written: scans with the graph around them as one, and without what no output needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nnspec import ir
from nnspec.ir_nodes import Number, moved, nodes_of, renumbered

# --- one numbering ---------------------------------------------------------------------------------------------------


def joined(program: ir.Program) -> ir.Program:
    """The program with scans that share the numbers of the graph around them, as their text shares its names."""
    methods = tuple(replace(m, graph=joined_graph(m.graph)) for m in program.methods)
    modules = tuple(replace(m, members=tuple(map(_member, m.members))) for m in program.modules)
    return replace(program, methods=methods, modules=modules)


def _member(member: ir.Member) -> ir.Member:
    return member if member.value is None else replace(member, value=joined_graph(member.value))


def joined_graph(graph: ir.Graph) -> ir.Graph:
    """A graph whose scans use the values from outside by their own numbers, and have others behind them."""
    if not any(isinstance(node, ir.Scan) for node in graph.nodes):
        return graph
    values = list(graph.values)
    nodes = tuple(_joined(node, lambda number: number, values) for node in graph.nodes)
    return replace(graph, values=tuple(values), nodes=nodes)


def _joined(node: ir.Node, number: Number, values: list[ir.Value]) -> ir.Node:
    if not isinstance(node, ir.Scan):
        return renumbered(node, number)
    body = node.body
    own = len(body.inputs) - len(node.captures)
    numbers = {inner: number(operand.id) for inner, operand in zip(body.inputs[own:], node.captures, strict=True)}
    for inner, value in enumerate(body.values):
        if inner not in numbers:
            numbers[inner] = len(values)
            values.append(value)
    place = numbers.__getitem__
    nodes = tuple(_joined(inner, place, values) for inner in body.nodes)
    inputs = tuple(map(place, body.inputs))
    whole = ir.Graph(inputs, (), nodes, moved(body.outputs, place))
    outer = renumbered(node, number)
    assert isinstance(outer, ir.Scan)
    return replace(outer, body=whole)


# --- what is needed --------------------------------------------------------------------------------------------------


def live_nodes(graph: ir.Graph) -> list[ir.Node]:
    """The nodes that an output needs, and every call of a layer: a layer may keep state."""
    return _live(graph.nodes, set(ir.refs(graph.outputs)))


def _live(nodes: Sequence[ir.Node], needed: set[int]) -> list[ir.Node]:
    """The nodes that values need; `needed` becomes all that these nodes use."""
    kept: list[ir.Node] = []
    for node in reversed(nodes):
        calls = any(isinstance(inner, ir.Call) for inner in nodes_of([node]))
        if calls or not needed.isdisjoint(ir.flat(node.outputs)):
            if isinstance(node, ir.Scan):
                node = _live_scan(node, needed)  # noqa: PLW2901 - what is left of it
            kept.append(node)
            if not isinstance(node, ir.Read):
                needed.update(ir.refs(node.inputs))
    return kept[::-1]


def _live_scan(scan: ir.Scan, needed: set[int]) -> ir.Scan:
    """A scan without the yields that nothing needs, and the states that neither these nor anything else needs."""
    first = len(scan.sequences)
    parts, states = scan.body.inputs[:first], scan.body.inputs[first : first + len(scan.states)]
    yields = [i for i in range(scan.yields) if scan.outputs[i] in needed]
    finals = scan.outputs[scan.yields :]
    kept = [i for i in range(len(states)) if finals[i] in needed]
    while True:
        results = tuple(scan.body.outputs[i] for i in (*yields, *(scan.yields + i for i in kept)))
        used = set(ir.refs(results))
        nodes = _live(scan.body.nodes, used)
        more = [i for i in range(len(states)) if i in kept or states[i] in used]
        if more == kept:
            break
        kept = more
    heard = [i for i in range(first) if parts[i] in used] or [0]
    captures = tuple(ref for ref in dict.fromkeys(scan.captures) if ref.id in used)
    inputs = (*(parts[i] for i in heard), *(states[i] for i in kept), *(ref.id for ref in captures))
    return replace(
        scan,
        sequences=tuple(scan.sequences[i] for i in heard),
        states=tuple(scan.states[i] for i in kept),
        captures=captures,
        body=ir.Graph(inputs, (), tuple(nodes), results),
        outputs=(*(scan.outputs[i] for i in yields), *(finals[i] for i in kept)),
    )


def count_uses(graph: ir.Graph, nodes: Sequence[ir.Node]) -> list[int]:
    """How often each value is used; what a scan takes from outside, once more for the turns that are to come."""
    uses = [0] * len(graph.values)
    _count(nodes, graph.outputs, uses)
    return uses


def _count(nodes: Iterable[ir.Node], outputs: Sequence[ir.Operand], uses: list[int]) -> None:
    for node in nodes:
        if not isinstance(node, ir.Read):
            for value in ir.refs(node.inputs):
                uses[value] += 1
        if isinstance(node, ir.Scan):
            _count(node.body.nodes, node.body.outputs, uses)
    for value in ir.refs(tuple(outputs)):
        uses[value] += 1
