"""What a fix does to the text: the lines that go and the lines that come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnspec.diagnostics import Edit, Fix, Source, Sources


class Hunk(NamedTuple):
    """Neighbouring lines that a fix replaces; `first_line` counts before the fix, `new_first_line` after it."""

    source: int
    first_line: int
    new_first_line: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def last_line(self) -> int:
        """The greatest line number that it mentions."""
        return max(self.first_line + len(self.old), self.new_first_line + len(self.new)) - 1

    @property
    def extent(self) -> tuple[int, int]:
        """Where its first lines begin and cease to differ, in characters: what to keep in sight of a long line."""
        old, new = self.old[0] if self.old else "", self.new[0] if self.new else ""
        start = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        return start, start + 1


def hunks(fix: Fix, sources: Sources) -> list[Hunk]:
    """The changes of a fix, by source and line. Of edits that overlap the first counts."""
    result: list[Hunk] = []
    for number, source in enumerate(sources.items):
        shift = 0
        edits = sorted((e for e in fix.edits if e.span.source == number), key=lambda e: (e.span.start, e.span.end))
        for group in _neighbours(edits, source):
            hunk = _hunk(number, source, group, shift)
            shift += len(hunk.new) - len(hunk.old)
            if hunk.old or hunk.new:
                result.append(hunk)
    return result


def applied(text: str, edits: Sequence[Edit], start: int = 0) -> str:
    """A text that begins at offset `start` of its source, after edits sorted by place."""
    pieces: list[str] = []
    at = start
    for edit in edits:
        if edit.span.start >= at:
            pieces += [text[at - start : edit.span.start - start], edit.text]
            at = edit.span.end
    return "".join([*pieces, text[at - start :]])


def _neighbours(edits: Sequence[Edit], source: Source) -> list[list[Edit]]:
    """Edits in groups whose lines touch."""
    groups: list[list[Edit]] = []
    last = -1
    for edit in edits:
        if source.position(edit.span.start)[0] > last + 1 or not groups:
            groups.append([])
        groups[-1].append(edit)
        last = max(last, source.position(edit.span.end)[0])
    return groups


def _hunk(number: int, source: Source, edits: Sequence[Edit], shift: int) -> Hunk:
    first = source.position(edits[0].span.start)[0]
    last = source.position(max(edit.span.end for edit in edits))[0]
    start = source.starts[first - 1]
    end = source.starts[last] - 1 if last < len(source.starts) else len(source.text)
    text = source.text[start:end]
    old, new = text.split("\n"), applied(text, edits, start).split("\n")
    same = next((k for k, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    old, new = old[same:], new[same:]
    while old and new and old[-1] == new[-1]:
        old.pop()
        new.pop()
    return Hunk(number, first + same, first + same + shift, _lines(old), _lines(new))


def _lines(lines: Sequence[str]) -> tuple[str, ...]:
    return tuple(line.rstrip("\r") for line in lines)
