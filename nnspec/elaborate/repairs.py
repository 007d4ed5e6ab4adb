"""Repairs: what brings two branches together, and arguments that are better left out."""

from __future__ import annotations

import re

from nnspec.diagnostics import Edit, Fix, Label, Span
from nnspec.dims import Dim, Size, floordiv
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.traces import Way
from nnspec.elaborate.values import LayerRecipe
from nnspec.layer import ShapeError

_MOST_STRIDE = 8


class Repair:
    """What to say about a repair, and its edits where they are known."""

    __slots__ = ("fixes", "helps", "labels")

    def __init__(
        self, helps: tuple[str, ...] = (), fixes: tuple[Fix, ...] = (), labels: tuple[Label, ...] = ()
    ) -> None:
        self.helps = helps
        self.fixes = fixes
        self.labels = labels


def projection(frame: Frame, shorter: Way, longer: Way, apart: int, at: Span) -> Repair | None:
    """What brings the shorter of two ways to the shape of the longer one; None when nothing simple does."""
    source, target = shorter.type(shorter.ids[-1]), longer.type(longer.ids[-1])
    rank = source.rank
    wrong = [i for i in range(rank) if frame.proof.equal(source.dims[i], target.dims[i]) is not True]
    layers = [longer.layer(value) for value in longer.ids[apart:]]
    conv = next((type(x).__name__ for x in layers if x is not None and type(x).__name__.startswith("Conv")), None)
    channels = 1 if conv and rank > 2 else rank - 1
    if conv and rank > 2 and wrong and channels not in wrong:
        padded = _padding(longer, apart)
        if padded is not None:
            return padded
    size = target.dims[channels]
    if isinstance(size, Dim) or 0 in wrong:
        return None
    spatial = [i for i in wrong if i != channels]
    stride = _stride(source.dims, target.dims, range(2, rank)) if conv and spatial else 1
    if (spatial and stride is None) or (spatial and not conv):
        return None
    step = f", stride={stride}" if stride and stride > 1 else ""
    text = f"{_plain(conv)}({size}, 1{step})" if conv and rank > 2 else f"Linear({size})"
    return _written(frame, shorter, text, at)


def _plain(conv: str) -> str:
    """The convolution of the same rank that a projection is."""
    return "Conv" + conv[-2:]


def _written(frame: Frame, way: Way, text: str, at: Span) -> Repair:
    """The projection written in place of the operand, where the operand is a name beside the operator."""
    graph = frame.graph
    name = graph.hints.get(way.ids[-1], "") if graph is not None else ""
    help_ = f"bring `{name}` to the shape of the other by a projection" if name else ""
    if not name:
        return Repair((f"bring the shorter branch to the shape of the other by a projection: `-> {text}`",))
    place = _beside(frame, name, at)
    if place is None:
        return Repair((f"{help_}: `{name} -> {text}`",))
    return Repair(fixes=(Fix(help_, (Edit(place, f"({name} -> {text})"),)),))


def _beside(frame: Frame, name: str, at: Span) -> Span | None:
    """The place of a name that stands right beside an operator."""
    source = frame.session.sources[at.source].text
    before = re.search(rf"(?<![\w.]){re.escape(name)}[ \t]*\Z", source[max(0, at.start - 200) : at.start])
    if before is not None:
        start = max(0, at.start - 200) + before.start()
        return Span(start, start + len(name), at.source)
    after = re.match(rf"[ \t]*({re.escape(name)})(?![\w.(\[])", source[at.end : at.end + 200])
    if after is not None:
        return Span(at.end + after.start(1), at.end + after.end(1), at.source)
    return None


def _stride(source: tuple[Size, ...], target: tuple[Size, ...], axes: range) -> int | None:
    """The stride of a 1 x 1 convolution that makes the target's sizes of the source's."""
    for stride in range(1, _MOST_STRIDE + 1):
        sizes: list[Size] = [floordiv(source[i] - 1, stride) + 1 for i in axes]
        if sizes == [target[i] for i in axes]:
            return stride
    return None


def _padding(way: Way, apart: int) -> Repair | None:
    """For a branch that keeps its channels and loses its border: the padding that keeps the size."""
    for value in way.ids[max(apart, 1) :]:
        layer = way.layer(value)
        kernel, stride = getattr(layer, "kernel_size", None), getattr(layer, "stride", None)
        if isinstance(kernel, int) and kernel % 2 and stride == 1 and getattr(layer, "padding", None) == 0:
            reach = getattr(layer, "dilation", 1)
            if isinstance(reach, int) and kernel > 1:
                return _padded(way, value, f"padding={reach * (kernel - 1) // 2}")
    return None


def _padded(way: Way, value: int, text: str) -> Repair:
    labels = tuple(way.label(value, f"produces {way.type(value)}"))
    title = f"keep the size with `{text}`"
    span = way.span(value)
    written = way.frame.session.text(span) if span is not None else ""
    if span is None or not written.endswith(")"):
        return Repair((title,), (), labels)
    return Repair((), (Fix(title, (Edit(Span(span.end - 1, span.end, span.source), f", {text})"),)),), labels)


def drop_argument(frame: Frame, recipe: LayerRecipe, fault: ShapeError) -> tuple[Fix, ...]:
    """The repair of an inferred size that was given wrong: leave it out."""
    spec = recipe.layer.fields.get(fault.at or "")
    span = recipe.spans.get(fault.at or "")
    if spec is None or not spec.inferred or span is None:
        return ()
    return (Fix("let the compiler infer it", (removal(frame, span),), safe=True),)


def removal(frame: Frame, span: Span) -> Edit:
    """What takes an argument out of a call, with the comma that parts it from the others."""
    source = frame.session.sources[span.source].text
    start, end = span.start, span.end
    before = source[:start].rstrip()
    if before.endswith(","):
        start = len(before) - 1
    elif source[end:].lstrip().startswith(","):
        rest = source[end:].lstrip()[1:]
        end = len(source) - len(rest.lstrip(" "))
    return Edit(Span(start, end, span.source), "")
