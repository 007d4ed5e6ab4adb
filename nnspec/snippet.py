"""Excerpts of a source with places underlined, as rows of a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from nnspec.diagnostics import Label, Source

Paint = Callable[[str, str], str]
"""Colours a text in a named style, or returns it as it is."""

LINE_WIDTH = 112
"""How many characters of a source line are shown; of a longer one, a window around the labels."""

_TAB = 4
_CUT = "..."
_SHORT_BLOCK = 5
_MARKS = {"primary": "^", "secondary": "-"}


def visible(text: str) -> str:
    """The text with what would not show as itself (ESC, bidi controls, lone surrogates) spelled out."""
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def width(text: str) -> int:
    """How many terminal columns a visible text takes."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


class LineView:
    """A source line as shown: tabs expanded, controls spelled out, a long line cut around `[first, last)`."""

    def __init__(self, line: str, first: int = 0, last: int = 0) -> None:
        start = _window_start(len(line), first, last)
        end = min(len(line), start + LINE_WIDTH)
        pieces = [_CUT] if start else []
        self._start = start
        self._columns = [len(_CUT) if start else 0]
        for character in line[start:end]:
            column = self._columns[-1]
            piece = " " * (_TAB - column % _TAB) if character == "\t" else _visible_character(character)
            pieces.append(piece)
            self._columns.append(column + width(piece))
        self.text = "".join(pieces) + (_CUT if end < len(line) else "")

    def column(self, index: int) -> int:
        """The terminal column of the line's character `index`; what was cut away lies at the near edge."""
        if index < self._start:
            return 0
        return self._columns[min(index - self._start, len(self._columns) - 1)]


def _window_start(length: int, first: int, last: int) -> int:
    if length <= LINE_WIDTH:
        return 0
    fits = last - first <= LINE_WIDTH - 8
    start = (first + last - LINE_WIDTH) // 2 if fits else first - 8
    return max(0, min(start, length - LINE_WIDTH))


class Row:
    """One row of the terminal, one cell a column; what is written later covers what was there."""

    def __init__(self) -> None:
        self._cells: list[tuple[str, str]] = []

    def put(self, column: int, text: str, style: str = "") -> None:
        """Write at a column, in a style."""
        cells: list[tuple[str, str]] = []
        for character in text:
            size = _character_width(character)
            if size == 0 and cells:
                cells[-1] = (cells[-1][0] + character, style)
            else:
                cells += [(character, style), ("", style)][: max(size, 1)]
        self._cells += [(" ", "")] * (column - len(self._cells))
        self._cells[column : column + len(cells)] = cells

    def paint(self, paint: Paint) -> str:
        """The row as text, each run of one style painted once."""
        size = len(self._cells)
        while size and self._cells[size - 1][0] == " ":
            size -= 1
        parts: list[str] = []
        start = 0
        for at in range(1, size + 1):
            if at == size or self._cells[at][1] != self._cells[start][1]:
                parts.append(paint("".join(text for text, _ in self._cells[start:at]), self._cells[start][1]))
                start = at
        return "".join(parts)


class _Place(NamedTuple):
    """A label in lines and 0-based characters; `end` is exclusive and on the last line that the label covers."""

    line: int
    start: int
    last_line: int
    end: int
    text: str
    style: str


def _place(source: Source, label: Label) -> _Place:
    line, column = source.position(label.span.start)
    last_line, last_column = source.position(max(label.span.start, label.span.end - 1))
    # A line's end inside the span is not a character to underline; an empty span is shown as one character.
    end = min(last_column, max(1, len(source.line(last_line))))
    if line == last_line:
        end = max(end, column)
    return _Place(line, column - 1, last_line, end, visible(label.text), "primary" if label.primary else "secondary")


class Snippet:
    """The lines of one source that labels point at."""

    def __init__(self, source: Source, labels: Iterable[Label]) -> None:
        self._source = source
        places = [_place(source, label) for label in labels]
        self._inline = [place for place in places if place.line == place.last_line]
        self._blocks = _in_slots([place for place in places if place.line != place.last_line])
        self._margin = 2 * (1 + max((slot for _, slot in self._blocks), default=-1))
        self.lines = sorted(self._shown())

    def _shown(self) -> set[int]:
        lines = {place.line for place in self._inline}
        for place, _ in self._blocks:
            whole = place.last_line - place.line < _SHORT_BLOCK
            lines.update(range(place.line, place.last_line + 1) if whole else (place.line, place.last_line))
        return lines

    def rows(self, number_width: int, paint: Paint) -> list[str]:
        """The excerpt: numbered lines, and under each what its labels say."""
        gutter = " " * (number_width + 2) + "|"
        rows: list[tuple[str, Row]] = []
        previous = 0
        for number in self.lines:
            if number > previous + 1 and self._open_above(number):
                rows.append(("...".ljust(number_width + 2) + "|", self._barred(number)))
            source_row, *notes = self._line(number)
            rows.append((f" {number:>{number_width}} |", source_row))
            rows += [(gutter, note) for note in notes]
            previous = number
        return [_joined(paint(before, "gutter"), row.paint(paint)) for before, row in rows]

    def _line(self, number: int) -> list[Row]:
        """The row of a source line and the rows of its labels."""
        inline = [place for place in self._inline if place.line == number]
        starts = [block for block in self._blocks if block[0].line == number]
        ends = [block for block in self._blocks if block[0].last_line == number]
        firsts = [p.start for p in inline] + [p.start for p, _ in starts] + [p.end - 1 for p, _ in ends]
        lasts = [p.end for p in inline] + [p.start + 1 for p, _ in starts] + [p.end for p, _ in ends]
        view = LineView(self._source.line(number), min(firsts, default=0), max(lasts, default=0))
        top = self._barred(number)
        top.put(self._margin, view.text)
        rows = [top, *self._inline_rows(number, inline, view)]
        closed: set[int] = set()
        for place, slot in reversed(ends):
            at = self._margin + view.column(place.end - 1)
            row = self._connector(number, place, slot, at, closed)
            row.put(at + 2, place.text, place.style)
            rows.append(row)
            closed.add(slot)
        opened: set[int] = set()
        for place, slot in starts:
            rows.append(self._connector(number, place, slot, self._margin + view.column(place.start), closed, opened))
            opened.add(slot)
        return rows

    def _inline_rows(self, number: int, places: Sequence[_Place], view: LineView) -> list[Row]:
        """Underlines, the last label's text beside them, and the other texts hung below on bars."""
        if not places:
            return []
        extents = {p: (view.column(p.start), max(view.column(p.end), view.column(p.start) + 1)) for p in places}
        marks = self._barred(number)
        for place in sorted(places, key=lambda p: p.style == "primary"):
            start, end = extents[place]
            marks.put(self._margin + start, _MARKS[place.style] * (end - start), place.style)
        # From right to left; of labels that start together the primary one comes first.
        texts = sorted((p for p in places if p.text), key=lambda p: (-extents[p][0], p.style))
        right = max(end for _, end in extents.values())
        rows = [marks]
        if texts and extents[texts[0]][1] == right:
            marks.put(self._margin + right + 1, texts[0].text, texts[0].style)
            texts = texts[1:]
        if texts:
            rows.append(self._hangers(number, texts, extents))
        for at, place in enumerate(texts):
            column = extents[place][0]
            row = self._hangers(number, [p for p in texts[at + 1 :] if extents[p][0] < column], extents)
            row.put(self._margin + column, place.text, place.style)
            rows.append(row)
        return rows

    def _hangers(self, number: int, places: Sequence[_Place], extents: dict[_Place, tuple[int, int]]) -> Row:
        row = self._barred(number)
        for place in places:
            row.put(self._margin + extents[place][0], "|", place.style)
        return row

    def _connector(
        self, number: int, place: _Place, slot: int, at: int, closed: Iterable[int], opened: Iterable[int] = ()
    ) -> Row:
        """A line from the margin to the first or last character of a block; bars that it crosses stay visible."""
        row = Row()
        row.put(2 * slot + 1, "_" * (at - 2 * slot - 1) + _MARKS[place.style], place.style)
        return self._barred(number, closed, opened, row)

    def _barred(
        self, number: int, closed: Iterable[int] = (), opened: Iterable[int] = (), row: Row | None = None
    ) -> Row:
        """A row with the bars of the blocks that are open at a line."""
        row = row or Row()
        for place, slot in self._blocks:
            inside = place.line < number <= place.last_line
            if (inside and slot not in closed) or (place.line == number and slot in opened):
                row.put(2 * slot, "|", place.style)
        return row

    def _open_above(self, number: int) -> bool:
        return any(place.line < number <= place.last_line for place, _ in self._blocks)


def _in_slots(blocks: Sequence[_Place]) -> list[tuple[_Place, int]]:
    """Blocks with a column of the margin each: those that overlap get different ones, outer ones further left."""
    free_from: list[int] = []
    result: list[tuple[_Place, int]] = []
    for place in sorted(blocks, key=lambda p: (p.line, -p.last_line, p.start)):
        slot = next((k for k, line in enumerate(free_from) if line < place.line), len(free_from))
        free_from[slot : slot + 1] = [place.last_line]
        result.append((place, slot))
    return result


def _joined(gutter: str, text: str) -> str:
    return f"{gutter} {text}" if text else gutter
