"""What a block leaves to the body that uses it: requirements of its sizes, and ties of its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from math import gcd

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.dims import Size, show, substitute
from nnspec.dims_algebra import constant, divide_exact, lone_atom, terms_of
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.place import Place
from nnspec.elaborate.values import BlockRecipe, Fault, ParamRef

_PLACED = "(in `"


def carry_requirements(
    frame: Frame, requires: tuple[ir.Requirement, ...], binding: dict[str, Size], recipe: BlockRecipe, span: Span
) -> None:
    """What a callee needs of its sizes is decided here, or becomes a requirement of this body."""
    for need in requires:
        size = frame.proof.simplify(substitute(need.size, binding))
        answer = frame.proof.at_least(size, 0) if need.relation == ">=" else frame.proof.equal(size, 0)
        if answer:
            continue
        if answer is False:
            others = (Label(need.span, "needed here"),) if need.span else ()
            where = ", ".join(f"{k} = {show(v)}" for k, v in binding.items() if k[0] != "_" and k != show(v))
            raise Fault(
                error(
                    "NNS418",
                    f"`{recipe.title}` cannot be used here: {need.message}",
                    span,
                    f"with {where}" if where else "these sizes do not fit",
                    others=others,
                )
            )
        frame.requires.append(ir.Requirement(size, need.relation, _placed(need.message, binding, recipe), need.span))
        if need.relation == ">=":
            frame.facts.assume_at_least(size, 0)
        else:
            frame.facts.assume_equal(size, 0)


def _placed(message: str, binding: dict[str, Size], recipe: BlockRecipe) -> str:
    """A reason that speaks of a block's own symbols says whose they are: `H` is another size in the caller."""
    words = set(re.findall(r"\w+", message))
    if _PLACED in message or all(name not in words or name == show(size) for name, size in binding.items()):
        return message
    return f"{message} {_PLACED}{recipe.title}`)"


def essential(requires: Iterable[ir.Requirement]) -> tuple[ir.Requirement, ...]:
    """The same demands in fewer words: solved for what they are about, and without those that follow from another.

    `(H + 1) // 2 >= 4` is `H >= 7`, and is not worth saying where `H >= 75` is required too.
    """
    kept: dict[tuple[str, Size], ir.Requirement] = {}
    for need in requires:
        size = _solved(need.size) if need.relation == ">=" else need.size
        key = (need.relation, size - constant(size) if need.relation == ">=" else size)
        if key not in kept or constant(size) < constant(kept[key].size):
            kept[key] = replace(need, size=size)
    return tuple(kept.values())


def _solved(size: Size) -> Size:
    """A size that is at least 0 exactly where this one is, without a division around all of it."""
    while not isinstance(size, int):
        number = constant(size)
        moving = size - number
        shared = gcd(*(c for _, c in terms_of(moving)))
        moving, number = divide_exact(moving, shared) or moving, number // shared
        atom = lone_atom(moving)
        divisor = atom.args[-1] if atom is not None and atom.kind == "floor" else None
        if atom is None or not isinstance(divisor, int):
            return moving + number
        size = atom.args[0] + divisor * number
    return size


def carry_ties(frame: Frame, place: Place, recipe: BlockRecipe, ties: tuple[tuple[str, str, Span], ...]) -> None:
    """Parameters that a block was handed to tie with are tied by the body that owns them."""
    for alias, name, span in ties:
        owner = recipe.arguments[name]
        assert isinstance(owner, ParamRef)
        path = f"{place.path}.{alias}"
        if owner.outer is not None:
            frame.outer_ties.append((path, owner.outer, span))
        else:
            frame.ties.append(ir.Tie(path, owner.path, span))
