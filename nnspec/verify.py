"""Checks that a program keeps the IR's promises: what a JSON file claims is not believed before.

Every number points somewhere, nothing contains itself, values are defined once and before they are used, names can be
names, layers own what their classes say, and types are those that the shape rules give.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.dims import symbol, symbols
from nnspec.elaborate.place import RESERVED
from nnspec.facts import Facts
from nnspec.initializers import INITIALIZERS
from nnspec.types import TensorType
from nnspec.verify_graph import GraphCheck, NotValid, build, resolve

MAX_DEPTH = 256
"""Of modules in modules and calls in calls: what walks them does so recursively."""

MAX_UNFOLDED = 2_000_000
"""Members of an entry with everything written out, and nodes."""

_MAX_PROBLEMS = 100
_SEGMENT = re.compile(r"[A-Za-z0-9_]+")


def verify(program: ir.Program) -> list[str]:
    """What is wrong with a program, in sentences; empty when it is in order."""
    problems: list[str] = []
    for check in (_check_spans, _check_modules, _check_methods, _check_entries, _check_graphs, _check_training):
        for problem in check(program):
            problems.append(problem)
            if len(problems) == _MAX_PROBLEMS:
                return problems
        # The later checks follow the numbers that the earlier ones have found to be good.
        if problems:
            break
    return problems


def _check_spans(program: ir.Program) -> Iterator[str]:
    lengths = [len(text) for _, text in program.sources]
    rest: list[Any] = [*program.modules, *program.methods, *program.entries, program.training]
    while rest:
        item = rest.pop()
        if isinstance(item, Span):
            if not (item.source < len(lengths) and item.start <= item.end <= lengths[item.source]):
                yield f"there is no place {item.start} to {item.end} in source {item.source}"
        elif isinstance(item, tuple):
            rest += item
        elif isinstance(item, dict):
            rest += item.values()
        elif dataclasses.is_dataclass(item) and not isinstance(item, TensorType):
            rest += (getattr(item, field.name) for field in dataclasses.fields(item))


# --- modules ---------------------------------------------------------------------------------------------------------


def _check_modules(program: ir.Program) -> Iterator[str]:
    count = len(program.modules)
    for number, module in enumerate(program.modules):
        where = f"module {number} (`{module.name[:80]}`)"
        names = [member.name for member in module.members]
        if len(set(names)) < len(names):
            yield f"{where} has two members of one name"
        for member in module.members:
            for problem in _member_problems(member, count):
                yield f"{where}, member `{member.name[:80]}`: {problem}"
        yield from (f"{where}: {problem}" for problem in _kind_problems(module))
    edges = [[m.module for m in module.members if m.module in range(count)] for module in program.modules]
    weights = [1 + len(module.members) for module in program.modules]
    yield from _unfold("module", edges, weights)  # type: ignore[arg-type]


def _member_problems(member: ir.Member, modules: int) -> Iterator[str]:
    if not _SEGMENT.fullmatch(member.name) or member.name in RESERVED:
        yield "this cannot be a name"
    if member.kind == "module":
        if member.module not in range(modules) or member.type is not None:
            yield "a module has a number of an existing module, and no type"
    elif member.type is None or member.module is not None or not _is_fixed(member.type):
        yield "a parameter or buffer has a type whose sizes are numbers"
    if member.init is not None:
        try:
            initializer = INITIALIZERS.get(member.init.function)
            build(initializer, f"initializer `{member.init.function[:80]}`", member.init.arguments)
        except NotValid as reason:
            yield str(reason)


def _is_fixed(kind: TensorType) -> bool:
    return all(isinstance(dim, int) for dim in kind.dims)


def _kind_problems(module: ir.Module) -> Iterator[str]:
    if module.kind == "layer":
        try:
            layer = build_layer(module)
        except NotValid as reason:
            yield str(reason)
            return
        found = [(m.name, m.kind, m.type) for m in module.members]
        if found != layer:
            yield "its parameters and buffers are not those of the layer"
    elif module.kind == "block":
        if not module.name.isidentifier():
            yield "a block's name is an identifier"
    elif module.name != module.kind or module.arguments:
        yield f"a {module.kind} has no name and no arguments of its own"


def build_layer(module: ir.Module) -> list[tuple[str, str, TensorType]]:
    """The members that a layer's class says its module has."""
    layer = build("layer", f"layer `{module.name[:80]}`", {})
    return [(n, "param" if w.trained else "buffer", TensorType(w.dtype, w.shape)) for n, w in layer.weights().items()]
