"""What is known about the sizes of one body, and the questions that a checker asks about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nnspec.dims import Size, divide_exact, floordiv, mod, substitute, symbols
from nnspec.dims_text import DimTooLarge
from nnspec.facts_solve import Solution

Answer = bool | None

# Sizes beyond the limits, and divisions by what turns out to be 0, leave a question open.
_OPEN = (DimTooLarge, ZeroDivisionError)


class Facts:
    """Facts about the symbols of a body, each an integer of at least 1, and proofs from them.

    Answers are three-valued: True and False are proved for all values that the facts admit, None is undecided. What
    stays undecided is asked of `parent`, the facts of the calling body, after `binding` has put sizes of the caller in
    place of the symbols; `used_parent` then says that an answer holds for this call only.
    """

    def __init__(self, parent: Facts | None = None, binding: Mapping[str, Size] | None = None) -> None:
        self.parent = parent
        self.binding: dict[str, Size] = dict(binding or {})
        self.used_parent = False
        self._solution = Solution()

    def equal(self, a: Size, b: Size) -> Answer:
        """Whether a == b."""
        if isinstance(a, int) and isinstance(b, int):
            return a == b
        if a == b:
            return True
        return self._ask(a, b, self._equal, lambda facts, x, y: facts.equal(x, y))

    def at_least(self, a: Size, b: Size) -> Answer:
        """Whether a >= b."""
        if isinstance(a, int) and isinstance(b, int):
            return a >= b
        if a == b:
            return True
        return self._ask(a, b, self._at_least, lambda facts, x, y: facts.at_least(x, y))

    def never_equal(self, a: Size, b: Size) -> bool:
        """Whether a != b is proved."""
        return self.equal(a, b) is False

    def compare(self, op: str, a: Size, b: Size) -> Answer:
        """Whether `a op b`, for the six comparison operators."""
        if op in ("==", "!="):
            return _negate_if(op == "!=", self.equal(a, b))
        if op in (">=", "<"):
            return _negate_if(op == "<", self.at_least(a, b))
        if op in ("<=", ">"):
            return _negate_if(op == ">", self.at_least(b, a))
        raise ValueError(f"not a comparison: {op!r}")

    def divisible(self, a: Size, k: Size) -> Answer:
        """Whether k divides a."""
        if isinstance(a, int) and isinstance(k, int):
            return a % k == 0 if k else a == 0
        if k == 0:
            return self.equal(a, 0)
        if divide_exact(a, k) is not None:
            return True
        return self._ask(a, k, self._divisible, lambda facts, x, y: facts.divisible(x, y))

    def quotient(self, a: Size, b: Size) -> Size | None:
        """The exact a / b where b is proved to divide a (and is not 0), else None."""
        if b == 0:
            return None
        if isinstance(a, int) and isinstance(b, int):
            return None if a % b else a // b
        exact = divide_exact(a, b)
        if exact is not None:
            return exact
        try:
            return self._quotient(a, b)
        except _OPEN:
            return None

    def bounds(self, a: Size) -> tuple[int | None, int | None]:
        """The least and the largest value, None where none is known."""
        if isinstance(a, int):
            return a, a
        try:
            return self._bounds(a)
        except _OPEN:
            return None, None

    def assume_equal(self, a: Size, b: Size) -> bool:
        """Learn that a == b; False, and nothing is learnt, when that contradicts what is known."""
        return self._assume(a, b, lambda solution, d: solution.require_zero(d))

    def assume_at_least(self, a: Size, b: Size) -> bool:
        """Learn that a >= b; False, and nothing is learnt, when that contradicts what is known."""
        return self._assume(a, b, lambda solution, d: solution.require_positive(d))

    def assume_divisible(self, a: Size, k: int) -> bool:
        """Learn that k divides a; False, and nothing is learnt, when that contradicts what is known."""
        return self.assume_equal(mod(a, k), 0)

    def simplify(self, a: Size) -> Size:
        """The same size as short as the facts allow, in the symbols of the body."""
        if isinstance(a, int):
            return a
        try:
            return self._solution.to_user(self._solution.reduce(a))
        except _OPEN:
            return a

    def _ask(
        self,
        a: Size,
        b: Size,
        local: Callable[[Size, Size], Answer],
        again: Callable[[Facts, Size, Size], Answer],
    ) -> Answer:
        """The local answer, or the parent's to the question put in its symbols."""
        try:
            answer = local(a, b)
            if answer is not None or self.parent is None or not (self._bound(a) and self._bound(b)):
                return answer
            answer = again(self.parent, substitute(a, self.binding), substitute(b, self.binding))
        except _OPEN:
            return None
        self.used_parent |= answer is not None
        return answer

    def _bound(self, a: Size) -> bool:
        return symbols(a) <= self.binding.keys()

    def _equal(self, a: Size, b: Size) -> Answer:
        return self._solution.is_zero(self._solution.reduce(a - b))

    def _at_least(self, a: Size, b: Size) -> Answer:
        return self._solution.is_not_negative(self._solution.reduce(a - b))

    def _divisible(self, a: Size, k: Size) -> Answer:
        reduced, divisor = self._solution.reduce(a), self._solution.reduce(k)
        if divisor == 0:
            return self._equal(a, 0)
        if divide_exact(reduced, divisor) is not None:
            return True
        return self._solution.is_zero(self._solution.reduce(mod(reduced, divisor)))

    def _quotient(self, a: Size, b: Size) -> Size | None:
        reduced, divisor = self._solution.reduce(a), self._solution.reduce(b)
        exact = divide_exact(reduced, divisor)
        if exact is not None:
            return self._solution.to_user(exact)
        return self.simplify(floordiv(a, b)) if self.divisible(a, b) else None

    def _bounds(self, a: Size) -> tuple[int | None, int | None]:
        reduced = self._solution.reduce(a)
        least, most = self._solution.world.lower(reduced), self._solution.world.upper(reduced)
        if self.parent is None or (least is not None and most is not None) or not self._bound(a):
            return least, most
        low, high = self.parent.bounds(substitute(a, self.binding))
        better = (low if least is None else least, high if most is None else most)
        self.used_parent |= better != (least, most)
        return better

    def _assume(self, a: Size, b: Size, learn: Callable[[Solution, Size], bool]) -> bool:
        draft = self._solution.copy()
        try:
            if not learn(draft, draft.reduce(a - b)):
                return False
        except _OPEN:
            return True
        self._solution = draft
        return True


def _negate_if(negate: bool, answer: Answer) -> Answer:
    return answer if answer is None or not negate else not answer
