"""`fold-batch-norm`: a layer whose weights can take in the affine map that follows it does so.

Which layers are such maps in inference, and which can take one in, is for their classes to say (`as_affine`,
`absorbing`). A block is rewritten once for all of its uses, so a pair is folded only where it is one in every method of
its block: each result of the first layer goes into the second and nowhere else, and nothing reads or ties a weight of
either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nnspec import ir
from nnspec.ir_nodes import nodes_of
from nnspec.passes.operations import Operations
from nnspec.passes.rewriting import Editor, Rewritten, Step, graphs_of, in_methods, parts, rebuilt
from nnspec.passes.weights import layer_module, part_of, typed
from nnspec.verify_library import layer_of

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Absorbing, Affine
    from nnspec.passes.rewriting import Change, Evaluate, State


class Pair(NamedTuple):
    """Two layers of a block, by their paths: the second one's input is what the first gives."""

    block: int
    first: str
    second: str


def run(program: ir.Program) -> Rewritten:
    """The program with as few normalisations as can be, and how the weights of the layers before them become."""
    pairs = {pair: found for pair, rank in _candidates(program).items() if (found := _absorbed(program, pair, rank))}
    seconds = {(pair.block, pair.second) for pair in pairs}

    def folded(method: ir.Method, graph: ir.Graph) -> ir.Graph:
        instead = {}
        for node in graph.nodes:
            if isinstance(node, ir.Call) and (method.module, node.path) in seconds:
                instead[node.outputs[0]] = node.inputs[0].id
        nodes = tuple(node for node in graph.nodes if instead.keys().isdisjoint(ir.flat(node.outputs)))
        return rebuilt(graph, nodes, instead) if instead else graph

    editor = Editor(in_methods(program, folded))
    changes: dict[int, list[Change]] = {}
    for pair, (affine, absorbing) in pairs.items():
        before = program.modules[program.module_at(pair.block, pair.first)]
        editor.put(pair.block, pair.first, layer_module(absorbing.layer, before))
        changes.setdefault(pair.block, []).append(_change(pair, affine, absorbing))
    return Rewritten(editor.program(), tuple(Step(program, block, tuple(found)) for block, found in changes.items()))


def _change(pair: Pair, affine: Affine, absorbing: Absorbing) -> Change:
    def change(state: State, prefix: str, evaluate: Evaluate) -> dict[str, np.ndarray]:
        first, second = f"{prefix}{pair.first}.", f"{prefix}{pair.second}."
        scale, offset = affine(part_of(state, second))
        return typed(absorbing.layer, first, absorbing.weights(part_of(state, first), scale, offset))

    return change


def _absorbed(program: ir.Program, pair: Pair, rank: int) -> tuple[Affine, Absorbing] | None:
    first, second = (layer_of(program.modules[program.module_at(pair.block, path)]) for path in pair[1:])
    affine, absorbing = second.as_affine(), first.absorbing(rank)
    return None if affine is None or absorbing is None else (affine, absorbing)


def _candidates(program: ir.Program) -> dict[Pair, int]:
    """Pairs of layers that are one wherever either is called, and the rank of what flows between them."""
    ranks: dict[Pair, set[int]] = {}
    partners: dict[tuple[int, str], set[str | None]] = {}
    """By block and path of a layer: which layers are before or behind it; None where it is used otherwise."""
    operations = Operations(program)
    for method in program.methods:
        for graph in graphs_of(method.graph):
            for pair, rank in _pairs(operations, method.module, graph):
                ranks.setdefault(pair, set()).add(rank)
            for path, others in _neighbours(operations, method.module, graph):
                partners.setdefault((method.module, path), set()).update(others)
    for block, path in touched(program):
        partners.setdefault((block, path), set()).add(None)
    found = {}
    for pair, seen in ranks.items():
        alone = partners[pair.block, pair.first] == {pair.second} and partners[pair.block, pair.second] == {pair.first}
        if alone and len(seen) == 1:
            found[pair] = next(iter(seen))
    return found


def _pairs(operations: Operations, module: int, graph: ir.Graph) -> Iterator[tuple[Pair, int]]:
    calls = _layer_calls(operations, module, graph)
    for node in calls.values():
        before = calls.get(_source(node))
        if before is not None:
            yield Pair(module, before.path, node.path), graph.values[before.outputs[0]].type.rank


def _layer_calls(operations: Operations, module: int, graph: ir.Graph) -> dict[int, ir.Call]:
    """The calls of layers by the value that they give."""
    calls = (node for node in graph.nodes if isinstance(node, ir.Call) and operations.layer(module, node) is not None)
    return {node.outputs[0]: node for node in calls if isinstance(node.outputs[0], int)}


def _source(call: ir.Call) -> int:
    """The value that is a layer's only input; -1 where there is none or another."""
    source = call.inputs[0] if len(call.inputs) == 1 else None
    return source.id if isinstance(source, ir.Ref) else -1


def _neighbours(operations: Operations, module: int, graph: ir.Graph) -> Iterator[tuple[str, set[str | None]]]:
    """Layers that are called, with those that each input comes from if they are affine maps, else each result goes to.

    Which of the two a layer is, the first or the second of a pair, its class says.
    """
    calls = _layer_calls(operations, module, graph)
    readers: dict[int, set[str | None]] = {}
    for node in graph.nodes:
        if not isinstance(node, ir.Read):
            is_layer = isinstance(node, ir.Call) and calls.get(node.outputs[0]) is node and _source(node) >= 0
            path = node.path if isinstance(node, ir.Call) and is_layer else None
            for value in ir.refs(node.inputs):
                readers.setdefault(value, set()).add(path)
    for value in ir.refs(graph.outputs):
        readers.setdefault(value, set()).add(None)
    for value, call in calls.items():
        layer = operations.layer(module, call)
        before = calls.get(_source(call))
        if layer is not None and layer.as_affine() is not None:
            yield call.path, {None if before is None else before.path}
        else:
            yield call.path, readers.get(value, {None})


def touched(program: ir.Program) -> Iterator[tuple[int, str]]:
    """Layers of which a weight is read or tied, or that are called from outside of their block."""
    for method in program.methods:
        for node in nodes_of(method.graph.nodes):
            if isinstance(node, ir.Read):
                yield from _owners(program, method.module, node.path)
            elif isinstance(node, ir.Call):
                _, *others = parts(program, method.module, node.path)
                yield from others
    for number, module in enumerate(program.modules):
        for tie in module.ties:
            yield from _owners(program, number, tie.alias)
            yield from _owners(program, number, tie.owner)


def _owners(program: ir.Program, module: int, path: str) -> Iterator[tuple[int, str]]:
    """What a weight belongs to, as a path from each block that its own leads through."""
    for block, rest in parts(program, module, path):
        names = rest.split(".")
        for count in range(1, len(names)):
            yield block, ".".join(names[:count])
