"""Einsum's equations: read, checked, and costed as torch works them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nnspec.dims import Size
from nnspec.layer import ShapeError
from nnspec.types import TensorType

DOTS = "."
"""Stands for `...` in the terms of an equation."""


class Equation(NamedTuple):
    """The labels of each operand and of the result, `...` as a dot."""

    terms: tuple[str, ...]
    result: str


def parse(text: str) -> Equation:
    """The equation that a text spells; without an arrow the labels that occur once are the result, in order."""
    plain = text.replace(" ", "").replace("...", DOTS)
    left, arrow, right = plain.partition("->")
    terms = tuple(left.split(","))
    for term in (*terms, right):
        odd = next((c for c in term if c != DOTS and not (c.isascii() and c.isalpha())), None)
        if odd is not None or term.count(DOTS) > 1:
            why = f"`{odd}` is not a letter" if odd else "`...` stands twice in one term"
            raise ShapeError(f'the equation "{text}" of `einsum` cannot be read: {why}', **fault(why))
    if not arrow:
        letters = sorted(set(left) - {",", DOTS})
        right = DOTS * (DOTS in left) + "".join(c for c in letters if left.count(c) == 1)
    doubled = next((c for c in right if right.count(c) > 1), None)
    if doubled is not None:
        raise ShapeError(f'the result of "{text}" has `{doubled}` twice', **fault(f"`{doubled}` twice"))
    unknown = next((c for c in right if c != DOTS and c not in left), None)
    if unknown is not None:
        why = f"`{unknown}` is in no operand"
        raise ShapeError(f'the result of "{text}" has `{unknown}`, which no operand has', **fault(why))
    if DOTS in left and DOTS not in right:
        why = "its result has no `...`"
        raise ShapeError(
            f'the operands of "{text}" have `...`, but {why}',
            **fault(why, "write `...` in the result to keep those dimensions"),
        )
    return Equation(terms, right)


def fault(label: str, *helps: str) -> dict[str, Any]:
    """What the faults of an equation have in common."""
    return {"code": "NNS409", "label": label, "at": "equation", "helps": helps}


def spread(term: str, operand: TensorType) -> list[str]:
    """A name for each dimension: letters, and for those under `...` their places from the end (`.1` is the last)."""
    hidden = operand.rank - len(term.replace(DOTS, ""))
    names: list[str] = []
    for c in term:
        names += [f".{hidden - i}" for i in range(hidden)] if c == DOTS else [c]
    return names


def macs(names: Sequence[Sequence[str]], result: Sequence[str], sizes: dict[str, Size]) -> Size:
    """The cost of working it out from left to right by matrix products; products of elements alone are free."""
    total: Size = 0
    left = set(names[0])
    for position, term in enumerate(names[1:], 1):
        right = set(term)
        later = set(result).union(*names[position + 1 :])
        # Labels that only one of the two has, and nobody needs later, are summed before the product.
        left -= left - right - later
        right -= right - left - later
        joint = left | right
        if (left & right) - later:
            cost: Size = 1
            for name in joint:
                cost = cost * sizes[name]
            total = total + cost
        left = joint & later
    return total
