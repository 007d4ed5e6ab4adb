"""Writing `forward`: its parameters, the sizes that it reads, what it checks on entry, and both of its modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nnspec import ir
from nnspec.backends.source_body import Body, CallCode
from nnspec.backends.source_inputs import Inputs, shapes
from nnspec.backends.source_line import Line
from nnspec.backends.source_live import count_uses, joined_graph, live_nodes
from nnspec.backends.source_merge import Case, merge
from nnspec.backends.source_names import IMPORTED, identifier, unique
from nnspec.backends.source_plan import Step
from nnspec.backends.source_steps import single_steps
from nnspec.backends.source_text import Piece, bracketed, quote
from nnspec.dims import Dim, Size, render, terms_of
from nnspec.dims_algebra import from_terms


@dataclass(slots=True)
class Forward:
    """A body that is written: its parameters and which of them are given, what it says, and which modules it names."""

    names: tuple[str, ...]
    given: tuple[bool, ...]
    note: str
    lines: list[Line]
    roots: set[str]

    def key(self) -> tuple[object, ...]:
        """What makes two bodies the same: all but their comments."""
        return (self.names, *(line.text for line in self.lines))


@dataclass(slots=True)
class Variant:
    """One Python method: a body for each mode, and each choice of optional inputs, that comes to it."""

    mode: ir.Mode
    first: Forward
    name: str = "forward"
    bodies: dict[Case, Forward] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bodies[self.mode, self.first.given] = self.first

    @property
    def roots(self) -> set[str]:
        """The modules that the bodies name."""
        return {root for body in self.bodies.values() for root in body.roots}

    @property
    def parameters(self) -> list[str]:
        """The parameters; those at the end that some use leaves out are optional."""
        parts = list(self.first.names)
        for at in reversed(range(len(parts))):
            if all(body.given[at] for body in self.bodies.values()):
                break
            parts[at] += "=None"
        return parts

    @property
    def note(self) -> str:
        """The shapes of the parameters, where all of them are given."""
        return max(self.bodies.values(), key=lambda body: sum(body.given)).note

    def take(self, mode: ir.Mode, forward: Forward) -> bool:
        """Make this body one of ours, if it is or if there is room for it."""
        own = self.bodies.get((mode, forward.given))
        if own is not None:
            if own is not forward and own.key() != forward.key():
                return False
            _drop_differing_notes(own, forward)
            return True
        if self.first.names != forward.names:
            return False
        alike = (body for body in self.bodies.values() if body.given == forward.given and body.key() == forward.key())
        self.bodies[mode, forward.given] = next(alike, forward)
        return True


def _drop_differing_notes(kept: Forward, other: Forward) -> None:
    for mine, theirs in zip(kept.lines, other.lines, strict=True):
        if mine.comment != theirs.comment:
            mine.comment = ""
    if kept.note != other.note:
        kept.note = ""


def absent_inputs(method: ir.Method, reserved: frozenset[str]) -> dict[str, str]:
    """Optional inputs that are left out, and their variables: each holds None, if the body does not bind it again.

    `layer(x, mask)` does without a mask what `layer(x)` does, and reads the same with one.
    """
    names = unique(method.input_names, {*IMPORTED, *reserved})
    hints = {identifier(value.hint) for value in method.graph.values if value.hint}
    pairs = zip(method.input_names, names, method.graph.inputs, strict=True)
    return {word: name for word, name, given in pairs if given is None and name not in hints}


def written_forward(
    method: ir.Method,
    steps: Sequence[Step],
    uses: list[int],
    requires: Sequence[ir.Requirement],
    reserved: frozenset[str],
    *,
    reach: Callable[[str], str],
    through: Callable[[str], str],
    call: CallCode,
    words: Callable[[Step], Sequence[str]],
    served: Callable[[Sequence[str]], list[Line]],
) -> Forward:
    """Write what a method computes; `served` says what becomes of the inputs first."""
    names = unique(method.input_names, {*IMPORTED, *reserved})
    graph = method.graph
    given = Inputs(graph.inputs, names)
    sources = {s.name: f"{given.text(s.input, s.element)}.shape[{s.axis}]" for s in method.symbols}
    variables = _symbol_names(sources, {*names, *reserved})
    body = Body(
        graph,
        inputs=given,
        symbols=variables,
        reserved={*reserved, *absent_inputs(method, reserved).values()},
        uses=uses,
        output_names=method.output_names,
        reach=reach,
        through=through,
        call=call,
        words=words,
    )
    body.write(steps)
    body.finish()
    checks = [_check(each, variables, body.symbols) for each in requires]
    reads = [Line(f"{variables[s]} = ", Piece(text)) for s, text in sources.items() if s in body.symbols]
    layout = served(names)
    roots = body.roots | ({"torch"} if checks or layout else set())
    is_given = tuple(each is not None for each in graph.inputs)
    return Forward(tuple(names), is_given, shapes(graph, graph.inputs), [*reads, *checks, *layout, *body.lines], roots)


def function_lines(graph: ir.Graph, name: str, parameters: Sequence[str]) -> tuple[list[str], set[str]]:
    """The lines of a plain function that computes a graph, and the modules that it names."""
    graph = joined_graph(graph)
    nodes = live_nodes(graph)
    uses = count_uses(graph, nodes)
    sources: dict[str, str] = {}
    for value, parameter in zip(graph.inputs, parameters, strict=True):
        for axis, size in enumerate(graph.values[value].type.dims if value is not None else ()):
            if isinstance(size, Dim) and (symbol := _lone_symbol(size)):
                sources.setdefault(symbol, f"{parameter}.shape[{axis}]")
    variables = _symbol_names(sources, {*parameters, name})
    given = Inputs(graph.inputs, parameters)
    body = Body(graph, inputs=given, symbols=variables, reserved={name}, uses=uses)
    body.write(single_steps(nodes))
    body.finish()
    reads = [Line(f"{variables[s]} = ", Piece(text)) for s, text in sources.items() if s in body.symbols]
    head = Line("", bracketed(f"def {name}(", [("", Piece(p)) for p in parameters], ")"), ":")
    lines = [text for line in [*reads, *body.lines] for text in line.render(4)]
    return [*head.render(0), *lines], body.roots


def forward_lines(variant: Variant) -> tuple[Line, list[Line]]:
    """The head and the statements of a Python method; where its bodies differ, what they share is written once."""
    items = [("", Piece(text)) for text in ("self", *variant.parameters)]
    head = Line("", bracketed(f"def {variant.name}(", items, ")"), ":", variant.note)
    return head, merge({case: body.lines for case, body in variant.bodies.items()}, variant.first.names)


def _symbol_names(sources: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    words = [f"size{name}" if name.startswith("_") else name for name in sources]
    return dict(zip(sources, unique(words, set(taken) | IMPORTED), strict=True))


def _lone_symbol(size: Dim) -> str:
    (factors, coefficient), *rest = size.terms
    single = not rest and coefficient == 1 and len(factors) == 1 and type(factors[0]) is str
    return factors[0] if single else ""


def _check(need: ir.Requirement, variables: Mapping[str, str], used: set[str]) -> Line:
    """`torch._check(T <= 1024, lambda: "...")`."""

    def name(symbol: str) -> str:
        used.add(symbol)
        return variables[symbol]

    left: Size = from_terms({m: c for m, c in terms_of(need.size) if c > 0})
    right: Size = from_terms({m: -c for m, c in terms_of(need.size) if c < 0})
    relation = need.relation
    if isinstance(left, int) and relation == ">=":
        left, right, relation = right, left, "<="  # type: ignore[assignment]  # a third way to write it
    condition = f"{render(left, name)} {relation} {render(right, name)}"
    items = [("", Piece(condition)), ("lambda: ", Piece(quote(need.message)))]
    return Line("", bracketed("torch._check(", items, ")"), span=need.span)
