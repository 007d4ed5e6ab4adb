"""`remove-identities`: dropout, `x * 1`, a reshape to the same shape, a transposition there and back.

What does nothing in inference is known by each layer and function itself (`gives_back`, `reorders`). A block of which
nothing else is left goes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.layer import Operation
from nnspec.passes.operations import Operations, callees_first, operand_types
from nnspec.passes.rewriting import Rewritten, compacted, in_method, rebuilt


def run(program: ir.Program) -> Rewritten:
    """The program in which what comes out unchanged is read from where it went in."""
    through: dict[int, int | None] = {}
    methods = list(program.methods)
    operations = Operations(program)

    def rewrite(method: ir.Method, graph: ir.Graph) -> ir.Graph:
        return _Finder(operations, method, graph, through).rewritten()

    for number in callees_first(program):
        methods[number] = in_method(methods[number], rewrite)
        through[number] = _passed(methods[number].graph)
    return Rewritten(compacted(replace(program, methods=tuple(methods))))


def _passed(graph: ir.Graph) -> int | None:
    """Which input of a method is its only output."""
    output = graph.outputs[0]
    if len(graph.outputs) > 1 or not isinstance(output, ir.Ref) or output.id not in graph.inputs:
        return None
    return graph.inputs.index(output.id)


class _Finder:
    """Finds what one graph does not need."""

    def __init__(
        self, operations: Operations, method: ir.Method, graph: ir.Graph, through: dict[int, int | None]
    ) -> None:
        self._operations = operations
        self._method = method
        self._graph = graph
        self._through = through
        self._instead: dict[int, int] = {}
        self._orders: dict[int, tuple[int, Sequence[int]]] = {}
        """Values whose dimensions are those of another one in another order."""

    def rewritten(self) -> ir.Graph:
        """The graph without these nodes."""
        kept = []
        for node in self._graph.nodes:
            same = self._same(node)
            if same is None:
                kept.append(node)
            else:
                self._instead[node.outputs[0]] = same
        return rebuilt(self._graph, tuple(kept), self._instead) if self._instead else self._graph

    def _same(self, node: ir.Node) -> int | None:
        """The value that a node gives back."""
        if len(node.outputs) != 1 or not isinstance(node.outputs[0], int) or isinstance(node, ir.Read | ir.Foreign):
            return None
        if isinstance(node, ir.Call) and node.method is not None:
            return self._operand(node, self._through[node.method])
        operation = self._operations.of(self._method.module, node)
        if operation is None:
            return None
        inputs, output = operand_types(self._graph, node), self._graph.values[node.outputs[0]].type
        back = self._operand(node, operation.gives_back(inputs, output))
        return back if back is not None else self._turned_back(operation, node, inputs)

    @staticmethod
    def _operand(node: ir.Node, position: int | None) -> int | None:
        if position is None or isinstance(node, ir.Read):
            return None
        operand = node.inputs[position]
        return operand.id if isinstance(operand, ir.Ref) else None

    def _turned_back(self, operation: Operation, node: ir.Node, inputs: Sequence[Any]) -> int | None:
        source = self._operand(node, 0) if inputs else None
        order = operation.reorders(inputs[0]) if source is not None else None
        if source is None or order is None:
            return None
        while source in self._instead:
            source = self._instead[source]
        if source in self._orders:
            source, before = self._orders[source]
            order = [before[axis] for axis in order]
        if list(order) == list(range(len(order))):
            return source
        self._orders[node.outputs[0]] = source, order
        return None
