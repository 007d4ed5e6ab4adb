"""How a size reads: the opaque atoms of dimensions, and the text of a polynomial over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nnspec.dims_algebra import Dim

AtomKind = Literal["floor", "min", "max", "if_equal", "if_at_least"]
Monomial = tuple[str, ...]
Term = tuple[Monomial, int]

MAX_ATOM_TEXT = 2000
MAX_ATOM_DEPTH = 40


class DimTooLarge(ArithmeticError):
    """A dimension has more terms, larger numbers or deeper nesting than any real network needs."""


class Atom(str):
    """What the polynomial does not look into: `P // Q`, `min`, `max` and undecided conditionals.

    It is its own text, so that equality, order and hash are those of strings; a symbol is a plain `str`, and being an
    identifier it never equals an atom. `args` are (P, Q) for `floor`, the choices for `min` and `max`, and
    (left, right, then, otherwise) for `if_equal` and `if_at_least`.
    """

    __slots__ = ("args", "depth", "kind")

    kind: AtomKind
    args: tuple[int | Dim, ...]
    depth: int

    def __new__(cls, kind: AtomKind, args: tuple[int | Dim, ...]) -> Atom:
        """Build an atom from arguments that are in normal form."""
        factors = [f for a in args if not isinstance(a, int) for m, _ in a.terms for f in m]
        depth = 1 + max((f.depth for f in factors if isinstance(f, Atom)), default=0)
        if depth > MAX_ATOM_DEPTH or sum(map(len, factors)) > MAX_ATOM_TEXT:
            raise DimTooLarge("the expression for this size is too long")
        self = super().__new__(cls, _atom_text(kind, args, str))
        self.kind, self.args, self.depth = kind, args, depth
        return self

    def __getnewargs__(self) -> tuple[AtomKind, tuple[int | Dim, ...]]:  # type: ignore[override]
        """What copying and pickling need."""
        return self.kind, self.args


def render(size: int | Dim, symbol: Callable[[str], str]) -> str:
    """The size as a Python expression, each symbol written as `symbol(name)`."""
    if isinstance(size, int):
        return str(size)
    text = ""
    for factors, coefficient in _reading_order(size.terms):
        body = _term_text(factors, abs(coefficient), symbol)
        if text:
            text += (" - " if coefficient < 0 else " + ") + body
        elif coefficient < 0:
            # `-H // 2` would be `(-H) // 2`, and `-(2 * T)` reads worse than `-2 * T`.
            text = f"-({body})" if _is_lone_floor(factors, coefficient) else f"-{body}"
        else:
            text = body
    return text


def _reading_order(terms: tuple[Term, ...]) -> list[Term]:
    """Highest degree first and the number last, but a positive term in front where there is one."""
    ordered = sorted(terms, key=lambda term: (-len(term[0]), any(isinstance(f, Atom) for f in term[0]), term[0]))
    if ordered[0][1] < 0:
        first = next((i for i, (_, c) in enumerate(ordered) if c > 0), 0)
        ordered.insert(0, ordered.pop(first))
    return ordered


def _is_lone_floor(factors: Monomial, coefficient: int) -> bool:
    return len(factors) == 1 and coefficient in (1, -1) and isinstance(factors[0], Atom) and factors[0].kind == "floor"


def _term_text(factors: Monomial, coefficient: int, symbol: Callable[[str], str]) -> str:
    if not factors:
        return str(coefficient)
    if len(factors) == 1 and coefficient == 1:
        return _factor_text(factors[0], symbol)
    parts = [] if coefficient == 1 else [str(coefficient)]
    for factor in sorted(factors, key=lambda f: isinstance(f, Atom)):
        text = _factor_text(factor, symbol)
        parts.append(f"({text})" if isinstance(factor, Atom) and factor.kind == "floor" else text)
    return " * ".join(parts)


def _factor_text(factor: str, symbol: Callable[[str], str]) -> str:
    if not isinstance(factor, Atom):
        return symbol(factor)
    # The identity rendering of an atom is the atom.
    return str.__str__(factor) if symbol is str else _atom_text(factor.kind, factor.args, symbol)


def _atom_text(kind: AtomKind, args: tuple[int | Dim, ...], symbol: Callable[[str], str]) -> str:
    texts = [render(a, symbol) for a in args]
    if kind == "floor":
        return f"{_operand(args[0], texts[0], product=True)} // {_operand(args[1], texts[1], product=False)}"
    if kind in ("min", "max"):
        return f"{kind}({', '.join(texts)})"
    left, right, then, otherwise = texts
    return f"({then} if {left} {'==' if kind == 'if_equal' else '>='} {right} else {otherwise})"


def _operand(size: int | Dim, text: str, *, product: bool) -> str:
    """The text of an operand of `//`, in brackets unless it binds at least as tightly."""
    if isinstance(size, int):
        return text if size >= 0 else f"({text})"
    factors, coefficient = size.terms[0]
    single = len(size.terms) == 1 and coefficient > 0 and not _is_lone_floor(factors, coefficient)
    if single and (product or (len(factors) == 1 and coefficient == 1)):
        return text
    return f"({text})"
