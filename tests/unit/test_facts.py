"""Proofs about sizes: named cases, and every verdict against all small values that fit the facts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.dims import Size, conditional, evaluate, floordiv, maximum, minimum, mod, symbol, symbols
from nnspec.facts import Facts

D, H, N, S, T, W = (symbol(name) for name in "DHNSTW")
NAMES = "HST"
GRID = [dict(zip(NAMES, v, strict=True)) for v in itertools.product(range(1, 14), repeat=len(NAMES))]
SPARSE = [{"H": h, "S": s, "T": t} for h in (15, 16, 24, 48, 96) for s in (1, 7, 24, 48) for t in (1, 16, 25, 49)]

_OPERATIONS: dict[str, Callable[[Size, Size, int], Size]] = {
    "+": lambda a, b, k: a + b,
    "-": lambda a, b, k: a - b,
    "*": lambda a, b, k: a * b,
    "*k": lambda a, b, k: a * k,
    "//k": lambda a, b, k: floordiv(a, k),
    "%k": lambda a, b, k: mod(a, k),
    "//": lambda a, b, k: a // b if b != 0 else a,
    "min": lambda a, b, k: minimum(a, b),
    "max": lambda a, b, k: maximum(a, k),
    "if": lambda a, b, k: conditional(">=", a, k, b, k),
    "ifeq": lambda a, b, k: conditional("==", a, b, a, k),
}
SIZES: st.SearchStrategy[Size] = st.recursive(
    st.one_of(st.integers(-3, 6), st.sampled_from([H, S, T])),
    lambda inner: st.tuples(st.sampled_from(list(_OPERATIONS)), inner, inner, st.sampled_from([1, 2, 3, 4, 6])).map(
        lambda parts: _OPERATIONS[parts[0]](parts[1], parts[2], parts[3])
    ),
    max_leaves=5,
)
CONGRUENCES = st.tuples(
    st.sampled_from([H, T, H + S, 3 * T, H + 2 * T, 2 * H + 3 * T]), st.sampled_from([2, 3, 4, 6]), st.integers(0, 3)
)
LINEAR = st.sampled_from(
    [(T, S), (T, S + 1), (2 * T, S), (2 * H, 3 * S), (H + S, T), (H * S, T), (H // 2, S), (H * S, T * 4)]
)
INEQUALITIES = st.sampled_from(
    [
        (9, T),
        (T, S),
        (H, T + S),
        (S, 3),
        (6, H * S),
        (H // 2, 2),
        (3, H // 2),
        (4, T // 3),
        (minimum(H, S), 2),
        (T * 2, H),
    ]
)
ASSUMPTIONS = st.lists(
    st.one_of(
        CONGRUENCES.map(lambda c: ("==", mod(c[0], c[1]), c[2] % c[1])),
        LINEAR.map(lambda e: ("==", *e)),
        INEQUALITIES.map(lambda e: (">=", *e)),
    ),
    max_size=3,
)
VERDICTS: dict[str, Callable[[int], bool]] = {
    "==": lambda d: d == 0,
    "!=": lambda d: d != 0,
    ">=": lambda d: d >= 0,
    ">": lambda d: d > 0,
    "<=": lambda d: d <= 0,
    "<": lambda d: d < 0,
}
Assumption = tuple[str, Size, Size]


def _holds(assumption: Assumption, values: dict[str, int]) -> bool:
    op, a, b = assumption
    left, right = evaluate(a, values), evaluate(b, values)
    return left == right if op == "==" else left >= right


def _learn(facts: Facts, assumptions: list[Assumption]) -> list[dict[str, int]] | None:
    """The assignments that fit; None when the assumptions were found to contradict each other."""
    models = GRID + SPARSE
    for assumption in assumptions:
        op, a, b = assumption
        models = [m for m in models if _holds(assumption, m)]
        accepted = facts.assume_equal(a, b) if op == "==" else facts.assume_at_least(a, b)
        if not accepted:
            assert not models
            return None
    return models


def _values(size: Size, models: list[dict[str, int]]) -> list[tuple[int, dict[str, int]]]:
    found = []
    for m in models:
        try:
            found.append((evaluate(size, m), m))
        except ZeroDivisionError:
            continue
    return found


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ASSUMPTIONS, SIZES, SIZES, st.integers(1, 6))
def test_what_is_proved_holds_for_all_values(assumptions: list[Assumption], a: Size, b: Size, k: int) -> None:
    facts = Facts()
    models = _learn(facts, assumptions)
    if models is None:
        return
    models = [m for _, m in _values(a, [m for _, m in _values(b, models)])]
    differences = [value for value, _ in _values(a - b, models)]
    for op, test in VERDICTS.items():
        verdict = facts.compare(op, a, b)
        assert verdict is None or all(test(d) is verdict for d in differences), op
    sizes = _values(a, models)
    low, high = facts.bounds(a)
    assert all((low is None or low <= v) and (high is None or v <= high) for v, _ in sizes)
    verdict = facts.divisible(a, k)
    assert verdict is None or all((v % k == 0) is verdict for v, _ in sizes)
    simple = facts.simplify(a)
    assert symbols(simple) <= set(NAMES)
    assert all(evaluate(simple, m) == v for v, m in sizes)
    for divisor in (k, b):
        quotient = facts.quotient(a, divisor)
        if quotient is not None:
            assert symbols(quotient) <= set(NAMES)
            for by, m in _values(divisor, models):
                assert by == 0 or evaluate(quotient, m) * by == evaluate(a, m)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ASSUMPTIONS, SIZES, SIZES, SIZES)
def test_answers_of_the_caller_hold_for_its_values(
    assumptions: list[Assumption], bound: Size, a: Size, b: Size
) -> None:
    parent = Facts()
    models = _learn(parent, assumptions)
    if models is None:
        return
    facts = Facts(parent, {"H": bound, "S": S, "T": H})
    verdict = facts.at_least(a, b)
    for m in models:
        try:
            inner = {"H": evaluate(bound, m), "S": m["S"], "T": m["H"]}
            if inner["H"] >= 1:
                assert verdict is None or (evaluate(a, inner) >= evaluate(b, inner)) is verdict
        except ZeroDivisionError:
            continue


def _facts(*assumptions: Assumption) -> Facts:
    facts = Facts()
    for op, a, b in assumptions:
        assert facts.assume_equal(a, b) if op == "==" else facts.assume_at_least(a, b)
    return facts


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        ((H - 1) // 2 + 1, 1, True),
        (H - 6, 1, None),
        (T * S, T, True),
        (T + S, 1, True),
        (T, 1, True),
        (0, T, False),
        (T - 1, 0, True),
        (T, T // 2 + T // 3, True),
        (T, 2 * (T // 2), True),
        (2 * (T // 2) + 1, T, True),
        (minimum(T, S), 1, True),
        (T, minimum(T, S), True),
        (maximum(T, S), T, True),
        (maximum(T, S), minimum(T, S), True),
        (N * T + 1, N, True),
        (1 - T, 1, False),
        (H // T, 0, True),
        (T % 5, 0, True),
        (4, T % 5, True),
        (conditional("==", T, S, 3, 4), 3, True),
        ((H + 31) // 32 - 2, 1, None),
        ((T - S) // N * (H % 2), 0, None),
    ],
)
def test_inequalities_without_assumptions(a: Size, b: Size, answer: bool | None) -> None:
    assert Facts().at_least(a, b) is answer


@pytest.mark.parametrize(
    ("a", "b", "answer"),
    [
        (N * T * 3 * D, 3 * (N * T * D), True),
        (N, T, None),
        (N, N + 1, False),
        (N * T, N * (T + 1), False),
        (2 * T, 2 * S + 1, False),
        (2 * (H // 2), H, None),
        ((T - S) // 2, (T + S) // 2 - S, True),
        (T // 2 + (T + 1) // 2, T, True),
        (T, 0, False),
        (T * (T + 1) % 2, 0, True),
        (T * (T + 1), 1, False),
    ],
)
def test_equalities_without_assumptions(a: Size, b: Size, answer: bool | None) -> None:
    assert Facts().equal(a, b) is answer


def test_a_divisible_size_closes_the_skips_of_a_unet() -> None:
    facts = _facts(("==", H % 16, 0))
    down: Size = H
    for _ in range(4):
        down = floordiv(down - 2, 2) + 1
    assert facts.equal(2 * (2 * (2 * (2 * down))), H) is True
    assert facts.equal(2 * (H // 2), H) is True
    assert facts.equal(32 * (H // 32), H) is None
    assert facts.at_least(H, 16) is True
    assert facts.divisible(H, 8) is True
    assert facts.quotient(H, 4) == H // 4
    assert facts.quotient(N * H, 16 * N) == H // 16


def test_divisibilities_combine() -> None:
    facts = _facts(("==", H % 16, 0), ("==", H % 6, 0))
    assert facts.divisible(H, 48) is True
    assert facts.divisible(H, 96) is None
    assert facts.simplify(48 * (H // 48)) == H
    assert facts.assume_equal(H % 5, 1)
    assert facts.divisible(H - 96, 240) is True
    assert not facts.assume_equal(H % 4, 1)


def test_remainders_are_known() -> None:
    facts = _facts(("==", H % 16, 8))
    assert facts.divisible(H, 8) is True
    assert facts.divisible(H, 16) is False
    assert facts.simplify(H // 16) == H // 16
    assert facts.simplify((H + 8) // 16) == H // 16 + 1
    assert _facts(("==", H % 16, 4)).simplify(H // 16) == H // 16
    assert facts.equal(H, 32) is False
    assert not Facts().assume_equal(H % 16, 16)


@pytest.mark.parametrize(
    ("size", "simple"),
    [
        ((H - 1) // 2 + 1, H // 2),
        (16 * (H // 32), H // 2),
        (64 * ((H // 8) * (W // 8)), H * W),
        (minimum(H, 32), 32),
        (maximum(H, 3) + 1, H + 1),
        (N * ((H - 1) // 2 + 1), N * (H // 2)),
        (conditional(">=", H, 10, T, S), T),
        (7, 7),
        (T, T),
    ],
)
def test_sizes_simplify_to_symbols_of_the_author(size: Size, simple: Size) -> None:
    assert _facts(("==", H % 32, 0), ("==", W % 8, 0)).simplify(size) == simple


def test_equalities_substitute() -> None:
    facts = _facts(("==", T, S + 1), ("==", 2 * S, N))
    assert facts.equal(T * D, D + S * D) is True
    assert facts.equal(2 * T, N + 2) is True
    assert facts.at_least(T, 2) is True
    assert facts.divisible(N, 2) is True
    assert facts.assume_equal(N, 8)
    assert facts.simplify(T) == 5
    assert not facts.assume_equal(T, 6)
    assert facts.simplify(T) == 5


def test_what_was_known_of_a_symbol_outlives_its_substitution() -> None:
    facts = _facts((">=", T, 5), ("==", T, 2 * S))
    assert facts.at_least(S, 3) is True
    assert not _facts((">=", 4, T)).assume_equal(T, S + 4)
    assert not _facts((">=", 4, T), (">=", S, N)).assume_equal(T, S + N + 3)


def test_a_sum_without_an_invertible_factor_is_still_divisible() -> None:
    facts = _facts(("==", (2 * H + 3 * T) % 6, 0))
    assert facts.divisible(2 * H + 3 * T, 6) is True


def test_equations_with_factors_on_both_sides_are_solved() -> None:
    facts = _facts(("==", 2 * T, 3 * S))
    assert facts.divisible(S, 2) is True
    assert facts.divisible(T, 3) is True
    assert facts.at_least(T, 3) is True
    assert facts.equal(4 * T, 6 * S) is True


def test_a_floor_that_is_known_bounds_its_dividend() -> None:
    facts = _facts(("==", H // 2, 7))
    assert facts.bounds(H) == (14, 15)
    assert not facts.assume_equal(H, 16)
    assert facts.assume_equal(H % 2, 1)
    assert facts.simplify(H) == 15


def test_an_equation_nobody_can_solve_is_still_remembered() -> None:
    facts = _facts(("==", H * W % 16, 0), ("==", H * W, N * N + T * T))
    assert facts.divisible(H * W, 16) is True
    assert facts.equal(H * W - N * N, T * T) is True
    assert facts.equal(D * H * W, D * N * N + D * T * T) is True


def test_upper_bounds_are_used() -> None:
    facts = _facts((">=", 512, T))
    assert facts.at_least(512, T) is True
    assert facts.at_least(1024, T) is True
    assert facts.at_least(512, T - 1) is True
    assert facts.at_least(511, T) is None
    assert facts.at_least(T, 513) is False
    assert facts.at_least(512 * S, T * S) is True
    assert facts.at_least(256, T // 2) is True
    assert facts.bounds(T) == (1, 512)
    assert facts.simplify(minimum(T, 600)) == T
    assert facts.simplify((T - 1) // 512) == 0
    assert facts.compare("<=", T, 512) is True
    assert facts.compare(">", T, 512) is False
    assert not facts.assume_at_least(T, 513)


def test_inequalities_chain() -> None:
    facts = _facts((">=", S, T), (">=", N, 2 * S), (">=", 100, N))
    assert facts.at_least(N, 2 * T) is True
    assert facts.at_least(50, T) is True
    assert facts.at_least(D * S, D * T) is True
    assert facts.at_least(S - T + 1, 1) is True
    assert facts.bounds(T)[1] is not None
    assert facts.compare("<", S, T) is False
    assert facts.never_equal(T, S + 1)


def _used_parent(facts: Facts) -> bool:
    return facts.used_parent


def test_the_caller_decides_what_the_body_cannot() -> None:
    caller = _facts(("==", H % 16, 0))
    facts = Facts(caller, {"T": H, "S": 4, "N": N})
    assert facts.at_least(T, 1) is True
    assert not _used_parent(facts)
    assert facts.divisible(T, 8) is True
    assert _used_parent(facts)
    assert facts.equal(S, 4) is True
    assert facts.equal(T, N) is None
    assert facts.quotient(T, 4) == T // 4
    assert facts.bounds(S) == (1, 4) or facts.bounds(S) == (4, 4)
    assert facts.divisible(D, 8) is None


def test_a_chain_of_callers_is_asked() -> None:
    outer = _facts((">=", 8, T))
    middle = Facts(outer, {"S": T})
    inner = Facts(middle, {"N": 2 * S})
    assert inner.at_least(16, N) is True
    assert inner.used_parent
    assert middle.used_parent


def test_quotients_need_no_guess() -> None:
    facts = Facts()
    assert facts.quotient(N * T * D, N * T) == D
    assert facts.quotient(N * (T - 6), T - 6) == N
    assert facts.quotient(N * T, 2) is None
    assert facts.quotient(12, 4) == 3
    assert facts.quotient(12, 5) is None
    assert facts.quotient(T, 0) is None


def test_a_division_by_what_is_zero_leaves_the_question_open() -> None:
    facts = _facts(("==", H % 3, 0))
    size = 1 // (H % 3)
    assert facts.equal(size, 1) is None
    assert facts.bounds(size) == (None, None)
    assert facts.simplify(size) == size
    assert facts.quotient(N, size) is None
    assert facts.assume_at_least(size, 1)


def test_a_comparison_has_one_of_six_operators() -> None:
    with pytest.raises(ValueError, match="comparison"):
        Facts().compare("<>", T, S)


def test_common_questions_are_fast_and_hard_ones_end() -> None:
    facts = _facts((">=", 512, T), ("==", H % 32, 0))
    start = time.process_time()
    for _ in range(1000):
        facts.equal(N * T, N * T)
        facts.at_least(7, 1)
        facts.at_least(T + 1, 1)
    assert time.process_time() - start < 0.5


def test_hard_questions_are_given_up_soon() -> None:
    facts = Facts()
    for i in range(20):
        assert facts.assume_at_least(N * symbol(f"A{i}") + 5 * T, symbol(f"A{i + 1}") + symbol(f"B{i}"))
    products = N * N * T + H * W - symbol("A3") * symbol("B4") - symbol("A6") - (W // 3) * S
    powers = (N + T + S + D + 1) ** 5 - (N - T) ** 4 * (H // 3)
    start = time.process_time()
    for size in (products, powers):
        facts.at_least(size, 0)
        facts.equal(size, 0)
        facts.bounds(size)
        facts.divisible(size, 12)
        facts.simplify(size)
    assert time.process_time() - start < 5
