"""One statement of two that differ in one argument: a conditional expression, where a person would write one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.backends.source_line import Line
from nnspec.backends.source_text import Piece, bracketed
from nnspec.layer import Code, Function, Operation

_PLAIN = (int, float, bool, str)
"""Defaults that can be written; where ours is none, torch often has a form of its own: `max(x)`."""
_LONGEST = 30
"""A value with more letters is better seen in a statement."""
_CHOICE = 1

Item = tuple[str, Piece]


@dataclass(frozen=True, slots=True)
class Test:
    """A question that tells cases apart: of the parameter at a position, or (None) of the mode."""

    position: int | None
    yes: str
    no: str

    def holds(self, case: tuple[str, Sequence[bool]]) -> bool:
        """The answer for a case: the mode, and which parameters are given."""
        return case[0] == "train" if self.position is None else not case[1][self.position]


def one_of(
    yes: Sequence[Line], no: Sequence[Line], test: Test, after: tuple[Sequence[Line], Sequence[Line]] | None
) -> list[Line] | None:
    """Statements that are the first ones where the test holds, and else the second ones; None if that needs an `if`.

    `after` is what follows either; None where nobody knows.
    """
    ways: list[Line] = []
    for lines, following in zip((yes, no), after or (None, None), strict=True):
        line = lines[0] if len(lines) == 1 else _joined(lines, following)
        if line is None:
            return None
        ways.append(line)
    return _one_line(ways[0], ways[1], test)


def _one_line(yes: Line, no: Line, test: Test) -> list[Line] | None:
    if (yes.prefix, yes.suffix, yes.deeper) != (no.prefix, no.suffix, no.deeper) or yes.suffix == ":":
        return None
    piece = _one_call(yes.piece, no.piece, test)
    if piece is None:
        return None
    note = yes.comment if yes.comment == no.comment else ""
    return [Line(yes.prefix, piece, yes.suffix, note, deeper=yes.deeper, span=yes.span)]


def _joined(lines: Sequence[Line], after: Sequence[Line] | None) -> Line | None:
    """`h = mask.float()` and `y = f(x, h)` as `y = f(x, mask.float())`, which the other way is short enough to be."""
    if len(lines) != 2 or after is None or lines[0].deeper != lines[1].deeper:
        return None
    first, second = lines
    name, items = first.prefix.removesuffix(" = "), second.piece.items
    place = next((at for at, (_, item) in enumerate(items) if item.text == name), None)
    if place is None or not name.isidentifier() or len(_words(second.piece.text, name)) != 1:
        return None
    if any("(" in item.text for _, item in items[:place]) or _is_read(name, after):
        return None
    found = [(before, first.piece if at == place else item) for at, (before, item) in enumerate(items)]
    piece = _with(second.piece, found)
    return Line(second.prefix, piece, second.suffix, second.comment, deeper=second.deeper, span=first.span)


def _is_read(name: str, lines: Sequence[Line]) -> bool:
    """Whether a variable is read before it gets another value."""
    for line in lines:
        if _words(line.text, name):
            return line.prefix != f"{name} = " or line.deeper > lines[0].deeper or bool(_words(line.piece.text, name))
    return False


def _words(text: str, name: str) -> list[str]:
    return re.findall(rf"(?<![\w.]){re.escape(name)}\b", text)


def _one_call(yes: Piece, no: Piece, test: Test) -> Piece | None:
    """A call whose arguments are those of one or the other."""
    if yes.text == no.text:
        return yes
    if not yes.head.endswith("(") or (yes.head, yes.tail) != (no.head, no.tail):
        return None
    pairs = _pairs(yes, no)
    different = [at for at, (_, a, b) in enumerate(pairs or ()) if a.text != b.text]
    if pairs is None or len(different) != 1:
        return None
    _, ours, theirs = pairs[different[0]]
    chosen = _one_call(ours, theirs, test) or _value(ours, theirs, test)
    if chosen is None:
        return None
    return _with(yes, [(word, chosen if at == different[0] else a) for at, (word, a, _) in enumerate(pairs)])


def _value(yes: Piece, no: Piece, test: Test) -> Piece | None:
    """`0.1 if self.training else 0.0`; `mask` where that is `None if mask is None else mask`."""
    if yes.text == "None" and test.yes == f"{no.text} is None":
        return no
    if not all(piece.level > _CHOICE and "(" not in piece.text for piece in (yes, no)):
        return None
    if any(piece.text.startswith("*") or len(piece.text) > _LONGEST for piece in (yes, no)):
        return None
    return Piece(f"{yes.text} if {test.yes} else {no.text}", _CHOICE)


def _pairs(yes: Piece, no: Piece) -> list[tuple[str, Piece, Piece]] | None:
    """Arguments side by side, with what a callee takes for those that are left out."""
    if [word for word, _ in yes.items] == [word for word, _ in no.items]:
        return [(word, a, b) for (word, a), (_, b) in zip(yes.items, no.items, strict=True)]
    ours, theirs = ([piece for word, piece in each.items if not word] for each in (yes, no))
    named = [{word: piece for word, piece in each.items if word} for each in (yes, no)]
    if not any(named) and yes.words and yes.words == no.words:
        longer = max(len(ours), len(theirs))
        none = [Piece("None")] * longer
        return [("", a, b) for a, b in zip((ours + none)[:longer], (theirs + none)[:longer], strict=True)]
    if len(ours) != len(theirs):
        return None
    given = {word for each in named for word in each}
    pairs = [("", a, b) for a, b in zip(ours, theirs, strict=True)]
    for word in [word for word in yes.defaults if word in given and word in no.defaults]:
        pairs.append((word, named[0].get(word, yes.defaults[word]), named[1].get(word, no.defaults[word])))
        given.remove(word)
    return None if given else pairs


def _with(piece: Piece, items: Sequence[Item]) -> Piece:
    """The same call of other arguments."""
    made = bracketed(piece.head, items, piece.tail, exploded=piece.exploded)
    made.dense, made.defaults, made.words = piece.dense, piece.defaults, piece.words
    return made


def defaults_of(operation: Operation, code: Code) -> Mapping[str, Any]:
    """The named arguments of a function, with what it takes for those that its call leaves out.

    Torch's names and defaults are ours. The value of an argument that is there is not told.
    """
    found: dict[str, Any] = {}
    if isinstance(operation, Function) and operation.overloaded:
        return found
    for name in operation.input_names()[operation.required_inputs() :]:
        if name not in operation.fields and not name.startswith("*"):
            found[name] = None
    given = dict(operation.given())
    for name, field in operation.fields.items():
        if name in code.kwargs:
            found[name] = None
        elif name not in given and type(field.default) in _PLAIN and "DType" not in field.kind:
            found[name] = field.default
    return found
