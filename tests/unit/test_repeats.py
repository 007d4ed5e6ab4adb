"""`Layer(...) * n`: what is copied from a settled copy is what working out each would give."""

from __future__ import annotations

import pytest

from nnspec import check_text, ir_json
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.elaborate import repeats

BLOCKS = """
block Residual(width) {
  input x: float[N, D]
  h = x -> up: Linear(width) -> ReLU
  output x + (h -> down: Linear(D))
}
block Masked {
  input x: float[N, T, D]
  input mask: bool[N, T] = none
  input scale: float[D] = none
  if mask != none { x = masked_fill(x, mask[:, :, none], 0.0) }
  if scale != none { x = x * scale }
  output x -> norm: LayerNorm -> fc: Linear(D)
}
block Halves {
  input x: float[N, C, H, W]
  assert H >= 4, "too small"
  output x -> Conv2d(C, 3, padding=1) -> ReLU
}
block Modes {
  input x: float[N, D]
  if training { x = x -> Dropout(0.1) }
  output x -> fc: Linear(D)
}
block Tied(w: parameter) {
  input x: float[N, D]
  output x -> fc: Linear(D, weight=w)
}
block Pair {
  input x: float[N, D]
  output a = x -> one: Linear(D)
  output b = relu(x)
}
"""

BODIES = {
    "a layer": ("float[N, 8]", "output y = x -> stack: Linear(8) * 5"),
    "a layer whose first copy differs": ("float[N, 3]", "output y = x -> stack: Linear(8) * 5"),
    "a block": ("float[N, 8]", "output y = x -> stack: Residual(16) * 5"),
    "a chain": ("float[N, 8]", "output y = x -> stack: { Linear(6) -> relu -> Residual(4) -> out: Linear(8) } * 5"),
    "repeats inside": ("float[N, 8]", "output y = x -> stack: { { Linear(8) -> Tanh } * 3 -> Residual(4) * 3 } * 4"),
    "further inputs": ("float[N, T, 8]", "m = amax(x, dim=-1) > 0\n  output y = (x, mask=m) -> stack: Masked * 5"),
    "a parameter beside": (
        "float[N, T, 8]",
        "param s: float[8] = normal(std=1.0)\n  output y = (x, scale=s) -> stack: Masked * 4",
    ),
    "the same value twice": ("float[N, 8]", "output y = (x, x) -> stack: Bilinear(8) * 4"),
    "a requirement": ("float[N, 3, H, W]", "output y = x -> stack: Halves * 5"),
    "sizes that change": ("float[N, 3, H, W]", "output y = x -> stack: Conv2d(3, 3, stride=2, padding=1) * 3"),
    "modes": ("float[N, 8]", "output y = x -> stack: Modes * 5"),
    "modes outside": ("float[N, 8]", "if training { x = relu(x) }\n  output y = x -> stack: Residual(4) * 5"),
    "ties": ("float[N, 8]", "a = Linear(8)\n  x = x -> a\n  output y = x -> stack: Tied(w=a.weight) * 4"),
    "used twice": ("float[N, 8]", "s = Residual(4) * 4\n  output y = (x -> s) + (relu(x) -> s)"),
    "used twice, differently": (
        "float[N, T, 8]",
        "s = Masked * 4\n  m = amax(x, dim=-1) > 0\n  output y = (x -> s) + ((x, mask=m) -> s)",
    ),
    "one copy by itself": ("float[N, 8]", "s = Residual(4) * 4\n  x = x -> s\n  output y = x -> s[2] -> s[3]"),
    "a copy in a chain": ("float[N, 8]", "s = { Linear(8) -> Tanh } * 4\n  x = x -> s\n  output y = x -> s[3]"),
    "a tie with a copy": (
        "float[N, 8]",
        "s = Linear(8) * 4\n  x = x -> s\n  output y = x -> out: Linear(8, weight=s[3].weight)",
    ),
    "one": ("float[N, 8]", "output y = x -> stack: Residual(4) * 1"),
    "none": ("float[N, 8]", "output y = x -> first: Linear(8) -> stack: Residual(4) * 0"),
}


@pytest.mark.parametrize("title", BODIES)
def test_copies_are_what_working_each_out_gives(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    input_type, body = BODIES[title]
    text = f"{BLOCKS}\nmodel M {{\n  input x: {input_type}\n  {body}\n}}\n"
    copied = ir_json.dumps(compile_text(text).program)
    monkeypatch.setattr(repeats, "is_settled", lambda *_: False)
    assert copied == ir_json.dumps(compile_text(text).program)


@pytest.mark.parametrize("layer", ["Linear(8)", "Residual(4)", "{ Linear(8) -> Tanh }"])
def test_copies_can_be_used_one_by_one_in_any_order(layer: str) -> None:
    body = f"s = {layer} * 3\n  output y = x -> s[2] -> s[0] -> s[1]"
    program = compile_text(f"{BLOCKS}\nmodel M {{\n  input x: float[N, 8]\n  {body}\n}}\n").program
    (stack,) = (m.module for m in program.modules[program.main.module].members)
    assert stack is not None
    assert [m.name for m in program.modules[stack].members] == ["0", "1", "2"]


@pytest.mark.parametrize("layer", ["Linear(8)", "Residual(4)"])
def test_a_repetition_that_nothing_flows_through_is_reported(layer: str) -> None:
    text = f"{BLOCKS}\nmodel M {{\n  input x: float[N, 8]\n  s = {layer} * 3\n  output y = relu(x)\n}}\n"
    assert [d.code for d in check_text(text)] == ["NNS212"]


def test_only_a_layer_with_one_output_can_be_repeated() -> None:
    with pytest.raises(NnspecError, match="one output"):
        compile_text(f"{BLOCKS}\nmodel M {{\n  input x: float[N, 8]\n  output y = x -> Pair * 3\n}}\n")


def test_what_copies_hold_counts_towards_the_limit_of_a_network() -> None:
    levels = "".join(
        f"block L{i} {{\n  input x: float[N, D]\n  output x -> b: L{i - 1} * 20\n}}\n" for i in range(1, 6)
    )
    base = "block L0 {\n  input x: float[N, D]\n  output relu(x -> fc: Linear(D))\n}\n"
    text = f"{base}{levels}model M {{\n  input x: float[N, 8]\n  output y = x -> L5\n}}\n"
    assert [d.code for d in check_text(text)] == ["NNS310"]
