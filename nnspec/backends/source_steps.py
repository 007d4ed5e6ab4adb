"""Finding statements in a graph: calls of whole containers, and loops that were written out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnspec import ir
from nnspec.backends.source_plan import Layout, Step

Calling = Callable[[ir.Call], str]
"""How a layer is called: "" when it is plainly `layer(x, ...)`, else what tells it from other ways."""

Places = dict[str, list[int]]
"""Numbers of the nodes that call something at or below a path."""


_FEWEST_OF_MORE = 3
"""So many members of a longer container in a row are a loop over a part of it."""


class Finder:
    """Groups the nodes of one graph into steps; notes in the layout which containers are called as a whole."""

    def __init__(self, graph: ir.Graph, layout: Layout, calling: Calling, uses: Sequence[int]) -> None:
        self._graph = graph
        self._layout = layout
        self._calling = calling
        self._uses = uses

    def steps(self, nodes: Sequence[ir.Node], within: str = "") -> list[Step]:
        """The steps of some nodes in a row; only containers at or below `within` are called as a whole."""
        steps = []
        places = _places(nodes)
        at = 0
        while at < len(nodes):
            step = self._container_step(nodes, places, at, within) or self._single_step(nodes[at])
            steps.append(step)
            at += max(1, len(step.covers))
        return steps

    def _single_step(self, node: ir.Node) -> Step:
        return _single_step(node, tuple(self.steps(node.body.nodes)) if isinstance(node, ir.Scan) else ())

    def _container_step(self, nodes: Sequence[ir.Node], places: Places, at: int, within: str) -> Step | None:
        node = nodes[at]
        if not isinstance(node, ir.Call):
            return None
        for path in self._layout.starts(node.path):
            if f"{path}.".startswith(f"{within}.") or not within:
                step = self._run(path, nodes, at) or self._loop(path, nodes, places, at)
                if step is not None:
                    return step
        for path, first in self._layout.lists(node.path):
            if f"{path}.".startswith(f"{within}.") or not within:
                step = self._loop(path, nodes, places, at, first, least=_FEWEST_OF_MORE)
                if step is not None:
                    return step
        return None

    # --- runs ---

    def _run(self, path: str, nodes: Sequence[ir.Node], at: int) -> Step | None:
        """All layers of a container in order, each fed what the one before it gave and nothing else."""
        calls: list[ir.Call] = []
        for leaf in self._layout.leaves(path):
            node = nodes[at + len(calls)] if at + len(calls) < len(nodes) else None
            if not isinstance(node, ir.Call) or node.path != leaf or self._calling(node):
                return None
            if len(node.inputs) != 1 or not isinstance(node.inputs[0], ir.Ref) or not _is_single(node.outputs):
                return None
            flowing = node.inputs[0].id
            if calls and (flowing != calls[-1].outputs[0] or self._uses[flowing] != 1):
                return None
            calls.append(node)
        if not path and not self._is_all(calls, nodes):
            return None
        self._note_run(path)
        return Step("run", calls[0], calls[0].inputs, calls[-1].outputs, path, tuple(calls))

    def _is_all(self, calls: Sequence[ir.Call], nodes: Sequence[ir.Node]) -> bool:
        """Whether a block is its own chain of layers and nothing else."""
        graph = self._graph
        whole = len(graph.inputs) == 1 and calls[0].inputs == (ir.Ref(graph.inputs[0]),)
        ends = graph.outputs == (ir.Ref(calls[-1].outputs[0]),)
        return self._layout.only_body and len(calls) == len(nodes) and whole and ends

    def _note_run(self, path: str) -> None:
        self._layout.runs.add(path)
        for member in self._layout.inner(path).members:
            assert member.module is not None
            if self._layout.program.modules[member.module].kind not in ir.CALLED:
                self._note_run(_join(path, member.name))

    # --- loops ---

    def _loop(
        self, path: str, nodes: Sequence[ir.Node], places: Places, at: int, begin: int = 0, *, least: int = 0
    ) -> Step | None:
        """The same nodes for members of a container, one value going from turn to turn: all, or `least` in a row."""
        members = [_join(path, m.name) for m in self._layout.inner(path).members][begin:]
        whole = len(members) + begin
        length = _length_of_turn(members, places, at)
        if not length or at + length * (least or len(members)) > len(nodes):
            return None
        turns = [nodes[at + k * length : at + (k + 1) * length] for k in range(len(members))]
        if not self._are_alike(turns, members, 1):
            return None
        made = [[v for node in turn for v in ir.flat(node.outputs)] for turn in turns]
        last = turns[0][-1]
        flow = _flow(turns, made)
        if flow is None or not _is_single(last.outputs) or made[0][-1] != flow[1]:
            return None
        same = 1
        while same < len(turns) and self._goes_on(turns, made, members, same, flow[0]):
            same += 1
        if same < (least or len(members)):
            return None
        turns, made, members = turns[:same], made[:same], members[:same]
        covers = tuple(node for turn in turns for node in turn)
        if not self._closed(covers, made):
            return None
        inner = tuple(self.steps(turns[0], members[0]))
        self._note_alike(members)
        part = (begin, None if begin + same == whole else begin + same)
        return Step("loop", covers[0], (ir.Ref(flow[0]),), (made[-1][-1],), path, covers, members[0], inner, part)

    def _are_alike(self, turns: Sequence[Sequence[ir.Node]], members: Sequence[str], number: int) -> bool:
        """Whether a turn applies what the first does, member for member."""
        first, other = turns[0], turns[number]
        return len(first) == len(other) and all(
            self._is_alike(a, b, members[0], members[number]) for a, b in zip(first, other, strict=True)
        )

    def _goes_on(
        self, turns: Sequence[Sequence[ir.Node]], made: Sequence[list[int]], members: Sequence[str], k: int, start: int
    ) -> bool:
        """Whether a turn does what the first does, with what the one before it made."""
        if len(turns[k]) != len(turns[0]) or len(made[k]) != len(made[0]):
            return False
        values = dict(zip(made[0], made[k], strict=True)) | {start: made[k - 1][-1]}
        pairs = zip(turns[0], turns[k], strict=True)
        return all(self._is_same(a, b, members[0], members[k], values) for a, b in pairs)

    def _is_same(self, a: ir.Node, b: ir.Node, first: str, other: str, values: dict[int, int]) -> bool:
        """Whether a node of another turn is that of the first, for its own member and values."""
        if isinstance(a, ir.Read) or isinstance(b, ir.Read) or not self._is_alike(a, b, first, other):
            return False
        same: bool = _renamed(a.inputs, values) == b.inputs
        return same and _nesting(a.outputs) == _nesting(b.outputs)

    def _is_alike(self, a: ir.Node, b: ir.Node, first: str, other: str) -> bool:
        """Whether a node of another turn applies what that of the first does, for its own member."""
        if isinstance(a, ir.Call) and isinstance(b, ir.Call):
            ours = a.path.removeprefix(first) if _is_below(a.path, first) else None
            theirs = b.path.removeprefix(other) if _is_below(b.path, other) else None
            return ours == theirs and (ours is not None or a.path == b.path) and self._calling(a) == self._calling(b)
        if isinstance(a, ir.Op) and isinstance(b, ir.Op):
            return a.function == b.function and repr(a.attributes) == repr(b.attributes)
        return False

    def _closed(self, nodes: Sequence[ir.Node], made: Sequence[Sequence[int]]) -> bool:
        """Whether nothing but the last value is used after the loop."""
        inside: dict[int, int] = {}
        for node in nodes:
            for value in ir.refs(node.inputs) if not isinstance(node, ir.Read) else ():
                inside[value] = inside.get(value, 0) + 1
        values = [v for turn in made for v in turn]
        return all(inside.get(v, 0) == self._uses[v] for v in values[:-1])

    def _note_alike(self, members: Sequence[str]) -> None:
        """What is called as a whole in the first turn is so in all."""
        below = [run.removeprefix(members[0]) for run in self._layout.runs if _is_below(run, members[0])]
        self._layout.runs.update(member + rest for member in members[1:] for rest in below)


def _single_step(node: ir.Node, inner: tuple[Step, ...]) -> Step:
    path = node.path if isinstance(node, ir.Call) else ""
    kind: Literal["node", "scan"] = "scan" if isinstance(node, ir.Scan) else "node"
    return Step(kind, node, () if isinstance(node, ir.Read) else node.inputs, node.outputs, path, inner=inner)


def single_steps(nodes: Sequence[ir.Node]) -> list[Step]:
    """Each node as a step of its own."""
    return [
        _single_step(node, tuple(single_steps(node.body.nodes)) if isinstance(node, ir.Scan) else ()) for node in nodes
    ]


def _places(nodes: Sequence[ir.Node]) -> Places:
    """Where among the nodes the members of containers are called, by their paths."""
    found: Places = {}
    for number, node in enumerate(nodes):
        path = node.path if isinstance(node, ir.Call) else ""
        while path:
            found.setdefault(path, []).append(number)
            path = path.rpartition(".")[0]
    return found


def _length_of_turn(members: Sequence[str], places: Places, at: int) -> int:
    """How many nodes lie between the first call in one member and the first in the next; 0 if there is no next."""
    calls = places.get(members[1], []) if len(members) > 1 else []
    following = bisect_right(calls, at)
    return calls[following] - at if following < len(calls) else 0


def _flow(turns: Sequence[Sequence[ir.Node]], made: Sequence[Sequence[int]]) -> tuple[int, int] | None:
    """The value that goes into the first turn, and the one that takes its place in the second."""
    own = set(made[0])
    for a, b in zip(turns[0], turns[1], strict=True):
        if isinstance(a, ir.Read) or isinstance(b, ir.Read):
            return None
        for first, second in zip(ir.refs(a.inputs), ir.refs(b.inputs), strict=False):
            if first not in own and first != second:
                return (first, second) if second in own else None
    return None


def _renamed(operand: Any, values: dict[int, int]) -> Any:
    if isinstance(operand, ir.Ref):
        return ir.Ref(values.get(operand.id, operand.id))
    return tuple(_renamed(part, values) for part in operand) if isinstance(operand, tuple) else operand


def _nesting(outputs: Any) -> Any:
    return 0 if isinstance(outputs, int) else tuple(map(_nesting, outputs))


def _is_single(outputs: tuple[Any, ...]) -> bool:
    return len(outputs) == 1 and isinstance(outputs[0], int)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}.")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
