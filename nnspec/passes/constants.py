"""`fold-constants`: what is computed from nothing but numbers becomes a buffer, worked out once.

A buffer starts from a closed graph, so nothing is evaluated here: the constructor of the emitted class computes it, and
the weights that go to ONNX get it from whoever can compute a graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count
from math import prod
from typing import TYPE_CHECKING, Any

from nnspec import ir
from nnspec.dims import Dim
from nnspec.elaborate.place import is_reserved
from nnspec.ir_nodes import renumbered
from nnspec.passes.operations import Operations
from nnspec.passes.rewriting import Editor, Rewritten, Step, in_methods, rebuilt
from nnspec.types import TensorType, is_complex

if TYPE_CHECKING:
    from nnspec.passes.rewriting import Change, Evaluate, State

MAX_ELEMENTS = 2**20
"""Of a constant and of all that leads to it: a table or mask is kept, and 1,024 x 1,024 is the largest."""

MAX_TOTAL = 2**24
"""Of all constants of a program."""

MAX_NODES = 2**16
"""Looked at for all constants of a program: each has a graph of its own, and many may share a long way."""


def run(program: ir.Program) -> Rewritten:
    """The program with constants as buffers of the blocks that use them."""
    folder = _Folder(program)
    changed = in_methods(program, folder.folded)
    editor = Editor(changed)
    steps = []
    for block, found in folder.constants.items():
        module = program.modules[block]
        members = (ir.Member(name, "buffer", "auto", type=_type(graph), value=graph) for name, graph in found.items())
        editor.set(block, replace(module, members=(*module.members, *members)))
        steps.append(Step(program, block, (_change(found),)))
    return Rewritten(editor.program(), tuple(steps))


def _type(graph: ir.Graph) -> TensorType:
    kind: TensorType = graph.values[graph.outputs[0].id].type
    return kind


def _change(found: dict[str, ir.Graph]) -> Change:
    def change(state: State, prefix: str, evaluate: Evaluate) -> dict[str, Any]:
        return {prefix + name: evaluate(graph) for name, graph in found.items()}

    return change


class _Folder:
    """Takes constants out of graphs."""

    def __init__(self, program: ir.Program) -> None:
        self.constants: dict[int, dict[str, ir.Graph]] = {}
        """By block, the closed graphs of its new buffers by name."""
        self._program = program
        self._operations = Operations(program)
        self._total = 0
        self._left = MAX_NODES
        self._known: dict[int, dict[str, str]] = {}
        """By block, the names of its constants by what computes them."""
        self._taken: dict[int, set[str]] = {}

    def folded(self, method: ir.Method, graph: ir.Graph) -> ir.Graph:
        """A graph that reads its constants."""
        makers = self._makers(method, graph)
        if not makers:
            return graph
        used = {v for node in graph.nodes if node.outputs[0] not in makers for v in _used(node)}
        used |= set(ir.refs(graph.outputs))
        taken = {}
        places = {value: place for place, value in enumerate(makers)}
        for value in sorted(used & makers.keys()):
            needed = sorted(self._needed(makers, value), key=places.__getitem__)
            hint = graph.values[value].hint
            if needed and (name := self._name(method.module, _closed(graph, makers, needed), hint)):
                taken[value] = name
        if not taken:
            return graph
        reads = tuple(ir.Read(name, (value,), makers[value].span) for value, name in taken.items())
        return rebuilt(graph, (*reads, *_without(graph, makers, set(taken))), {})

    def _makers(self, method: ir.Method, graph: ir.Graph) -> dict[int, ir.Op]:
        """The values that are constant, and the nodes that make them."""
        makers: dict[int, ir.Op] = {}
        for node in graph.nodes:
            if not isinstance(node, ir.Op) or not set(ir.refs(node.inputs)) <= makers.keys():
                continue
            value = ir.result_of(node.outputs)
            if not isinstance(value, int) or _has_sizes((node.inputs, *node.attributes.values())):
                continue
            sizes = [dim for dim in graph.values[value].type.dims if isinstance(dim, int)]
            operation = self._operations.of(method.module, node)
            fixed = len(sizes) == graph.values[value].type.rank and prod(sizes) <= MAX_ELEMENTS
            fixed = fixed and not is_complex(graph.values[value].type.dtype)
            if fixed and operation is not None and not operation.is_random():
                makers[value] = node
        return makers

    def _needed(self, makers: Mapping[int, ir.Op], value: int) -> set[int]:
        """The values that lead to a constant, itself included; none where that would be too many."""
        needed, rest = {value}, [value]
        while rest and len(needed) <= self._left:
            more = set(ir.refs(makers[rest.pop()].inputs)) - needed
            needed |= more
            rest += more
        self._left -= len(needed)
        return needed if self._left >= 0 else set()

    def _name(self, block: int, closed: ir.Graph, hint: str) -> str:
        """The buffer that holds a constant; empty where there are too many."""
        known = self._known.setdefault(block, {})
        key = repr(closed)
        if key in known:
            return known[key]
        elements = prod(dim for dim in _type(closed).dims if isinstance(dim, int))
        if self._total + elements > MAX_TOTAL:
            return ""
        self._total += elements
        if block not in self._taken:
            self._taken[block] = {member.name for member in self._program.modules[block].members}
        word = hint if hint.isidentifier() else "constant"
        names = chain((word,), (f"{word}_{number}" for number in count(2)))
        name = next(each for each in names if each not in self._taken[block] and not is_reserved(each))
        self._taken[block].add(name)
        known[key] = name
        self.constants.setdefault(block, {})[name] = closed
        return name


def _used(node: ir.Node) -> Iterator[int]:
    return iter(()) if isinstance(node, ir.Read) else ir.refs(node.inputs)


def _has_sizes(value: Any) -> bool:
    return any(map(_has_sizes, value)) if isinstance(value, tuple) else isinstance(value, Dim)


def _closed(graph: ir.Graph, makers: Mapping[int, ir.Op], needed: Sequence[int]) -> ir.Graph:
    """The graph that computes the last of these values from the others, with nothing of where it stood."""
    order = {old: new for new, old in enumerate(needed)}
    nodes = tuple(renumbered(replace(makers[old], span=None), order.__getitem__) for old in order)
    values = tuple(replace(graph.values[old], hint="", span=None) for old in order)
    return ir.Graph((), values, nodes, (ir.Ref(len(order) - 1),))


def _without(graph: ir.Graph, makers: dict[int, ir.Op], taken: set[int]) -> Sequence[ir.Node]:
    """The nodes, less those that made what is read now and what nothing else needs."""
    needed = set(ir.refs(graph.outputs))
    kept: list[ir.Node] = []
    for node in reversed(graph.nodes):
        output = node.outputs[0]
        if output in makers and (output in taken or output not in needed):
            continue
        kept.append(node)
        needed |= set(_used(node))
    return kept[::-1]
