"""`share-equal`: what is computed twice from the same values is computed once.

That goes for whole calls of blocks as well. What draws random numbers is no such thing, and neither is an extern.
"""

from __future__ import annotations

from typing import Any

from nnspec import ir
from nnspec.passes.operations import Effects
from nnspec.passes.rewriting import Rewritten, compacted, in_methods, rebuilt


def run(program: ir.Program) -> Rewritten:
    """The program with nothing in a graph computed twice."""
    effects = Effects(program)

    def shared(method: ir.Method, graph: ir.Graph) -> ir.Graph:
        known: dict[Any, ir.Node] = {}
        instead: dict[int, int] = {}
        kept = []
        for node in graph.nodes:
            if effects.is_random(method.module, node) or effects.is_foreign(node):
                kept.append(node)
                continue
            first = known.setdefault(_key(node, instead), node)
            if first is node:
                kept.append(node)
            else:
                instead |= dict(zip(ir.flat(node.outputs), ir.flat(first.outputs), strict=True))
        return rebuilt(graph, tuple(kept), instead) if instead else graph

    return Rewritten(compacted(in_methods(program, shared)))


def _key(node: ir.Node, instead: dict[int, int]) -> Any:
    """What makes two nodes give the same. By `repr`, in which 1, 1.0 and true are three things."""
    if isinstance(node, ir.Read):
        return ("read", node.path)
    inputs = repr(_operand(node.inputs, instead))
    if isinstance(node, ir.Op):
        return ("op", node.function, inputs, repr(sorted(node.attributes.items())))
    if isinstance(node, ir.Call):
        return ("call", node.path, node.method, inputs, repr(sorted(node.dims.items())))
    return ("node", id(node))  # scans that are equal are not looked for


def _operand(operand: Any, instead: dict[int, int]) -> Any:
    if isinstance(operand, ir.Ref):
        return ir.Ref(instead.get(operand.id, operand.id))
    return tuple(_operand(part, instead) for part in operand) if isinstance(operand, tuple) else operand
