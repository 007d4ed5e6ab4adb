"""`drop-unused`: nodes whose outputs nobody reads, and members that nobody calls, their weights included.

Externs are called in any case, and what is checked on entry stays.
"""

from __future__ import annotations

from dataclasses import replace

from nnspec import ir
from nnspec.ir_nodes import nodes_of
from nnspec.passes.operations import Effects
from nnspec.passes.rewriting import Editor, Rewritten, compacted, in_methods, parts, rebuilt

Used = dict[int, set[str]]
"""By block, the paths below it that something needs, and all that these go through."""


def run(program: ir.Program) -> Rewritten:
    """The program with nothing that no output needs."""
    effects = Effects(program)

    def live(_: ir.Method, graph: ir.Graph) -> ir.Graph:
        needed = set(ir.refs(graph.outputs))
        kept: list[ir.Node] = []
        for node in reversed(graph.nodes):
            if needed.isdisjoint(ir.flat(node.outputs)) and not effects.is_foreign(node):
                continue
            kept.append(node)
            needed |= set() if isinstance(node, ir.Read) else set(ir.refs(node.inputs))
        return rebuilt(graph, tuple(kept[::-1]), {}) if len(kept) < len(graph.nodes) else graph

    return Rewritten(_without_members(compacted(in_methods(program, live))))


def _without_members(program: ir.Program) -> ir.Program:
    used = used_paths(program)
    editor = Editor(program)
    for number, module in enumerate(program.modules):
        if module.kind == "block":
            ties = tuple(t for t in module.ties if _is_used(program, used, number, t.alias))
            editor.set(number, replace(_kept(program, editor, module, "", used[number]), ties=ties))
    return editor.program()


def used_paths(program: ir.Program) -> Used:
    """What is called or read, and what is tied to it."""
    used: Used = {number: set() for number, module in enumerate(program.modules) if module.kind == "block"}
    for method in program.methods:
        for node in nodes_of(method.graph.nodes):
            if isinstance(node, ir.Call | ir.Read):
                _use(program, used, method.module, node.path)
    ties = [(number, tie) for number, module in enumerate(program.modules) for tie in module.ties]
    size = -1
    while size < sum(map(len, used.values())):
        size = sum(map(len, used.values()))
        for number, tie in ties:
            if _is_used(program, used, number, tie.alias) or _is_used(program, used, number, tie.owner):
                _use(program, used, number, tie.alias)
                _use(program, used, number, tie.owner)
    return used


def _use(program: ir.Program, used: Used, module: int, path: str) -> None:
    for block, rest in parts(program, module, path):
        names = rest.split(".")
        used[block] |= {".".join(names[:count]) for count in range(1, len(names) + 1)}


def _is_used(program: ir.Program, used: Used, module: int, path: str) -> bool:
    """Whether a parameter is in use: by itself, or with the layer that it is of."""
    *_, (block, rest) = parts(program, module, path)
    names = rest.split(".")
    if rest in used[block]:
        return True
    # A layer that is called uses all of its parameters.
    return any(
        ".".join(names[:count]) in used[block] and _is_layer(program, block, names[:count])
        for count in range(1, len(names))
    )


def _is_layer(program: ir.Program, block: int, names: list[str]) -> bool:
    number: int | None = block
    for name in names:
        if number is None or program.modules[number].kind == "layer":
            return False
        number = program.find(number, name).module
    return number is not None and program.modules[number].kind == "layer"


def _kept(program: ir.Program, editor: Editor, module: ir.Module, at: str, used: set[str]) -> ir.Module:
    """A block or container with those of its members that are in use."""
    members = []
    for member in module.members:
        path = f"{at}.{member.name}" if at else member.name
        if path not in used:
            continue
        inner = None if member.module is None else program.modules[member.module]
        if inner is not None and inner.kind not in ir.CALLED:
            kept = _kept(program, editor, inner, path, used)
            changed = kept.members != inner.members
            members.append(replace(member, module=editor.intern(kept)) if changed else member)
        else:
            members.append(member)
    return replace(module, members=tuple(members))
