"""Arguments at random: other values for some of them, of the right kinds and within their bounds."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Field, Kind, parse_kind
from nnspec.layer import Operation
from nnspec.types import REAL_DTYPES

_FLOATS = (0.0, 0.1, 0.5, 1.0, 2.0, -1.0)


def rearranged(operation: Operation, chance: Random) -> Operation:
    """The operation with other values for some arguments."""
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
    return _DRAWN[word](field, inside, now, chance)


def _length(now: Any, chance: Random) -> int:
    return len(now) if isinstance(now, tuple) and chance.random() < 0.7 else chance.randint(0, 3)


def _integer(field: Field, inside: Any, now: Any, chance: Random) -> int:
    if isinstance(now, int) and not isinstance(now, bool) and chance.random() < 0.3:
        return now
    least = -3 if field.ge is None and field.gt is None else int(field.ge if field.ge is not None else field.gt or 0)
    return chance.randint(least, least + chance.choice((2, 5)))


def _size(field: Field, inside: Any, now: Any, chance: Random) -> Any:
    return now if now is not None and chance.random() < 0.5 else _integer(field, inside, now, chance)


def _text(field: Field, inside: Any, now: Any, chance: Random) -> Any:
    """The text with a letter left out, twice, or in the place of another."""
    letters = [i for i, letter in enumerate(now or "") if letter.isalpha()]
    if not letters:
        return now
    one, two = chance.choice(letters), chance.choice(letters)
    if chance.random() < 0.6:
        swapped = {one: now[two], two: now[one]}
        return "".join(swapped.get(i, letter) for i, letter in enumerate(now))
    return now[:one] + chance.choice(("", now[two] + " ")) + now[one + 1 :]


def _layer(field: Field, inside: Any, now: Any, chance: Random) -> Any:
    """The layer that is wrapped or copied, with other arguments of its own."""
    if not isinstance(now, ir.Record):
        return now
    cls = registry.find("layer", now.name)
    assert cls is not None
    made = rearranged(cls(**now.arguments), chance)
    return ir.Record(now.name, {name: value for name, value in made.given() if value is not None})


def _item(field: Field, inside: Any, now: Any, chance: Random) -> Any:
    """Something that stands in the brackets of an index; what stands for a tensor stays."""
    if now == "tensor" or chance.random() < 0.3:
        return now if now is not None else "..."
    bounds = [None if chance.random() < 0.5 else chance.randint(-3, 4) for _ in range(2)]
    step = chance.choice((None, None, 1, 2))
    return chance.choice((chance.randint(-4, 4), ("slice", *bounds, step), None, "..."))


_DRAWN: dict[str, Callable[[Field, Any, Any, Random], Any]] = {
    "int": _integer,
    "Size": _size,
    "bool": lambda field, inside, now, chance: chance.random() < 0.5,
    "float": lambda field, inside, now, chance: chance.choice(_FLOATS),
    "None": lambda field, inside, now, chance: None,
    "Literal": lambda field, inside, now, chance: chance.choice(inside),
    "DType": lambda field, inside, now, chance: chance.choice(REAL_DTYPES),
    "str": _text,
    "Layer": _layer,
    "Any": _item,
}
"""How values of each kind are drawn."""
