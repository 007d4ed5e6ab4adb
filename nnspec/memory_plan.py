"""When the emitted module lets go of each value: when its variable is bound again, or when the function returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec import ir
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
        self.holds: dict[int, tuple[int, int]] = {}
        """By the place of a container's first call: what flows into it, and the place of its last.

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
            (value,) = ir.refs(step.inputs)
            self.holds[at] = value, at + len(step.covers) - 1
            for place, node in enumerate(step.covers[1:], at + 1):
                assert not isinstance(node, ir.Read)
                self._gone(place, ir.refs(node.inputs))
            self._gone(at + len(step.covers) - 1, variables.assign(step, following))
            return at + len(step.covers)
        for inner in single_steps(step.covers) if step.kind == "loop" else (step,):
            self._gone(at, variables.assign(inner, following))
            at += 1
        return at

    def _gone(self, at: int, values: Iterator[int] | Sequence[int]) -> None:
        self.ends.setdefault(at, []).extend(values)


class _Variables:
    """Which variable holds which value, as `nnspec.backends.source_body` chooses them."""

    def __init__(self, graph: ir.Graph, method: ir.Method, uses: list[int]) -> None:
        self._hints = [value.hint for value in graph.values]
        for operand, name in zip(graph.outputs, method.output_names, strict=False):
            if isinstance(operand, ir.Ref) and name:
                self._hints[operand.id] = self._hints[operand.id] or name
        self._hints = [identifier(hint) if hint else "" for hint in self._hints]
        self._outputs = set(ir.refs(graph.outputs))
        self._output_names = {identifier(name) for name in method.output_names if name}
        parameters = [identifier(name) for name in method.input_names]
        self._parameters = set(parameters)
        self._names = Names((), [*filter(None, self._hints), *parameters])
        self._uses = uses
        self._left = uses.copy()
        self._wishes = self._find_wishes(graph)
        self._where: dict[int, str] = {}
        self._bound: dict[str, int] = {}
        """The value in each variable, needed or not."""
        self._waiting: dict[int, list[int]] = {}
        """By values that have no variable, since they stand within an expression: what that expression needs."""
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

    def assign(self, step: Step, following: Step | None = None) -> list[int]:
        """A step's results get their variables; returns the values that are gone then."""
        used = list(ir.refs(step.inputs))
        outputs = list(ir.flat(step.outputs))
        if isinstance(step.node, ir.Read):
            self._waiting[outputs[0]] = []
            return []
        holds = [v for value in used for v in self._waiting.get(value, [value])]
        gone = [value for value in used if value in self._waiting]
        if self._waits(step, outputs, following, holds):
            self._waiting[outputs[0]] = holds
            return gone
        freed = self._consume(holds)
        first = self._where.get(holds[0], "") if holds else ""
        again = first in freed and (first not in self._parameters or len(first) <= 2)
        for value in outputs:
            gone += self._bind(value, self._choose(value, first if again else ""))
        return gone

    def _waits(self, step: Step, outputs: list[int], following: Step | None, holds: Sequence[int]) -> bool:
        value = outputs[0]
        if len(outputs) > 1 or self._hints[value] or self._uses[value] != 1 or value in self._outputs:
            return False
        if isinstance(step.node, ir.Op):
            return True
        joins = following is not None and isinstance(following.node, ir.Op) and ir.Ref(value) in following.inputs[1:]
        done = (v for v in holds if self._left[v] <= holds.count(v))
        return joins and not any(v in self._where and self._where[v] not in self._parameters for v in done)

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
