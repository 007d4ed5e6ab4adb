"""What nnspec says about a spec: places in a text, diagnostics, and the sink that collects them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]


class Span(NamedTuple):
    """A half-open range of characters in one source; `source` indexes `Sources`."""

    start: int
    end: int
    source: int = 0

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other`."""
        return Span(self.start, other.end, self.source)


class Source:
    """One text with its name, and the way from offsets to lines."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """Offsets at which lines start."""
        if self._starts is None:
            self._starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                self._starts.append(at + 1)
                at = self.text.find("\n", at + 1)
        return self._starts

    def position(self, offset: int) -> tuple[int, int]:
        """1-based line and column of an offset (clipped to the text)."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its end; empty past the last one."""
        if not 1 <= number <= len(self.starts):
            return ""
        start = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def __getitem__(self, span: Span) -> str:
        return self.text[span.start : span.end]


@dataclass(frozen=True, slots=True)
class Label:
    """A remark at a place; the primary one of a diagnostic must make sense alone."""

    span: Span
    text: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace what `span` covers by `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair: `safe` when it cannot change what a correct part of the spec means."""

    title: str
    edits: tuple[Edit, ...] = ()
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a shape trace: what was applied, where, and the type that came out."""

    what: str
    type: str
    span: Span | None = None
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One fault (or warning): a stable code, a sentence, places, reasons and repairs."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    severity: Severity = "error"
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    trace: tuple[Step, ...] = ()

    @property
    def primary(self) -> Label | None:
        """The label that stands alone in an editor."""
        for label in self.labels:
            if label.primary:
                return label
        return self.labels[0] if self.labels else None

    @property
    def span(self) -> Span:
        """Where it is: the primary label's place, or the start of the first source."""
        label = self.primary
        return label.span if label else Span(0, 0)


def error(
    code: str,
    message: str,
    span: Span | None,
    label: str = "",
    *,
    others: Iterable[Label] = (),
    notes: Sequence[str] = (),
    helps: Sequence[str] = (),
    fixes: Sequence[Fix] = (),
    trace: Sequence[Step] = (),
    severity: Severity = "error",
) -> Diagnostic:
    """Build a diagnostic whose primary label is `label` at `span`."""
    primary = (Label(span, label, primary=True),) if span is not None else ()
    return Diagnostic(
        code, message, (*primary, *others), severity, tuple(notes), tuple(helps), tuple(fixes), tuple(trace)
    )


@dataclass
class Sources:
    """The texts that spans point into, by number."""

    items: list[Source] = field(default_factory=list)

    def add(self, name: str, text: str) -> int:
        """Register a text; its number is what spans carry."""
        self.items.append(Source(name, text))
        return len(self.items) - 1

    def __getitem__(self, index: int) -> Source:
        return self.items[index]

    def text(self, span: Span) -> str:
        """The author's own words at a place."""
        return self.items[span.source][span]


class Sink:
    """Collects diagnostics; two of the same code and place are one."""

    LIMIT = 200

    def __init__(self) -> None:
        self._items: dict[tuple[str, Span], Diagnostic] = {}

    def report(self, diagnostic: Diagnostic) -> None:
        """Keep a diagnostic unless the same fault was reported before."""
        if len(self._items) < self.LIMIT:
            self._items.setdefault((diagnostic.code, diagnostic.span), diagnostic)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them, sorted by place."""
        return tuple(sorted(self._items.values(), key=lambda d: (d.span.source, d.span.start, d.code)))

    @property
    def full(self) -> bool:
        """Whether nothing more is kept."""
        return len(self._items) >= self.LIMIT

    @property
    def failed(self) -> bool:
        """Whether there was an error."""
        return any(d.severity == "error" for d in self._items.values())


class NnspecError(Exception):
    """Raised at the public boundary only: the spec has errors, all of them in `diagnostics`."""

    def __init__(self, diagnostics: Sequence[Diagnostic], sources: Sources | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        self.sources = sources or Sources()
        super().__init__(self._text())

    def _text(self) -> str:
        lines = []
        for d in self.diagnostics:
            place = ""
            if d.labels and self.sources.items:
                source = self.sources[d.span.source]
                line, column = source.position(d.span.start)
                place = f"{source.name}:{line}:{column}: "
            helps = [*d.helps, *(fix.title for fix in d.fixes)]
            remarks = [*(f"note: {n}" for n in d.notes), *(f"help: {h}" for h in helps)]
            lines.append("\n  ".join([f"{place}{d.severity}[{d.code}]: {d.message}", *remarks]))
        return "\n".join(lines)
