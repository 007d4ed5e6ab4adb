"""What is not wrong and is regretted all the same: values that nobody uses, biases that nothing can tell.

Warnings are looked for in a program without errors, in one pass over its graphs. A place that is elaborated several
times (in a loop, in a block that is used twice, for training and for inference) is warned of only if all agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span, error
from nnspec.elaborate.inputs import input_statements, symbol_names
from nnspec.elaborate.names import mentioned
from nnspec.elaborate.session import Session
from nnspec.elaborate.warn_training import training_warnings
from nnspec.ir_nodes import nodes_of
from nnspec.syntax import ast

_WORD = re.compile(r"[A-Za-z_]\w*")


def warn(session: Session, program: ir.Program) -> None:
    """Report the warnings of a program that has no errors."""
    graphs = [body for method in program.methods for body in _bodies(method, method.graph)]
    used = _live_places(program, graphs)
    found = [*_unused_values(program, graphs, used), *_unused_parameters(program, graphs)]
    found += _unused_names(session, program, graphs)
    found += _unused_parts(graphs)
    found += _biases(session, program, graphs)
    found += session.doubts.values()
    found += training_warnings(session, program)
    found += _unused_imports(session)
    for diagnostic in found:
        # The library is not the author's to change.
        if diagnostic.primary is None or not session.in_library(diagnostic.span):
            session.sink.report(diagnostic)


def _warning(code: str, message: str, span: Span | None, label: str, **parts: tuple[object, ...]) -> Diagnostic:
    return error(code, message, span, label, severity="warning", **parts)  # type: ignore[arg-type]  # parts of `error`


class _Liveness:
    """Which values of a graph its outputs depend on, and which nothing takes at all."""

    def __init__(self, method: ir.Method, graph: ir.Graph) -> None:
        self.method = method
        self.graph = graph
        self.live: set[int] = set()
        self.taken: set[int] = set()
        for operand in graph.outputs:
            self.live.update(ir.refs(operand))
        self.taken |= self.live
        self.dead: list[ir.Node] = []
        """First to last."""
        live, taken = self.live, self.taken
        for node in reversed(graph.nodes):
            made = node.outputs
            alive = made[0] in live if len(made) == 1 else any(value in live for value in ir.flat(made))
            if not alive:
                self.dead.append(node)
            if isinstance(node, ir.Read):
                continue
            for operand in node.inputs:
                if type(operand) is ir.Ref:
                    taken.add(operand.id)
                    if alive:
                        live.add(operand.id)
                elif isinstance(operand, tuple):
                    taken.update(ir.refs(operand))
                    if alive:
                        live.update(ir.refs(operand))
        self.dead.reverse()


def _bodies(method: ir.Method, graph: ir.Graph) -> Iterator[_Liveness]:
    """A graph, and the bodies of the scans in it that some output depends on."""
    found = _Liveness(method, graph)
    yield found
    dead = {id(node) for node in found.dead}
    for node in graph.nodes:
        if isinstance(node, ir.Scan) and id(node) not in dead:
            yield from _bodies(method, node.body)


def _live_places(program: ir.Program, graphs: list[_Liveness]) -> tuple[set[Span], set[tuple[int, str]]]:
    """Places of nodes that are used in some graph that has dead ones, and layers that some output depends on."""
    spans: set[Span] = set()
    layers: set[tuple[int, str]] = set()
    suspects = {node.span for graph in graphs for node in graph.dead}
    if not suspects:
        return spans, layers
    for graph in graphs:
        dead = {id(node) for node in graph.dead}
        for node in graph.graph.nodes:
            if id(node) in dead:
                continue
            if node.span is not None and node.span in suspects:
                spans.add(node.span)
            if isinstance(node, ir.Call):
                layers.add((graph.method.module, node.path))
            elif isinstance(node, ir.Read):
                layers.update((graph.method.module, path) for path in _around(node.path))
    for number, module in enumerate(program.modules):
        for tie in module.ties:
            sides = [{(number, path) for path in _around(name)} for name in (tie.owner, tie.alias)]
            if any(side & layers for side in sides):
                layers.update(*sides)
    return spans, layers


def _around(path: str) -> Iterator[str]:
    """The paths of the layers that a parameter is in."""
    names = path.split(".")
    return (".".join(names[:end]) for end in range(1, len(names)))


def _unused_values(
    program: ir.Program, graphs: list[_Liveness], used: tuple[set[Span], set[tuple[int, str]]]
) -> Iterator[Diagnostic]:
    spans, layers = used
    for graph in graphs:
        module = graph.method.module
        makers = {value: node for node in graph.dead for value in ir.flat(node.outputs)}
        for node in graph.dead:
            unused = not any(value in graph.taken for value in ir.flat(node.outputs))
            if unused and not isinstance(node, ir.Read) and node.span not in spans:
                paths = [p for p in dict.fromkeys(_layers_behind(node, makers)) if (module, p) not in layers]
                trained = [p for p in paths[::-1] if _has_parameters(program, program.module_at(module, p))]
                yield _unused(graph.graph, node, trained)


def _layers_behind(node: ir.Node, makers: dict[int, ir.Node]) -> Iterator[str]:
    """Paths of the layers that only this unused value needs."""
    stack, seen = [node], {id(node)}
    while stack:
        node = stack.pop()
        yield from (each.path for each in nodes_of([node]) if isinstance(each, ir.Call))
        for operand in () if isinstance(node, ir.Read) else node.inputs:
            for value in ir.refs(operand):
                maker = makers.get(value)
                if maker is not None and id(maker) not in seen:
                    seen.add(id(maker))
                    stack.append(maker)


def _has_parameters(program: ir.Program, module: int) -> bool:
    found = program.modules[module]
    return any(
        m.kind == "param" or (m.module is not None and _has_parameters(program, m.module)) for m in found.members
    )


def _unused(graph: ir.Graph, node: ir.Node, layers: list[str]) -> Diagnostic:
    names = [graph.values[value].hint for value in ir.flat(node.outputs) if graph.values[value].hint]
    what = f"`{names[0]}`" if names else "this value"
    if not layers:
        help_ = "use it, or remove the statement"
        return _warning("NNS230", f"{what} is computed and never used", node.span, "nobody uses this", helps=(help_,))
    first = [f"`{path}`" for path in layers[:3]] + ([f"{len(layers) - 3} more layers"] if len(layers) > 3 else [])
    shown = " and ".join(first) if len(first) < 3 else f"{', '.join(first[:-1])} and {first[-1]}"
    return _warning(
        "NNS231",
        f"no output depends on {shown}: {what} is never used",
        node.span,
        "nobody uses this",
        notes=("its parameters are stored and saved, and training never changes them",),
        helps=("use the value, or remove the layer",),
    )


# --- parameters and names --------------------------------------------------------------------------------------------


def _unused_parameters(program: ir.Program, graphs: list[_Liveness]) -> Iterator[Diagnostic]:
    """Bare parameters that no output depends on, and that nothing is tied to."""
    used: set[tuple[int, str]] = set()
    bodies: set[int] = set()
    for graph in graphs:
        module_of = graph.method.module
        bodies.add(module_of)
        used |= {
            _home(program, module_of, node.path)
            for node in graph.graph.nodes
            if isinstance(node, ir.Read) and node.outputs[0] in graph.live
        }
    for number, module in enumerate(program.modules):
        for tie in module.ties:
            used |= {_home(program, number, tie.owner), _home(program, number, tie.alias)}
    for number in sorted(bodies):
        for path, member in _parameters(program, number):
            if (number, path) not in used:
                yield _warning(
                    "NNS231",
                    f"no output depends on the parameter `{path}`",
                    member.span,
                    "nobody uses this",
                    notes=("it is stored and saved, and training never changes it",),
                    helps=("use it, or remove it",),
                )


def _parameters(program: ir.Program, module: int, prefix: str = "") -> Iterator[tuple[str, ir.Member]]:
    """Parameters of a body by path, those in its groups included."""
    for member in program.modules[module].members:
        if member.kind == "param":
            yield prefix + member.name, member
        elif member.module is not None and program.modules[member.module].kind == "group":
            yield from _parameters(program, member.module, f"{prefix}{member.name}.")


def _home(program: ir.Program, module: int, path: str) -> tuple[int, str]:
    """The body that a parameter belongs to, and its path there."""
    names = path.split(".")
    home, start, at = module, 0, module
    for position, name in enumerate(names[:-1], 1):
        if program.modules[at].kind == "layer":
            break
        inner = program.find(at, name).module
        if inner is None:
            break
        at = inner
        if program.modules[at].kind == "block":
            home, start = at, position
    return home, ".".join(names[start:])


def _unused_names(session: Session, program: ir.Program, graphs: list[_Liveness]) -> Iterator[Diagnostic]:
    """Inputs and hyperparameters that a body does not mention a second time."""
    taken: dict[Span | None, bool] = {}
    for graph in (graph for graph in graphs if graph.graph is graph.method.graph):
        for value in ir.flat(graph.graph.inputs):
            span = graph.graph.values[value].span
            taken[span] = taken.get(span, False) or value in graph.taken
    model_words = {m[1] for source in session.sources.items for m in re.finditer(r"\bmodel\s*\.\s*(\w+)", source.text)}
    blocks = (block for file in session.files.values() if not file.in_library for block in file.own_blocks)
    for block in (block for block in blocks if isinstance(block, ast.Block)):  # what an extern is given, Python uses
        words: Counter[str] | None = None
        inputs = input_statements(block)
        idle = [s for s in inputs if taken.get(s.span) is False]
        if not idle and not block.hyperparameters:
            continue
        words = Counter(_WORD.findall(session.text(block.span)))
        for hyper in block.hyperparameters:
            name = hyper.name.id
            if words[name] == 1 and name not in model_words and not name.startswith("_"):
                yield _never(f"the hyperparameter `{name}` of `{block.name.id}`", hyper.name.span)
        in_types = Counter(word for s in inputs for word in _WORD.findall(session.text(s.span)))
        for statement in idle:
            name = statement.name.id
            bound = symbol_names(statement)
            if words[name] == 1 and not name.startswith("_") and all(words[b] == in_types[b] for b in bound):
                yield _never(f"the input `{name}` of `{block.name.id}`", statement.name.span)


def _unused_imports(session: Session) -> Iterator[Diagnostic]:
    """Names that a file imports and does not mention."""
    for file in session.files.values():
        if file.imports and not file.in_library:
            used = mentioned(d for d in file.file.declarations if not isinstance(d, ast.Import | ast.FromImport))
            for name, span in file.imports.items():
                if name not in used:
                    yield _warning(
                        "NNS230", f"`{name}` is imported and never used", span, "nobody uses this", helps=("remove it",)
                    )


def _unused_parts(graphs: list[_Liveness]) -> Iterator[Diagnostic]:
    """Sequences of scans whose parts no step uses; `_` says that only their length is meant."""
    used: dict[tuple[str, Span | None], bool] = {}
    for node in (node for graph in graphs for node in graph.graph.nodes if isinstance(node, ir.Scan)):
        taken = set(ir.refs(node.body.outputs))
        taken.update(v for n in node.body.nodes if not isinstance(n, ir.Read) for v in ir.refs(n.inputs))
        for value in node.body.inputs[: len(node.sequences)]:
            part = node.body.values[value]
            used[part.hint, part.span] = used.get((part.hint, part.span), False) or value in taken
    for (name, span), is_used in used.items():
        if name and span is not None and not is_used:
            yield _never(f"the part `{name}` of this scan", span)


def _never(what: str, span: Span) -> Diagnostic:
    return _warning("NNS230", f"{what} is never used", span, "nobody uses this", helps=("use it, or remove it",))


# --- biases ----------------------------------------------------------------------------------------------------------


def _biases(session: Session, program: ir.Program, graphs: list[_Liveness]) -> Iterator[Diagnostic]:
    """A bias whose only reader is a batch norm, which subtracts the mean and the bias with it."""
    norms = {n for n, m in enumerate(program.modules) if m.kind == "layer" and m.name.startswith("BatchNorm")}
    if not norms:
        return
    idle: dict[Span, Diagnostic] = {}
    felt: set[Span] = set()
    for graph in graphs:
        method = graph.method
        makers: dict[int, ir.Call] = {}
        uses: Counter[int] = Counter(value for operand in graph.graph.outputs for value in ir.refs(operand))
        calls = [n for n in graph.graph.nodes if isinstance(n, ir.Call)]
        for node in graph.graph.nodes:
            if not isinstance(node, ir.Read):
                uses.update(value for operand in node.inputs for value in ir.refs(operand))
        for node in calls:
            makers.update(dict.fromkeys(ir.flat(node.outputs), node))
        lost: set[int] = set()
        for node in calls:
            source = node.inputs[0] if node.inputs else None
            if not isinstance(source, ir.Ref) or uses[source.id] != 1 or source.id not in makers:
                continue
            if node.method is None and program.module_at(method.module, node.path) in norms:
                maker = makers[source.id]
                lost.add(id(maker))
                for warning in _bias(session, program, method, maker, node, graph.graph.values[source.id]):
                    idle[warning.span] = warning
        felt.update(node.span for node in calls if node.span is not None and id(node) not in lost)
    yield from (warning for span, warning in idle.items() if span not in felt)


def _bias(
    session: Session, program: ir.Program, method: ir.Method, node: ir.Call, norm: ir.Call, value: ir.Value
) -> Iterator[Diagnostic]:
    module = program.modules[program.module_at(method.module, node.path)]
    whole = module.name.startswith("Conv") or (module.name == "Linear" and value.type.rank == 2)
    if module.kind != "layer" or not whole or not any(m.name == "bias" for m in module.members) or node.span is None:
        return
    text = session.text(node.span)
    if "bias" in text or "*" in text:
        return
    at = node.span.end
    edit = Edit(Span(at - 1, at, node.span.source), ", bias=false)") if text.endswith(")") else None
    yield _warning(
        "NNS430",
        f"the bias of `{module.name}` has no effect in front of a batch norm",
        node.span,
        "has a bias",
        others=(Label(norm.span, "subtracts the mean, and the bias with it"),) if norm.span else (),
        helps=("write `bias=true` if weights that were trained with it are to be loaded",),
        fixes=(Fix("leave the bias out", (edit,)),) if edit is not None else (),
    )
