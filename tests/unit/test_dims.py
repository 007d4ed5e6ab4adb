"""Sizes: normal forms, arithmetic against Python's own, and their text."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.dims import (
    Dim,
    DimTooLarge,
    Size,
    conditional,
    degree,
    divide_exact,
    evaluate,
    floordiv,
    maximum,
    minimum,
    mod,
    parse_dim,
    render,
    show,
    substitute,
    symbol,
    symbols,
)

D, H, N, S, T, W = (symbol(name) for name in "DHNSTW")
NAMES = "HNT"
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

# An expression is (size, function of the symbols' values): the function is the oracle.
Oracle = Callable[[dict[str, int]], int]
Expression = tuple[Size, Oracle]


def _leaf(value: int | str) -> Expression:
    if isinstance(value, int):
        return value, lambda values: value
    return symbol(value), lambda values: values[value]


def _combine(parts: tuple[str, Expression, Expression, int]) -> Expression:
    op, (a, f), (b, g), k = parts
    table: dict[str, Callable[[], Expression]] = {
        "+": lambda: (a + b, lambda v: f(v) + g(v)),
        "-": lambda: (a - b, lambda v: f(v) - g(v)),
        "*": lambda: (a * b, lambda v: f(v) * g(v)),
        "neg": lambda: (-a, lambda v: -f(v)),
        "//k": lambda: (floordiv(a, k), lambda v: f(v) // k),
        "%k": lambda: (mod(a, k), lambda v: f(v) % k),
        "//": lambda: (a // b if b != 0 else a, (lambda v: f(v) // g(v)) if b != 0 else f),
        "min": lambda: (minimum(a, b, k), lambda v: min(f(v), g(v), k)),
        "max": lambda: (maximum(a, b), lambda v: max(f(v), g(v))),
    }
    if op in COMPARISONS:
        return conditional(op, a, b, b, k), lambda v: g(v) if COMPARISONS[op](f(v), g(v)) else k
    return table[op]()


OPERATIONS = ["+", "-", "*", "neg", "//k", "//k", "//k", "%k", "//", "min", "max", *COMPARISONS]
NONZERO = st.integers(-6, 6).filter(bool)
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.one_of(st.integers(-9, 9), st.sampled_from(NAMES)).map(_leaf),
    lambda inner: st.tuples(st.sampled_from(OPERATIONS), inner, inner, NONZERO).map(_combine),
    max_leaves=8,
)
VALUES = st.fixed_dictionaries({name: st.integers(-20, 40) for name in NAMES})


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, VALUES)
def test_normal_forms_have_the_value_that_python_computes(expression: Expression, values: dict[str, int]) -> None:
    size, oracle = expression
    try:
        expected = oracle(values)
    except ZeroDivisionError:
        return
    assert evaluate(size, values) == expected
    assert eval(render(size, lambda name: f"_{name}"), {f"_{k}": v for k, v in values.items()}) == expected


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS)
def test_text_reads_back_as_the_same_size(expression: Expression) -> None:
    size, _ = expression
    again = parse_dim(show(size))
    assert again == size
    assert hash(again) == hash(size)
    assert isinstance(size, int) or symbols(size)
    assert pickle.loads(pickle.dumps(size)) == size == copy.deepcopy(size)


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, VALUES)
def test_substitution_commutes_with_evaluation(a: Expression, b: Expression, values: dict[str, int]) -> None:
    size, replacement = a[0], b[0]
    try:
        inner = evaluate(replacement, values)
        expected = evaluate(size, {**values, "T": inner})
        assert evaluate(substitute(size, {"T": replacement}), values) == expected
    except ZeroDivisionError:
        return


@settings(max_examples=200, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS)
def test_a_product_divides_exactly_by_its_factors(a: Expression, b: Expression) -> None:
    if b[0] != 0:
        assert divide_exact(a[0] * b[0], b[0]) == a[0]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((H - 1) // 2 + 1, "(H + 1) // 2"),
        ((((H - 1) // 2 + 1 - 1) // 2 + 1 - 1) // 2 + 1, "(H + 7) // 8"),
        (N * T, "N * T"),
        (2 * T + 1, "2 * T + 1"),
        (5 - T, "5 - T"),
        (-T, "-T"),
        (-(H // 2), "-(H // 2)"),
        (H // 16, "H // 16"),
        (H // 4 // 4, "H // 16"),
        (N * (H // 2) - 5, "N * (H // 2) - 5"),
        (2 * (H // 2), "2 * (H // 2)"),
        ((4 * H + 6) // 4, "H + 1"),
        ((2 * H + 2 * W + 1) // 4, "(H + W) // 2"),
        (-(-T // 2), "(T + 1) // 2"),
        ((T - S) // 2, "(T - S) // 2"),
        (H * W // 16, "H * W // 16"),
        (3 * H // 4, "3 * H // 4"),
        (T // S, "T // S"),
        (7 // T, "7 // T"),
        ((N * T * D + N) // (N * T), "D + 1 // T"),
        (T // (S + 1), "T // (S + 1)"),
        (T // (2 * S), "T // (2 * S)"),
        (minimum(T, 5, T + 1), "min(T, 5)"),
        (maximum(N * T, 3) * 2, "2 * max(N * T, 3)"),
        (conditional("<", T, 5, T, 5), "(5 if T >= 5 else T)"),
        (conditional("!=", 2 * T, 2 * S, 1, 2), "(2 if S == T else 1)"),
    ],
)
def test_sizes_read_as_a_person_would_write_them(size: Size, text: str) -> None:
    assert show(size) == text
    assert str(size) == text
    assert parse_dim(text) == size


@pytest.mark.parametrize(
    ("size", "number"),
    [
        (T - T, 0),
        (T + 3 - T, 3),
        (T // T, 1),
        (N * T * 3 * D // (N * T * D), 3),
        ((2 * T + 1) % 2, 1),
        (minimum(3, 5), 3),
        (maximum(T, T + 1) - T, 1),
        (conditional("==", T, T, 4, T), 4),
        (conditional(">", T, T, 4, 5), 5),
        (conditional("==", 2 * T, 2 * S + 1, 4, 5), 5),
        (T**0, 1),
        (0 // T, 0),
    ],
)
def test_constants_are_plain_integers(size: Size, number: int) -> None:
    assert type(size) is int
    assert size == number


def test_exact_division_takes_whole_polynomials() -> None:
    assert N * T * 3 * D // (N * T) == 3 * D
    assert divide_exact((N + 1) * (T - 2), T - 2) == N + 1
    assert divide_exact(N * T + 1, T) is None
    assert divide_exact(6 * T, 4) is None
    assert divide_exact(T, 0) is None


def test_equality_and_hash_are_structural() -> None:
    assert N * T + 1 == 1 + T * N
    assert len({N * T, T * N, N + T}) == 2
    assert N != 1
    assert N != "N"


def test_degree_counts_the_factors_of_a_term() -> None:
    assert [degree(x) for x in (7, T, N * T + 1, T**3)] == [0, 1, 2, 3]


def test_substitution_is_simultaneous_and_may_give_a_number() -> None:
    assert substitute(N - T, {"N": T, "T": N}) == T - N
    assert substitute((H + 7) // 8, {"H": 224}) == 28
    assert substitute(N, {"T": 1}) is N


@pytest.mark.parametrize(
    "text", ["", "N +", "N T", "(N", "N)", "min()", "1 if T", "N // 0", "T ** 2", "1" * 30, "f(T)"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_dim(text)


def test_nested_text_is_refused_before_it_exhausts_the_stack() -> None:
    with pytest.raises(ValueError, match="deeply"):
        parse_dim("(" * 5000 + "T" + ")" * 5000)
    assert parse_dim("-" * 5000 + "T") == T


def _power(size: Dim) -> Size:
    return size**33


def _squares(size: Dim) -> Size:
    total: Size = size
    for _ in range(10):
        total = total * total + 1
    return total


def _nested_floors(size: Dim) -> Size:
    total: Size = size
    for _ in range(1000):
        total = total // T + total // S
    return total


def _many_terms(size: Dim) -> Size:
    return sum((symbol(f"X{i}") for i in range(300)), start=size)


def _wide_minimum(size: Dim) -> Size:
    return minimum(*(symbol(f"Long{'g' * 50}{i}") for i in range(100)))


@pytest.mark.parametrize(
    "grow",
    [
        lambda n: n * 2**64,
        lambda n: n // 2**64,
        lambda n: n * 2**62 + n * 2**62,
        _power,
        _squares,
        _nested_floors,
        _many_terms,
        _wide_minimum,
    ],
)
def test_hostile_growth_is_refused(grow: Any) -> None:
    with pytest.raises(DimTooLarge):
        grow(N)


def test_division_by_zero_is_pythons() -> None:
    with pytest.raises(ZeroDivisionError):
        T // 0
    with pytest.raises(ZeroDivisionError):
        mod(T, 0)


def test_symbols_are_identifiers() -> None:
    assert symbols(N * (H // 2) + minimum(T, 3)) == {"N", "H", "T"}
    with pytest.raises(ValueError, match="not a name"):
        symbol("H // 2")


def test_sizes_have_no_truthy_order() -> None:
    operand: Any = T
    with pytest.raises(TypeError):
        _ = operand < 3
    with pytest.raises(TypeError):
        _ = operand + "x"
