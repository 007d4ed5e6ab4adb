"""Calls at random: an example's call with other sizes, ranks, element types and arguments.

A drawn call is a template over symbols together with a size for each: what it says with numbers and what it says with
symbols are then two readings of one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from nnspec.arguments import Field, Kind, parse_kind
from nnspec.dims import Dim, Size, evaluate, substitute, symbol, symbols
from nnspec.layer import Operation
from nnspec.types import DTYPES, Scalar, TensorType

from .seeds import Call

_LARGEST = 7
_FLOATS = (0.0, 0.1, 0.5, 1.0, 2.0, -1.0)


@dataclass(frozen=True)
class Draw:
    """A call over symbols, and their sizes."""

    call: Call
    sizes: Mapping[str, int]

    def concrete(self) -> Call:
        """The call in numbers."""
        return _mapped(self.call, lambda size: evaluate(size, self.sizes))

    def symbolic(self, chance: Random) -> Call | None:
        """The call with some symbols left in it; None if there are none."""
        names = sorted(_names(self.call))
        kept = [name for name in names if chance.random() < 0.7]
        if not kept:
            return None
        known = {name: size for name, size in self.sizes.items() if name not in kept}
        return _mapped(self.call, lambda size: substitute(size, known))


def draw(seed: Call, chance: Random) -> Draw | None:
    """A random relative of a call; None where its sizes are impossible."""
    sizes: dict[str, int] = {}
    template = _mapped(seed, lambda size: size if isinstance(size, Dim) else _named(size, sizes, chance))
    for name in _names(template) - sizes.keys():
        sizes[name] = chance.randint(1, _LARGEST)
    operands = tuple(_perturbed(each, chance) for each in template.operands)
    if chance.random() < 0.1:
        operands = _retyped(operands, chance)
    operation = template.operation
    if chance.random() < 0.6:
        operation = _rearranged(operation, chance)
    found = Draw(Call(operation, operands), sizes)
    if any(size < 1 for operand in operands for size in _sizes(operand, sizes)):
        return None
    return found


# --- operands --------------------------------------------------------------------------------------------------------


def _named(size: int, sizes: dict[str, int], chance: Random) -> Size:
    """A symbol for a number, the same for the same: so that what belongs together changes together."""
    name = f"D{size}"
    if size < 1 or (name not in sizes and chance.random() < 0.3):
        return size
    sizes.setdefault(name, size if chance.random() < 0.7 else chance.randint(1, _LARGEST))
    return symbol(name)


def _perturbed(operand: Any, chance: Random) -> Any:
    """Now and then with another size, or one dimension more or less."""
    if isinstance(operand, tuple):
        return tuple(_perturbed(part, chance) for part in operand)
    if not isinstance(operand, TensorType) or chance.random() < 0.7:
        return operand
    dims = list(operand.dims)
    place = chance.randint(0, len(dims))
    kind = chance.choice(("size", "one", "more", "less"))
    if kind == "more":
        dims.insert(place, chance.randint(1, 3))
    elif place < len(dims):
        dims[place : place + 1] = [] if kind == "less" else [1 if kind == "one" else chance.randint(1, _LARGEST)]
    return operand.with_dims(*dims)


def _retyped(operands: tuple[Any, ...], chance: Random) -> tuple[Any, ...]:
    """With another element type, of one operand or of all."""
    dtype, one = chance.choice(DTYPES), chance.randint(-1, len(operands) - 1)

    def typed(operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(map(typed, operand))
        return operand.with_dtype(dtype) if isinstance(operand, TensorType) else operand

    return tuple(typed(each) if one in (-1, i) else each for i, each in enumerate(operands))


# --- arguments -------------------------------------------------------------------------------------------------------


def _rearranged(operation: Operation, chance: Random) -> Operation:
    """With other values for some arguments, of the right kinds and within their bounds."""
    changes = {}
    for name, field in operation.fields.items():
        if field.inferred or chance.random() < 0.6:
            continue
        value = _value(parse_kind(field.kind), field, getattr(operation, name), chance)
        if field.bound_fault(value) is None:
            changes[name] = value
    return operation.replace(**changes)


def _value(kind: Kind, field: Field, now: Any, chance: Random) -> Any:
    word, inside = kind
    if word == "|":
        return _value(chance.choice(inside), field, now, chance)
    if word == "tuple":
        many = len(inside) == 2 and inside[1] == "..."
        kinds = [inside[0]] * _length(now, chance) if many else inside
        old = now if isinstance(now, tuple) else ()
        return tuple(_value(each, field, old[i] if i < len(old) else None, chance) for i, each in enumerate(kinds))
    made = _DRAWN.get(word)
    return now if made is None else made(field, inside, now, chance)


def _length(now: Any, chance: Random) -> int:
    return len(now) if isinstance(now, tuple) and chance.random() < 0.7 else chance.randint(0, 3)


def _integer(field: Field, inside: Any, now: Any, chance: Random) -> int:
    if isinstance(now, int) and not isinstance(now, bool) and chance.random() < 0.3:
        return now
    least = -3 if field.ge is None and field.gt is None else int(field.ge if field.ge is not None else field.gt or 0)
    return chance.randint(least, least + 5)


def _size(field: Field, inside: Any, now: Any, chance: Random) -> Any:
    return now if now is not None and chance.random() < 0.5 else _integer(field, inside, now, chance)


_DRAWN: dict[str, Callable[[Field, Any, Any, Random], Any]] = {
    "int": _integer,
    "Size": _size,
    "bool": lambda field, inside, now, chance: chance.random() < 0.5,
    "float": lambda field, inside, now, chance: chance.choice(_FLOATS),
    "None": lambda field, inside, now, chance: None,
    "Literal": lambda field, inside, now, chance: chance.choice(inside),
    "DType": lambda field, inside, now, chance: chance.choice(DTYPES),
}
"""How values of plain kinds are drawn; what is not here (texts, layers) stays as it is."""


# --- sizes -----------------------------------------------------------------------------------------------------------


def _mapped(call: Call, size: Callable[[Size], Size]) -> Call:
    """The call with other sizes in its operands and, where they are symbolic, in its arguments."""

    def argument(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(argument, value))
        return size(value) if isinstance(value, Dim) else value

    def operand(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(operand, value))
        if isinstance(value, TensorType):
            return value.with_dims(*map(size, value.dims))
        if isinstance(value, Scalar):
            return Scalar(argument(value.value))
        return value

    changes = {name: argument(value) for name, value in vars(call.operation).items()}
    return Call(call.operation.replace(**changes), tuple(map(operand, call.operands)))


def _names(call: Call) -> set[str]:
    found: set[str] = set()

    def note(size: Size) -> Size:
        found.update(symbols(size))
        return size

    _mapped(call, note)
    return found


def _sizes(operand: Any, sizes: Mapping[str, int]) -> list[int]:
    if isinstance(operand, tuple):
        return [size for part in operand for size in _sizes(part, sizes)]
    return [evaluate(size, sizes) for size in operand.dims] if isinstance(operand, TensorType) else []
