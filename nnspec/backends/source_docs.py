"""What leads from emitted source back to the spec: docstrings, and lines of the spec in comments."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import PurePath, PureWindowsPath
from typing import Any

from nnspec import ir
from nnspec.backends.source_line import Line
from nnspec.backends.source_text import WIDTH, quote
from nnspec.diagnostics import Span
from nnspec.dims import Dim, show


class Places:
    """The lines of a program's sources: where a span begins, in words."""

    def __init__(self, program: ir.Program) -> None:
        self._sources = program.sources
        self._starts: dict[int, list[int]] = {}

    def line(self, span: Span | None) -> tuple[int, int] | None:
        """The source and the line (from 1) that a span begins in."""
        if span is None or not 0 <= span.source < len(self._sources):
            return None
        starts = self._starts.get(span.source)
        if starts is None:
            text = self._sources[span.source][1]
            starts = self._starts[span.source] = [0, *(at + 1 for at, c in enumerate(text) if c == "\n")]
        return span.source, bisect_right(starts, span.start)

    def words(self, span: Span | None) -> str:
        """`net.nns, line 12`; just the line where the source is no file."""
        found = self.line(span)
        if found is None:
            return ""
        name = self._sources[found[0]][0]
        if name.startswith("<"):
            return f"line {found[1]}"
        file = "".join(c if c.isprintable() else " " for c in PureWindowsPath(PurePath(name).name).name)
        return f"{file}, line {found[1]}"

    def note(self, lines: Sequence[Line], home: Span | None) -> None:
        """Add to the first statement from each line of the spec which line that is."""
        before = None
        for line in lines:
            found = self.line(line.span)
            if found is not None and found != before:
                before = found
                same_file = home is not None and found[0] == home.source
                line.origin = f"line {found[1]}" if same_file else self.words(line.span)


def describe(modules: Sequence[ir.Module], doc: str, place: str, parameters: Iterable[str]) -> str:
    """The docstring of a class: the block's own words, without examples in the language, and where it comes from."""
    module = modules[0]
    doc = "\n\n".join(_flowing(part) for part in doc.split("\n\n") if not part.startswith("Example: "))
    if len(modules) == 1:
        arguments = ", ".join(f"{name}={say(attr.value)}" for name, attr in module.arguments.items())
        sizes = ", ".join(f"{name} = {size}" for name, size in module.sizes.items())
    else:
        arguments, sizes = ", ".join(parameters), ""
    text = f"{module.name}({arguments})" if arguments else module.name
    text += f" for {sizes}" if sizes else ""
    text = text if len(text) + len(place) < WIDTH - 13 else module.name
    text += f" ({place})." if place else "."
    return f"{doc}\n\n{text}" if doc else text


def _flowing(paragraph: str) -> str:
    """A paragraph on one line, to be broken anew, where its own lines are too long; no list, which has other lines."""
    lines = paragraph.splitlines()
    whole = all(line[:1].isalnum() or line[:1] in "`[(" for line in lines)
    return " ".join(lines) if whole and any(len(line) > WIDTH - 7 for line in lines) else paragraph


def say(value: Any) -> str:
    """A compile-time value in the language's words, for a docstring."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "none"}[value]
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(say, value))}]"
    if isinstance(value, ir.Record):
        inside = ", ".join(f"{name}={say(v)}" for name, v in value.arguments.items())
        return f"{value.name}({inside})" if inside else value.name
    return show(value) if isinstance(value, Dim) else repr(value)
