"""Members of containers, which instances of a block have in several numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from nnspec.backends.source_fill import ANY, Differs, Fill, dummy
from nnspec.backends.source_table import table
from nnspec.backends.source_text import Piece, bracketed, generator

Vector = Sequence["Piece | None"]
Unify = Callable[[Vector, Fill, str], Piece]
"""Makes one piece of several: `unify` of `source_unify`."""

_MADE = re.compile(r"(?:nn\.)?([A-Z]\w*)\(\Z")
"""The start of what builds a layer or block."""
_MOST_OPTIONAL = 3
"""With more members that only some instances have, the containers are not alike."""
_ALIKE = 1000


def unify_members(pieces: Vector, fill: Fill, place: str, unify: Unify) -> list[Piece]:
    """Members of containers of several lengths: runs of several lengths, or members that only some have."""
    for form in (_runs_of_lengths, _some):
        try:
            form(pieces, dummy, place, unify)
        except Differs:
            continue
        return form(pieces, fill, place, unify)
    raise Differs


def lacks_some(pieces: Sequence[Piece]) -> bool:
    """Whether containers of one length have another member in some place, so that each lacks what others have."""
    rows = [[item.head for _, item in piece.items] for piece in pieces]
    if any(before for piece in pieces for before, _ in piece.items):
        return False
    if not all(_MADE.match(head) for row in rows for head in row):
        return False
    columns = zip(*rows, strict=True)
    return any(len({"nn." if head.startswith("nn.") else head for head in column}) > 1 for column in columns)


# --- runs of several lengths -----------------------------------------------------------------------------------------


def _runs_of_lengths(pieces: Vector, fill: Fill, place: str, unify: Unify) -> list[Piece]:
    """Where one container has a run of equal members, the others have runs of other lengths."""
    queues = [None if piece is None else _runs(piece) for piece in pieces]
    if not any(count > 1 for queue in queues if queue is not None for _, count in queue):
        raise Differs
    found: list[Piece] = []
    while any(queues):
        fronts = [None if queue is None or not queue else queue[0] for queue in queues]
        ended = any(queue is not None and not queue for queue in queues)
        if not ended and not all(queue is None or len(queue) == 1 for queue in queues):
            single = [front is None or front[1] == 1 for front in fronts]
            if any(single):
                elements = [front and front[0] for front in fronts]
                found.append(unify(elements, fill, f"{place}.{len(found)}" if place else ""))
                _drop_one(queues)
                continue
        element = unify([front and front[0] for front in fronts], fill, place)
        counts = [
            ANY if queue is None else front[1] if front else 0 for queue, front in zip(queues, fronts, strict=True)
        ]
        found.append(_repeated(element, counts, fill, place))
        for queue in queues:
            if queue:
                del queue[0]
    return found


def _runs(piece: Piece) -> list[tuple[Piece, int]]:
    """The members with how often each comes in a row."""
    runs: list[tuple[Piece, int]] = []
    for _, item in piece.items:
        element, count = _run(item)
        if runs and runs[-1][0].text == element.text:
            element, count = runs[-1][0], runs.pop()[1] + count
        runs.append((element, count))
    return runs


def _run(item: Piece) -> tuple[Piece, int]:
    loop = starred(item)
    if loop is None or loop.element is None:
        return item, 1
    if loop.count is None or not loop.count.text.isdecimal():
        raise Differs
    return loop.element, int(loop.count.text)


def _drop_one(queues: Sequence[list[tuple[Piece, int]] | None]) -> None:
    for queue in queues:
        if queue is not None:
            element, count = queue.pop(0)
            if count > 1:
                queue.insert(0, (element, count - 1))


def _repeated(element: Piece, counts: Sequence[Any], fill: Fill, place: str) -> Piece:
    numbers = {count for count in counts if count is not ANY}
    if numbers == {1}:
        return element
    if not _MADE.match(element.head):
        raise Differs  # tensors in a list, and no members that are built
    if len(numbers) == 1:
        count = Piece(str(numbers.pop()))
    else:
        formula = fill(tuple(counts), f"{place}.count" if place else "count")
        count = Piece(formula.text, formula.level)
    return bracketed("*(", [("", generator(element, count))], ")")


def starred(piece: Piece) -> Piece | None:
    """The loop in `*(element for _ in range(count))`."""
    inner = piece.items[0][1] if piece.head == "*(" and piece.items else piece
    return inner if inner.element is not None else None


# --- members that only some have -------------------------------------------------------------------------------------


def _some(pieces: Vector, fill: Fill, place: str, unify: Unify) -> list[Piece]:
    """`*([A()] if test else [])` for a member that only some instances have."""
    known = [at for at, piece in enumerate(pieces) if piece is not None]
    members = [[item for _, item in piece.items] for piece in pieces if piece is not None]
    if not all(_MADE.match(item.head) for row in members for item in row):
        raise Differs
    rows = table(members, lambda item: item.head, lambda a, b: _likeness(a, b, unify))
    optional = sum(None in row for row in rows)
    if optional > _MOST_OPTIONAL or 2 * optional > len(rows):
        raise Differs
    found: list[Piece] = []
    for row in rows:
        spread: list[Piece | None] = [None] * len(pieces)
        for at, item in zip(known, row, strict=True):
            spread[at] = item
        element = unify(spread, fill, f"{place}.{len(found)}" if place else "")
        found.append(element if None not in row else _guarded(element, pieces, spread, fill))
    return found


def _guarded(element: Piece, pieces: Vector, spread: Vector, fill: Fill) -> Piece:
    """A member with what tells the instances that have it from the others."""
    made = _MADE.match(element.head)
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", made[1]).lower() if made else "more"
    presence = tuple(ANY if piece is None else item is not None for piece, item in zip(pieces, spread, strict=True))
    test = fill(presence, word, test=True)
    listed = bracketed("[", [("", element)], "]")
    parts = [("", listed), ("", Piece(f"if {test.text}")), ("", Piece("else []"))]
    choice = Piece(" ".join(piece.text for _, piece in parts), 0, items=parts, tail="")
    return bracketed("*(", [("", choice)], ")")


def _likeness(a: Piece, b: Piece, unify: Unify) -> int:
    """0 for what cannot be one; else the more, the more arguments are equal, or equal to each other in both."""
    try:
        unify([a, b], dummy, "")
    except Differs:
        return 0
    ours, theirs = ([piece.text for _, piece in each.items] for each in (a, b))
    same = sum(mine == other for mine, other in zip(ours, theirs, strict=False))
    pairs = combinations(range(min(len(ours), len(theirs))), 2)
    return _ALIKE + same + sum(ours[i] == ours[j] and theirs[i] == theirs[j] for i, j in pairs)
