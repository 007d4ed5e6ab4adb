"""Budgets: `assert parameters(Net()) == ...` and `assert macs(Net(), N=1) < ...`, counted as torch counts."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nnspec import loads
from nnspec.backends.source import emit
from nnspec.compiler import check_text, compile_text

SPEC = """
block Res(width) {
  input x: float[N, C, H, W]
  output x + (x -> conv: Conv2d(width, 3, padding=1, bias=false) -> BatchNorm2d -> relu)
}
model Net(width = 8, depth = 2) {
  input x: float[N, 3, H, W]
  input tokens: int[N, T]
  x = x -> stem: Conv2d(width, 3, stride=2, padding=1) -> stages: Res(width) * depth
  t = tokens -> wte: Embedding(16, width) -> head: Linear(16, bias=false, weight=wte.weight)
  output y = (mean(x, dim=(2, 3)) -> fc: Linear(5)) + (mean(t, dim=1) -> out: spectral_norm(Linear(5)))
}
"""

NUMBERS = [({}, (1, 8, 6, 3)), ({"width": 12, "depth": 3}, (2, 9, 7, 5)), ({"depth": 0}, (3, 5, 5, 1))]


@pytest.mark.parametrize(("values", "sizes"), NUMBERS)
def test_the_numbers_are_torchs(values: dict[str, Any], sizes: tuple[int, ...]) -> None:
    n, h, w, t = sizes
    model = loads(SPEC, **values).eval()
    parameters = sum(p.numel() for p in model.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(n, 3, h, w), torch.zeros(n, t, dtype=torch.int64))
    macs = counter.get_total_flops() // 2
    given = ", ".join(f"{k}={v}" for k, v in values.items())
    net, at = f"Net({given})", f"N={n}, H={h}, W={w}, T={t}"
    good = f"assert parameters({net}) == {parameters}\nassert macs({net}, {at}) == {macs}\n"
    assert check_text(SPEC + good) == ()
    bad = f"assert parameters({net}) < {parameters}\nassert macs({net}, {at}) <= {macs - 1}\n"
    found = check_text(SPEC + bad)
    assert [d.code for d in found] == ["NNS320", "NNS320"]
    assert f"{parameters:_} < {parameters:_} is false" in found[0].labels[0].text
    assert f"{macs:_} <= {macs - 1:_} is false" in found[1].labels[0].text


def test_budgets_are_for_check_and_not_for_compiling() -> None:
    text = SPEC + "assert parameters(Net()) < 10\nassert macs(Net()) < 10\n"
    assert [d.code for d in check_text(text)] == ["NNS320", "NNS321"]
    assert emit(compile_text(text).program) == emit(compile_text(SPEC).program)


def test_a_symbol_that_costs_nothing_needs_no_size() -> None:
    text = "model M {\n  input x: float[N, T, 4]\n  output y = mean(x, dim=1) -> Linear(4)\n}\n"
    assert check_text(text + "assert macs(M(), N=2) == 32\n") == ()


def test_models_are_compared_with_each_other_and_with_constants() -> None:
    text = SPEC + "limit = 2_000\nassert parameters(Net(width=4)) < min(limit, parameters(Net()))\n"
    assert check_text(text) == ()
    assert check_text(text.replace("2_000", "2_00"))[0].code == "NNS320"


def test_a_constant_of_that_name_is_the_authors() -> None:
    text = SPEC + "parameters = 3\nassert parameters == 3\n"
    assert check_text(text) == ()


def test_a_broken_model_is_reported_once() -> None:
    text = "model M {\n  input x: float[N, 4]\n  output y = x -> Linaer(4)\n}\nassert parameters(M()) < 10\n"
    assert [d.code for d in check_text(text)] == ["NNS201"]


def test_sizes_that_the_model_refuses_are_refused() -> None:
    text = (
        "model M {\n  input x: float[N, 3, H, 8]\n  output y = x -> Conv2d(4, 3)\n}\nassert macs(M(), N=1, H=2) < 1e6\n"
    )
    found = check_text(text)
    assert [d.code for d in found] == ["NNS321"]
    assert "H >= 3" in found[0].message


def test_asking_is_work_that_is_counted() -> None:
    """A hundred thousand questions, each about a model of its own or each about a large one, are refused in time."""
    ask = "assert sum([parameters({}) for i in range(100000)]) > 0\n"
    small = "model M(width = 4) {\n  input x: float[N, 4]\n  output y = x -> Linear(width)\n}\n"
    blocks = "block B0(k) {\n  input x: float[N, D]\n  output x -> a: Linear(k) -> b: Linear(4)\n}\n" + "".join(
        f"block B{i}(k) {{\n  input x: float[N, D]\n  output x -> a: B{i - 1}(k + 1) -> b: B{i - 1}(k + 2)\n}}\n"
        for i in range(1, 14)
    )
    large = f"{blocks}model M {{\n  input x: float[N, 4]\n  output y = x -> B13(1)\n}}\n"
    for text in (small + ask.format("M(width=i + 1)"), large + ask.format("M()")):
        start = time.process_time()
        found = check_text(text)
        assert [d.code for d in found] == ["NNS310"], found
        assert time.process_time() - start < 10
