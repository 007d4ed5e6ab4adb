"""What is said when a shape rule says no: the place, where the shapes come from, and what would repair it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span, error
from nnspec.dims import Dim, Size, show, symbols
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.repairs import projection
from nnspec.elaborate.traces import Way, both, fork, single
from nnspec.elaborate.values import Fault, Owned, Tensor
from nnspec.layer import ShapeError

_AXES = {-1: "width", -2: "height", -3: "depth"}


def shape_fault(
    frame: Frame,
    fault: ShapeError,
    span: Span,
    *,
    spans: dict[str, Span] | None = None,
    sources: tuple[Any, ...] = (),
    fixes: tuple[Fix, ...] = (),
) -> Fault:
    """A shape rule's complaint as a diagnostic; `sources` are the operands, `spans` the places of the arguments."""
    spans = spans or {}
    if frame.session.sink.full:
        return Fault(error(fault.code, fault.message, spans.get(fault.at or "", span)))
    helps = list(fault.helps)
    fixes = (*fixes, *_instead(frame, fault, spans))
    titles = {fix.title for fix in fixes}
    helps = [h for h in helps if h not in titles and not (fault.instead and fixes)]
    diagnostic = error(
        fault.code,
        fault.message,
        spans.get(fault.at or "", span),
        fault.label,
        notes=fault.notes,
        helps=helps,
        fixes=fixes,
    )
    pair = _pair(frame, fault, sources)
    if fault.code == "NNS412":
        return Fault(diagnostic)  # how many flow in, whatever their shapes are
    if pair is not None:
        diagnostic = _between(frame, fault, diagnostic, *pair)
    else:
        diagnostic = from_origin(frame, diagnostic, _source(frame, fault, sources), shrunk=_shrunk_axis(fault))
    if fault.sizes is not None:
        diagnostic = _with_symbols(frame, diagnostic, fault.sizes)
    if fault.fact is not None:
        fact = f"if it always holds, say so before: `assert {fault.fact}`"
        diagnostic = replace(diagnostic, helps=(*diagnostic.helps, fact))
    return Fault(diagnostic)


def _instead(frame: Frame, fault: ShapeError, spans: dict[str, Span]) -> tuple[Fix, ...]:
    """The fix of an argument that has a better value."""
    if fault.instead is None or fault.instead[0] not in spans:
        return ()
    name, text = fault.instead
    span = spans[name]
    named = re.match(rf"{name}\s*=(?!=)", frame.session.text(span))
    return (Fix(f"use `{name}={text}`", (Edit(span, f"{name}={text}" if named else text),)),)


def _source(frame: Frame, fault: ShapeError, sources: Sequence[Any]) -> Tensor | None:
    """The operand that a complaint is about: the one it names, or the first tensor."""
    if fault.input is not None and fault.input < len(sources):
        found = next(_tensors(frame, sources[fault.input : fault.input + 1]), None)
        if found is not None:
            return found
    return next(_tensors(frame, sources), None)


def _tensors(frame: Frame, values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Owned) and value.path in frame.reads:
            yield frame.reads[value.path]
        elif isinstance(value, (tuple, list)):
            yield from _tensors(frame, value)


# --- one operand -----------------------------------------------------------------------------------------------------


def from_origin(
    frame: Frame, diagnostic: Diagnostic, tensor: Tensor | None, *, shrunk: int | None = None
) -> Diagnostic:
    """The same diagnostic with the way that the tensor came: where it starts, what produced it, all shapes between."""
    if tensor is None or frame.graph is None:
        return diagnostic
    way = Way(frame, tensor)
    labels = way.label(tensor.id)
    if len(way.ids) > 2:
        labels += way.label(way.ids[0], "the chain starts here")
    if shrunk is not None:
        labels = [*_shrinking(way, shrunk), *labels]
    return replace(diagnostic, labels=_merged(diagnostic.labels, labels), trace=single(way))


def _merged(first: Iterable[Label], others: Iterable[Label]) -> tuple[Label, ...]:
    """Labels of which no two stand at one place."""
    labels = {label.span: label for label in first}
    for label in others:
        labels.setdefault(label.span, label)
    return tuple(labels.values())


def _shrunk_axis(fault: ShapeError) -> int | None:
    return fault.axis if fault.code == "NNS403" else None


def _shrinking(way: Way, axis: int) -> list[Label]:
    """The step that took most of a dimension: for a kernel that no longer fits, the pooling that ate its input."""
    worst, at = 1.0, None
    for before, after in zip(way.ids, way.ids[1:], strict=False):
        old, new = way.type(before).dims[axis:][:1], way.type(after).dims[axis:][:1]
        numbers = old and new and isinstance(old[0], int) and isinstance(new[0], int) and new[0] > 0
        if numbers and old[0] / new[0] > worst:  # type: ignore[operator]  # both are numbers
            worst, at = old[0] / new[0], (old[0], new[0], after)  # type: ignore[operator]
    if at is None:
        return []
    name = "length" if axis == -1 and way.type(way.ids[-1]).rank == 3 else _AXES.get(axis, "size")
    return way.label(at[2], f"brings the {name} from {at[0]} to {at[1]}")


# --- two operands ----------------------------------------------------------------------------------------------------


def _pair(frame: Frame, fault: ShapeError, sources: Sequence[Any]) -> tuple[Tensor, Tensor] | None:
    """The two operands whose sizes disagree in a dimension."""
    if fault.sizes is None or fault.axis is None:
        return None
    tensors = list(_tensors(frame, sources))
    found: list[Tensor] = []
    for size in fault.sizes:
        match = [t for t in tensors if t not in found and t.type.dims[fault.axis :][:1] == (size,)]
        found += match[:1]
    return (found[0], found[1]) if len(found) == 2 else None


def _between(frame: Frame, fault: ShapeError, diagnostic: Diagnostic, first: Tensor, second: Tensor) -> Diagnostic:
    """The diagnostic with both operands' places and ways, and a projection where that would help."""
    span = diagnostic.span
    spans = [frame.graph.origins[t.id][0] if frame.graph else None for t in (first, second)]
    if spans[0] is not None and spans[1] is not None and spans[1].end <= span.start and spans[0].start > span.start:
        first, second = second, first
    left, right = Way(frame, first), Way(frame, second)
    labels = [*left.label(first.id), *right.label(second.id)]
    diagnostic = replace(diagnostic, labels=_merged(diagnostic.labels, labels), trace=both(left, right))
    if fault.code == "NNS402" or diagnostic.fixes:
        return diagnostic
    apart = fork(left, right)
    shorter, longer = (left, right) if len(left.ids) - apart <= len(right.ids) - apart else (right, left)
    if not apart or first.type.rank != second.type.rank or fault.message.startswith("`"):
        return diagnostic
    found = projection(frame, shorter, longer, apart, span)
    if found is None:
        text = "bring both to one shape before, for instance by a projection of the shorter way"
        return replace(diagnostic, helps=(*diagnostic.helps, text))
    return replace(
        diagnostic,
        helps=(*diagnostic.helps, *found.helps),
        fixes=found.fixes,
        labels=_merged(diagnostic.labels, found.labels),
    )


def _with_symbols(frame: Frame, diagnostic: Diagnostic, sizes: tuple[Size, Size]) -> Diagnostic:
    """Where the symbols that meet were bound; two that may be one are worth a hint."""
    if any(isinstance(size, Dim) and show(size) not in symbols(size) for size in sizes):
        return diagnostic
    names = [show(size) for size in sizes if isinstance(size, Dim)]
    bound = {symbol.name: symbol.span for symbol in frame.symbols if symbol.span is not None}
    places = [Label(bound[name], f"`{name}` is bound here") for name in names if name in bound]
    if not places:
        return diagnostic
    inside = [p.span for p in places]
    kept = [d for d in diagnostic.labels if d.primary or not any(d.span.start <= p.start < d.span.end for p in inside)]
    diagnostic = replace(diagnostic, labels=_merged(kept, places))
    if len(places) == 2 and diagnostic.code == "NNS410":
        one = f"if they are one size, write `{names[0]}` for `{names[1]}` as well"
        diagnostic = replace(diagnostic, helps=(one, *diagnostic.helps))
    return diagnostic
