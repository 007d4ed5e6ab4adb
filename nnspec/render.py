"""Diagnostics as text for the terminal, as one line each, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nnspec.diagnostics import Diagnostic, Label, Severity, Sources, Span, Step
from nnspec.patch import Hunk, hunks
from nnspec.snippet import LineView, Paint, Snippet, visible, width

JSON_VERSION = 1
"""Grows when a field of `as_json` goes or changes its meaning; fields may be added within a version."""

_TRACE_TITLE = "shapes on the way to this layer:"
_LONGEST_TEXT = 2000
_LONGEST_TRACE = 24
_STYLES = {
    "error": "1;31",
    "warning": "1;33",
    "strong": "1",
    "gutter": "1;34",
    "secondary": "1;34",
    "removed": "31",
    "added": "32",
}


def render(diagnostic: Diagnostic, sources: Sources, color: bool = False) -> str:
    """One diagnostic as the terminal shows it: message, excerpts, reasons and repairs, without a last newline."""
    return "\n".join(_Page(diagnostic, sources, _painter(diagnostic.severity, color)).rows())


def render_all(diagnostics: Sequence[Diagnostic], sources: Sources, color: bool = False) -> str:
    """All of them, and how many there were; empty when there were none."""
    if not diagnostics:
        return ""
    parts = [render(diagnostic, sources, color) for diagnostic in diagnostics]
    return "\n\n".join([*parts, _painter("error", color)(tally(diagnostics), "strong")])


def tally(diagnostics: Iterable[Diagnostic]) -> str:
    """How many errors and warnings there are: `2 errors, 1 warning`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(severity), severity) for severity in ("error", "warning")]
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n) or "no errors"


def concise(diagnostic: Diagnostic, sources: Sources) -> str:
    """One line, as compilers and editors' problem matchers have it: `file:line:col: error[NNS401]: message`."""
    head = f"{diagnostic.severity}[{diagnostic.code}]: {_short(diagnostic.message)}"
    if not _known(diagnostic.primary, sources):
        return head
    source = sources[diagnostic.span.source]
    line, column = source.position(diagnostic.span.start)
    return f"{visible(source.name)}:{line}:{column}: {head}"


def as_json(diagnostics: Sequence[Diagnostic], sources: Sources) -> str:
    """All of them as one JSON object, on one line.

    `{"version": 1, "diagnostics": [...]}`, where a diagnostic has `code`, `severity` ("error" or "warning"), `message`,
    `labels` (`text`, `primary` and a place), `notes` and `helps` (sentences), `fixes` (`title`, `safe`, `edits` that
    each replace a place by `text`) and `trace` (`what`, `type`, `rule` and, where it is known, a place).

    A place is `file`, the offsets `start` and `end` (characters from 0, `end` exclusive), and the same as `line`,
    `column`, `end_line` and `end_column` (from 1). The first primary label stands for the diagnostic.
    """
    import json

    entries = [_entry(diagnostic, sources) for diagnostic in diagnostics]
    return json.dumps({"version": JSON_VERSION, "diagnostics": entries})


def _entry(diagnostic: Diagnostic, sources: Sources) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "labels": [
            {"text": label.text, "primary": label.primary, **_place(label.span, sources)} for label in diagnostic.labels
        ],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
        "fixes": [
            {
                "title": fix.title,
                "safe": fix.safe,
                "edits": [{"text": edit.text, **_place(edit.span, sources)} for edit in fix.edits],
            }
            for fix in diagnostic.fixes
        ],
        "trace": [
            {"what": step.what, "type": step.type, "rule": step.rule, **_place(step.span, sources)}
            for step in diagnostic.trace
        ],
    }


def _place(span: Span | None, sources: Sources) -> dict[str, Any]:
    if span is None or span.source >= len(sources.items):
        return {}
    source = sources[span.source]
    line, column = source.position(span.start)
    end_line, end_column = source.position(span.end)
    return {
        "file": source.name,
        "start": span.start,
        "end": span.end,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


class _Page:
    """The rows of one diagnostic; all line numbers on it are as wide as the widest."""

    def __init__(self, diagnostic: Diagnostic, sources: Sources, paint: Paint) -> None:
        self._diagnostic = diagnostic
        self._sources = sources
        self._paint = paint
        self._home = diagnostic.span.source
        self._snippets = [
            (labels[0], Snippet(sources[labels[0].span.source], labels)) for labels in _by_source(diagnostic, sources)
        ]
        self._fixes = [(fix, hunks(fix, sources)) for fix in diagnostic.fixes]
        numbers = [line for _, snippet in self._snippets for line in snippet.lines]
        numbers += [hunk.last_line for _, group in self._fixes for hunk in group]
        self._digits = len(str(max(numbers, default=1)))
        self._bar = paint(" " * (self._digits + 2) + "|", "gutter")

    def rows(self) -> list[str]:
        """Message, excerpts, notes, helps, fixes."""
        diagnostic, paint = self._diagnostic, self._paint
        head = paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity)
        rows = [head + paint(f": {_short(diagnostic.message)}", "strong")]
        for label, snippet in self._snippets:
            rows += [self._arrow(label), self._bar, *snippet.rows(self._digits, paint)]
        if self._snippets and (diagnostic.trace or diagnostic.notes):
            rows.append(self._bar)
        if diagnostic.trace:
            rows += self._remark("note", [_TRACE_TITLE, *self._trace()])
        for note in diagnostic.notes:
            rows += self._remark("note", note.split("\n"))
        for text in diagnostic.helps:
            rows += self._remark("help", text.split("\n"))
        for fix, group in self._fixes:
            rows += self._remark("help", [fix.title])
            for hunk in group:
                rows += self._hunk(hunk)
        return rows

    def _arrow(self, label: Label) -> str:
        arrow = "-->" if label.span.source == self._home else ":::"
        source = self._sources[label.span.source]
        line, column = source.position(label.span.start)
        return f"{self._paint(' ' * (self._digits + 1) + arrow, 'gutter')} {visible(source.name)}:{line}:{column}"

    def _remark(self, kind: str, lines: Sequence[str]) -> list[str]:
        indent = " " * (self._digits + 2)
        first = f"{indent}{self._paint('=', 'gutter')} {self._paint(kind, 'strong')}: {_short(lines[0])}"
        rest = indent + " " * len(f"= {kind}: ")
        return [first, *((rest + _short(line)).rstrip() for line in lines[1:])]

    def _trace(self) -> list[str]:
        """The trace as a table with aligned columns; a line is named where it changes."""
        cells: list[tuple[str, str, str, str]] = []
        previous = ""
        for step in self._diagnostic.trace:
            place = self._step_place(step)
            cells.append((_short(step.what), _short(step.type), "" if place == previous else place, _short(step.rule)))
            previous = place
        if len(cells) > _LONGEST_TRACE:
            left_out = f"({len(cells) - _LONGEST_TRACE} steps more)"
            cells = [*cells[:4], (left_out, "", "", ""), *cells[4 - _LONGEST_TRACE :]]
        widths = [max(width(row[k]) for row in cells) for k in range(3)]
        return [
            "  " + "".join(row[k] + " " * (widths[k] - width(row[k]) + 3) for k in range(3)) + row[3] for row in cells
        ]

    def _step_place(self, step: Step) -> str:
        if step.span is None or step.span.source >= len(self._sources.items):
            return ""
        source = self._sources[step.span.source]
        line, _ = source.position(step.span.start)
        return f"line {line}" if step.span.source == self._home else f"{visible(source.name)}:{line}"

    def _hunk(self, hunk: Hunk) -> list[str]:
        rows = [self._bar]
        if hunk.source != self._home:
            name = visible(self._sources[hunk.source].name)
            rows.insert(0, f"{self._paint(' ' * (self._digits + 1) + ':::', 'gutter')} {name}:{hunk.first_line}")
        for sign, style, number, lines in (
            ("-", "removed", hunk.first_line, hunk.old),
            ("+", "added", hunk.new_first_line, hunk.new),
        ):
            for offset, line in enumerate(lines):
                gutter = self._paint(f" {number + offset:>{self._digits}}", "gutter")
                text = LineView(line, *hunk.extent).text
                rows.append(f"{gutter} {self._paint(f'{sign} {text}'.rstrip(), style)}")
        return rows


def _by_source(diagnostic: Diagnostic, sources: Sources) -> list[list[Label]]:
    """The labels by file: the primary label's file first, and in it the primary label."""
    primary = diagnostic.primary
    labels = [label for label in diagnostic.labels if _known(label, sources)]
    home = diagnostic.span.source
    labels.sort(key=lambda label: (label is not primary, label.span.source != home, label.span.source))
    groups: dict[int, list[Label]] = {}
    for label in labels:
        groups.setdefault(label.span.source, []).append(label)
    return list(groups.values())


def _known(label: Label | None, sources: Sources) -> bool:
    return label is not None and label.span.source < len(sources.items)


def _short(text: str) -> str:
    return visible(text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "...").rstrip()


def _painter(severity: Severity, color: bool) -> Paint:
    if not color:
        return lambda text, style: text
    styles = {**_STYLES, "primary": _STYLES[severity]}

    def paint(text: str, style: str) -> str:
        return f"\x1b[{styles[style]}m{text}\x1b[0m" if style else text

    return paint
