"""Scans: recurrences of the author's own. The body is run once, for a step that stands for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.arguments import Arguments, arg
from nnspec.diagnostics import Label, Span, error
from nnspec.dims import Size, show
from nnspec.elaborate.batch_statistics import refuse_statistics
from nnspec.elaborate.binding import check_value, unknown_argument
from nnspec.elaborate.blocks import grow
from nnspec.elaborate.expressions import evaluate, handles
from nnspec.elaborate.frame import Frame, GraphBuilder, Yielded
from nnspec.elaborate.operands import allocate
from nnspec.elaborate.session import BODY_STEPS, MAX_SCANS
from nnspec.elaborate.shape_faults import shape_fault
from nnspec.elaborate.values import UNKNOWN, Fault, Owned, Silent, Tensor, describe
from nnspec.ir_nodes import count_nodes, moved, renumbered
from nnspec.layer import ShapeError
from nnspec.syntax import ast
from nnspec.types import TensorType, show_dtype


class _Over(Arguments):
    """What stands behind `over`."""

    dim: int = arg(doc="the dimension that the steps go along")
    reverse: bool = arg(False, doc="begin with the last part")


def run_scan(frame: Frame, node: ast.Scan) -> tuple[Tensor, ...]:
    """The results of a scan: the yields of all steps, stacked, then the last states."""
    span = _head(node)
    graph = frame.builder(span)
    _check_depth(frame, span)
    sequences = [_sequence(frame, value) for _, value in node.sequences]
    over = _options(frame, node)
    parts = _parts(frame, node, sequences, over.dim)
    length = sequences[0].type.dims[over.dim]
    starts = [_start(frame, name, value) for name, value in node.states]
    _check_names(frame, node)
    frame.session.step(span, "a scan", BODY_STEPS + len(frame.scope))
    with _inside(frame, graph) as first:
        inputs = _bind_inputs(frame, graph, node, parts, starts, sequences)
        _run_body(frame, node)
        yields, spans = _yielded(frame)
        states = [_after(frame, graph, name, start) for (name, _), start in zip(node.states, starts, strict=True)]
        body, captures = _closed(graph, first, inputs, [*yields, *states])
        refuse_statistics(frame, body)
    grow(frame, count_nodes(body), span)
    stacked = [_stacked(frame, value.type, length, over.dim, at) for value, at in zip(yields, spans, strict=True)]
    places = [*spans, *(name.span for name, _ in node.states)]
    types = [*stacked, *(start.type for start in starts)]
    made = [allocate(frame, type_, at, sequences[0].id) for type_, at in zip(types, places, strict=True)]
    along, from_, outside = (
        tuple(map(ir.Ref, ids)) for ids in ((s.id for s in sequences), (s.id for s in starts), captures)
    )
    outputs = tuple(number for _, number in made)
    graph.nodes.append(ir.Scan(over.dim, over.reverse, along, from_, outside, body, outputs, span))
    return tuple(tensor for tensor, _ in made)


@handles(ast.Scan)
def _first_result(frame: Frame, node: ast.Scan) -> Tensor:
    return run_scan(frame, node)[0]


def results_for(frame: Frame, node: ast.Scan, target: ast.Targets) -> tuple[Tensor, ...]:
    """A scan's value for several names on the left of `=`: trailing results may be left out."""
    results = run_scan(frame, node)
    count = len(target.items)
    if count <= len(results):
        return results[:count]
    states = " and ".join(f"`{name.id}`" for name, _ in node.states)
    yields = len(results) - len(node.states)
    gives = f"{'what it yields and ' if yields else ''}the last {states}"
    raise Fault(
        error(
            "NNS414",
            f"a scan of {len(results)} result{'s' if len(results) > 1 else ''} cannot be unpacked into {count} names",
            target.span,
            f"{count} names here",
            others=(Label(_head(node), f"gives {gives}"),),
            helps=() if yields else ("`yield` in its body gives the values of all steps, stacked",),
        )
    )


def _head(node: ast.Scan) -> Span:
    """The words in front of the body."""
    last = node.states[-1][1].span
    return Span(node.span.start, last.end, node.span.source)


def _check_depth(frame: Frame, span: Span) -> None:
    if frame.scans >= MAX_SCANS:
        raise Fault(error("NNS310", f"scans are nested more than {MAX_SCANS} deep", span, "one too many"))


# --- what it goes over -----------------------------------------------------------------------------------------------


def _options(frame: Frame, node: ast.Scan) -> _Over:
    given: dict[str, Any] = {}
    for option in node.options:
        assert option.name is not None
        spec = _Over.fields.get(option.name)
        if spec is None:
            raise unknown_argument("scan", list(_Over.fields), option)
        if option.name in given:
            raise Fault(error("NNS306", f"`scan` is given `{option.name}` twice", option.span, "given again"))
        given[option.name] = check_value("scan", spec, evaluate(frame, option.value), option.value.span)
    if "dim" not in given:
        place = node.options[0].span.to(node.options[-1].span)
        helps = ("write `over dim=...`",)
        raise Fault(error("NNS302", "`scan` needs `dim`, along which it goes", place, "missing `dim`", helps=helps))
    return _Over(**given)


def _sequence(frame: Frame, node: ast.Expr) -> Tensor:
    value = evaluate(frame, node)
    if isinstance(value, Owned):
        return frame.read(value, node.span)
    if isinstance(value, Tensor):
        return value
    helps = ("a loop over values that are known at compile time is a `for`",)
    raise Fault(
        error("NNS311", f"a scan goes over tensors, not over {describe(value)}", node.span, "not a tensor", helps=helps)
    )


def _parts(frame: Frame, node: ast.Scan, sequences: Sequence[Tensor], dim: int) -> list[TensorType]:
    """The types of the sequences' parts; that all sequences have the same length is proved."""
    at = next(option.span for option in node.options if option.name == "dim")
    parts, lengths = [], []
    for (_, value), sequence in zip(node.sequences, sequences, strict=True):
        type_ = sequence.type
        if not -type_.rank <= dim < type_.rank:
            label = f"must be from {-type_.rank} to {type_.rank - 1}" if type_.rank else "there is nothing to go over"
            plural = "" if type_.rank == 1 else "s"
            message = f"dim={dim} is out of range for {type_}, which has {type_.rank} dimension{plural}"
            other = Label(value.span, f"this is {type_}")
            raise Fault(error("NNS411", message, at, label, others=(other,)))
        dims = list(type_.dims)
        lengths.append(dims.pop(dim))
        parts.append(type_.with_dims(*dims))
    _check_lengths(frame, [value.span for _, value in node.sequences], lengths)
    return parts


def _check_lengths(frame: Frame, places: Sequence[Span], lengths: Sequence[Size]) -> None:
    first, at = lengths[0], 0
    try:
        frame.proof.require_at_least(first, 1, "a scan needs at least one step", label="has no part to begin with")
        for at, other in enumerate(lengths):  # noqa: B007 - the one that is reported
            message = f"a scan goes over sequences of one length, and these have {show(first)} and {show(other)} parts"
            frame.proof.require_equal(other, first, message, label=f"{show(other)} parts")
    except ShapeError as fault:
        diagnostic = shape_fault(frame, fault, places[at]).diagnostic
        if at:
            diagnostic = replace(diagnostic, labels=(*diagnostic.labels, Label(places[0], f"{show(first)} parts")))
        raise Fault(diagnostic) from None


# --- states ----------------------------------------------------------------------------------------------------------


def _start(frame: Frame, name: ast.Name, node: ast.Expr) -> Tensor:
    value = evaluate(frame, node)
    if isinstance(value, Owned):
        return frame.read(value, node.span)
    if isinstance(value, Tensor):
        assert frame.graph is not None
        frame.graph.hint(value, name.id)
        return value
    helps = ("a tensor is made by `zeros(N, 8)` or `full((N, 8), 0.5)`",)
    message = f"the state `{name.id}` starts from a tensor, not from {describe(value)}"
    raise Fault(error("NNS311", message, node.span, "not a tensor", helps=helps))


def _after(frame: Frame, graph: GraphBuilder, name: ast.Name, start: Tensor) -> Tensor:
    """A state after a step; it has the type that it started with."""
    value = frame.scope[name.id]
    if isinstance(value, Owned):
        value = frame.read(value, name.span)
    if value is UNKNOWN:
        raise Silent
    if not isinstance(value, Tensor):
        raise Fault(error("NNS311", f"the state `{name.id}` becomes {describe(value)}", name.span, "a state"))
    before, after = start.type, value.type
    alike = before.dtype == after.dtype and before.rank == after.rank
    pairs = [(x, y) for x, y in zip(before.dims, after.dims, strict=alike) if not frame.proof.equal(x, y)]
    if alike and not pairs:
        return value
    undecided = alike and all(frame.proof.equal(x, y) is None for x, y in pairs)
    helps = [f"if it always holds, say so before: `assert {show(x)} == {show(y)}`" for x, y in pairs if undecided]
    if before.dtype != after.dtype:
        dtypes = show_dtype(before.dtype), show_dtype(after.dtype)
        helps.append(f"start from {dtypes[1]}, or bring it back: `{name.id} = to({name.id}, {dtypes[0]})`")
    raise Fault(
        error(
            "NNS420",
            f"the state `{name.id}` is {before} before a step, and {after} after it",
            graph.origins[value.id][0] or name.span,
            f"`{name.id}` is {after} from here on",
            others=(Label(name.span, f"starts as {before}"),),
            notes=("every step does the same, so that a state cannot change its type",),
            helps=helps,
        )
    )


# --- the body --------------------------------------------------------------------------------------------------------


def _check_names(frame: Frame, node: ast.Scan) -> None:
    """Names of parts hide nothing; those of states may be bound outside, which is where the last state often goes."""
    seen: dict[str, Span] = {}
    for name in [n for n, _ in node.sequences] + [n for n, _ in node.states]:
        if name.id in seen and name.id != "_":
            other = Label(seen[name.id], "first here")
            raise Fault(error("NNS202", f"there are two `{name.id}` in this scan", name.span, "again", others=(other,)))
        seen[name.id] = name.span
    for name, _ in node.sequences:
        if name.id != "_" and any(name.id in taken for taken in (frame.scope, frame.fixed, frame.file.constants)):
            raise Fault(
                error(
                    "NNS203",
                    f"the part `{name.id}` of this scan would hide another `{name.id}`",
                    name.span,
                    "already bound in this body" if name.id in frame.scope else "already a constant of this file",
                    helps=(f"choose another name, such as `{name.id}_t`",),
                )
            )


@contextmanager
def _inside(frame: Frame, graph: GraphBuilder) -> Iterator[tuple[int, int]]:
    """Names, reads and nodes of a step are its own; gives how many nodes and values stand in front of it."""
    outer = frame.scope, frame.fixed, frame.reads, frame.yielded, frame.in_loop
    nodes, values = len(graph.nodes), len(graph.values)
    frame.scope, frame.fixed, frame.reads = dict(frame.scope), dict(frame.fixed), dict(frame.reads)
    frame.yielded, frame.in_loop = Yielded(), 0
    frame.scans += 1
    try:
        yield nodes, values
    finally:
        own = {name for name in frame.scope if name not in outer[0]}
        frame.inner_names |= own
        frame.scope, frame.fixed, frame.reads, frame.yielded, frame.in_loop = outer
        frame.scans -= 1
        graph.forget(nodes, values)


def _bind_inputs(
    frame: Frame,
    graph: GraphBuilder,
    node: ast.Scan,
    parts: Sequence[TensorType],
    starts: Sequence[Tensor],
    sequences: Sequence[Tensor],
) -> list[Tensor]:
    names = [name for name, _ in (*node.sequences, *node.states)]
    types = [*parts, *(start.type for start in starts)]
    behind = [*sequences, *starts]
    inputs = []
    for name, type_, before in zip(names, types, behind, strict=True):
        tensor = graph.value(type_, name.span, before.id)
        if name.id != "_":
            graph.hint(tensor, name.id)
            frame.bind(name.id, tensor, name.span)
        inputs.append(tensor)
    return inputs


def _run_body(frame: Frame, node: ast.Scan) -> None:
    failed, frame.failed = frame.failed, False
    frame.session.ran.add(id(node.body))
    try:
        frame.session.run(frame, node.body.statements)
        if frame.failed:
            raise Silent
    finally:
        frame.failed |= failed


def run_yield(frame: Frame, node: ast.Yield) -> None:
    """What a step gives: one tensor, or several."""
    into = frame.yielded
    if into is None:
        raise Fault(error("NNS217", "`yield` stands in the body of a `scan`", node.span, "outside of a scan"))
    if frame.in_loop:
        raise Fault(
            error(
                "NNS217",
                "a step of a scan yields once, and this stands in a loop",
                node.span,
                "in a loop",
                helps=("collect the values in a list and yield `stack(...)` of it",),
            )
        )
    if into.span is not None:
        raise Fault(
            error(
                "NNS217",
                "a step of a scan yields once",
                node.span,
                "yields again",
                others=(Label(into.span, "first here"),),
                helps=("several values are yielded together: `yield (a, b)`",),
            )
        )
    into.span = node.span
    value = evaluate(frame, node.value)
    values = value if isinstance(value, (tuple, list)) else (value,)
    tensors = [frame.read(v, node.span) if isinstance(v, Owned) else v for v in values]
    odd = next((v for v in tensors if not isinstance(v, Tensor)), None)
    if odd is not None or not tensors:
        what = describe(odd if odd is not None else value)
        raise Fault(error("NNS311", f"a scan yields tensors, not {what}", node.value.span, "not a tensor"))
    into.values = tensors
    into.places = _places(node.value, len(tensors))


def _places(node: ast.Expr, count: int) -> list[Span]:
    """Where each yielded value is written."""
    items: list[Span] = []
    if isinstance(node, ast.Tuple):
        items = [item.value.span for item in node.items]
    elif isinstance(node, ast.List):
        items = [item.span for item in node.items]
    return items if len(items) == count else [node.span] * count


def _yielded(frame: Frame) -> tuple[list[Tensor], list[Span]]:
    assert frame.yielded is not None
    return frame.yielded.values, frame.yielded.places


def _stacked(frame: Frame, type_: TensorType, length: Size, dim: int, span: Span) -> TensorType:
    """The type of a yielded value over all steps."""
    rank = type_.rank + 1
    if not -rank <= dim < rank:
        message = f"values of type {type_} cannot be stacked along dim={dim}"
        raise Fault(error("NNS411", message, span, "has too few dimensions"))
    dims = list(type_.dims)
    dims.insert(dim % rank, length)
    return type_.with_dims(*dims)


def _closed(
    graph: GraphBuilder, first: tuple[int, int], inputs: Sequence[Tensor], results: Sequence[Tensor]
) -> tuple[ir.Graph, list[int]]:
    """The nodes and values of a step as a graph of its own, and the values from outside that it uses."""
    nodes, start = graph.nodes[first[0] :], first[1]
    captures: dict[int, None] = {}
    for node in nodes:
        if not isinstance(node, ir.Read):
            captures.update(dict.fromkeys(v for v in ir.refs(node.inputs) if v < start))
    captures.update(dict.fromkeys(r.id for r in results if r.id < start))
    count = len(inputs)
    order = [*(tensor.id for tensor in inputs), *captures, *range(start + count, len(graph.values))]
    numbers = {old: new for new, old in enumerate(order)}
    values = tuple(graph.named(old) for old in order)
    moved_nodes = tuple(renumbered(node, numbers.__getitem__) for node in nodes)
    outputs = moved(tuple(ir.Ref(r.id) for r in results), numbers.__getitem__)
    return ir.Graph(tuple(range(count + len(captures))), values, moved_nodes, outputs), list(captures)
