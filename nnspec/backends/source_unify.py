"""Making one statement of several that differ in literals only: what differs is filled with an expression.

Two instances of a block that have the same statements become one class. Nothing is assumed about what the statements
mean: they are compared as they would be written, and the merged one says for each instance just what its own said.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from nnspec.backends.source_fill import ANY, Differs, Fill
from nnspec.backends.source_formula import Formula
from nnspec.backends.source_line import Line
from nnspec.backends.source_members import lacks_some, starred, unify_members
from nnspec.backends.source_text import POSTFIX, Piece, bracketed, generator
from nnspec.backends.source_tokens import literal, masked, stands_alone, tokens
from nnspec.layer import Ref

Vector = Sequence["Piece | None"]
"""The same place in each instance; None where an instance lacks it."""

_CLASS = re.compile(r"nn\.[A-Z]\w*\(\Z")
_NAMED = ("add_module(", "register_buffer(", "register_parameter(", "setattr(", "getattr(")
"""Calls whose strings are names, which no argument stands for."""


# --- lines -----------------------------------------------------------------------------------------------------------


def unify_lines(lines: Sequence[Line | None], fill: Fill) -> Line:
    """The line that all of them are."""
    known = [line for line in lines if line is not None]
    first = known[0]
    if any((line.prefix, line.suffix, line.deeper) != (first.prefix, first.suffix, first.deeper) for line in known):
        raise Differs
    owner, _, place = first.prefix.removesuffix(" = ").rpartition(".")
    piece = unify([None if line is None else line.piece for line in lines], fill, place if owner else "")
    note = first.comment if all(line is not None and line.comment == first.comment for line in lines) else ""
    merged = Line(first.prefix, piece, first.suffix, note, deeper=first.deeper, span=first.span)
    merged.lead = first.lead if all(line.lead == first.lead for line in known) else ""
    return merged


def key(line: Line) -> tuple[object, ...]:
    """What lines that can be one have in common."""
    piece = line.piece
    shape = masked(_CLASS.sub("nn.", piece.head)) if _is_open(piece) else masked(piece.text)
    return (line.deeper, line.prefix, line.suffix, _is_open(piece), shape)


def _is_open(piece: Piece) -> bool:
    """Whether it has brackets that something stands in, or could."""
    return bool(piece.items or piece.head)


# --- pieces ----------------------------------------------------------------------------------------------------------


def unify(pieces: Vector, fill: Fill, place: str = "") -> Piece:
    """The piece that all of them are; `place` is a word for it."""
    known = [piece for piece in pieces if piece is not None]
    first = known[0]
    if all(piece.text == first.text for piece in known):
        return _named(first, pieces, fill, place) if None in pieces else first
    if any(piece.head == "(" for piece in known) and (whole := _whole(pieces, fill, place)):
        return whole
    if not all(map(_is_open, known)):
        return _leaf(pieces, fill, place)
    if any(piece.tail != first.tail for piece in known):
        raise Differs
    loops = [piece for piece in known if piece.element is not None]
    if loops:
        return _loop(pieces, fill, place)
    if not first.text.startswith(first.head) or not all(len(piece.head) for piece in known):
        return _leaf(pieces, fill, place)
    head = _head(pieces, fill)
    items = _items(pieces, fill, place)
    if head.endswith(_NAMED) and any(_strings(p) != _strings(first) for p in known):
        raise Differs
    longest = max(len(piece.items) for piece in known)
    exploded = len(items) == longest and any(piece.exploded for piece in known)
    merged = bracketed(head, items, first.tail, exploded=exploded)
    merged.dense = all(piece.dense for piece in known) and (len(items) == 1 or len(head) > 1)
    return merged


def _named(piece: Piece, pieces: Vector, fill: Fill, place: str) -> Piece:
    """A piece that only some instances have, with the arguments in it that are called like their places."""
    if piece.items and piece.element is None and piece.text.startswith(piece.head):
        items = [(b, _named(p, pieces, fill, _join(place, _word(piece, at)))) for at, (b, p) in enumerate(piece.items)]
        if all(new is old for (_, new), (_, old) in zip(items, piece.items, strict=True)):
            return piece
        merged = bracketed(piece.head, items, piece.tail, exploded=piece.exploded)
        merged.dense = piece.dense
        return merged
    row = list(tokens(piece.text))
    if len(row) != 1 or not row[0][1]:
        return piece
    value = literal(piece.text)
    try:
        formula = fill(tuple(ANY if each is None else value for each in pieces), place, own=False)
    except Differs:
        return piece
    return Piece(formula.text, formula.level)


def _whole(pieces: Vector, fill: Fill, place: str) -> Piece | None:
    """Tuples (and numbers that stand for them) that are one argument: `kernel`, not its parts."""
    if not all(
        piece is None or all(is_literal or token in "(), " for token, is_literal in tokens(piece.text))
        for piece in pieces
    ):
        return None
    values = tuple(ANY if piece is None else ast.literal_eval(piece.text) for piece in pieces)
    parts = len({len(value) if isinstance(value, tuple) else -1 for value in values if value is not ANY}) == 1
    try:
        formula = fill(values, place, own=not parts)
    except Differs:
        return None
    return Piece(formula.text, formula.level)


def _strings(piece: Piece) -> list[str]:
    return [item.text for _, item in piece.items if item.text[:1] in ("'", '"')]


def _head(pieces: Vector, fill: Fill) -> str:
    """`nn.Conv2d(`: classes of torch may differ, as an argument can be one, and literals in the owner of a method."""
    heads = [None if piece is None else piece.head for piece in pieces]
    found = [head for head in heads if head is not None]
    if all(head == found[0] for head in found):
        return found[0]
    if not all(_CLASS.match(head) for head in found):
        return _unify_text(heads, fill, "")[0]
    columns = [[before for before, _ in piece.items] for piece in pieces if piece is not None]
    if any(column != columns[0] for column in columns):
        raise Differs
    values = tuple(ANY if head is None else Ref(head[:-1]) for head in heads)
    return f"{fill(values, 'layer').within(POSTFIX)}("


def _leaf(pieces: Vector, fill: Fill, place: str) -> Piece:
    """Text that differs in literals."""
    texts = [None if piece is None else piece.text for piece in pieces]
    first = next(piece for piece in pieces if piece is not None)
    text, whole = _unify_text(texts, fill, place)
    if whole is not None:
        return Piece(whole.text, whole.level)
    operands = [None if piece is None else piece.operands for piece in pieces]
    if any(piece is not None and each is None for piece, each in zip(pieces, operands, strict=True)):
        return Piece(text, first.level)
    left, right = (
        _unify_text([None if each is None else each[at] for each in operands], fill, place)[0] for at in (0, 1)
    )
    return Piece(text, first.level, operands=(left, right))


def _unify_text(texts: Sequence[str | None], fill: Fill, place: str) -> tuple[str, Formula | None]:
    """One text, and the formula that it is if all of it differs."""
    rows = [None if text is None else list(tokens(text)) for text in texts]
    first = next(row for row in rows if row is not None)
    if any(row is not None and len(row) != len(first) for row in rows):
        raise Differs
    parts: list[str] = []
    formula = None
    for at, (token, is_literal) in enumerate(first):
        column = [None if row is None else row[at] for row in rows]
        if all(each is None or each[0] == token for each in column):
            parts.append(token)
            continue
        if not is_literal or any(each is not None and not each[1] for each in column):
            raise Differs
        formula = fill(tuple(ANY if each is None else literal(each[0]) for each in column), place)
        parts.append(formula.text if stands_alone(first, at) else formula.within(POSTFIX))
    return "".join(parts), formula if len(first) == 1 else None


# --- what stands in brackets -----------------------------------------------------------------------------------------


def _items(pieces: Vector, fill: Fill, place: str) -> list[tuple[str, Piece]]:
    known = [piece for piece in pieces if piece is not None]
    if any(_holds_loop(piece) for piece in known):
        inner = [None if piece is None else piece.items[0][1] if piece.items else None for piece in pieces]
        if any(piece is not None and each is None for piece, each in zip(pieces, inner, strict=True)):
            raise Differs
        alike = all(map(_holds_loop, known))
        return [("", unify(inner if alike else [each and _listed(each) for each in inner], fill, place))]
    columns = [[before for before, _ in piece.items] for piece in known]
    if all(column == columns[0] for column in columns) and not _has_loops(known) and not lacks_some(known):
        found = []
        for at, before in enumerate(columns[0]):
            column_ = [None if piece is None else piece.items[at][1] for piece in pieces]
            found.append((before, unify(column_, fill, _join(place, _word(known[0], at)))))
        return found
    if all(piece.defaults for piece in known):
        return _arguments(pieces, fill, place)
    if all(not before for column in columns for before in column):
        return [("", piece) for piece in unify_members(pieces, fill, place, unify)]
    raise Differs


def _word(piece: Piece, at: int) -> str:
    before = piece.items[at][0]
    if before:
        return before.rstrip("= :").strip("\"'")
    return piece.words[at] if at < len(piece.words) else ""


def _join(place: str, word: str) -> str:
    return f"{place}.{word}" if place and word else place or word


def _arguments(pieces: Vector, fill: Fill, place: str) -> list[tuple[str, Piece]]:
    """Arguments of calls that leave out others: a default is written where another instance needs the argument."""
    known = [piece for piece in pieces if piece is not None]
    first = known[0]
    count = sum(not before for before, _ in first.items)
    if any(sum(not before for before, _ in piece.items) != count for piece in known):
        raise Differs
    found = []
    for at in range(count):
        column = [None if piece is None else piece.items[at][1] for piece in pieces]
        found.append(("", unify(column, fill, _join(place, _word(first, at)))))
    given = {before for piece in known for before, _ in piece.items if before}
    for before in [name for name in first.defaults if name in given]:
        column = [None if piece is None else _argument(piece, before) for piece in pieces]
        found.append((before, unify(column, fill, _join(place, before.rstrip("=")))))
        given.remove(before)
    if given:
        raise Differs
    return found


def _argument(piece: Piece, name: str) -> Piece:
    """An argument, or the default that stands for it; both must be what the callee is known to get."""
    default = piece.defaults.get(name)
    if default is None:
        raise Differs
    given = next((item for before, item in piece.items if before == name), None)
    if given is not None and given.text != default.text:
        raise Differs
    return default


# --- runs of equal members -------------------------------------------------------------------------------------------


def _has_loops(pieces: Sequence[Piece]) -> bool:
    return any(starred(item) is not None for piece in pieces for _, item in piece.items)


def _holds_loop(piece: Piece) -> bool:
    """Whether it is `nn.ModuleList(element for _ in range(count))`."""
    return len(piece.items) == 1 and piece.items[0][1].element is not None and piece.head != "*("


def _listed(loop: Piece) -> Piece:
    """`[*(element for _ in range(count))]`, which is like other lists."""
    return bracketed("[", [("", bracketed("*(", [("", loop)], ")"))], "]") if loop.element is not None else loop


def _loop(pieces: Vector, fill: Fill, place: str) -> Piece:
    """`element for _ in range(count)` with another element or count."""
    known = [piece for piece in pieces if piece is not None]
    if any(piece.element is None for piece in known):
        raise Differs
    element = unify([None if piece is None else piece.element for piece in pieces], fill, place)
    count = unify([None if piece is None else piece.count for piece in pieces], fill, _join(place, "count"))
    assert count is not None
    return generator(element, count)
