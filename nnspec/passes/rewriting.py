"""What passes are made of: programs rewritten graph by graph and member by member, and new weights from old ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nnspec import ir
from nnspec.ir_nodes import moved, nodes_of, renumbered

if TYPE_CHECKING:
    import numpy as np

    State = Mapping[str, np.ndarray]
    Evaluate = Callable[[ir.Graph], np.ndarray]
    """Computes a closed graph of one output."""

    Change = Callable[[State, str, Evaluate], dict[str, np.ndarray]]
    """New weights, of a block whose members' names start with the prefix."""


@dataclass(frozen=True, slots=True)
class Step:
    """New weights, worked out wherever a program (as it was when the step was made) has a block: change by change."""

    program: ir.Program
    block: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A program, and the steps that give its weights, in order; what they say nothing of stays under its name."""

    program: ir.Program
    steps: tuple[Step, ...] = ()


# --- graphs ----------------------------------------------------------------------------------------------------------


Rewrite = Callable[[ir.Method, ir.Graph], ir.Graph]


def in_methods(program: ir.Program, rewrite: Rewrite) -> ir.Program:
    """The program with every graph of its methods rewritten, those of scans inside out."""
    return replace(program, methods=tuple(in_method(method, rewrite) for method in program.methods))


def in_method(method: ir.Method, rewrite: Rewrite) -> ir.Method:
    """As `in_methods`, for one."""

    def rewritten(graph: ir.Graph) -> ir.Graph:
        nodes = tuple(
            replace(node, body=rewritten(node.body)) if isinstance(node, ir.Scan) else node for node in graph.nodes
        )
        return rewrite(method, replace(graph, nodes=nodes))

    return replace(method, graph=rewritten(method.graph))


def graphs_of(graph: ir.Graph) -> Iterator[ir.Graph]:
    """A graph and those of its scans."""
    yield graph
    for node in nodes_of(graph.nodes):
        if isinstance(node, ir.Scan):
            yield node.body


def rebuilt(
    graph: ir.Graph,
    nodes: Iterator[ir.Node] | tuple[ir.Node, ...],
    instead: Mapping[int, int],
    new: tuple[ir.Value, ...] = (),
) -> ir.Graph:
    """A graph of these nodes, in the old numbers and with `new` values behind them; `instead` of a value another is
    used, which takes over its name where it has none."""
    values = [*graph.values, *new]
    own = set(ir.flat(graph.inputs))
    for old in instead:
        target = _final(instead, old)
        if values[old].hint and not values[target].hint and target not in own:
            values[target] = replace(values[target], hint=values[old].hint)
    numbers: dict[int, int] = {}

    def number(value: int) -> int:
        return numbers.setdefault(_final(instead, value), len(numbers))

    for value in ir.flat(graph.inputs):
        number(value)
    inputs = tuple(_numbered(part, number) for part in graph.inputs)
    done = tuple(renumbered(node, number) for node in nodes)
    outputs = moved(graph.outputs, number)
    return ir.Graph(inputs, tuple(values[old] for old in numbers), done, outputs)


def _numbered(part: Any, number: Callable[[int], int]) -> Any:
    if part is None or isinstance(part, int):
        return None if part is None else number(part)
    return tuple(_numbered(inner, number) for inner in part)


def _final(instead: Mapping[int, int], value: int) -> int:
    while value in instead:
        value = instead[value]
    return value


# --- members ---------------------------------------------------------------------------------------------------------


def parts(program: ir.Program, module: int, path: str) -> Iterator[tuple[int, str]]:
    """The blocks that a path below a module leads through, each with the path from there; the module is the first."""
    names = path.split(".")
    yield module, path
    at: int | None = module
    for count, name in enumerate(names[:-1], 1):
        if at is None or program.modules[at].kind == "layer":
            return
        at = program.find(at, name).module
        if at is not None and program.modules[at].kind == "block":
            yield at, ".".join(names[count:])


def places(program: ir.Program, module: int, wanted: int, prefix: str = "") -> Iterator[str]:
    """The prefixes of the names of a module's members, wherever another one has it."""
    holders = _holders(program, wanted)
    rest = [(prefix, module)]
    while rest:
        prefix, number = rest.pop()
        if number == wanted:
            yield prefix
        inner = ((member.name, member.module) for member in program.modules[number].members)
        rest += [(f"{prefix}{name}.", below) for name, below in inner if below is not None and below in holders]


def _holders(program: ir.Program, wanted: int) -> set[int]:
    """A module, and all that hold it."""
    found, grows = {wanted}, True
    while grows:
        more = {n for n, m in enumerate(program.modules) if any(each.module in found for each in m.members)} | found
        found, grows = more, len(more) > len(found)
    return found


class Editor:
    """The modules of a program, of which members are exchanged. Those that become equal become one."""

    def __init__(self, program: ir.Program) -> None:
        self._program = program
        self._modules = list(program.modules)
        self._known: dict[str, int] = {}
        self._put: dict[int, dict[str, Any]] = {}
        """By block, what its members become: by name, a module or the same for the members of a container."""

    def put(self, block: int, path: str, module: ir.Module) -> None:
        """Another module in place of the one at a path below a block; containers on the way may be others' too."""
        *containers, name = path.split(".")
        inside = self._put.setdefault(block, {})
        for container in containers:
            inside = inside.setdefault(container, {})
        inside[name] = module

    def set(self, block: int, module: ir.Module) -> None:
        """Another block in place of one; its methods are those that it had."""
        self._modules[block] = module

    def intern(self, module: ir.Module) -> int:
        """The number of a layer or container."""
        key = repr(replace(module, span=None, doc=""))
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self._modules)
            self._modules.append(module)
        return number

    def program(self) -> ir.Program:
        """The program without the modules that nothing holds."""
        for block, members in self._put.items():
            self._modules[block] = self._with(self._modules[block], members)
        return compacted(replace(self._program, modules=tuple(self._modules)))

    def _with(self, holder: ir.Module, changed: Mapping[str, Any]) -> ir.Module:
        return replace(holder, members=tuple(self._member(m, changed.get(m.name)) for m in holder.members))

    def _member(self, member: ir.Member, change: Any) -> ir.Member:
        if change is None or member.module is None:
            return member
        new = change if isinstance(change, ir.Module) else self._with(self._modules[member.module], change)
        return replace(member, module=self.intern(new))


def compacted(program: ir.Program) -> ir.Program:
    """The program without modules and methods that no entry comes to."""
    methods = _reached(
        [number for entry in program.entries for form in entry.choices for number in form.methods.values()],
        lambda n: [c.method for c in nodes_of(program.methods[n].graph.nodes) if isinstance(c, ir.Call)],
    )
    modules = _reached(
        [entry.module for entry in program.entries], lambda n: [m.module for m in program.modules[n].members]
    )
    method, module = ({old: new for new, old in enumerate(kept)} for kept in (methods, modules))

    def renamed(node: ir.Node) -> ir.Node:
        if isinstance(node, ir.Scan):
            return replace(node, body=replace(node.body, nodes=tuple(map(renamed, node.body.nodes))))
        if not isinstance(node, ir.Call) or node.method is None:
            return node
        return replace(node, method=method[node.method])

    def numbers(found: Mapping[str, int]) -> dict[str, int]:
        return {mode: method[number] for mode, number in found.items()}

    new_methods = tuple(
        replace(m, module=module[m.module], graph=replace(m.graph, nodes=tuple(map(renamed, m.graph.nodes))))
        for m in (program.methods[old] for old in methods)
    )
    new_modules = tuple(
        replace(m, members=tuple(e if e.module is None else replace(e, module=module[e.module]) for e in m.members))
        for m in (program.modules[old] for old in modules)
    )
    entries = tuple(
        replace(
            e,
            module=module[e.module],
            methods=numbers(e.methods),
            forms=tuple(replace(form, methods=numbers(form.methods)) for form in e.forms),
        )
        for e in program.entries
    )
    return replace(program, modules=new_modules, methods=new_methods, entries=entries)


def _reached(starts: list[int], edges: Callable[[int], list[int | None]]) -> list[int]:
    """All numbers that lead on from some, in order."""
    found, rest = set(starts), list(starts)
    while rest:
        for number in edges(rest.pop()):
            if number is not None and number not in found:
                found.add(number)
                rest.append(number)
    return sorted(found)
