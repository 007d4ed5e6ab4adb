"""What a shape rule may ask and demand of sizes: answers from `Facts`, demands kept as entry requirements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.dims import Dim, Size, evaluate, show, symbol, symbols
from nnspec.facts import Facts
from nnspec.ir import Requirement
from nnspec.layer import ShapeError

_SAMPLES = ((16,), (17,), (64,), (7, 12, 18, 25), (32, 96, 224, 160))
"""Sizes to try: what agrees for none of them agrees for hardly any."""


class Proof:
    """Implements `nnspec.layer.Rules`; undecided inequalities are kept in `requires` and assumed from then on."""

    def __init__(self, facts: Facts, requires: list[Requirement] | None = None) -> None:
        self.facts = facts
        self.requires: list[Requirement] = [] if requires is None else requires

    def equal(self, a: Size, b: Size) -> bool | None:
        """Whether two sizes agree: True, False, or None when that cannot be told."""
        if isinstance(a, int) and isinstance(b, int):
            return a == b
        return self.facts.equal(a, b)

    def at_least(self, a: Size, b: Size) -> bool | None:
        """Whether a >= b: True, False, or None when that cannot be told."""
        if isinstance(a, int) and isinstance(b, int):
            return a >= b
        return self.facts.at_least(a, b)

    def simplify(self, a: Size) -> Size:
        """The same size in its shortest form under what is known."""
        return a if isinstance(a, int) else self.facts.simplify(a)

    def require_equal(self, a: Size, b: Size, message: str, **error: Any) -> None:
        """Demand a == b; undecided is an error whose repair is the assert that would prove it."""
        answer = self.equal(a, b)
        if answer is None:
            raise self._unequal(message, a, b, error)
        if not answer:
            raise ShapeError(message, **({"sizes": (a, b)} | error))

    def _unequal(self, message: str, a: Size, b: Size, error: dict[str, Any]) -> ShapeError:
        """The error for sizes that are not known to agree: with an example where they do not, unless that is plain."""
        agree, example = self._samples(a, b)
        error = {"sizes": (a, b)} | error
        notes = (*error.pop("notes", ()), *example)
        if agree:
            return unproved(message, f"{show(a)} == {show(b)}", notes=notes, **error)
        return ShapeError(message, notes=(*notes, "they agree for hardly any size"), **(error | {"code": "NNS410"}))

    def _samples(self, a: Size, b: Size) -> tuple[bool, tuple[str, ...]]:
        """Whether two sizes agree anywhere in a sample of what is possible, and a place where they do not."""
        names = sorted(symbols(a) | symbols(b))
        agree = False
        example: tuple[str, ...] = ()
        for numbers in _SAMPLES:
            values = {name: numbers[i % len(numbers)] for i, name in enumerate(names)}
            if any(self.facts.equal(symbol(name), value) is False for name, value in values.items()):
                continue
            try:
                left, right = evaluate(a, values), evaluate(b, values)
            except ZeroDivisionError:
                continue
            agree |= left == right
            if left != right and not example and all(name.isidentifier() and name[0] != "_" for name in names):
                where = " and ".join(f"{name} = {value}" for name, value in values.items())
                example = (f"with {where}, for instance, they are {left} and {right}",)
        plain = all(isinstance(size, int) or show(size).isidentifier() for size in (a, b))
        return agree or plain, () if plain else example

    def require_at_least(self, a: Size, b: Size, message: str, **error: Any) -> None:
        """Demand a >= b; undecided becomes a requirement that the model checks on entry."""
        answer = self.at_least(a, b)
        if answer is False:
            raise ShapeError(message, **error)
        if answer is None:
            self.requires.append(Requirement(self.simplify(a - b), ">=", message))
            self.facts.assume_at_least(a, b)

    def exact(self, a: Size, b: Size, message: str, **error: Any) -> Size:
        """a / b where the division leaves no remainder."""
        if isinstance(a, int) and isinstance(b, int):
            if b != 0 and a % b == 0:
                return a // b
            raise ShapeError(message, **error)
        quotient = self.facts.quotient(a, b)
        if quotient is not None:
            return quotient
        if isinstance(b, int) and self.facts.divisible(a, b) is False:
            raise ShapeError(message, **error)
        raise unproved(message, f"{_bracketed(a)} % {_bracketed(b)} == 0", **error)

    def broadcast(self, *shapes: Sequence[Size], **error: Any) -> tuple[Size, ...]:
        """The shape of an elementwise operation: dims agree when provably equal, or one is the literal 1."""
        first = tuple(shapes[0])
        if all(tuple(s) == first for s in shapes[1:]):
            return first
        rank = max(len(s) for s in shapes)
        return tuple(
            self._broadcast_axis([s[axis] for s in shapes if len(s) >= -axis], shapes, axis, error)
            for axis in range(-rank, 0)
        )

    def _broadcast_axis(
        self, dims: list[Size], shapes: Sequence[Sequence[Size]], axis: int, error: dict[str, Any]
    ) -> Size:
        size: Size = 1
        for dim in dims:
            if dim == 1 or dim == size:
                continue
            if size == 1:
                size = dim
                continue
            answer = self.equal(size, dim)
            if answer:
                size = dim if isinstance(dim, int) else size
                continue
            both = " and ".join(f"[{', '.join(map(show, s))}]" for s in shapes)
            place = axis + len(shapes[0]) if len({len(s) for s in shapes}) == 1 else axis
            message = f"shapes {both} do not broadcast: {show(size)} meets {show(dim)} in dimension {place}"
            options = {"code": "NNS407", "label": f"{show(size)} meets {show(dim)}", "axis": axis, **error}
            if answer is None:
                raise self._unequal(message, size, dim, options)
            raise ShapeError(message, sizes=(size, dim), **options)
        return size


def unproved(message: str, fact: str, **error: Any) -> ShapeError:
    """The error for what is neither proved nor refuted; its help is the assert that would prove it."""
    notes = (*error.pop("notes", ()), "this was not refuted, but it cannot be proved for every size")
    error.pop("code", None)
    error.setdefault("label", f"cannot show that {fact}")
    return ShapeError(message, code="NNS410", fact=fact, notes=notes, **error)


def _bracketed(size: Size) -> str:
    text = show(size)
    return f"({text})" if isinstance(size, Dim) and " " in text else text
