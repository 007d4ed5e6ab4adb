"""Checks that a program keeps the IR's promises: what a JSON file claims is not believed before.

Every number points somewhere, nothing contains itself, values are defined once and before they are used, names can be
names, layers own what their classes say, and types are those that the shape rules give.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from math import prod
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.dims import symbol, symbols
from nnspec.elaborate.extern import is_origin, is_parameter, is_plain
from nnspec.elaborate.place import is_reserved
from nnspec.elaborate.session import MAX_ELEMENTS, MAX_OPTIONAL
from nnspec.facts import Facts
from nnspec.ir_nodes import nodes_of
from nnspec.types import TensorType, is_complex
from nnspec.verify_graph import TypeCheck, form_problems, resolve
from nnspec.verify_library import NotValid, check_initializer, members_of
from nnspec.verify_settings import setting_problems
from nnspec.verify_training import training_problems
from nnspec.verify_updates import called

MAX_DEPTH = 256
"""Of modules in modules and of calls in calls: what walks them does so recursively."""

MAX_UNFOLDED = 2_000_000
"""Members of a module, and nodes of a method, with everything inside them written out."""

MAX_ASKED = 4 * MAX_UNFOLDED
"""How often it is asked whether a setting is about a member, all in all."""

_MAX_PROBLEMS = 100
_SEGMENT = re.compile(r"[A-Za-z0-9_]+")
_WORD = re.compile(r"\w*")


def verify(program: ir.Program) -> list[str]:
    """What is wrong with a program, in sentences; empty when it is in order."""
    problems: list[str] = []
    # Each check follows numbers that those before it have found to be good.
    for check in (_spans, _modules, _ties, _settings, _methods, _entries, _graphs, training_problems):
        for problem in check(program):
            problems.append(problem)
            if len(problems) == _MAX_PROBLEMS:
                break
        if problems:
            break
    return problems


def too_large(program: ir.Program) -> str | None:
    """Why a program cannot be written out: definitions that hold each other twice, forty levels deep, do not end."""
    for what, edges, sizes in (_module_edges(program), _method_edges(program)):
        for problem in _unfold(what, edges, sizes):
            return problem
    return None


Edges = list[list[int | None]]


def _module_edges(program: ir.Program) -> tuple[str, Edges, list[int]]:
    count = range(len(program.modules))
    edges = [[m.module for m in module.members if m.module in count] for module in program.modules]
    return "module", edges, [len(module.members) for module in program.modules]


def _method_edges(program: ir.Program) -> tuple[str, Edges, list[int]]:
    count = range(len(program.methods))
    graphs = [method.graph for method in program.methods]
    nodes = [list(nodes_of(graph.nodes)) for graph in graphs]
    edges = [[n.method for n in each if isinstance(n, ir.Call) and n.method in count] for each in nodes]
    return "method", edges, [len(each) for each in nodes]


def _spans(program: ir.Program) -> Iterator[str]:
    lengths = [len(text) for _, text in program.sources]
    rest: list[Any] = [program.modules, program.methods, program.entries, program.training]
    while rest:
        item = rest.pop()
        if isinstance(item, Span):
            if item.source >= len(lengths) or not item.start <= item.end <= lengths[item.source]:
                yield f"source {item.source} has no place from {item.start} to {item.end}"
        elif isinstance(item, tuple):
            rest.extend(item)
        elif isinstance(item, dict):
            rest.extend(item.values())
        elif dataclasses.is_dataclass(item):
            rest.extend(getattr(item, field.name) for field in dataclasses.fields(item))


# --- modules ---------------------------------------------------------------------------------------------------------


def _modules(program: ir.Program) -> Iterator[str]:
    count = len(program.modules)
    for number, module in enumerate(program.modules):
        where = f"module {number} (`{module.name[:80]}`)"
        names = [member.name for member in module.members]
        if len(set(names)) < len(names):
            yield f"{where} has two members of one name"
        for member in module.members:
            yield from (f"{where}, `{member.name[:80]}`: {problem}" for problem in _member(program, member, count))
            if member.kind != "module" and module.kind != "layer" and not _has_start(member):
                yield f"{where}, `{member.name[:80]}`: nothing says what it holds first"
        yield from (f"{where}: {problem}" for problem in _kind(module))
    yield from _unfold(*_module_edges(program))


def _member(program: ir.Program, member: ir.Member, modules: int) -> Iterator[str]:
    # Parameters of torch's own layers may lie deeper: `out_proj.weight`.
    segments = [member.name] if member.module is not None else member.name.split(".")
    if not all(map(_SEGMENT.fullmatch, segments)) or is_reserved(member.name):
        yield "this cannot be the name of a member"
    if member.kind == "module":
        if member.module not in range(modules) or member.type is not None:
            yield "a module has the number of one, and no type"
        return
    sizes = [dim for dim in member.type.dims if isinstance(dim, int)] if member.type is not None else []
    if member.type is None or member.module is not None or len(sizes) < member.type.rank:
        yield "a parameter or buffer has a type whose sizes are numbers"
    elif is_complex(member.type.dtype):
        yield "a parameter or buffer holds real numbers"
    elif prod(sizes) > MAX_ELEMENTS:
        yield f"it would have more than {MAX_ELEMENTS:,} elements"
    if member.init is not None:
        try:
            check_initializer(member.init, member.type)
        except NotValid as reason:
            yield str(reason)
    if member.value is not None:
        yield from _constant(program, member, member.value)


def _has_start(member: ir.Member) -> bool:
    return member.value is not None or (member.kind == "param" and member.init is not None)


def _constant(program: ir.Program, member: ir.Member, graph: ir.Graph) -> Iterator[str]:
    problems = list(form_problems(graph, frozenset()))
    if not problems:
        problems = list(TypeCheck(program, graph, Facts(), None).problems())
    yield from problems
    if not problems:
        output = graph.outputs[0]
        one = len(graph.outputs) == 1 and not graph.inputs and isinstance(output, ir.Ref)
        if not one or graph.values[output.id].type != member.type:
            yield "its value is a closed graph with one output of its type"


def _kind(module: ir.Module) -> Iterator[str]:
    if module.kind == "layer":
        try:
            stated = [(m.name, m.kind, m.type) for m in module.members]
            if stated != members_of(module):
                yield "its parameters and buffers are not those of the layer"
        except NotValid as reason:
            yield str(reason)
    elif module.kind == "block":
        if not module.name.isidentifier():
            yield "a block's name is an identifier"
    elif module.kind == "extern":
        if not module.name.isidentifier() or module.members or not is_origin(module.origin):
            yield "an extern has an identifier for a name, no members, and the place of a class in Python"
        if not all(is_parameter(name) and is_plain(attr.value) for name, attr in module.arguments.items()):
            yield "the arguments of an extern are plain data"
    elif module.name != module.kind or module.arguments or module.ties:
        yield f"a {module.kind} has neither a name, arguments nor ties of its own"


def _unfold(what: str, edges: Edges, weights: list[int]) -> Iterator[str]:
    """Whether definitions that use each other end, are not too deep, and are not too large when written out."""
    order = _order(edges)
    if len(order) < len(edges):
        yield f"a {what} contains itself"
        return
    depths, sizes = [0] * len(edges), list(weights)
    for number in reversed(order):
        inner = [i for i in edges[number] if i is not None]
        depths[number] = 1 + max((depths[i] for i in inner), default=0)
        sizes[number] = min(weights[number] + sum(sizes[i] for i in inner), MAX_UNFOLDED + 1)
        if depths[number] > MAX_DEPTH:
            yield f"{what} {number} is nested deeper than {MAX_DEPTH}"
            return
        if sizes[number] > MAX_UNFOLDED:
            yield f"{what} {number} holds more than {MAX_UNFOLDED:,} things when it is written out"
            return


def _order(edges: Edges) -> list[int]:
    """The definitions, users before what they use; those on a cycle, and what they use, are left out."""
    uses = [0] * len(edges)
    for inner in edges:
        for number in inner:
            if number is not None:
                uses[number] += 1
    order = [number for number, count in enumerate(uses) if not count]
    for number in order:
        for used in edges[number]:
            if used is not None:
                uses[used] -= 1
                if not uses[used]:
                    order.append(used)
    return order


def _ties(program: ir.Program) -> Iterator[str]:
    for number, module in enumerate(program.modules):
        for tie in module.ties:
            try:
                alias, owner = (resolve(program, number, path) for path in (tie.alias, tie.owner))
            except NotValid as reason:
                yield f"module {number}, tie: {reason}"
                continue
            if alias.kind != "param" or owner.kind != "param" or alias.type != owner.type:
                yield f"module {number}: `{tie.alias[:80]}` and `{tie.owner[:80]}` are not parameters of one type"
    for entry in program.entries:
        if entry.module in range(len(program.modules)):
            yield from _tie_chains(program, entry.module)


def _tie_chains(program: ir.Program, module: int) -> Iterator[str]:
    owners: dict[str, str] = {}
    tied = _with_ties(program)
    rest = [("", module)]
    while rest:
        prefix, number = rest.pop()
        for tie in program.modules[number].ties:
            if prefix + tie.alias in owners:
                yield f"`{prefix + tie.alias}` is tied twice"
            owners[prefix + tie.alias] = prefix + tie.owner
        members = program.modules[number].members
        rest += [(f"{prefix}{m.name}.", m.module) for m in members if m.module is not None and tied[m.module]]
    settled: set[str] = set()
    for alias, owner in owners.items():
        chain, at = {alias}, owner
        while at in owners and at not in settled:
            if at in chain:
                yield f"`{alias}` is tied to itself"
                return
            chain.add(at)
            at = owners[at]
        settled |= chain


def _with_ties(program: ir.Program) -> list[bool]:
    _, edges, _ = _module_edges(program)
    tied = [bool(module.ties) for module in program.modules]
    for number in reversed(_order(edges)):
        tied[number] = tied[number] or any(tied[i] for i in edges[number] if i is not None)
    return tied


def _settings(program: ir.Program) -> Iterator[str]:
    _, edges, sizes = _module_edges(program)
    for number in reversed(_order(edges)):
        sizes[number] += sum(sizes[inner] for inner in edges[number] if inner is not None)
    asked = sum(size * len(module.settings) for size, module in zip(sizes, program.modules, strict=True))
    if asked > MAX_ASKED:
        yield f"settings are asked about more than {MAX_ASKED:,} parameters"
        return
    for number, module in enumerate(program.modules):
        yield from (f"module {number}, settings: {problem}" for problem in setting_problems(program, module, _constant))


# --- methods and entries ---------------------------------------------------------------------------------------------


def _methods(program: ir.Program) -> Iterator[str]:
    for number, method in enumerate(program.methods):
        yield from (f"{_title(program, number)}: {problem}" for problem in _method(program, method))
    yield from _unfold(*_method_edges(program))


def _title(program: ir.Program, number: int) -> str:
    module = program.methods[number].module
    name = program.modules[module].name if module in range(len(program.modules)) else "?"
    return f"method {number} (of `{name[:80]}`)"


def _method(program: ir.Program, method: ir.Method) -> Iterator[str]:
    kind = program.modules[method.module].kind if method.module in range(len(program.modules)) else ""
    if kind not in ("block", "extern"):
        yield "a method belongs to a block or an extern"
    if len(method.input_names) != len(method.graph.inputs) or len(method.output_names) != len(method.graph.outputs):
        yield "every input and output has a name"
    inputs, outputs = method.input_names, [name for name in method.output_names if name]
    if len(set(inputs)) < len(inputs) or not all(map(str.isidentifier, inputs)):
        yield "names of inputs are different identifiers"
    if len(set(outputs)) < len(outputs) or not all(map(str.isidentifier, outputs)):
        yield "names of outputs are different identifiers"
    if not all(_WORD.fullmatch(value.hint) for value in method.graph.values):
        yield "a value's name is a word"
    known = frozenset(s.name for s in method.symbols)
    if len(known) < len(method.symbols):
        yield "two symbols have one name"
    problems = list(form_problems(method.graph, known))
    yield from problems
    if not problems:
        yield from _foreign(method.graph, kind)
        yield from (f"symbol `{s.name[:80]}` is not where it says" for s in method.symbols if not _is_there(method, s))
    for requirement in method.requires:
        yield from (f"there is no symbol `{name}` here" for name in symbols(requirement.size) - known)


def _foreign(graph: ir.Graph, kind: str) -> Iterator[str]:
    """What Python computes stands alone in the method of an extern, and nowhere else."""
    nodes = list(nodes_of(graph.nodes))
    found = [node for node in nodes if isinstance(node, ir.Foreign)]
    if kind != "extern":
        if found:
            yield "only an extern is computed by Python"
    elif len(nodes) != 1 or not found or list(ir.refs(found[0].inputs)) != list(ir.flat(graph.inputs)):
        yield "an extern has one node, which takes all inputs"
    elif graph.outputs != tuple(map(ir.Ref, found[0].outputs)):
        yield "an extern has one node, which gives all outputs"


def _is_there(method: ir.Method, stated: ir.Symbol) -> bool:
    value: Any = method.graph.inputs
    for position in (stated.input, *stated.element):
        if not isinstance(value, tuple) or position not in range(len(value)):
            return False
        value = value[position]
    if not isinstance(value, int) or not stated.name.isidentifier():
        return False
    kind: TensorType = method.graph.values[value].type
    return -kind.rank <= stated.axis < kind.rank and kind.dims[stated.axis] == symbol(stated.name)


def _entries(program: ir.Program) -> Iterator[str]:
    if not program.entries:
        yield "there is no entry"
    for number, entry in enumerate(program.entries):
        modes = [set(form.methods) for form in entry.choices]
        if not entry.name.isidentifier() or not all({"infer"} <= each <= {"infer", "train"} for each in modes):
            yield f"entry {number} has an identifier for a name, and methods for `infer` and perhaps `train`"
        choices = [form.given for form in entry.choices]
        if len(entry.optional) > MAX_OPTIONAL or sorted(choices) != sorted(_subsets(entry.optional)):
            yield f"entry {number} has one form for every choice of its optional inputs"
        for form in entry.choices:
            reasons = (_form(program, entry, form, method) for method in form.methods.values())
            yield from (f"entry {number} {reason}" for reason in reasons if reason)


def _subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for name in names[: MAX_OPTIONAL + 1]:
        found += [(*each, name) for each in found]
    return found


def _form(program: ir.Program, entry: ir.Entry, form: ir.Form, number: int) -> str:
    """What is wrong with a method of a form; empty when it is in order."""
    if number not in range(len(program.methods)) or program.methods[number].module != entry.module:
        return "and its methods are of one module"
    method = program.methods[number]
    if any(isinstance(value, tuple) for value in method.graph.inputs):
        return "takes tensors, not lists of them"
    if any(is_complex(method.graph.values[value].type.dtype) for value in ir.flat(method.graph.inputs)):
        return "takes real numbers"
    pairs = zip(method.input_names, method.graph.inputs, strict=True)
    absent = {name for name, value in pairs if value is None}
    wanted = set(entry.optional) - set(form.given)
    return "" if absent == wanted else "takes the inputs that its form says, and no others"


def _graphs(program: ir.Program) -> Iterator[str]:
    """Types in every method that is reached, under the facts of the place that it is called from.

    A method that leans on its caller's facts is called from there only (elsewhere it is another method), so that the
    first call found says what is known.
    """
    forms = [form for entry in program.entries for form in entry.choices]
    facts: dict[int, Facts] = {m: Facts() for form in forms for m in form.methods.values()}
    for number, known in called(program):
        facts.setdefault(number, known)
    for number in _order(_method_edges(program)[1]):
        if number not in facts:
            continue
        method = program.methods[number]
        for requirement in method.requires:
            assume = facts[number].assume_at_least if requirement.relation == ">=" else facts[number].assume_equal
            assume(requirement.size, 0)
        check = TypeCheck(program, method.graph, facts[number], method.module)
        yield from (f"{_title(program, number)}, {problem}" for problem in check.problems())
        for node in nodes_of(method.graph.nodes):
            if isinstance(node, ir.Call) and node.method is not None:
                facts.setdefault(node.method, Facts(facts[number], node.dims))
