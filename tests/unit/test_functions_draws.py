"""What functions draw at random in ONNX follows the distribution that they name."""

from __future__ import annotations

import numpy as np
import torch

from nnspec.layer import Example

from .function_harness import method_of, program_of, run_onnx, session

DRAWN_UP_TO = 21
"""ONNX Runtime has no random numbers in newer operator sets."""


def drawn(text: str, x: torch.Tensor) -> np.ndarray:
    """What ONNX Runtime draws for a text over x."""
    program = program_of(Example(f"{text}", x=f"float[N, {x.shape[1]}]"))
    found: np.ndarray = run_onnx(session(program, DRAWN_UP_TO), method_of(program), [x])[0]
    return found


def shares(values: np.ndarray, count: int) -> np.ndarray:
    """How large a share each number has."""
    return np.bincount(values.ravel(), minlength=count) / values.size


def test_categories_are_drawn_by_their_weights() -> None:
    weights = torch.tensor([[1.0, 2.0, 3.0, 4.0]]).expand(30_000, 4).contiguous()
    np.testing.assert_allclose(shares(drawn("multinomial(x, 1)", weights), 4), [0.1, 0.2, 0.3, 0.4], atol=0.02)
    again = drawn("multinomial(x, 2, replacement=true)", weights)
    np.testing.assert_allclose(shares(again, 4), [0.1, 0.2, 0.3, 0.4], atol=0.02)
    pairs = drawn("multinomial(x, 2)", weights)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    torch.manual_seed(0)
    wanted = torch.multinomial(weights, 2).numpy()
    found, meant = (shares(p[:, 0] * 4 + p[:, 1], 16) for p in (pairs, wanted))
    np.testing.assert_allclose(found, meant, atol=0.02)


def test_whole_numbers_are_drawn_alike_often_and_normal_ones_by_mean_and_deviation() -> None:
    x = torch.ones(30_000, 2)
    np.testing.assert_allclose(shares(drawn("randint_like(x, -2, 5, dtype=int) + 2", x), 7), 1 / 7, atol=0.02)
    bell = drawn("normal(3 * x, 2)", x)
    np.testing.assert_allclose([bell.mean(), bell.std()], [3, 2], atol=0.05)


def test_a_random_order_has_every_number_once() -> None:
    order = drawn("randperm(N) + to(sum(x), int) * 0", torch.zeros(1000, 1))
    assert sorted(order) == list(range(1000))
    assert list(order) != list(range(1000))
