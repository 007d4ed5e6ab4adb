"""How a shape came about: the way from an input of a body to a value, for what is said about shapes that do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import Label, Span, Step
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.place import Place
from nnspec.elaborate.values import Tensor
from nnspec.layer import Layer, Operation
from nnspec.types import TensorType

_LONGEST = 16
"""Steps of a trace that are shown; of more, the first and the last ones."""


class Way:
    """The values from an input of the body to a tensor, first to last, and the nodes that made them."""

    def __init__(self, frame: Frame, tensor: Tensor) -> None:
        self.frame = frame
        self.ids: list[int] = []
        at: int | None = tensor.id
        while frame.graph is not None and at is not None:
            self.ids.append(at)
            at = frame.graph.origins[at][1]
        self.ids.reverse()
        self._nodes: dict[int, ir.Node] | None = None

    def type(self, value: int) -> TensorType:
        """The type of a value."""
        assert self.frame.graph is not None
        return self.frame.graph.values[value].type

    def span(self, value: int) -> Span | None:
        """Where a value is made."""
        assert self.frame.graph is not None
        return self.frame.graph.origins[value][0]

    def node(self, value: int) -> ir.Node | None:
        """What made a value; None for an input."""
        if self._nodes is None:
            self._nodes = dict(self._found())
        return self._nodes.get(value)

    def _found(self) -> Iterator[tuple[int, ir.Node]]:
        wanted = set(self.ids)
        for node in reversed(self.frame.graph.nodes if self.frame.graph is not None else ()):
            for made in ir.flat(node.outputs):
                if made in wanted:
                    wanted.discard(made)
                    yield made, node
            if not wanted:
                return

    def layer(self, value: int) -> Layer | None:
        """The library layer that made a value, if one did."""
        node = self.node(value)
        place = _place(self.frame, node.path) if isinstance(node, ir.Call) else None
        return place.layer if place is not None else None

    def what(self, value: int) -> str:
        """A value's making in the author's words; for an input, its name."""
        assert self.frame.graph is not None
        span = self.span(value)
        made = self.node(value)
        if span is None or made is None or isinstance(made, ir.Read):
            return self.frame.graph.hints.get(value, "")
        return " ".join(self.frame.session.text(span).split())[:60]

    def describe(self, value: int) -> str:
        """What to write at the place where a value is made."""
        made = self.node(value)
        type_ = self.type(value)
        if isinstance(made, ir.Call):
            return f"produces {type_}"
        return f"`{self.what(value)}` is {type_}" if made is None or isinstance(made, ir.Read) else f"is {type_}"

    def label(self, value: int, text: str = "") -> list[Label]:
        """A label at the place where a value is made."""
        span = self.span(value)
        return [Label(span, text or self.describe(value))] if span is not None else []

    def steps(self, values: Sequence[int]) -> list[Step]:
        """Steps that made these values; one that leaves the shape as it is goes together with the next."""
        left_out = len(values) - _LONGEST
        if left_out > 0:
            values = [*values[:4], *values[4 - _LONGEST :]]
        steps: list[Step] = []
        waiting: list[str] = []
        for position, value in enumerate(values):
            if left_out > 0 and position == 4:
                steps.append(Step(f"({left_out} steps more)", ""))
            what, type_ = self.what(value), str(self.type(value))
            following = values[position + 1] if position + 1 < len(values) else None
            plain = position > 0 and self.type(values[position - 1]) == self.type(value) and bool(self.node(value))
            if plain and following is not None and self._one_line(value, following) and position != 3:
                waiting.append(what)
                continue
            if waiting and waiting[-1] == what:
                waiting.pop()
            text = ", ".join((*waiting, what)) if len(waiting) < 4 else f"{waiting[0]}, ..., {what}"
            steps.append(Step(text, type_, self.span(value), self._rule(value)))
            waiting = []
        return steps

    def _one_line(self, value: int, following: int) -> bool:
        first, second = self.span(value), self.span(following)
        if first is None or second is None or first.source != second.source:
            return False
        source = self.frame.session.sources[first.source]
        return source.position(first.start)[0] == source.position(second.start)[0]

    def _rule(self, value: int) -> str:
        node = self.node(value)
        operation: Operation | None = self.layer(value)
        if isinstance(node, ir.Op):
            cls = registry.find("function", node.function)
            operation = cls(**node.attributes) if cls is not None else None
        if operation is None or node is None or isinstance(node, ir.Read) or len(node.outputs) != 1:
            return ""
        inputs = [self._operand(operand) for operand in node.inputs]
        return operation.derivation(inputs, self.type(value))

    def _operand(self, operand: ir.Operand) -> Any:
        return self.type(operand.id) if isinstance(operand, ir.Ref) else None


def _place(frame: Frame, path: str) -> Place | None:
    place: Place | None = frame.root
    for name in path.split("."):
        if place is None:
            return None
        place = place.children.get(name)
    return place


def single(way: Way) -> tuple[Step, ...]:
    """The trace of one way; none for a value that is an input itself."""
    return tuple(way.steps(way.ids)) if len(way.ids) > 1 else ()


def fork(left: Way, right: Way) -> int:
    """How many values two ways have in common, from the first one on."""
    common = 0
    for a, b in zip(left.ids, right.ids, strict=False):
        if a != b:
            break
        common += 1
    return common


def both(left: Way, right: Way) -> tuple[Step, ...]:
    """The trace of two ways: what they have in common, then one side after the other."""
    common = fork(left, right)
    if len(left.ids) <= 1 >= len(right.ids):
        return ()
    steps = left.steps(left.ids[:common])
    if steps:
        steps[-1] = replace(steps[-1], rule="both sides come from here")
    return (*steps, *_side("left: ", left, common), *_side("right: ", right, common))


def _side(title: str, way: Way, common: int) -> Iterable[Step]:
    steps = way.steps(way.ids[common:])
    if not steps:
        steps = [replace(way.steps(way.ids[-1:])[0], rule="")]
    indent = " " * len("right: ")
    return [replace(s, what=(f"{title:<7}" if i == 0 else indent) + s.what) for i, s in enumerate(steps)]
