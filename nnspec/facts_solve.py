"""Assumptions solved: equalities and divisibilities as substitutions, inequalities as ranges."""

from __future__ import annotations

from math import gcd, lcm

from nnspec.dims import Atom, Dim, Size, floordiv, substitute, symbols
from nnspec.dims_algebra import build, constant, divide_exact, from_terms, lone, lone_atom, mod, terms_of, transform
from nnspec.dims_text import AtomKind
from nnspec.facts_bounds import World, decide

_MARK = "%"


class Solution:
    """A set of assumptions in solved form: `solved` symbols are sizes over the free ones, whose ranges `world` has.

    `H % 16 == 0` introduces an internal symbol z with H = 16 z; `meaning` has what z is in the body's own symbols, as
    an exact fraction (H, 16).
    """

    def __init__(self) -> None:
        self.solved: dict[str, Size] = {}
        self.meaning: dict[str, tuple[Size, int]] = {}
        self.world = World({})
        self._reduced: dict[Dim, Size] = {}

    def copy(self) -> Solution:
        """An independent copy, to try an assumption on."""
        other = Solution()
        other.solved, other.meaning, other.world = dict(self.solved), dict(self.meaning), self.world
        return other

    def reduce(self, size: Size) -> Size:
        """The size over free symbols, with `min`, `max`, conditionals and floors resolved where the facts decide."""
        if isinstance(size, int):
            return size
        if size not in self._reduced:
            self._reduced[size] = self._reduce(size)
        return self._reduced[size]

    def to_user(self, size: Size) -> Size:
        """The size over the body's own symbols."""
        if isinstance(size, int) or symbols(size).isdisjoint(self.meaning):
            return size
        total: Size = 0
        for m, c in size.terms:
            inside = [f for f in m if f in self.meaning]
            numerator, denominator = self._fraction(from_terms({tuple(inside): c}))
            # The division is exact, so that a number which rounds away may be added to read better.
            product = floordiv(numerator + -constant(numerator) % denominator, denominator)
            for f in m:
                if isinstance(f, Atom):
                    product *= build(f.kind, tuple(self.to_user(a) for a in f.args))
                elif f not in self.meaning:
                    product *= lone(f)
            total += product
        return total

    def is_zero(self, size: Size) -> bool | None:
        """Whether a reduced size is 0."""
        if isinstance(size, int):
            return size == 0
        verdicts = self.world.verdicts
        if ("zero", size) not in verdicts:
            verdicts["zero", size] = self._prove_zero(size)
        return verdicts["zero", size]

    def is_not_negative(self, size: Size) -> bool | None:
        """Whether a reduced size is at least 0."""
        if isinstance(size, int):
            return size >= 0
        verdicts = self.world.verdicts
        if ("positive", size) not in verdicts:
            verdicts["positive", size] = self._prove_not_negative(size)
        return verdicts["positive", size]

    def require_zero(self, size: Size) -> bool:
        """Learn that a reduced size is 0; False for a contradiction."""
        known = self.is_zero(size)
        if known is not None or isinstance(size, int):
            return bool(known)
        size = self.world.without_positive_factors(size)
        shared = gcd(*(c for _, c in size.terms))
        size = Dim(tuple((m, c // shared) for m, c in size.terms))
        remainder = _as_remainder(size)
        if remainder is not None:
            dividend, k, r = remainder
            return 0 <= r < k and self._require_divisible(dividend - r, k)
        return self._solve_linear(size)

    def require_positive(self, size: Size) -> bool:
        """Learn that a reduced size is at least 0; False for a contradiction."""
        known = self.is_not_negative(size)
        if known is not None or isinstance(size, int):
            return bool(known)
        size = self.world.without_positive_factors(size)
        shared = gcd(*(c for m, c in size.terms if m))
        number = constant(size) // shared
        moving = from_terms({m: c // shared for m, c in size.terms if m})
        assert isinstance(moving, Dim)
        if len(moving.terms) == 1 and len(moving.terms[0][0]) == 1:
            return self._require_factor(moving.terms[0][0][0], moving.terms[0][1], number)
        self._learn(inequalities=(*self.world.inequalities, _dim(moving + number)))
        return True

    def _prove_zero(self, size: Dim) -> bool | None:
        if self.world.never_zero(size):
            return False
        if any(divide_exact(size, zero) is not None for zero in self.world.zeros):
            return True
        if len({value == 0 for value in self.world.values(size)}) > 1:
            return None
        return decide(self.world, size, self._zero_in)

    def _prove_not_negative(self, size: Dim) -> bool | None:
        answer = self.world.not_negative(size)
        # Samples on both sides of 0 say early that no proof will come.
        if answer is not None or len({value >= 0 for value in self.world.values(size)}) > 1:
            return answer
        return decide(self.world, size, World.not_negative)

    @staticmethod
    def _zero_in(world: World, size: Size) -> bool | None:
        if isinstance(size, int):
            return size == 0
        return False if world.never_zero(size) else None

    def _reduce(self, size: Dim) -> Size:
        if symbols(size).isdisjoint(self.solved) and not any(isinstance(f, Atom) for m, _ in size.terms for f in m):
            return size
        return transform(size, lambda name: self.solved.get(name, lone(name)), self._reduce_atom)

    def _reduce_atom(self, kind: AtomKind, args: tuple[Size, ...]) -> Size:
        world = self.world
        if kind in ("min", "max"):
            sign = 1 if kind == "max" else -1
            kept = list(args)
            for a in args:
                if len(kept) > 1 and any(b != a and world.not_negative(sign * (b - a)) for b in kept):
                    kept.remove(a)
            return build(kind, tuple(kept))
        if kind == "floor":
            return self._reduce_floor(floordiv(*args))
        difference = args[0] - args[1]
        answer = self._zero_in(world, difference) if kind == "if_equal" else world.not_negative(difference)
        return build(kind, args) if answer is None else args[2] if answer else args[3]

    def _reduce_floor(self, size: Size) -> Size:
        if lone_atom(size) is None:
            return size
        least, most = self.world.lower(size), self.world.upper(size)
        return least if least is not None and least == most else size

    def _fraction(self, size: Size) -> tuple[Size, int]:
        """A size over internal and own symbols as numerator over own symbols and denominator."""
        numerators: list[tuple[Size, int]] = []
        for m, c in terms_of(size):
            top: Size = c
            bottom = 1
            for f in m:
                over, under = self.meaning.get(f, (lone(f), 1))
                top, bottom = top * over, bottom * under
            numerators.append((top, bottom))
        denominator = lcm(*(bottom for _, bottom in numerators))
        total: Size = 0
        for top, bottom in numerators:
            total += top * (denominator // bottom)
        return total, denominator

    def _require_factor(self, factor: str, sign: int, number: int) -> bool:
        """Learn that sign * factor + number >= 0, the sign being 1 or -1."""
        if not isinstance(factor, Atom):
            low, high = self.world.interval(factor)
            if sign > 0:
                low = -number if low is None else max(low, -number)
            else:
                high = number if high is None else min(high, number)
            if low is not None and low == high:
                return self._solve(factor, low)
            self._learn(ranges={factor: (low, high)})
            return True
        k = factor.args[-1]
        if factor.kind == "floor" and isinstance(k, int):
            dividend = factor.args[0]
            return self.require_positive(dividend + k * number if sign > 0 else k * number + k - 1 - dividend)
        if factor.kind == ("min" if sign > 0 else "max"):
            return all(self.require_positive(self.reduce(sign * a + number)) for a in factor.args)
        self._learn(inequalities=(*self.world.inequalities, _dim(sign * lone(factor) + number)))
        return True

    def _require_divisible(self, size: Size, k: int) -> bool:
        """Learn that k divides the size, by writing one of its symbols as a multiple of k plus a rest."""
        size = from_terms({m: c % k for m, c in terms_of(size)})
        if isinstance(size, int):
            return size % k == 0
        shared = gcd(k, *(c for m, c in size.terms if m))
        if constant(size) % shared:
            return False
        k //= shared
        if k == 1:
            return True
        size = Dim(tuple((m, c // shared) for m, c in size.terms))
        found = [(len(size.terms), name, c) for name, c in _linear_symbols(size) if gcd(c, k) == 1]
        if not found:
            self._learn(zeros=(*self.world.zeros, _dim(mod(size, k))))
            return True
        _, name, c = min(found)
        # c s + rest = 0 (mod k), so s = k z - offset for an integer z.
        rest = size - c * lone(name)
        inverse = pow(c, -1, k)
        offset = from_terms({m: d * inverse % k for m, d in terms_of(rest)})
        return self._introduce(name, k, offset)

    def _introduce(self, name: str, k: int, offset: Size) -> bool:
        """Put k z - offset in place of the symbol, with a new internal symbol z = (name + offset) / k."""
        new = f"{_MARK}{len(self.meaning)}"
        low, high = self.world.lower(lone(name) + offset), self.world.upper(lone(name) + offset)
        top, bottom = self._fraction(lone(name) + offset)
        self.meaning[new] = (top, bottom * k)
        self._learn(ranges={new: (None if low is None else -(-low // k), None if high is None else high // k)})
        return self._solve(name, k * lone(new) - offset)

    def _solve_linear(self, size: Dim) -> bool:
        """Learn that size == 0 by solving for a symbol, else by what bounds it gives."""
        linear = _linear_symbols(size)
        options = [(_cost(value := lone(name) - c * size), name, value) for name, c in linear if c in (1, -1)]
        if options:
            _, name, value = min(options, key=lambda option: option[:2])
            return self._solve(name, value)
        for name, c in sorted(linear, key=lambda item: abs(item[1])):
            # c s = -rest: once the rest is written as a multiple of c, s has the factor 1.
            before = len(self.solved)
            rest = size - c * lone(name)
            if _linear_symbols(_dim(rest)) and not self._require_divisible(rest, abs(c)):
                return False
            if len(self.solved) > before:
                return self.require_zero(self.reduce(size))
        self._learn(zeros=(*self.world.zeros, size))
        return self._bound_floor(size)

    def _bound_floor(self, size: Dim) -> bool:
        """From P // k == rest follows k rest <= P <= k rest + k - 1."""
        for m, c in size.terms:
            if c not in (1, -1) or len(m) != 1 or not isinstance(m[0], Atom) or m[0].kind != "floor":
                continue
            dividend, k = m[0].args
            if isinstance(k, int):
                rest = lone(m[0]) - c * size
                low, high = dividend - k * rest, k * rest + k - 1 - dividend
                return self.require_positive(self.reduce(low)) and self.require_positive(self.reduce(high))
        return True

    def _solve(self, name: str, value: Size) -> bool:
        """Put the value in place of the symbol everywhere, and keep what was known about the symbol."""
        low, high = self.world.interval(name)
        old = self.world
        self.solved = {s: substitute(v, {name: value}) for s, v in self.solved.items()}
        self.solved[name] = value
        self._reduced.clear()
        self.world = World({s: r for s, r in old.ranges.items() if s != name})
        ends = (value - low if low is not None else 0, high - value if high is not None else 0)
        kept = (*ends, *old.inequalities)
        return all(self.require_positive(self.reduce(fact)) for fact in kept) and all(
            self.require_zero(self.reduce(zero)) for zero in old.zeros
        )

    def _learn(
        self,
        ranges: dict[str, tuple[int | None, int | None]] | None = None,
        inequalities: tuple[Dim, ...] | None = None,
        zeros: tuple[Dim, ...] | None = None,
    ) -> None:
        world = self.world
        self._reduced.clear()
        self.world = World(
            {**world.ranges, **(ranges or {})},
            world.inequalities if inequalities is None else inequalities,
            world.zeros if zeros is None else zeros,
        )


def _dim(size: Size) -> Dim:
    assert isinstance(size, Dim)
    return size


def _as_remainder(size: Dim) -> tuple[Size, int, int] | None:
    """(P, k, r) when the size is P - k (P // k) - r or its negative, that is when its zeros are P % k == r."""
    for m, c in size.terms:
        if len(m) != 1 or not isinstance(m[0], Atom) or m[0].kind != "floor":
            continue
        dividend, k = m[0].args
        if isinstance(k, int) and abs(c) == k:
            rest = (size if c < 0 else -size) - dividend + k * lone(m[0])
            if isinstance(rest, int):
                return dividend, k, -rest
    return None


def _linear_symbols(size: Dim) -> list[tuple[str, int]]:
    """The symbols that occur once, alone in a term, with their coefficients."""
    linear: list[tuple[str, int]] = []
    for m, c in size.terms:
        if len(m) == 1 and not isinstance(m[0], Atom):
            rest = size - c * lone(m[0])
            if m[0] not in symbols(rest):
                linear.append((m[0], c))
    return linear


def _cost(value: Size) -> tuple[int, int]:
    """How a person would rate a solution: few terms, none negative."""
    return len(terms_of(value)), sum(c < 0 for _, c in terms_of(value))
