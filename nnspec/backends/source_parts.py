"""What a module computes besides its `forward`: that of several models has a method for each loss and each metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnspec import ir
from nnspec.backends.source_names import unique
from nnspec.dims import Dim, show, symbols
from nnspec.elaborate.place import is_reserved
from nnspec.ir_nodes import nodes_of
from nnspec.training.metric_cut import cut


@dataclass(frozen=True, slots=True)
class Part:
    """A Python method beside `forward`: its name, which of `Training.names` it takes, and its methods by mode."""

    name: str
    takes: tuple[int, ...]
    methods: Mapping[ir.Mode, int]


def with_parts(program: ir.Program, entry: ir.Entry) -> tuple[ir.Program, tuple[Part, ...]]:
    """The program with the methods of an entry's parts, and the parts: the updates' losses in order, then the metrics.

    There are none but for the entry of a section that trains several models.
    """
    training = program.training
    if training is None or not training.models or program.entries[training.entry] is not entry:
        return program, ()
    methods = list(program.methods)
    names = _names(training, program.modules[entry.module])
    parts = []
    for name, graphs in zip(names, _graphs(training), strict=True):
        takes = _needed(training, graphs.values())
        numbers: dict[ir.Mode, int] = {}
        for mode, graph in graphs.items():
            same = next((numbers[other] for other in numbers if graphs[other] is graph), None)
            if same is None:
                same = len(methods)
                methods.append(
                    _method(training, entry, graph, takes, mode, single=len(set(map(id, graphs.values()))) < 2)
                )
            numbers[mode] = same
        parts.append(Part(name, takes, numbers))
    return replace(program, methods=tuple(methods)), tuple(parts)


def _graphs(training: ir.Training) -> Iterator[dict[ir.Mode, ir.Graph]]:
    """What each part computes, by mode; metrics, which are for inference, what their meters are updated with."""
    for update in training.updates:
        yield {"infer": update.held or update.loss, "train": update.loss}
    for metric in training.metrics:
        yield {"infer": cut(metric.graph).gather}


def _names(training: ir.Training, module: ir.Module) -> list[str]:
    words = [f"loss_{update.name}" for update in training.updates] + [f"metric_{m.name}" for m in training.metrics]
    taken = {member.name for member in module.members} | {word for word in words if is_reserved(word)}
    return unique(words, taken)


def _needed(training: ir.Training, graphs: Iterable[ir.Graph]) -> tuple[int, ...]:
    """The positions in `names` that graphs use: values, the sizes that come with them, and the device of one."""
    used: set[int] = set()
    for graph in graphs:
        nodes = [node for node in nodes_of(graph.nodes) if not isinstance(node, ir.Read)]
        values = {v for part in (*(n.inputs for n in nodes), graph.outputs) for v in ir.refs(part)}
        used |= {at for at, value in enumerate(graph.inputs) if value in values}
        sizes = {name for node in nodes for size in _sizes(node) for name in symbols(size)}
        for name in sorted(sizes):
            carriers = [at for at, value in enumerate(graph.inputs) if name in _symbols(graph, value)]
            if used.isdisjoint(carriers):
                used.update(carriers[:1])
    if not used:
        used.update(at for at, (kind, _) in enumerate(training.names) if kind == "data")
        used = set(sorted(used)[:1])
    return tuple(sorted(used))


def _sizes(node: ir.Node) -> Iterator[Dim]:
    """The sizes that a node is written with."""
    rest: list[Any] = [getattr(node, "inputs", ())]
    rest += [getattr(node, "dims", {}), getattr(node, "attributes", {})]
    while rest:
        item = rest.pop()
        if isinstance(item, Dim):
            yield item
        elif isinstance(item, tuple | list):
            rest.extend(item)
        elif isinstance(item, dict):
            rest.extend(item.values())


def _symbols(graph: ir.Graph, value: int) -> dict[str, int]:
    """The symbols that are sizes of an input, and their axes."""
    dims = graph.values[value].type.dims
    return {show(dim): axis for axis, dim in reversed(list(enumerate(dims))) if isinstance(dim, Dim) and _alone(dim)}


def _alone(dim: Dim) -> bool:
    return show(dim).isidentifier()


def _method(
    training: ir.Training, entry: ir.Entry, graph: ir.Graph, takes: tuple[int, ...], mode: ir.Mode, *, single: bool
) -> ir.Method:
    """A graph as a method of the module, for the inputs that it needs."""
    inputs = tuple(graph.inputs[at] for at in takes)
    found: dict[str, ir.Symbol] = {}
    for at, value in enumerate(inputs):
        for name, axis in _symbols(graph, value).items():
            found.setdefault(name, ir.Symbol(name, at, axis))
    names = unique((training.names[at][1] for at in takes), set())
    whole = replace(graph, inputs=inputs)
    outputs = ("",) * len(graph.outputs)
    return ir.Method(entry.module, "both" if single else mode, tuple(names), outputs, tuple(found.values()), (), whole)
