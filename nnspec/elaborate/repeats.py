"""Copies of a repeated layer: the first are worked out, and those behind one that changes nothing are made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, NamedTuple

from nnspec import ir
from nnspec.elaborate.frame import Frame, GraphBuilder
from nnspec.elaborate.place import Place, Steady
from nnspec.elaborate.values import Tensor

Moved = Callable[[int], Any]
"""An operand of the copied copy, for another that comes so many values later."""


class Mark(NamedTuple):
    """How far a body is: its nodes, its values, those of the blocks it calls, and all else that a copy may add to."""

    nodes: int
    values: int
    unfolded: int
    effects: tuple[int, ...]


def mark(frame: Frame, graph: GraphBuilder) -> Mark:
    """How far a body is."""
    added: tuple[Sized, ...] = (frame.requires, frame.ties, frame.outer_ties, frame.reads, frame.symbols)
    return Mark(len(graph.nodes), len(graph.values), frame.unfolded, (*map(len, added), frame.uses_training))


def is_settled(before: Mark, after: Mark, given: Any, result: Any, others: Iterable[Any]) -> bool:
    """Whether a copy gave what it was given, and left nothing behind but nodes: then the next one does the same."""
    return (
        isinstance(given, Tensor)
        and isinstance(result, Tensor)
        and given.type == result.type
        and result.id >= before.values
        and before.effects == after.effects
        and not any(isinstance(other, Tensor) and other.id == given.id for other in others)
    )


def settle(place: Place, number: int, count: int) -> None:
    """Give the copies behind a settled one no places of their own, unless they have them already."""
    if place.steady is None and len(place.children) == number + 1 < count:
        place.steady = Steady(number + 1, count, place.children[str(number)])


def copy_on(graph: GraphBuilder, start: Mark, place: Place, numbers: range, given: Tensor, result: Tensor) -> Tensor:
    """Go through further copies with the nodes of a settled one: a thousand of them cost little but these nodes."""
    nodes, values = graph.nodes[start.nodes :], graph.values[start.values :]
    size = len(values)

    def base(id: int | None) -> int | None:
        """What a value's number is counted from; None for one that all copies share."""
        return id if id is not None and id >= start.values else result.id - size if id == given.id else None

    own = f"{place.path}.{numbers.start - 1}"
    makers = [_maker(node, own, base) for node in nodes]
    origins = [(span, previous, base(previous)) for span, previous in graph.origins[start.values :]]
    shift = 0
    for number in numbers:
        shift += size
        path = f"{place.path}.{number}"
        graph.nodes += [make(path, shift) for make in makers]
        graph.values += values
        graph.origins += [(span, same if moving is None else moving + shift) for span, same, moving in origins]
    return Tensor(result.id + shift, result.type)


def _maker(node: ir.Node, own: str, base: Callable[[int | None], int | None]) -> Callable[[str, int], ir.Node]:
    outputs = _together([_output(output) for output in node.outputs])
    if isinstance(node, ir.Read):
        read = node
        return lambda path, shift: ir.Read(read.path, outputs(shift), read.span)
    inputs = _together([_operand(operand, base) for operand in node.inputs])
    if isinstance(node, ir.Scan):
        scan = node
        return lambda path, shift: _shifted(scan, inputs(shift), outputs(shift))
    if isinstance(node, ir.Op):
        op = node
        return lambda path, shift: ir.Op(op.function, inputs(shift), op.attributes, outputs(shift), op.span)
    assert isinstance(node, ir.Call)  # what Python computes stands alone in the body of an extern
    method, dims, span = node.method, node.dims, node.span
    inside = node.path[len(own) :]
    return lambda path, shift: ir.Call(path + inside, inputs(shift), outputs(shift), method, dims, span)


def _shifted(scan: ir.Scan, inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> ir.Scan:
    """A scan for other values; it has no layers in its body, since what is repeated with it is a function."""
    first, last = len(scan.sequences), len(scan.sequences) + len(scan.states)
    parts = inputs[:first], inputs[first:last], inputs[last:]
    return ir.Scan(scan.axis, scan.reverse, *parts, scan.body, outputs, scan.span)


def _operand(operand: ir.Operand, base: Callable[[int | None], int | None]) -> Moved:
    if isinstance(operand, tuple):
        return _together([_operand(part, base) for part in operand])
    moving = base(operand.id) if isinstance(operand, ir.Ref) else None
    if moving is None:
        return lambda shift: operand
    return lambda shift: ir.Ref(moving + shift)


def _output(output: Any) -> Moved:
    if isinstance(output, tuple):
        return _together([_output(part) for part in output])
    return lambda shift: output + shift


def _together(parts: Sequence[Moved]) -> Moved:
    if len(parts) == 1:
        (only,) = parts
        return lambda shift: (only(shift),)
    return lambda shift: tuple([part(shift) for part in parts])


def copy_of(place: Place, number: int) -> Place | None:
    """A copy that has no place of its own, as one that belongs to nobody; None if it has one, or is not there."""
    steady = place.steady
    if steady is None or not steady.start <= number < steady.stop:
        return None
    return _twin(steady.model, str(number), place)


def _twin(model: Place, name: str, parent: Place) -> Place:
    twin = Place(name, model.kind, model.origin, model.span, parent)
    twin.recipe, twin.layer, twin.module, twin.use = model.recipe, model.layer, model.module, model.use
    twin.steady = model.steady
    twin.children = {inner: _twin(child, inner, twin) for inner, child in model.children.items()}
    return twin
