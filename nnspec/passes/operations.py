"""What passes ask of nodes: the class behind one, what flows into it, and whether calls may differ or do more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnspec import ir
from nnspec.ir_nodes import nodes_of
from nnspec.layer import Layer, Operation
from nnspec.types import Scalar
from nnspec.verify_library import function_of, layer_of


class Operations:
    """The layers and functions that the nodes of a program apply."""

    def __init__(self, program: ir.Program) -> None:
        self._program = program
        self._layers: dict[int, Layer] = {}

    def of(self, module: int, node: ir.Node) -> Operation | None:
        """What a node of a block's body applies; None for blocks, scans and what is read."""
        return function_of(node) if isinstance(node, ir.Op) else self.layer(module, node)

    def layer(self, module: int, node: ir.Node) -> Layer | None:
        """The layer that a node of a block's body calls, if it calls one."""
        if not isinstance(node, ir.Call) or node.method is not None:
            return None
        number = self._program.module_at(module, node.path)
        if number not in self._layers:
            self._layers[number] = layer_of(self._program.modules[number])
        return self._layers[number]


def operand_types(graph: ir.Graph, node: ir.Node) -> tuple[Any, ...]:
    """What flows into a node, as its class sees it."""

    def kind(operand: Any) -> Any:
        if isinstance(operand, ir.Ref):
            return graph.values[operand.id].type
        if isinstance(operand, tuple):
            return tuple(map(kind, operand))
        return None if operand is None else Scalar(operand)

    return () if isinstance(node, ir.Read) else tuple(map(kind, node.inputs))


def callees_first(program: ir.Program) -> list[int]:
    """The methods, each after those that it calls."""
    order: list[int] = []
    seen: set[int] = set()
    for start in range(len(program.methods)):
        stack = [(start, _calls(program, start))] if start not in seen else []
        seen.add(start)
        while stack:
            number, calls = stack[-1]
            inner = next((n for n in calls if n not in seen), None)
            if inner is None:
                order.append(number)
                stack.pop()
            else:
                seen.add(inner)
                stack.append((inner, _calls(program, inner)))
    return order


def _calls(program: ir.Program, number: int) -> Iterator[int]:
    for node in nodes_of(program.methods[number].graph.nodes):
        if isinstance(node, ir.Call) and node.method is not None:
            yield node.method


class Effects:
    """What calling methods does besides giving outputs: some draw random numbers, some run Python."""

    def __init__(self, program: ir.Program) -> None:
        self._operations = Operations(program)
        self._random: set[int] = set()
        self._foreign: set[int] = set()
        for number in callees_first(program):
            module = program.methods[number].module
            for node in program.methods[number].graph.nodes:
                if self.is_random(module, node):
                    self._random.add(number)
                if self.is_foreign(node):
                    self._foreign.add(number)

    def is_random(self, module: int, node: ir.Node) -> bool:
        """Whether the node draws random numbers in inference."""
        if isinstance(node, ir.Call) and node.method is not None:
            return node.method in self._random
        if isinstance(node, ir.Scan):
            return any(self.is_random(module, inner) for inner in node.body.nodes)
        operation = self._operations.of(module, node)
        return operation is not None and operation.is_random()

    def is_foreign(self, node: ir.Node) -> bool:
        """Whether the node runs Python that nothing is known of."""
        return any(
            isinstance(each, ir.Foreign) or (isinstance(each, ir.Call) and each.method in self._foreign)
            for each in nodes_of([node])
        )
