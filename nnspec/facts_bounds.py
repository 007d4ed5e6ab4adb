"""Bounds of sizes: interval arithmetic over their terms, sharpened by assumed inequalities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import product
from math import gcd, lcm

from nnspec.dims import Atom, Dim, Size, Term, evaluate, substitute, symbols
from nnspec.dims_algebra import common_factors, constant, divide_exact, from_terms, lone, monomial_quotient, terms_of
from nnspec.dims_text import DimTooLarge, Monomial

Interval = tuple[int | None, int | None]

MAX_CASES = 64
_DEPTH = 3
_EFFORT = 4000
_LONG_TERM = 10
_INFINITY = float("inf")
_SAMPLES = 12
_UNBOUNDED: Interval = (None, None)


class World:
    """What symbols may be: a range for each (1 and up unless said), sizes that are at least 0, and sizes that are 0."""

    __slots__ = ("_effort", "_lower", "inequalities", "ranges", "verdicts", "zeros")

    def __init__(
        self, ranges: Mapping[str, Interval], inequalities: tuple[Dim, ...] = (), zeros: tuple[Dim, ...] = ()
    ) -> None:
        self.ranges = ranges
        self.inequalities = inequalities
        self.zeros = zeros
        self._lower: dict[Dim, int | None] = {}
        self._effort = 0
        self.verdicts: dict[tuple[str, Dim], bool | None] = {}

    def interval(self, factor: str) -> Interval:
        """The interval of a symbol or an atom."""
        return self._atom_range(factor) if isinstance(factor, Atom) else self.ranges.get(factor, (1, None))

    def lower(self, size: Size) -> int | None:
        """A lower bound, None where none is found."""
        if isinstance(size, int):
            return size
        if size not in self._lower:
            # What is under way counts as unbounded, so that bounds of atoms within bounds end.
            self._lower[size] = None
            before, self._effort = self._effort, self._effort or _EFFORT
            try:
                self._lower[size] = self._search(size, _DEPTH)
            except DimTooLarge:
                self._lower[size] = None
            self._effort = before and self._effort
        return self._lower[size]

    def upper(self, size: Size) -> int | None:
        """An upper bound, None where none is found."""
        least = self.lower(-size)
        return None if least is None else -least

    def not_negative(self, size: Size) -> bool | None:
        """Whether the size is at least 0."""
        least = self.lower(size)
        if least is not None and least >= 0:
            return True
        most = self.upper(size)
        return False if most is not None and most < 0 else None

    def never_zero(self, size: Size) -> bool:
        """Whether the size is proved to differ from 0."""
        if isinstance(size, int):
            return size != 0
        least, most = self.lower(size), self.upper(size)
        if (least is not None and least > 0) or (most is not None and most < 0):
            return True
        shared = gcd(*(c for m, c in size.terms if m))
        if constant(size) % shared:
            return True
        rest = self.without_positive_factors(size)
        return rest != size and self.never_zero(rest)

    def without_positive_factors(self, size: Dim) -> Dim:
        """The size less the factors of all its terms that are at least 1: same sign, same zeros."""
        positive = tuple(f for f in common_factors(size) if (self.interval(f)[0] or 0) >= 1)
        rest = divide_exact(size, from_terms({positive: 1})) if positive else size
        return rest if isinstance(rest, Dim) else size

    def samples(self, *sizes: Size) -> Iterator[dict[str, int]]:
        """A few assignments to the symbols of the sizes that fit all ranges and inequalities."""
        names = sorted(frozenset().union(*map(symbols, (*sizes, *self.inequalities, *self.zeros))))
        for i in range(_SAMPLES):
            values = {name: self._sample(name, i, j) for j, name in enumerate(names)}
            if all(_at_least_zero(fact, values) for fact in self.inequalities) and not any(
                _at_least_zero(sign * fact - 1, values) for fact in self.zeros for sign in (1, -1)
            ):
                yield values

    def values(self, size: Size) -> Iterator[int]:
        """The size at the samples."""
        for sample in self.samples(size):
            with suppress(ZeroDivisionError):
                yield evaluate(size, sample)

    def cases(self, size: Size) -> list[tuple[Size, World]] | None:
        """The size with its floors resolved for all remainders of their symbols; None if these are too many."""
        moduli = _moduli(size)
        if not moduli or any(self.interval(s)[0] is None for s in moduli):
            return None
        count = 1
        for k in moduli.values():
            count *= k
        if count > MAX_CASES:
            return None
        found = (self._case(size, moduli, r) for r in product(*(range(k) for k in moduli.values())))
        return [case for case in found if case is not None]

    def _case(self, size: Size, moduli: dict[str, int], remainders: tuple[int, ...]) -> tuple[Size, World] | None:
        ranges = dict(self.ranges)
        values: dict[str, Size] = {}
        for (name, k), r in zip(moduli.items(), remainders, strict=True):
            low, high = self.interval(name)
            assert low is not None
            ranges[name] = (-(-(low - r) // k), None if high is None else (high - r) // k)
            if high is not None and (high - r) // k < -(-(low - r) // k):
                return None
            values[name] = k * lone(name) + r
        facts: list[Dim] = []
        for fact in self.inequalities:
            known = substitute(fact, values)
            if isinstance(known, Dim):
                facts.append(known)
            elif known < 0:
                return None
        return substitute(size, values), World(ranges, tuple(facts))

    def _sample(self, name: str, i: int, j: int) -> int:
        low, high = self.interval(name)
        if low is None:
            low = -5 if high is None else high - 10
        step = (i * (2 * j + 3) + j * (i > 1)) % 11 if i < _SAMPLES - 2 else 9973 * (i + j)
        return low + (step if high is None else step % (high - low + 1))

    def _search(self, size: Dim, depth: int) -> int | None:
        """The best bound from intervals, choices of min and max, floors relaxed, and inequalities."""
        if self._effort <= 0:
            return None
        # About what shifting the polynomial to the least values of its factors costs.
        self._effort -= sum(2 ** min(len(m), _LONG_TERM) for m, _ in size.terms)
        if depth == 0:
            return self._by_intervals(size)
        best = _greatest(self._by_intervals(size), self._by_choice(size, depth), self._by_relaxing(size, depth))
        if best is not None and best > 0:
            return best
        for fact in (*self.inequalities, *self._upper_ends(size)):
            best = _greatest(best, self._by_fact(size, fact, depth))
        return best

    def _upper_ends(self, size: Dim) -> Iterator[Dim]:
        """T <= 512 as the inequality 512 - T, for products such as 512 * S - T * S."""
        for name in sorted({f for m, _ in size.terms if len(m) > 1 for f in m if f in self.ranges}):
            high = self.ranges[name][1]
            if high is not None:
                yield Dim((((), high), ((name,), -1))) if high else -lone(name)

    def _deeper(self, size: Size, depth: int) -> int | None:
        return size if isinstance(size, int) else self._search(size, depth - 1)

    def _by_intervals(self, size: Dim) -> int | None:
        """Count every factor from its least value: then each term is at least 0 or at most its largest."""
        intervals = {f: self.interval(f) for m, _ in size.terms for f in m}
        known = {f: low for f, (low, _) in intervals.items() if low is not None}
        try:
            shifted = _shift(size, known)
        except DimTooLarge:
            return None
        ends = {f: _ends(interval) for f, interval in intervals.items()}
        total: float = 0
        for m, c in terms_of(shifted):
            low, high = _product([ends[f] for f in m])
            total += _times(c, low if c > 0 else high)
            if total == -_INFINITY:
                return None
        return int(total)

    def _by_relaxing(self, size: Dim, depth: int) -> int | None:
        """(P - k + 1) / k <= P // k <= P / k, for every floor whose other factors are not negative."""
        floors = [(m, c, f) for m, c in size.terms if (f := _one_floor(m)) is not None and self._others_positive(m, f)]
        if not floors:
            return None
        scale = lcm(*(_divisor(f) for _, _, f in floors))
        total: Size = size * scale
        for m, c, f in floors:
            k = _divisor(f)
            others = from_terms({monomial_quotient(m, (f,)) or (): c * scale})
            estimate = f.args[0] if c < 0 else f.args[0] - (k - 1)
            exact = divide_exact(others, k)
            assert exact is not None
            total += exact * estimate - others * lone(f)
        least = self._deeper(total, depth)
        return None if least is None else -(-least // scale)

    def _others_positive(self, m: Monomial, floor: Atom) -> bool:
        return all(_is_positive(self.interval(f)[0]) for f in m if f is not floor)

    def _by_choice(self, size: Dim, depth: int) -> int | None:
        """A `min`, a `max` and a conditional is one of its choices; the friendly choice may be picked."""
        for m, c in size.terms:
            for f in m:
                if not isinstance(f, Atom) or f.kind == "floor":
                    continue
                choices = f.args if f.kind in ("min", "max") else f.args[2:]
                bounds = [self._deeper(_replace(size, f, choice), depth) for choice in choices]
                once = sum(f in n for n, _ in size.terms) == 1 and m.count(f) == 1 and self._others_positive(m, f)
                if once and f.kind == ("max" if c > 0 else "min"):
                    return _greatest(*bounds)
                return None if None in bounds else min(b for b in bounds if b is not None)
        return None

    def _by_fact(self, size: Dim, fact: Dim, depth: int) -> int | None:
        """size >= size - t q fact, where the monomial q is not negative and the ratio t cancels a negative term."""
        best: int | None = None
        for m, c in size.terms:
            if self._effort <= 0:
                break
            if c >= 0 or not m:
                continue
            for n, d in fact.terms:
                q = monomial_quotient(m, n) if d < 0 and n else None
                if q is None or not all(_is_positive(self.interval(f)[0]) for f in q):
                    continue
                shared = gcd(c, d)
                rest = size * (-d // shared) - from_terms({q: -c // shared}) * fact
                least = self._deeper(rest, depth)
                best = _greatest(best, None if least is None else -(-least // (-d // shared)))
        return best

    def _atom_range(self, atom: Atom) -> Interval:
        if atom.kind == "floor":
            return self._floor_range(*atom.args)
        choices = atom.args if atom.kind in ("min", "max") else atom.args[2:]
        lows, highs = [self.lower(a) for a in choices], [self.upper(a) for a in choices]
        low = _greatest(*lows) if atom.kind == "max" else _least(*lows)
        high = _greatest_negated(highs) if atom.kind == "min" else _most(*highs)
        return low, high

    def _floor_range(self, dividend: Size, divisor: Size) -> Interval:
        low, high = self.lower(dividend), self.upper(dividend)
        if isinstance(divisor, int):
            return None if low is None else low // divisor, None if high is None else high // divisor
        least, most = self.lower(divisor), self.upper(divisor)
        if least is None or least < 1 or low is None or low < 0:
            return _UNBOUNDED
        return 0 if most is None else low // most, None if high is None else high // least


def _is_positive(bound: int | None) -> bool:
    return bound is not None and bound >= 0


def _greatest(*bounds: int | None) -> int | None:
    return max((b for b in bounds if b is not None), default=None)


def _least(*bounds: int | None) -> int | None:
    return None if None in bounds else min(b for b in bounds if b is not None)


def _most(*bounds: int | None) -> int | None:
    return None if None in bounds else max(b for b in bounds if b is not None)


def _greatest_negated(bounds: list[int | None]) -> int | None:
    return min((b for b in bounds if b is not None), default=None)


def _ends(interval: Interval) -> tuple[float, float]:
    """The interval of a factor that is counted from its least value."""
    low, high = interval
    if low is None:
        return -_INFINITY, _INFINITY if high is None else high
    return 0, _INFINITY if high is None else high - low


def _product(intervals: list[tuple[float, float]]) -> tuple[float, float]:
    low: float = 1
    high: float = 1
    for a, b in intervals:
        corners = (_times(low, a), _times(low, b), _times(high, a), _times(high, b))
        low, high = min(corners), max(corners)
    return low, high


def _times(x: float, y: float) -> float:
    """x * y for exact integers and infinities."""
    if x == 0 or y == 0:
        return 0
    if x in (_INFINITY, -_INFINITY) or y in (_INFINITY, -_INFINITY):
        return _INFINITY if (x > 0) == (y > 0) else -_INFINITY
    return x * y


def _shift(size: Dim, lows: Mapping[str, int]) -> Size:
    """The polynomial with each factor f written as f + low, atoms taken as symbols."""
    if not any(lows.values()):
        return size
    total: Size = 0
    for m, c in size.terms:
        term: Size = c
        for f in m:
            term *= lone(f) + lows.get(f, 0)
        total += term
    return total


def _replace(size: Dim, atom: Atom, value: Size) -> Size:
    """The size with an atom of its terms replaced."""
    total: Size = 0
    for m, c in size.terms:
        others = tuple(f for f in m if f != atom)
        term: Size = from_terms({others: c})
        for _ in range(len(m) - len(others)):
            term *= value
        total += term
    return total


def _divisor(floor: Atom) -> int:
    divisor = floor.args[1]
    assert isinstance(divisor, int)
    return divisor


def _one_floor(m: Monomial) -> Atom | None:
    """The one floor by a number among the factors."""
    floors = [f for f in m if isinstance(f, Atom) and f.kind == "floor" and isinstance(f.args[1], int)]
    return floors[0] if len(floors) == 1 else None


def _moduli(size: Size) -> dict[str, int]:
    """For each symbol in a floor, the number whose remainders settle these floors."""
    moduli: dict[str, int] = {}
    for atom in _atoms(terms_of(size)):
        if atom.kind == "floor" and isinstance(atom.args[1], int):
            for name in sorted(symbols(atom.args[0])):
                moduli[name] = lcm(moduli.get(name, 1), atom.args[1])
    return moduli


def _atoms(terms: tuple[Term, ...]) -> Iterator[Atom]:
    for m, _ in terms:
        for f in m:
            if isinstance(f, Atom):
                yield f
                for a in f.args:
                    yield from _atoms(terms_of(a))


def _at_least_zero(fact: Size, values: Mapping[str, int]) -> bool:
    try:
        return evaluate(fact, values) >= 0
    except ZeroDivisionError:
        return False


def decide(world: World, size: Size, test: Callable[[World, Size], bool | None]) -> bool | None:
    """The test's verdict on every case of the size, if they are the same."""
    cases = world.cases(size)
    if not cases:
        return None
    verdict = test(cases[0][1], cases[0][0])
    for case, inner in cases[1:]:
        if verdict is None:
            return None
        if test(inner, case) is not verdict:
            return None
    return verdict
