"""Sizes: plain integers, or exact polynomials over symbols and atoms such as `(H + 1) // 2`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from nnspec import dims_text
from nnspec.dims_algebra import (
    Dim,
    Size,
    conditional,
    divide_exact,
    floordiv,
    lone,
    maximum,
    minimum,
    mod,
    symbol,
    terms_of,
    transform,
)
from nnspec.dims_parse import parse_dim
from nnspec.dims_text import Atom, DimTooLarge, Term

__all__ = [
    "Atom",
    "Dim",
    "DimTooLarge",
    "Size",
    "Term",
    "conditional",
    "degree",
    "divide_exact",
    "evaluate",
    "floordiv",
    "maximum",
    "minimum",
    "mod",
    "parse_dim",
    "render",
    "show",
    "substitute",
    "symbol",
    "symbols",
    "terms_of",
]

_NONE: frozenset[str] = frozenset()


def symbols(size: Size) -> frozenset[str]:
    """The names of all symbols in the size, those inside atoms included."""
    if isinstance(size, int):
        return _NONE
    if size._symbols is None:
        names: set[str] = set()
        for factors, _ in size.terms:
            for factor in factors:
                if isinstance(factor, Atom):
                    names.update(*map(symbols, factor.args))
                else:
                    names.add(factor)
        size._symbols = frozenset(names)
    return size._symbols


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """The size with symbols replaced, all at once; symbols that `values` lacks stay."""
    if isinstance(size, int) or symbols(size).isdisjoint(values):
        return size
    return transform(size, lambda name: values[name] if name in values else lone(name))


def evaluate(size: Size, values: Mapping[str, int]) -> int:
    """The number that the size is when the symbols have these values; KeyError for one that is missing."""
    if isinstance(size, int):
        return size
    total = 0
    for factors, coefficient in size.terms:
        product = coefficient
        for factor in factors:
            product *= _evaluate_atom(factor, values) if isinstance(factor, Atom) else values[factor]
        total += product
    return total


def _evaluate_atom(atom: Atom, values: Mapping[str, int]) -> int:
    args = [evaluate(a, values) for a in atom.args]
    if atom.kind == "floor":
        return args[0] // args[1]
    if atom.kind in ("min", "max"):
        return min(args) if atom.kind == "min" else max(args)
    left, right, then, otherwise = args
    holds = left == right if atom.kind == "if_equal" else left >= right
    return then if holds else otherwise


def degree(size: Size) -> int:
    """The largest number of factors in a term; 0 for a number."""
    return max((len(factors) for factors, _ in terms_of(size)), default=0)


def render(size: Size, name: Callable[[str], str]) -> str:
    """The size as a Python expression, each symbol written as `name(symbol)` (an operand that binds tightly)."""
    return dims_text.render(size, name)


@lru_cache(maxsize=4096)
def show(size: Size) -> str:
    """The size as a person would write it, such as `N * T` or `(H + 1) // 2`."""
    return dims_text.render(size, str)
