"""When the emitted module lets go of each value: when its variable is bound again, or when the function returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nnspec import ir
from nnspec.backends.source_body import DEPTH, MOST_WAITING
from nnspec.backends.source_live import count_uses, joined_graph, live_nodes
from nnspec.backends.source_names import Names, identifier
from nnspec.backends.source_plan import Layout, Step
from nnspec.backends.source_steps import Finder, single_steps


class Plan:
    """A graph's nodes in order, which values are gone after each, and which calls go through a container."""

    def __init__(self, program: ir.Program, method: ir.Method) -> None:
        self.graph = joined_graph(method.graph)
        self.nodes = live_nodes(self.graph)
        self.ends: dict[int, list[int]] = {}
        """By the place of a node: the values that are gone when it is done."""
        self.holds: dict[int, list[tuple[int, int]]] = {}
        """By the place of a container's first call: what flows into it, and the place of its last call.

        `self.layers(x)` holds what it was called with until it returns; a loop over the layers does not."""
        uses = count_uses(self.graph, self.nodes)
        finder = Finder(self.graph, Layout(program, method.module, {}), lambda _: "", uses)
        variables = _Variables(self.graph, method, uses)
        at = 0
        steps = finder.steps(self.nodes)
        for step, following in zip(steps, [*steps, None][1:], strict=True):
            at = self._step(step, following, at, variables)

    def _step(self, step: Step, following: Step | None, at: int, variables: _Variables) -> int:
        if step.kind == "run":
            self._hold(step, at)
            for place, node in enumerate(step.covers[1:], at + 1):
                assert not isinstance(node, ir.Read)
                self._gone(place, ir.refs(node.inputs))
            self._assign(variables, step, following, at, at + len(step.covers) - 1)
            return at + len(step.covers)
        for inner in single_steps(step.covers) if step.kind == "loop" else (step,):
            self._assign(variables, inner, following, at, at)
            at += 1
        return at

    def _hold(self, step: Step, at: int) -> None:
        """A container holds what flows into it; and so does each container in it."""
        spans: dict[str, tuple[int, int]] = {step.path: (0, len(step.covers) - 1)}
        for place, node in enumerate(step.covers):
            assert isinstance(node, ir.Call)
            inner = node.path.rpartition(".")[0]
            while len(inner) > len(step.path):
                spans[inner] = (spans.get(inner, (place, place))[0], place)
                inner = inner.rpartition(".")[0]
        for first, last in spans.values():
            node = step.covers[first]
            assert isinstance(node, ir.Call)
            (value,) = ir.refs(node.inputs)
            self.holds.setdefault(at + first, []).append((value, at + last))

    def _assign(self, variables: _Variables, step: Step, following: Step | None, first: int, last: int) -> None:
        before, after = variables.assign(step, following)
        self._gone(first - 1, before)
        self._gone(last, after)

    def _gone(self, at: int, values: Iterable[int]) -> None:
        self.ends.setdefault(at, []).extend(values)


class _Pending(NamedTuple):
    """An expression that waits for the one that it becomes part of, and the variables in it."""

    value: int
    depth: int
    holds: list[int]


class _Variables:
    """Which variable holds which value, as `nnspec.backends.source_body` chooses them."""

    def __init__(self, graph: ir.Graph, method: ir.Method, uses: list[int]) -> None:
        self._hints = [value.hint for value in graph.values]
        for operand, name in zip(graph.outputs, method.output_names, strict=False):
            if isinstance(operand, ir.Ref) and name:
                self._hints[operand.id] = self._hints[operand.id] or name
        self._hints = [identifier(hint) if hint else "" for hint in self._hints]
        self._output_names = {identifier(name) for name in method.output_names if name}
        parameters = [identifier(name) for name in method.input_names]
        self._parameters = set(parameters)
        self._given = set(ir.flat(graph.inputs))
        self._names = Names((), [*filter(None, self._hints), *parameters])
        self._uses = uses
        self._left = uses.copy()
        self._wishes = self._find_wishes(graph)
        self._where: dict[int, str] = {}
        self._bound: dict[str, int] = {}
        """The value in each variable, needed or not."""
        self._pending: list[_Pending] = []
        self._inline: set[int] = set()
        """Parameters and buffers, which are no variables."""
        for name, number in zip(parameters, graph.inputs, strict=True):
            if isinstance(number, int):
                self._bind(number, self._names.take(name))
                if not uses[number]:
                    self._names.release(name)

    def _find_wishes(self, graph: ir.Graph) -> dict[int, str]:
        wishes: dict[int, str] = {}
        for node in reversed(graph.nodes):
            outputs = list(ir.flat(node.outputs))
            hint = self._hints[outputs[0]]
            wish = hint if hint and hint not in self._output_names else wishes.get(outputs[0], "")
            if wish and len(outputs) == 1 and not isinstance(node, ir.Read):
                wishes.update(dict.fromkeys(ir.refs(node.inputs), wish))
        return wishes

    def assign(self, step: Step, following: Step | None) -> tuple[list[int], list[int]]:
        """A step's results get their variables: the values that are gone before it, and after it."""
        if isinstance(step.node, ir.Read):
            self._inline.update(ir.flat(step.outputs))
            return [], []
        used = [value for value in ir.refs(step.inputs) if value not in self._inline]
        before, waiting, depth = self._join(used, is_call=isinstance(step.node, ir.Call))
        after = [each.value for each in waiting]
        values = {each.value for each in waiting}
        holds = [v for each in waiting for v in each.holds] + [v for v in used if v not in values]
        outputs = list(ir.flat(step.outputs))
        if self._waits(step, outputs, following, holds):
            self._pending.append(_Pending(outputs[0], depth, holds))
            return before, after
        before += self._flush()
        return before, after + self._assign(outputs, holds)

    def _join(self, used: Sequence[int], *, is_call: bool) -> tuple[list[int], list[_Pending], int]:
        """The expressions that become part of one that uses these; where they cannot, they get variables at once."""
        order = [each.value for each in self._pending if each.value in used]
        if not order:
            return [], [], 1
        if is_call and any(self._outlives(each.holds) for each in self._pending if each.value in used):
            return self._flush(), [], 1
        tail = self._pending[-len(order) :]
        depth = 1 + max(each.depth for each in tail)
        if depth > DEPTH or [v for v in used if v in order] != [each.value for each in tail]:
            return self._flush(), [], 1
        del self._pending[-len(order) :]
        return [], tail, depth

    def _waits(self, step: Step, outputs: list[int], following: Step | None, holds: Sequence[int]) -> bool:
        value = outputs[0]
        if len(outputs) > 1 or self._hints[value] or self._uses[value] != 1 or len(self._pending) == MOST_WAITING:
            return False
        if isinstance(step.node, ir.Op):
            return True
        joins = following is not None and isinstance(following.node, ir.Op) and ir.Ref(value) in following.inputs[1:]
        return joins and not self._outlives(holds)

    def _outlives(self, holds: Sequence[int]) -> bool:
        """Whether a variable that is done with would keep its tensor during a call."""
        done = (v for v in holds if self._left[v] <= holds.count(v))
        return any(v in self._where and v not in self._given for v in done)

    def _flush(self) -> list[int]:
        """What waits gets variables; returns what is gone then."""
        waiting, self._pending = self._pending, []
        return [value for each in waiting for value in self._assign([each.value], each.holds)]

    def _assign(self, outputs: Sequence[int], holds: Sequence[int]) -> list[int]:
        freed = self._consume(holds)
        first = self._where.get(holds[0], "") if holds else ""
        again = first in freed and (first not in self._parameters or len(first) <= 2)
        return [v for value in outputs for v in self._bind(value, self._choose(value, first if again else ""))]

    def _consume(self, holds: Sequence[int]) -> set[str]:
        freed = set()
        for value in holds:
            self._left[value] -= 1
            if not self._left[value] and value in self._where:
                self._names.release(self._where[value])
                freed.add(self._where[value])
        return freed

    def _choose(self, value: int, first: str) -> str:
        hint, wish = self._hints[value], self._wishes.get(value, "")
        if not self._uses[value]:
            return ""
        if hint:
            return self._names.take(hint)
        if wish and self._names.is_free(wish):
            return self._names.take(wish)
        return self._names.take(first) if first else self._names.temporary()

    def _bind(self, value: int, name: str) -> list[int]:
        """What was in the variable is gone; what gets none is gone at once."""
        if not name:
            return [value]
        before = self._bound.get(name)
        self._bound[name], self._where[value] = value, name
        return [] if before is None else [before]
