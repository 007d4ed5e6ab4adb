"""`rearrange`, `repeat` and `reduce` against what their patterns say, read index by index."""

from __future__ import annotations

import random
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import loads
from nnspec.compiler import check_text, compile_text

from ..contract import judge

REDUCTIONS: dict[str, Any] = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod}


def side(groups: list[list[str]]) -> str:
    return " ".join("1" if not g else g[0] if len(g) == 1 else f"({' '.join(g)})" for g in groups)


def grouped(names: list[str], draw: random.Random) -> list[list[str]]:
    """Names in groups of any size, with dimensions of size 1 between."""
    groups: list[list[str]] = []
    rest = list(names)
    while rest:
        count = draw.randint(1, min(3, len(rest)))
        groups.append(rest[:count])
        rest = rest[count:]
        if draw.random() < 0.2:
            groups.append([])
    return groups or [[]]


def meant(x: np.ndarray, left: list[list[str]], right: list[list[str]], sizes: dict[str, int], how: str) -> np.ndarray:
    """The result of a pattern from its definition: each element of the output is looked up, or put together."""
    atoms = [n for g in left for n in g]
    kept = [n for g in right for n in g]
    parts = x.reshape([sizes[n] for n in atoms])
    lost = [n for n in atoms if n not in kept]
    out = np.empty([sizes[n] for n in kept], x.dtype)
    for place in product(*(range(sizes[n]) for n in kept)):
        at = dict(zip(kept, place, strict=True))
        found = parts[tuple(slice(None) if n in lost else at[n] for n in atoms)]
        out[place] = REDUCTIONS[how](found) if lost else found
    return out.reshape([prod(sizes[n] for n in g) for g in right])


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("function", ["rearrange", "repeat", "reduce"])
def test_a_random_pattern_does_what_it_says(function: str, seed: int) -> None:
    draw = random.Random(f"{function} {seed}")
    names = list("abcde"[: draw.randint(1, 5)])
    sizes = {n: draw.randint(1, 3) for n in names}
    left = grouped(names, draw)
    kept = list(names)
    if function == "reduce":
        kept = draw.sample(names, draw.randint(0, len(names)))
    if function == "repeat":
        new = list("uvw"[: draw.randint(1, 3)])
        sizes |= {n: draw.randint(1, 3) for n in new}
        kept += new
    right = grouped(draw.sample(kept, len(kept)), draw) if kept else []
    how = draw.choice(list(REDUCTIONS)) if function == "reduce" else ""
    dims = [prod(sizes[n] for n in g) for g in left]
    options = [f'"{how}"'] if how else []
    options += [f"{n}={s}" for n, s in sizes.items()]
    text = (
        f"model M {{\n  input x: float[{', '.join(map(str, dims))}]\n"
        f'  output y = {function}(x, "{side(left)} -> {side(right)}", {", ".join(options)})\n}}\n'
    )
    x = np.random.default_rng(seed).standard_normal(dims).astype("float32")
    want = meant(x, left, right, sizes, how)
    got = loads(text)(torch.from_numpy(x)).numpy()
    assert got.shape == want.shape, text
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6, err_msg=text)
    if seed < 6:
        judge(compile_text(text).program)


REFUSED = [
    ('repeat(x, "n t -> n t r")', "makes a dimension `r` of no size"),
    ('repeat(x, "n t -> n r", r=2)', "has no `t` on its right side"),
    ('repeat(x, "n t -> n t r", r=0)', "`r` of `repeat` must be at least 1"),
    ('repeat(x, "n (t 2) -> n t")', "has the number `2`"),
    ('rearrange(x, "n (t 2) -> n t 2")', "has the number `2`"),
    ('rearrange(x, "n t -> n t r")', "has no `r` on its left side"),
    ('repeat(x, "n t -> ... n t")', "has no `...` on its left side"),
    ('reduce(x, "n t -> n r", "sum", r=2)', "has no `r` on its left side"),
    ('reduce(x, "n (t 3) -> n t", "sum")', "must divide by 3"),
    ('reduce(x, "n t ... -> n t", "sum")', "reduces `...`"),
    ('reduce(x, "n t -> n", "median")', "reduction"),
    ('reduce(x, "n t -> n")', "needs `reduction`"),
    ('reduce(x > 0, "n t -> n", "mean")', "needs a float tensor"),
    ('reduce(x, "n t -> n", "sum", k=2)', "has no `k`"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[text for text, _ in REFUSED])
def test_a_pattern_that_cannot_be_is_refused(text: str, said: str) -> None:
    found = check_text(f"model M {{\n  input x: float[N, 8]\n  output y = {text}\n}}\n")
    assert [d.severity for d in found] == ["error"], found
    assert said in found[0].message, found[0].message


def test_repeating_is_torchs() -> None:
    text = """
    model M {
      input x: float[N, 3]
      output a = tile(x, (2, 3))
      output b = tile(x, (2, 1, 2))
      output c = repeat_interleave(x, 2, dim=1)
      output d = repeat_interleave(x, 3)
      output e = repeat(x, "n d -> (n 2) d") + repeat_interleave(x, 2, dim=0)
    }
    """
    judge(compile_text(text).program)
    x = torch.randn(4, 3)
    a, b, c, d, e = loads(text)(x)
    assert torch.equal(a, x.tile(2, 3))
    assert torch.equal(b, x.tile(2, 1, 2))
    assert torch.equal(c, x.repeat_interleave(2, 1))
    assert torch.equal(d, x.repeat_interleave(3))
    assert torch.equal(e, 2 * x.repeat_interleave(2, 0))
