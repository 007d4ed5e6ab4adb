"""What is left of a model's requirements: the same demands in fewer words."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from nnspec import ir
from nnspec.compiler import compile_text
from nnspec.dims import evaluate, parse_dim, symbol
from nnspec.elaborate.carried import essential


def needs(*texts: str) -> list[ir.Requirement]:
    """Requirements that these sizes are at least 0."""
    return [ir.Requirement(parse_dim(text), ">=", text) for text in texts]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        (["H - 3", "(H + 1) // 2 - 4", "(H + 5) // 16 - 5"], ["H - 75"]),
        (["(H // 2 + 1) // 3 - 4", "W - 1"], ["H - 22", "W - 1"]),
        (["2 * H - 7", "3 * W - 3 * T"], ["H - 4", "W - T"]),
        (["64 - T", "32 - T", "T - 8"], ["32 - T", "T - 8"]),
        (["H // 2 + W // 2 - 3", "H // 2 + W // 2 - 5"], ["H // 2 + W // 2 - 5"]),
        (["N * T - 6", "H // W - 1"], ["N * T - 6", "H // W - 1"]),
    ],
)
def test_requirements_are_solved_and_the_strongest_are_kept(given: list[str], left: list[str]) -> None:
    assert [need.size for need in essential(needs(*given))] == [parse_dim(text) for text in left]


def test_what_is_left_demands_the_same() -> None:
    chance = random.Random(0)
    for _ in range(200):
        sizes = []
        for _ in range(chance.randint(1, 5)):
            size = chance.choice((1, 1, 2, 3, -1)) * symbol(chance.choice("HW")) + chance.randint(-9, 9)
            for _ in range(chance.randint(0, 3)):
                size = size // chance.randint(2, 5) + chance.randint(-5, 5)
            if not isinstance(size, int):
                sizes.append(size)
        given = [ir.Requirement(size, chance.choice((">=", ">=", ">=", "==")), "") for size in sizes]
        left = essential(given)
        for h in range(1, 60, 3):
            for w in range(1, 60, 4):
                values = {"H": h, "W": w}
                assert holds(given, values) == holds(left, values), (given, left, values)


def holds(requires: Sequence[ir.Requirement], values: dict[str, int]) -> bool:
    """Whether all of them do."""
    found = [(evaluate(need.size, values), need.relation) for need in requires]
    return all(number >= 0 if relation == ">=" else number == 0 for number, relation in found)


def test_the_reason_is_that_of_the_strongest() -> None:
    found = compile_text(
        "model M {\n  input x: float[N, 3, H, 32]\n"
        "  output y = x -> Conv2d(4, 3, stride=2) -> Conv2d(4, 5, stride=2) -> Conv2d(4, 3)\n}\n"
    ).program
    (need,) = found.methods[found.main.methods["infer"]].requires
    assert need.size == symbol("H") - 19
    assert need.message.startswith("kernel 3 does not fit an input of height")


def test_a_reason_in_a_blocks_own_symbols_says_whose_they_are() -> None:
    found = compile_text(
        "block Half {\n  input x: float[N, C, H, W]\n  output x -> Conv2d(C, 3, stride=2)\n}\n"
        "block Whole {\n  input x: float[N, C, H, W]\n  output x -> Half -> Half\n}\n"
        "model M {\n  input x: float[N, 3, H, 32]\n  output y = x -> Whole\n}\n"
    ).program
    (need,) = found.methods[found.main.methods["infer"]].requires
    assert need.message == "kernel 3 does not fit an input of height H (in `Half`)"
