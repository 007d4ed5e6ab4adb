"""Writing `forward`: its parameters, the sizes that it reads, what it checks on entry, and both of its modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nnspec import ir
from nnspec.backends.source_body import Body, CallCode
from nnspec.backends.source_line import Line, shape
from nnspec.backends.source_names import IMPORTED, unique
from nnspec.backends.source_plan import Step, count_uses, live_nodes
from nnspec.backends.source_steps import single_steps
from nnspec.backends.source_text import Piece, bracketed, quote
from nnspec.dims import Dim, Size, render, terms_of
from nnspec.dims_algebra import from_terms


@dataclass(slots=True)
class Forward:
    """A body that is written: what the parameters are, what it says, and which modules it names."""

    parameters: tuple[str, ...]
    note: str
    lines: list[Line]
    roots: set[str]

    def key(self) -> tuple[object, ...]:
        """What makes two bodies the same: all but their comments."""
        return (self.parameters, *(line.text for line in self.lines))


@dataclass(slots=True)
class Variant:
    """One Python method: a body for each mode that comes to it."""

    mode: ir.Mode
    first: Forward
    name: str = "forward"
    bodies: dict[ir.Mode, Forward] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bodies[self.mode] = self.first

    @property
    def roots(self) -> set[str]:
        """The modules that the bodies name."""
        return {root for body in self.bodies.values() for root in body.roots}

    def take(self, mode: ir.Mode, forward: Forward) -> bool:
        """Make this body one of ours, if it is or if there is room for it."""
        own = self.bodies.get(mode)
        if own is not None:
            if own is not forward and own.key() != forward.key():
                return False
            _drop_differing_notes(own, forward)
            return True
        other = next(iter(self.bodies.values()))
        if other is forward or other.key() == forward.key():
            self.bodies[mode] = other
            return True
        if other.parameters != forward.parameters:
            return False
        self.bodies[mode] = forward
        return True


def _drop_differing_notes(kept: Forward, other: Forward) -> None:
    for mine, theirs in zip(kept.lines, other.lines, strict=True):
        if mine.comment != theirs.comment:
            mine.comment = ""
    if kept.note != other.note:
        kept.note = ""


def written_forward(
    method: ir.Method,
    steps: Sequence[Step],
    uses: list[int],
    requires: Sequence[ir.Requirement],
    reserved: frozenset[str],
    *,
    reach: Callable[[str], str],
    call: CallCode,
    words: Callable[[Step], Sequence[str]],
) -> Forward:
    """Write what a method computes."""
    names = unique(method.input_names, {*IMPORTED, *reserved})
    graph = method.graph
    sources = {s.name: f"{names[s.input]}.shape[{s.axis}]" for s in method.symbols}
    variables = _symbol_names(sources, {*names, *reserved})
    given = {value: name for value, name in zip(graph.inputs, names, strict=True) if value is not None}
    body = Body(
        graph,
        parameters=given,
        symbols=variables,
        reserved=reserved,
        uses=uses,
        output_names=method.output_names,
        reach=reach,
        call=call,
        words=words,
    )
    body.write(steps)
    body.finish()
    checks = [_check(each, variables, body.symbols) for each in requires]
    reads = [Line(f"{variables[s]} = ", Piece(text)) for s, text in sources.items() if s in body.symbols]
    roots = body.roots | ({"torch"} if checks else set())
    note = ", ".join(shape(graph.values[v].type) for v in graph.inputs if v is not None)
    return Forward(_with_defaults(names, graph), note, [*reads, *checks, *body.lines], roots)


def function_lines(graph: ir.Graph, name: str, parameters: Sequence[str]) -> tuple[list[str], set[str]]:
    """The lines of a plain function that computes a graph, and the modules that it names."""
    nodes = live_nodes(graph)
    uses = count_uses(graph, nodes)
    sources: dict[str, str] = {}
    for value, parameter in zip(graph.inputs, parameters, strict=True):
        for axis, size in enumerate(graph.values[value].type.dims if value is not None else ()):
            if isinstance(size, Dim) and (symbol := _lone_symbol(size)):
                sources.setdefault(symbol, f"{parameter}.shape[{axis}]")
    variables = _symbol_names(sources, {*parameters, name})
    given = {value: p for value, p in zip(graph.inputs, parameters, strict=True) if value is not None}
    body = Body(graph, parameters=given, symbols=variables, reserved={name}, uses=uses)
    body.write(single_steps(nodes))
    body.finish()
    reads = [Line(f"{variables[s]} = ", Piece(text)) for s, text in sources.items() if s in body.symbols]
    head = Line("", bracketed(f"def {name}(", [("", Piece(p)) for p in parameters], ")"), ":")
    lines = [text for line in [*reads, *body.lines] for text in line.render(4)]
    return [*head.render(0), *lines], body.roots


def forward_lines(variant: Variant) -> list[str]:
    """The lines of a Python method; where the modes differ, what they share comes first (and last)."""
    infer = variant.bodies.get("infer") or variant.first
    train = variant.bodies.get("train") or infer
    items = [("", Piece(text)) for text in ("self", *infer.parameters)]
    lines = Line("", bracketed(f"def {variant.name}(", items, ")"), ":", infer.note).render(4)
    if train is infer:
        return lines + _rendered(infer.lines, 8)
    first = _common_start(infer.lines, train.lines)
    last = _common_end(infer.lines[first:], train.lines[first:])
    ours, theirs = len(infer.lines) - last, len(train.lines) - last
    lines += _rendered(infer.lines[:first], 8)
    if theirs == first:
        lines += ["        if not self.training:", *_rendered(infer.lines[first:ours], 12)]
    elif ours == first:
        lines += ["        if self.training:", *_rendered(train.lines[first:theirs], 12)]
    else:
        # Two ways that part for good: the first one returns.
        last, ours = 0, len(infer.lines)
        lines += ["        if self.training:", *_rendered(train.lines[first:], 12), *_rendered(infer.lines[first:], 8)]
    return lines + _rendered(infer.lines[ours:] if last else [], 8)


def _common_start(ours: Sequence[Line], theirs: Sequence[Line]) -> int:
    """How many lines at the start are the same; a loop is shared whole or not at all."""
    count = 0
    for mine, other in zip(ours, theirs, strict=False):
        if mine.text != other.text:
            break
        count += 1
    while any(line.deeper for line in (*ours[count : count + 1], *theirs[count : count + 1])):
        count -= 1
    return count


def _common_end(ours: Sequence[Line], theirs: Sequence[Line]) -> int:
    """How many lines at the end are the same; a loop is shared whole or not at all."""
    count = 0
    for mine, other in zip(reversed(ours), reversed(theirs), strict=False):
        if mine.text != other.text:
            break
        count += 1
    while count and ours[-count].deeper:
        count -= 1
    return count


def _rendered(lines: Sequence[Line], indent: int) -> list[str]:
    return [text for line in lines for text in line.render(indent)]


def _symbol_names(sources: Mapping[str, str], taken: set[str]) -> dict[str, str]:
    words = [f"size{name}" if name.startswith("_") else name for name in sources]
    return dict(zip(sources, unique(words, set(taken) | IMPORTED), strict=True))


def _lone_symbol(size: Dim) -> str:
    (factors, coefficient), *rest = size.terms
    single = not rest and coefficient == 1 and len(factors) == 1 and type(factors[0]) is str
    return factors[0] if single else ""


def _with_defaults(names: Sequence[str], graph: ir.Graph) -> tuple[str, ...]:
    """Parameters; those at the end that are left out in this use are optional."""
    parts = list(names)
    for at in reversed(range(len(parts))):
        if graph.inputs[at] is not None:
            break
        parts[at] += "=None"
    return tuple(parts)


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
