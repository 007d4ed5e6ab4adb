"""Exact symbolic dimensions: integer polynomials over symbols and atoms, in normal form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import gcd

from nnspec.dims_text import Atom, AtomKind, DimTooLarge, Monomial, Term, render

MAX_TERMS = 200
MAX_DEGREE = 32
MAX_NUMBER = 2**63


class Dim:
    """A size that is not a number: immutable, in normal form, equal when the normal forms are.

    `terms` are (factors, coefficient) pairs in a canonical order, the constant one (no factors) first; a factor is a
    symbol's name or an `Atom`. A constant is always a plain `int`, never a `Dim`.
    """

    __slots__ = ("_hash", "_symbols", "terms")

    terms: tuple[Term, ...]

    def __init__(self, terms: tuple[Term, ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._symbols: frozenset[str] | None = None

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Dim) and self._hash == other._hash and self.terms == other.terms)

    def __reduce__(self) -> tuple[type[Dim], tuple[tuple[Term, ...]]]:
        # Hashes of strings differ from process to process: build anew.
        return Dim, (self.terms,)

    def __str__(self) -> str:
        return render(self, str)

    def __repr__(self) -> str:
        return f"Dim({render(self, str)})"

    def __add__(self, other: Size) -> Size:
        return add(self, other) if _is_size(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: Size) -> Size:
        return add(self, -other) if _is_size(other) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        return add(-self, other)

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __mul__(self, other: Size) -> Size:
        return multiply(self, other) if _is_size(other) else NotImplemented

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Size:
        if exponent < 0:
            raise ValueError("a size has no negative powers")
        if exponent > MAX_DEGREE:
            raise DimTooLarge(f"a size of degree {exponent}")
        result: Size = 1
        for _ in range(exponent):
            result = multiply(self, result)
        return result

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other) if _is_size(other) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return mod(self, other) if _is_size(other) else NotImplemented

    def __rmod__(self, other: Size) -> Size:
        return mod(other, self)


Size = int | Dim


def _is_size(operand: object) -> bool:
    return isinstance(operand, (int, Dim))


@lru_cache(maxsize=1024)
def symbol(name: str) -> Dim:
    """The size called `name`, an identifier."""
    if not name.isidentifier():
        raise ValueError(f"not a name of a size: {name!r}")
    return Dim((((name,), 1),))


def lone(factor: str) -> Dim:
    """One factor (a symbol's name or an atom) as a size."""
    return Dim((((factor,), 1),))


def from_terms(terms: Mapping[Monomial, int]) -> Size:
    """The sum of the terms; zero coefficients are dropped."""
    items = sorted((m, c) for m, c in terms.items() if c)
    if not items:
        return 0
    if len(items) == 1 and not items[0][0]:
        return items[0][1]
    if len(items) > MAX_TERMS:
        raise DimTooLarge(f"a size with {len(items)} terms")
    if any(not -MAX_NUMBER <= c < MAX_NUMBER for _, c in items):
        raise DimTooLarge("a size with a number beyond 64 bits")
    return Dim(tuple(items))


def terms_of(size: Size) -> tuple[Term, ...]:
    """The terms of any size; those of 0 are none."""
    if isinstance(size, Dim):
        return size.terms
    return (((), int(size)),) if size else ()


def constant(size: Size) -> int:
    """The number that stands alone in the sum."""
    if isinstance(size, int):
        return size
    factors, coefficient = size.terms[0]
    return 0 if factors else coefficient


def add(a: Size, b: Size) -> Size:
    """a + b."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    if isinstance(b, int) and b == 0:
        return a
    total = dict(terms_of(a))
    for m, c in terms_of(b):
        total[m] = total.get(m, 0) + c
    return from_terms(total)


def multiply(a: Size, b: Size) -> Size:
    """a * b, multiplied out."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    left, right = terms_of(a), terms_of(b)
    if len(left) * len(right) > MAX_TERMS * 20:
        raise DimTooLarge("a product of sizes with too many terms")
    total: dict[Monomial, int] = {}
    for m, c in left:
        for n, d in right:
            product = tuple(sorted(m + n)) if m and n else m or n
            if len(product) > MAX_DEGREE:
                raise DimTooLarge(f"a size of degree {len(product)}")
            total[product] = total.get(product, 0) + c * d
    return from_terms(total)


def floordiv(a: Size, b: Size) -> Size:
    """a // b, rounded down as in Python."""
    if isinstance(b, int):
        if isinstance(a, int):
            return a // b
        if b == 0:
            raise ZeroDivisionError("division of a size by zero")
        if b == 1:
            return a
        return _floor(a, b) if b > 0 else floordiv(-a, -b)
    return _floor_by_dim(a, b) if a != 0 else 0


def mod(a: Size, b: Size) -> Size:
    """a % b, with the sign of b as in Python."""
    return a % b if isinstance(a, int) and isinstance(b, int) else add(a, -multiply(b, floordiv(a, b)))


@lru_cache(maxsize=4096)
def _floor(dividend: Dim, k: int) -> Size:
    """P // k for k > 1: whole multiples out, signs and common factors settled, an inner floor merged."""
    if k >= MAX_NUMBER:
        raise DimTooLarge("a size with a number beyond 64 bits")
    whole: dict[Monomial, int] = {}
    inner: dict[Monomial, int] = {}
    for m, c in dividend.terms:
        # Rounded towards zero, so that (T - S) // 2 stays as it is; the number alone is settled to 0 .. k - 1.
        quotient = c // k if c > 0 or not m else -(-c // k)
        whole[m] = quotient
        inner[m] = c - k * quotient
    outside, rest = from_terms(whole), from_terms(inner)
    if isinstance(rest, int):
        return outside
    number = constant(rest)
    if all(c < 0 for m, c in rest.terms if m):
        return outside - floordiv(k - 1 - rest, k)
    shared = gcd(k, *(c for m, c in rest.terms if m))
    if shared > 1:
        smaller = from_terms({m: c // shared for m, c in rest.terms if m}) + number // shared
        return outside + floordiv(smaller, k // shared)
    nested = _only_floor(rest)
    if nested is not None:
        numerator, a = nested.args
        assert isinstance(a, int)
        return outside + floordiv(numerator + a * (rest - lone(nested)), a * k)
    return outside + lone(Atom("floor", (rest, k)))


def _only_floor(dividend: Dim) -> Atom | None:
    """The floor `A // a` when the dividend is `A // a + R` and R has no floor: it merges to (A + a R) // (a k)."""
    floors = [(m, c, f) for m, c in dividend.terms for f in m if isinstance(f, Atom) and f.kind == "floor"]
    if len(floors) != 1:
        return None
    m, c, floor = floors[0]
    return floor if len(m) == 1 and c == 1 and isinstance(floor.args[1], int) else None


def _floor_by_dim(a: Size, b: Dim) -> Size:
    """P // Q; what divides is taken out, the rest is opaque."""
    exact = divide_exact(a, b)
    if exact is not None:
        return exact
    shared = gcd(content(a), content(b))
    common = _shared_factors(a, b)
    if shared > 1 or common:
        divisor = from_terms({common: shared})
        smaller, by = divide_exact(a, divisor), divide_exact(b, divisor)
        assert smaller is not None
        assert by is not None
        return floordiv(smaller, by)
    outside: Size = 0
    if len(b.terms) == 1:
        for term in terms_of(a):
            outside += divide_exact(from_terms(dict((term,))), b) or 0
    rest = a - outside * b
    return outside + lone(Atom("floor", (rest, b)))


def content(size: Size) -> int:
    """The greatest common divisor of all coefficients."""
    return gcd(*(c for _, c in terms_of(size)))


def _shared_factors(*sizes: Size) -> Monomial:
    monomials = [m for s in sizes for m, _ in terms_of(s)]
    common = list(monomials[0])
    for m in monomials[1:]:
        left = list(m)
        common = [f for f in common if f in left and not left.remove(f)]  # type: ignore[func-returns-value]
    return tuple(common)


def common_factors(size: Dim) -> Monomial:
    """The factors that every term of the sum has."""
    return _shared_factors(size) if size.terms[0][0] else ()


def divide_exact(a: Size, b: Size) -> Size | None:
    """The polynomial q with a == q * b, if there is one."""
    if b == 0:
        return None
    divisor = terms_of(b)
    lead, lead_coefficient = max(divisor, key=_degree_order)
    quotient: Size = 0
    rest = a
    for _ in range(MAX_TERMS):
        if rest == 0:
            return quotient
        m, c = max(terms_of(rest), key=_degree_order)
        over = monomial_quotient(m, lead)
        if over is None or c % lead_coefficient:
            return None
        step = from_terms({over: c // lead_coefficient})
        quotient += step
        rest -= step * b
    return None


def _degree_order(term: Term) -> tuple[int, Monomial]:
    # Graded lexicographic: compatible with products, so that leading terms divide leading terms.
    return len(term[0]), term[0]


def monomial_quotient(m: Monomial, n: Monomial) -> Monomial | None:
    """m / n when n's factors are all in m."""
    left = list(m)
    for factor in n:
        if factor not in left:
            return None
        left.remove(factor)
    return tuple(left)


def minimum(*sizes: Size) -> Size:
    """The least of the sizes."""
    return _extreme("min", sizes)


def maximum(*sizes: Size) -> Size:
    """The greatest of the sizes."""
    return _extreme("max", sizes)


def _extreme(kind: AtomKind, sizes: Iterable[Size]) -> Size:
    pick = min if kind == "min" else max
    best: dict[tuple[Term, ...], int] = {}
    for size in _flatten(kind, sizes):
        # Sizes that differ by a number are comparable: keep one for each non-constant part.
        number = constant(size)
        moving = terms_of(size - number)
        best[moving] = pick(best.get(moving, number), number)
    choices = [from_terms(dict(moving)) + number for moving, number in best.items()]
    if not choices:
        raise ValueError(f"{kind} of no sizes")
    if len(choices) == 1:
        return choices[0]
    return lone(Atom(kind, tuple(sorted(choices, key=lambda c: (isinstance(c, int), str(c))))))


def _flatten(kind: AtomKind, sizes: Iterable[Size]) -> Iterable[Size]:
    for size in sizes:
        atom = lone_atom(size)
        if atom is not None and atom.kind == kind:
            yield from atom.args
        else:
            yield size


def lone_atom(size: Size) -> Atom | None:
    """The atom that the size consists of, if it does."""
    if isinstance(size, Dim) and len(size.terms) == 1:
        factors, coefficient = size.terms[0]
        if coefficient == 1 and len(factors) == 1 and isinstance(factors[0], Atom):
            return factors[0]
    return None


def conditional(op: str, left: Size, right: Size, then: Size, otherwise: Size) -> Size:
    """`then if left op right else otherwise`, for any of the six comparisons."""
    if op in ("!=", "<", ">"):
        return conditional({"!=": "==", "<": ">=", ">": "<="}[op], left, right, otherwise, then)
    if op == "<=":
        left, right = right, left
    difference = left - right
    if isinstance(difference, int):
        return then if difference == 0 or (op != "==" and difference > 0) else otherwise
    if then == otherwise:
        return then
    if op == "==" and next(c for m, c in difference.terms if m) < 0:
        difference = -difference
    shared = gcd(*(c for m, c in difference.terms if m))
    number = constant(difference)
    if op == "==" and number % shared:
        return otherwise
    scaled = {m: c // shared for m, c in difference.terms if m} | {(): number // shared}
    plus = from_terms({m: c for m, c in scaled.items() if c > 0})
    minus = from_terms({m: -c for m, c in scaled.items() if c < 0})
    return lone(Atom("if_equal" if op == "==" else "if_at_least", (plus, minus, then, otherwise)))


def build(kind: AtomKind, args: tuple[Size, ...]) -> Size:
    """What an atom of this kind over these arguments is, in normal form."""
    if kind == "floor":
        return floordiv(*args)
    if kind in ("min", "max"):
        return _extreme(kind, args)
    return conditional("==" if kind == "if_equal" else ">=", *args)


def transform(
    size: Size, on_symbol: Callable[[str], Size], on_atom: Callable[[AtomKind, tuple[Size, ...]], Size] = build
) -> Size:
    """The size with every symbol and, from the inside out, every atom replaced."""
    if isinstance(size, int):
        return size
    total: Size = 0
    for m, c in size.terms:
        product: Size = c
        for f in m:
            if isinstance(f, Atom):
                product *= on_atom(f.kind, tuple(transform(a, on_symbol, on_atom) for a in f.args))
            else:
                product *= on_symbol(f)
        total += product
    return total
