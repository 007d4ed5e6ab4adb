"""How a block is laid out in torch: which container class holds what, and which calls are one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nnspec import ir
from nnspec.backends.source_names import plain
from nnspec.backends.source_text import quote

Holder = Literal["Sequential", "ModuleList", "ModuleDict", "Module"]

_METHODS = frozenset(("append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values"))
"""Methods of torch's containers: their members cannot be called so."""


@dataclass(slots=True)
class Step:
    """One statement of a body: a node, a whole container called at once (`run`), or a loop over one.

    `flow` is the position of the input that goes from call to call; `calls` are all the nodes of a run or loop.
    """

    kind: Literal["node", "run", "loop"]
    node: ir.Node
    inputs: tuple[ir.Operand, ...]
    outputs: tuple[Any, ...]
    path: str = ""
    flow: int = 0
    calls: tuple[ir.Call, ...] = ()


def live_nodes(graph: ir.Graph) -> list[ir.Node]:
    """The nodes that an output needs, and every call of a layer: a layer may keep state."""
    needed = set(ir.refs(graph.outputs))
    kept = []
    for node in reversed(graph.nodes):
        if isinstance(node, ir.Call) or not needed.isdisjoint(ir.flat(node.outputs)):
            kept.append(node)
            if not isinstance(node, ir.Read):
                needed.update(ir.refs(node.inputs))
    return kept[::-1]


def count_uses(graph: ir.Graph, nodes: list[ir.Node]) -> list[int]:
    """How often each value is used."""
    uses = [0] * len(graph.values)
    for node in nodes:
        if not isinstance(node, ir.Read):
            for value in ir.refs(node.inputs):
                uses[value] += 1
    for value in ir.refs(graph.outputs):
        uses[value] += 1
    return uses


class Layout:
    """A block's members as torch objects: paths, containers, and the text that reaches a member."""

    def __init__(self, program: ir.Program, number: int, layouts: dict[int, Layout]) -> None:
        self.program = program
        self.module = program.modules[number]
        self.number = number
        self.runs: set[str] = set()
        """Containers that are called as a whole somewhere."""
        self._layouts = layouts
        self._expressible: dict[int, bool] = {}
        self._positions: dict[int, dict[str, int]] = {}
        self._numbered: dict[int, bool] = {}
        self.only_body = False
        """Whether the block computes one thing only, so that it may itself be a container that is called."""

    # --- containers ---

    def inner(self, path: str) -> ir.Module:
        """The module at a path that goes through containers only."""
        return self.program.modules[self.program.module_at(self.number, path)]

    def numbered(self, module: ir.Module) -> bool:
        """Whether the members are modules called 0, 1, 2, ..."""
        known = self._numbered.get(id(module))
        if known is None:
            known = all(m.kind == "module" and m.name == str(i) for i, m in enumerate(module.members))
            self._numbered[id(module)] = known
        return known

    def holder(self, path: str, module: ir.Module) -> Holder:
        """The torch class for a container."""
        if not self._inline(module):
            return "Module"
        if path in self.runs:
            return "Sequential"
        return "ModuleList" if self.numbered(module) else "ModuleDict"

    def _inline(self, module: ir.Module) -> bool:
        """Whether a container can be built by one expression."""
        known = self._expressible.get(id(module))
        if known is None:
            known = all(
                m.module is not None and m.name not in _METHODS and self._inline_member(self.program.modules[m.module])
                for m in module.members
            )
            self._expressible[id(module)] = known
        return known

    def _inline_member(self, module: ir.Module) -> bool:
        return module.kind in ("block", "layer") or self._inline(module)

    @property
    def base(self) -> Holder:
        """What the block's class derives from: a container, when its members are merely numbered."""
        if not self.module.members or not self.numbered(self.module) or not self._inline(self.module):
            return "Module"
        return "Sequential" if "" in self.runs else "ModuleList"

    # --- access ---

    def access(self, path: str, start: str = "self") -> str:
        """The expression that reaches a member: `self.layers[0].norm`."""
        text, at, layout = start, "", self
        module: ir.Module | None = self.module
        for name in path.split("."):
            text = layout._reach(text, at, module, name)
            at = f"{at}.{name}" if at else name
            number = self._child(module, name)
            module = None if number is None else self.program.modules[number]
            if number is not None and module is not None and module.kind == "block":
                layout, at = self._layouts[number], ""
        return text

    def _reach(self, text: str, at: str, module: ir.Module | None, name: str) -> str:
        if plain(name):
            return f"{text}.{name}"
        if module is None or module.kind == "layer":
            return f"getattr({text}, {quote(name)})"
        holder = self.holder(at, module) if at else self.base
        if holder in ("Sequential", "ModuleList"):
            return f"{text}[{self._position(module, name)}]"
        return f"{text}[{quote(name)}]" if holder == "ModuleDict" else f"getattr({text}, {quote(name)})"

    def _position(self, module: ir.Module, name: str) -> int | None:
        positions = self._positions.get(id(module))
        if positions is None:
            positions = self._positions[id(module)] = {m.name: i for i, m in enumerate(module.members)}
        return positions.get(name)

    def _child(self, module: ir.Module | None, name: str) -> int | None:
        at = None if module is None or module.kind == "layer" else self._position(module, name)
        return None if module is None or at is None else module.members[at].module

    # --- calls of whole containers ---

    def starts(self, path: str) -> list[str]:
        """The containers whose first layer is the one at a path, outermost first."""
        found = []
        containers = path.split(".")[:-1]
        names = path.split(".")
        for depth in range(len(containers), -1, -1):
            container = ".".join(names[:depth])
            module = self.inner(container)
            if not module.members or module.members[0].name != names[depth]:
                break
            if self._inline(module) and (depth or self.numbered(module)):
                found.append(container)
        return found[::-1]

    def leaves(self, path: str) -> Iterator[str]:
        """The paths of the layers in a container, in order."""
        for member in self.inner(path).members:
            assert member.module is not None
            inner = f"{path}.{member.name}" if path else member.name
            if self.program.modules[member.module].kind in ("block", "layer"):
                yield inner
            else:
                yield from self.leaves(inner)


def find_steps(
    graph: ir.Graph, layout: Layout, calling: Callable[[ir.Call], str], nodes: list[ir.Node], uses: list[int]
) -> list[Step]:
    """The nodes of a graph as statements; notes in `layout.runs` what is called as a whole.

    `calling` says how a layer is called: "" when it is plainly `layer(x, ...)`, else what tells it from other ways.
    """
    steps = []
    at = 0
    while at < len(nodes):
        node = nodes[at]
        step = None
        if isinstance(node, ir.Call):
            for path in layout.starts(node.path):
                step = _run(layout, path, graph, nodes, at, uses, calling) or _loop(layout, path, nodes, at, uses, calling)
                if step is not None:
                    break
        if step is None:
            inputs = () if isinstance(node, ir.Read) else node.inputs
            step = Step("node", node, inputs, node.outputs)
        elif step.kind == "run":
            _note_run(layout, step.path)
        steps.append(step)
        at += max(1, len(step.calls))
    return steps


def _note_run(layout: Layout, path: str) -> None:
    layout.runs.add(path)
    for member in layout.inner(path).members:
        assert member.module is not None
        if layout.program.modules[member.module].kind not in ("block", "layer"):
            _note_run(layout, f"{path}.{member.name}" if path else member.name)


def _run(
    layout: Layout,
    path: str,
    graph: ir.Graph,
    nodes: list[ir.Node],
    at: int,
    uses: list[int],
    calling: Callable[[ir.Call], str],
) -> Step | None:
    """All layers of a container in order, each fed what the one before it gave and nothing else."""
    calls: list[ir.Call] = []
    for leaf in layout.leaves(path):
        node = nodes[at + len(calls)] if at + len(calls) < len(nodes) else None
        if not isinstance(node, ir.Call) or node.path != leaf or calling(node):
            return None
        if len(node.inputs) != 1 or not isinstance(node.inputs[0], ir.Ref) or not _single(node.outputs):
            return None
        if calls and (node.inputs[0].id != calls[-1].outputs[0] or uses[node.inputs[0].id] != 1):
            return None
        calls.append(node)
    if not path and not _is_all(layout, calls, nodes, graph):
        return None
    return Step("run", calls[0], calls[0].inputs, calls[-1].outputs, path, calls=tuple(calls))


def _is_all(layout: Layout, calls: list[ir.Call], nodes: list[ir.Node], graph: ir.Graph) -> bool:
    """Whether a block is its own chain of layers and nothing else."""
    ends = calls[0].inputs == tuple(map(ir.Ref, graph.inputs)) and graph.outputs == (ir.Ref(calls[-1].outputs[0]),)  # type: ignore[arg-type]  # None is no input
    return layout.only_body and len(calls) == len(nodes) and ends


def _loop(
    layout: Layout, path: str, nodes: list[ir.Node], at: int, uses: list[int], calling: Callable[[ir.Call], str]
) -> Step | None:
    """The members of a container in order, one input going from each to the next and the others the same for all."""
    members = layout.inner(path).members
    calls = nodes[at : at + len(members)]
    if len(members) < 2 or len(calls) < len(members):
        return None
    first = calls[0]
    assert isinstance(first, ir.Call)
    how = calling(first)
    flow: int | None = None
    for previous, node, member in zip([None, *calls], calls, members, strict=False):
        path_of = f"{path}.{member.name}" if path else member.name
        if not isinstance(node, ir.Call) or node.path != path_of or calling(node) != how or not _single(node.outputs):
            return None
        if previous is None:
            continue
        into = ir.Ref(previous.outputs[0])
        if uses[into.id] != 1 or len(node.inputs) != len(first.inputs) or into not in node.inputs:
            return None
        place = node.inputs.index(into)
        flow = place if flow is None else flow
        same = (a == b for i, (a, b) in enumerate(zip(first.inputs, node.inputs, strict=True)) if i != place)
        if place != flow or not all(same):
            return None
    assert flow is not None
    if not isinstance(first.inputs[flow], ir.Ref):
        return None
    done = tuple(n for n in calls if isinstance(n, ir.Call))
    return Step("loop", first, first.inputs, done[-1].outputs, path, flow, done)


def _single(outputs: tuple[Any, ...]) -> bool:
    return len(outputs) == 1 and isinstance(outputs[0], int)
