"""Members of a container whose numbers follow a rule: `*(Layer(64 + 32 * i) for i in range(6))`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.backends.source_fill import Differs
from nnspec.backends.source_formula import Formula
from nnspec.backends.source_text import ATOM, POWER, PRODUCT, SUM, Piece, bracketed
from nnspec.backends.source_tokens import masked
from nnspec.backends.source_unify import unify

TURN = "i"
"""The variable that counts members."""

_FEWEST = 4
"""A rule that fewer members follow is chance, or shorter when it is written out."""
_FEWEST_OF_PERIOD = 3
_MOST_RULES = 2
"""With more numbers of rules of their own a member is hard to read."""
_NUMBERED = re.compile(r"(.*?)(0|[1-9]\d*)\Z")


def by_rule(pieces: Sequence[Piece]) -> list[Piece]:
    """The members, with a generator for those that follow a rule."""
    found: list[Piece] = []
    at = 0
    while at < len(pieces):
        made = _longest(pieces[at:])
        found.append(pieces[at] if made is None else _counted(*made))
        at += 1 if made is None else made[1]
    return found


def named_by_rule(names: Sequence[str], pieces: Sequence[Piece]) -> Piece | None:
    """`{f"denselayer{i + 1}": DenseLayer(64 + 32 * i) for i in range(6)}`, where all members follow one rule."""
    matches = [_NUMBERED.match(name) for name in names]
    if len(names) < _FEWEST or any(match is None for match in matches):
        return None
    stems = {match[1] for match in matches if match}
    numbers = [int(match[2]) for match in matches if match]
    stem, first = stems.pop(), numbers[0]
    if stems or not stem.isidentifier() or numbers != list(range(first, first + len(numbers))):
        return None
    element = pieces[0] if all(p.text == pieces[0].text for p in pieces) else _element(pieces)
    if element is None:
        return None
    turn = f"{TURN} + {first}" if first else TURN
    made = bracketed("{", [("", _counted(element, len(pieces), f'f"{stem}{{{turn}}}": '))], "}")
    made.dense = True
    return made


def _counted(element: Piece, count: int, before: str = "") -> Piece:
    """`element for i in range(count)`."""
    loop = f"for {TURN} in range({count})"
    return Piece(f"{before}{element.text} {loop}", 0, items=((before, element), ("", Piece(loop))), tail="")


def _longest(pieces: Sequence[Piece]) -> tuple[Piece, int] | None:
    """A rule for the most of the first members, where they are not all the same."""
    form = masked(pieces[0].head)
    length = 1
    while length < len(pieces) and masked(pieces[length].head) == form:
        length += 1
    if length < _FEWEST or not pieces[0].head or pieces[1].text == pieces[0].text:
        return None
    whole = _element(pieces[:length])
    if whole is not None:
        return whole, length
    best = None
    for count in range(_FEWEST, length):
        element = _element(pieces[:count])
        if element is None:
            break
        best = element, count
    return best


def _element(pieces: Sequence[Piece]) -> Piece | None:
    """One member over `i`."""
    rules = _Rules()
    if any(f"for {TURN} in " in piece.text for piece in pieces):
        return None
    try:
        return unify(pieces, rules)
    except Differs:
        return None


class _Rules:
    """Fills places with what makes a number of the member's position."""

    def __init__(self) -> None:
        self._known: set[tuple[Any, ...]] = set()

    def __call__(self, values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
        """The expression over `i`; `Differs` where no rule makes these values."""
        if test or not all(type(value) is int for value in values):
            raise Differs
        for text, level in _rules(values):
            self._known.add(values)
            if len(self._known) > _MOST_RULES:
                raise Differs
            return Formula(text, level, values, frozenset((TURN,)))
        raise Differs


def _rules(values: Sequence[int]) -> Iterator[tuple[str, int]]:
    yield from _simple(values, TURN)
    for period in range(_FEWEST_OF_PERIOD, len(values) // 2 + 1):
        if len(values) % period == 0 and list(values) == list(values[:period]) * (len(values) // period):
            yield from _simple(values[:period], f"({TURN} % {period})")


def _simple(values: Sequence[int], turn: str) -> Iterator[tuple[str, int]]:
    """Equal steps, or equal ratios."""
    first, step = values[0], values[1] - values[0]
    if all(value == first + step * at for at, value in enumerate(values)):
        product = turn if abs(step) == 1 else f"{abs(step)} * {turn}"
        if not first and step > 0:
            yield product, ATOM if step == 1 else PRODUCT
        else:
            yield f"{first} {'+' if step > 0 else '-'} {product}", SUM
    ratio = values[1] // first if first else 0
    if first > 0 and ratio > 1 and all(value == first * ratio**at for at, value in enumerate(values)):
        power = f"{ratio}**{turn}" if turn == TURN else f"{ratio} ** {turn}"
        yield (power, POWER) if first == 1 else (f"{first} * {power}", PRODUCT)
