"""Calls at random: an example's call with other sizes, ranks, element types, operands and arguments.

A drawn call is a template over symbols together with a size for each: what it says with numbers and what it says with
symbols are then two readings of one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from nnspec.arguments import Misfit, convert
from nnspec.dims import Dim, Size, evaluate, substitute, symbol, symbols
from nnspec.layer import Operation
from nnspec.types import DTYPES, REAL_DTYPES, Scalar, TensorType

from .arguments import rearranged
from .seeds import Call

_LARGEST = 7
_NUMBERS = (0, 1, 2, 3, -1, -2, 0.5, 1.0, 2.5, -1.5, True, False)


@dataclass(frozen=True)
class Draw:
    """A call over symbols, and their sizes."""

    call: Call
    sizes: Mapping[str, int]

    def concrete(self) -> Call:
        """The call in numbers."""
        return _mapped(self.call, lambda size: evaluate(size, self.sizes))

    def symbolic(self, chance: Random, share: float) -> Call | None:
        """The call with that share of its symbols left in it; None if there are none."""
        kept = [name for name in sorted(_names(self.call)) if chance.random() < share]
        if not kept:
            return None
        known = {name: size for name, size in self.sizes.items() if name not in kept}
        return _mapped(self.call, lambda size: substitute(size, known))


def draw(seeds: Sequence[Call], chance: Random) -> Draw | None:
    """A random relative of one of these calls; None where its sizes are impossible."""
    sizes: dict[str, int] = {}
    template, other = (
        _mapped(chance.choice(seeds), lambda size: size if isinstance(size, Dim) else _named(size, sizes, chance))
        for _ in range(2)
    )
    for name in sorted((_names(template) | _names(other)) - sizes.keys()):
        sizes[name] = _any_size(chance)
    operands = _chosen(template, other, chance)
    operands = tuple(_perturbed(each, chance) for each in operands)
    if chance.random() < 0.1:
        operands = _retyped(operands, chance, DTYPES if template.operation.of_complex else REAL_DTYPES)
    operation = template.operation
    if chance.random() < 0.6:
        operation = _with_symbols(rearranged(operation, chance), sizes, chance)
    operation = _stated(operation, operands, sizes, chance)
    if any(size < 1 for operand in operands for size in _sizes(operand, sizes)):
        return None
    return Draw(Call(operation, operands), sizes)


# --- operands --------------------------------------------------------------------------------------------------------


def _any_size(chance: Random) -> int:
    return chance.randint(1, _LARGEST) if chance.random() < 0.9 else chance.randint(8, 20)


def _named(size: int, sizes: dict[str, int], chance: Random) -> Size:
    """A symbol for a number, the same for the same: so that what belongs together changes together.

    Some are expressions: twice a symbol, or one more than that.
    """
    name, half = f"D{size}", f"E{size}"
    if size < 1 or (name not in sizes and half not in sizes and chance.random() < 0.3):
        return size
    if half in sizes or (size > 1 and name not in sizes and chance.random() < 0.15):
        sizes[half] = size // 2
        return symbol(half) * 2 + size % 2
    if name not in sizes:
        sizes[name] = size if chance.random() < 0.7 else _any_size(chance)
    return symbol(name)


def _chosen(template: Call, other: Call, chance: Random) -> tuple[Any, ...]:
    """The operands, now and then without an optional one, with one of another example, or with a number."""
    cls = type(template.operation)
    names, least = cls.input_names(), cls.required_inputs()
    operands = list(template.operands)
    for i, name in enumerate(names):
        if name.startswith("*"):
            operands = [*operands[:i], *_resized(operands[i:], chance)]
        elif i >= least and chance.random() < 0.2:
            given = other.operands[i] if i < len(other.operands) and chance.random() < 0.7 else None
            operands += [None] * (i + 1 - len(operands))
            operands[i] = given
        elif name in cls.scalars and i < len(operands) and not isinstance(operands[i], tuple):
            alone = not any(isinstance(each, TensorType) for each in (*operands[:i], *operands[i + 1 :]))
            if not alone and chance.random() < (0.3 if isinstance(operands[i], Scalar) else 0.05):
                operands[i] = Scalar(chance.choice(_NUMBERS))
    while operands and operands[-1] is None:
        operands.pop()
    return tuple(operands)


def _resized(parts: list[Any], chance: Random) -> list[Any]:
    """A list of operands, now and then with one more or one less."""
    if not parts or chance.random() < 0.8:
        return parts
    at = chance.randrange(len(parts))
    return [*parts[:at], *parts[at + 1 :]] if chance.random() < 0.4 else [*parts, parts[at]]


def _perturbed(operand: Any, chance: Random) -> Any:
    """Now and then with another size, or one dimension more or less."""
    if isinstance(operand, tuple):
        return tuple(_perturbed(part, chance) for part in _resized(list(operand), chance))
    if not isinstance(operand, TensorType) or chance.random() < 0.75:
        return operand
    dims = list(operand.dims)
    place = chance.randint(0, len(dims))
    kind = chance.choice(("size", "one", "more", "less"))
    if kind == "more":
        dims.insert(place, chance.randint(1, 3))
    elif place < len(dims):
        dims[place : place + 1] = [] if kind == "less" else [1 if kind == "one" else _any_size(chance)]
    return operand.with_dims(*dims)


def _retyped(operands: tuple[Any, ...], chance: Random, dtypes: Sequence[str]) -> tuple[Any, ...]:
    """With another element type, of one operand or of all."""
    dtype, one = chance.choice(dtypes), chance.randint(-1, len(operands) - 1)

    def typed(operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(map(typed, operand))
        return operand.with_dtype(dtype) if isinstance(operand, TensorType) else operand

    return tuple(typed(each) if one in (-1, i) else each for i, each in enumerate(operands))


# --- sizes -----------------------------------------------------------------------------------------------------------


def _stated(operation: Operation, operands: Sequence[Any], sizes: Mapping[str, int], chance: Random) -> Operation:
    """With sizes that are inferred said by the author, now and then wrongly."""
    changes = {}
    for name, field in operation.fields.items():
        x = operands[field.input] if field.input < len(operands) else None
        if field.axis is None or not isinstance(x, TensorType) or not -x.rank <= field.axis < x.rank:
            continue
        if chance.random() < 0.1:
            changes[name] = evaluate(x.dims[field.axis], sizes) + (chance.random() < 0.3)
    return operation.replace(**changes)


def _with_symbols(operation: Operation, sizes: Mapping[str, int], chance: Random) -> Operation:
    """With symbols for some of the sizes among its arguments."""
    by_size = {size: name for name, size in sizes.items()}

    def named(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(named, value))
        known = isinstance(value, int) and not isinstance(value, bool) and value in by_size
        return symbol(by_size[value]) if known and chance.random() < 0.3 else value

    changes = {}
    for name, field in operation.fields.items():
        with suppress(Misfit):  # Not every number of a kind that has sizes is one.
            changes[name] = convert(field.kind, named(getattr(operation, name))) if "Size" in field.kind else None
    return operation.replace(**{name: value for name, value in changes.items() if value is not None})


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
