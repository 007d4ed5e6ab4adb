"""Einops patterns: read, checked, and turned into steps of reshaping."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from nnspec.layer import ShapeError

DOTS = "..."
_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_][A-Za-z0-9_]*|[1-9][0-9]{0,17}(?!\w)|[()])")

Group = tuple[str, ...]
"""The names that make up one dimension; () is a dimension of size 1. A number is a name of its own: `2#l1`."""

Side = tuple[Group | str, ...]
"""Groups, and perhaps `...` by itself, which stands for any number of dimensions."""


class Pattern(NamedTuple):
    """Both sides of a pattern."""

    left: Side
    right: Side


def fault(text: str, why: str, *helps: str) -> ShapeError:
    """What is wrong with a pattern."""
    return ShapeError(f'the pattern "{text}" {why}', code="NNS409", label=why, at="pattern", helps=helps)


def number_of(name: str) -> int | None:
    """The size of a dimension that the pattern gives as a number."""
    size, mark, _ = name.partition("#")
    return int(size) if mark else None


_OTHERS = {
    "rearrange": "`rearrange` keeps them; `repeat` makes new ones, `reduce` drops some",
    "repeat": "`repeat` keeps them; `reduce` drops some",
    "reduce": "`reduce` keeps them; `repeat` makes new ones",
}
"""What to use instead where a name stands on one side alone."""


def parse(text: str, function: str = "rearrange") -> Pattern:
    """The pattern that a text spells. Its two sides name the same dimensions, but that `repeat` makes new ones on the
    right, and `reduce` takes some away that stand on the left.
    """
    sides = text.split("->")
    if len(sides) != 2:
        raise fault(text, "needs one arrow", 'write both sides: "n t (h d) -> n h t d"')
    left, right = (tuple(_side(side, text, mark)) for side, mark in zip(sides, "lr", strict=True))
    names = [set(atoms(side)) for side in (left, right)]
    for here, there, side, free in ((0, 1, "right", "reduce"), (1, 0, "left", "repeat")):
        lost = sorted(names[here] - names[there])
        if lost and (function != free or (free == "repeat" and DOTS in lost)):
            number = number_of(lost[0])
            if number is not None:
                missed = "makes none" if function == "reduce" else "drops none"
                why = f"has the number `{number}` on one side alone, and `{function}` {missed}"
                raise fault(text, why, "a name on both sides is one dimension")
            raise fault(text, f"has no `{lost[0]}` on its {side} side", _OTHERS[function])
    return Pattern(left, right)


def _side(text: str, whole: str, mark: str) -> Iterable[Group | str]:
    seen: set[str] = set()
    group: list[str] | None = None
    at = numbers = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise fault(
                whole, f"cannot be read at `{text[at:].strip()[:20]}`", "known are names, numbers, `...` and `()`"
            )
        token, at = match[1], match.end()
        if token == "(":
            if group is not None:
                raise fault(whole, "has brackets in brackets")
            group = []
        elif token == ")":
            if group is None:
                raise fault(whole, "has a `)` too many")
            yield tuple(group)
            group = None
        elif token == "1":
            if group is None:
                yield ()
        elif token.isdigit():
            numbers += 1
            name = f"{token}#{mark}{numbers}"
            if group is None:
                yield (name,)
            else:
                group.append(name)
        else:
            if token in seen:
                raise fault(whole, f"has `{token}` twice on one side")
            seen.add(token)
            if group is None:
                yield DOTS if token == DOTS else (token,)
            else:
                group.append(token)
    if group is not None:
        raise fault(whole, "lacks a `)`")


def atoms(side: Side) -> list[str]:
    """All names of a side, in order."""
    return [name for group in side for name in ((group,) if isinstance(group, str) else group)]
