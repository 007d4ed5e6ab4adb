"""A metric's expression, cut in two: what is computed for each batch, and what at the end from numbers of the epoch.

Between the two stand the metrics of the library, which add up what batches bring, and means over samples of what a
plain function makes of a batch. So `1 - accuracy(softmax(x), label)` computes the softmax for each batch, and the
difference once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import Span
from nnspec.dims import Dim
from nnspec.ir_nodes import moved, renumbered
from nnspec.types import TensorType, is_float


class NotCut(Exception):
    """An expression that mixes the values of batches with those of an epoch; the message says how."""

    def __init__(self, message: str, label: str, span: Span | None) -> None:
        super().__init__(message)
        self.message = message
        self.label = label
        self.span = span


@dataclass(frozen=True, slots=True)
class Part:
    """A number that is followed: a metric of the library, or (without a node) the mean of a number per batch."""

    node: ir.Op | None
    value: int
    """The number of its value in the graph that was cut."""
    types: tuple[TensorType, ...]
    """The types of what it is updated with."""
    shape: tuple[Any, ...] = ()
    """That of the number itself: a metric may be one for each class."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`gather` gives what the parts are updated with, one part's operands after the other's.

    `finish` makes the result of the parts' numbers; it is None where the result is the number of the only part.
    """

    gather: ir.Graph
    parts: tuple[Part, ...]
    finish: ir.Graph | None

    def slices(self) -> tuple[slice, ...]:
        """Where in the outputs of `gather` those of each part are."""
        found, start = [], 0
        for part in self.parts:
            found.append(slice(start, start + len(part.types)))
            start += len(part.types)
        return tuple(found)

    def names(self) -> list[str]:
        """What the inputs of `finish` are called."""
        return [part.node.function if part.node is not None else "mean" for part in self.parts]

    def higher_is_better(self) -> bool | None:
        """Which way is up: that of the only metric, turned round by each sign in front of it."""
        metrics = [part for part in self.parts if part.node is not None]
        if len(metrics) != 1 or len(self.parts) != 1:
            return None
        node = metrics[0].node
        assert node is not None
        up: bool | None = getattr(metric_class(node), "higher_is_better", None)
        if self.finish is None or up is None:
            return up
        return _turned(self.finish, up)


def metric_class(node: ir.Node) -> type[Any] | None:
    """The metric that a node applies, if it is one."""
    if not isinstance(node, ir.Op) or registry.find("function", node.function) is not None:
        return None
    return registry.find("metric", node.function)


def metrics_in(graph: ir.Graph) -> Iterator[ir.Op]:
    """The metrics that the output of a graph is made of."""
    for node in _live(graph.nodes, graph.outputs):
        if isinstance(node, ir.Op) and metric_class(node) is not None:
            yield node


def cut(graph: ir.Graph) -> Cut:
    """Cut the graph of a metric; raises `NotCut` where that cannot be done."""
    live = _live(graph.nodes, graph.outputs)
    late = _late(live)
    output = graph.outputs[0]
    assert isinstance(output, ir.Ref)
    if output.id not in late:
        part = Part(None, output.id, (graph.values[output.id].type,))
        return Cut(_gather(graph, (output,)), (part,), None)
    closed = _closed(live)
    parts: dict[int, Part] = {}
    for node in live:
        _add_parts(graph, node, late, closed, parts)
    gather = _gather(graph, tuple(operand for part in parts.values() for operand in _operands(part)))
    if output.id in parts and len(parts) == 1:
        return Cut(gather, tuple(parts.values()), None)
    after = [node for node in live if metric_class(node) is None and not (late | closed).isdisjoint(_made(node))]
    finish = _part_of(graph, tuple(parts), _live(after, (output,)), (output,))
    return Cut(gather, tuple(parts.values()), finish)


def _gather(graph: ir.Graph, outputs: tuple[ir.Ref, ...]) -> ir.Graph:
    """The graph of these values, with the inputs of the whole one."""
    return _part_of(graph, tuple(ir.flat(graph.inputs)), _live(graph.nodes, outputs), outputs)


def _operands(part: Part) -> tuple[ir.Ref, ...]:
    return (ir.Ref(part.value),) if part.node is None else tuple(o for o in part.node.inputs if isinstance(o, ir.Ref))


def _live(nodes: Sequence[ir.Node], outputs: tuple[ir.Operand, ...]) -> list[ir.Node]:
    """The nodes that these values need, in order."""
    needed = set(ir.refs(outputs))
    kept = []
    for node in reversed(nodes):
        if not needed.isdisjoint(_made(node)):
            kept.append(node)
            needed.update(_used(node))
    return kept[::-1]


def _made(node: ir.Node) -> tuple[int, ...]:
    return tuple(ir.flat(node.outputs))


def _used(node: ir.Node) -> tuple[int, ...]:
    return () if isinstance(node, ir.Read) else tuple(ir.refs(node.inputs))


def _late(live: list[ir.Node]) -> set[int]:
    """Values that are known at the end only: those of metrics, and what is made of them."""
    late: set[int] = set()
    for node in live:
        if metric_class(node) is not None or not late.isdisjoint(_used(node)):
            late.update(_made(node))
    return late


def _closed(live: list[ir.Node]) -> set[int]:
    """Values that are made of numbers alone, and so are the same for each batch and at the end."""
    closed: set[int] = set()
    for node in live:
        is_metric = metric_class(node) is not None
        if isinstance(node, ir.Op) and not is_metric and closed.issuperset(_used(node)) and not _sized(node):
            closed.update(_made(node))
    return closed


def _sized(node: ir.Op) -> bool:
    """Whether a size that the batch decides stands among its operands or arguments."""

    def within(value: Any) -> bool:
        return any(map(within, value)) if isinstance(value, tuple) else isinstance(value, Dim)

    return within(node.inputs) or within(tuple(node.attributes.values()))


def _add_parts(graph: ir.Graph, node: ir.Node, late: set[int], closed: set[int], parts: dict[int, Part]) -> None:
    """The parts that a node is, or that it takes."""
    used = _used(node)
    if metric_class(node) is not None:
        assert isinstance(node, ir.Op)
        if not late.isdisjoint(used):
            message = f"`{node.function}` takes what a metric gives, which is known at the end of an epoch only"
            raise NotCut(message, "needs tensors of a batch", node.span)
        (value,) = _made(node)
        types = tuple(graph.values[i].type for i in used)
        parts[value] = Part(node, value, types, graph.values[value].type.dims)
        return
    if late.isdisjoint(_made(node)):
        return
    if not isinstance(node, ir.Op) or _sized(node):
        raise NotCut(
            "a metric meets what differs from batch to batch", "is worked out at the end of an epoch", node.span
        )
    for number in used:
        if number in late or number in closed or number in parts:
            continue
        kind = graph.values[number].type
        if kind.dims != () or not is_float(kind.dtype):
            message = f"a metric of the epoch meets the {kind} of a batch"
            raise NotCut(message, "is worked out at the end of an epoch, when batches are gone", node.span)
        parts[number] = Part(None, number, (kind,))


def _part_of(graph: ir.Graph, inputs: Sequence[int], nodes: Sequence[ir.Node], outputs: Sequence[ir.Ref]) -> ir.Graph:
    """The graph that these nodes are by themselves, numbered anew."""
    made = (value for node in nodes for value in ir.flat(node.outputs))
    numbers = {old: new for new, old in enumerate([*inputs, *made])}
    place = numbers.__getitem__
    return ir.Graph(
        tuple(map(place, inputs)),
        tuple(graph.values[old] for old in numbers),
        tuple(renumbered(node, place) for node in nodes),
        tuple(moved(output, place) for output in outputs),
    )


def _turned(finish: ir.Graph, up: bool) -> bool | None:
    """Which way is up for what sums and products with numbers make of a number; None where that is not plain."""
    for node in finish.nodes:
        if not isinstance(node, ir.Op):
            return None
        places = [i for i, operand in enumerate(node.inputs) if isinstance(operand, ir.Ref)]
        others = [operand for operand in node.inputs if not isinstance(operand, ir.Ref)]
        if len(places) != 1 or not all(isinstance(other, (int, float)) for other in others):
            return None
        sign = _sign(node.function, places[0], others)
        if sign is None:
            return None
        up = up if sign > 0 else not up
    return up


def _sign(function: str, place: int, others: list[Any]) -> float | None:
    """Positive if a function of an operand at that place rises with it, negative if it falls."""
    if function in ("mul", "div"):
        return others[0] if function == "mul" or place == 0 else None
    if function == "sub":
        return 1 - 2 * place
    return {"add": 1, "getitem": 1, "mean": 1, "sum": 1, "neg": -1}.get(function)
