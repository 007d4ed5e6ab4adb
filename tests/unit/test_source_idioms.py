"""What a person would write: conditional expressions, loops over a part, members by rule, members that some have."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nnspec.backends.source import emit
from nnspec.backends.source_body import Body
from nnspec.backends.source_choice import one_of
from nnspec.backends.source_line import Line
from nnspec.backends.source_merge import MODE
from nnspec.backends.source_series import by_rule
from nnspec.backends.source_text import Piece, bracketed
from nnspec.compiler import compile_text
from nnspec.layer import Function
from tests.contract import judge, run_source
from tests.unit.function_harness import all_examples, feeds, flat, method_of, program_of, sizes_for
from tests.unit.test_source_classes import assert_same, names_of


def emitted(text: str) -> str:
    """The source, after the module was held against ONNX Runtime and against one class for each instance."""
    program = compile_text(text).program
    judge(program)
    assert_same(program)
    return emit(program)


# --- conditional expressions -----------------------------------------------------------------------------------------

ATTENTION = """
block Attention(p, causal) {
  input x: float[N, T, D]
  input mask: bool[N, T, T] = none
  q = x -> q: Linear(D)
  y = scaled_dot_product_attention(q, q, x, mask, dropout_p=p if training else 0.0, is_causal=causal)
  output y -> o: Linear(D)
}
"""


def test_a_mode_that_changes_one_argument_is_a_conditional_expression() -> None:
    program = compile_text(ATTENTION + "model M {\ninput x: float[N, T, 8]\noutput y = x -> Attention(0.5, false)\n}")
    source = emit(program.program)
    assert "dropout_p=0.5 if self.training else 0.0" in source
    assert "if self.training:" not in source
    assert_same(program.program)


def test_an_optional_mask_is_handed_on_as_it_is() -> None:
    source = emitted(
        ATTENTION
        + """model M {
  input x: float[N, T, 8]
  input mask: bool[N, T, T] = none
  output y = (x, mask) -> Attention(0, false)
}"""
    )
    assert "attn_mask=mask)" in source
    assert "y = self.attention(x, mask)" in source
    assert "if mask" not in source


def test_an_argument_that_some_leave_out_is_kept_on_self() -> None:
    source = emitted(
        ATTENTION + "model M {\ninput x: float[N, T, 8]\noutput y = x -> Attention(0, true) -> Attention(0, false)\n}"
    )
    assert names_of(source) == ["Attention", "M"]
    assert "is_causal=self.causal" in source


def test_statements_that_differ_in_more_stay_apart() -> None:
    text = """model M {
  input x: float[N, 8]
  if training { y = elu(x, alpha=0.5) } else { y = relu(x) }
  y = y + x
  if training { z = clamp(x, min=1.0, max=3.0) } else { z = clamp(x, min=2.0, max=4.0) }
  output w = y + z
}"""
    source = emitted(text)
    assert source.count("if self.training:\n") == 2
    assert " if self.training else " not in source


def test_what_a_call_leaves_out_is_the_default_that_we_know(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = Body._printed
    words: dict[type[Any], set[frozenset[str]]] = {}

    def noted(self: Body, code: Any, function: Function | None) -> Piece:
        piece = printed(self, code, function)
        words.setdefault(type(function), set()).add(frozenset(word for word, _ in piece.items if word))
        return piece

    def full(self: Body, code: Any, function: Function | None) -> Piece:
        piece = printed(self, code, function)
        given = {word for word, _ in piece.items if word}
        calls = [call - given for call in words[type(function)] if call - given <= piece.defaults.keys()]
        left = {word for call in calls for word in call}
        items = [*piece.items, *((word, default) for word, default in piece.defaults.items() if word in left)]
        return bracketed(piece.head, items, piece.tail) if len(items) > len(piece.items) else piece

    monkeypatch.setattr(Body, "_printed", noted)
    for _, example in all_examples():
        emit(program_of(example))
    wrong, tried = [], 0
    for name, example in all_examples():
        program = program_of(example)
        sources = [emit(program)]
        with monkeypatch.context() as patch:
            patch.setattr(Body, "_printed", full)
            sources.append(emit(program))
        if sources[0] == sources[1]:
            continue
        tried += 1
        method = method_of(program)
        inputs = feeds(name, method, sizes_for(method, 0)[-1])
        outcomes = []
        try:
            for source in sources:
                torch.manual_seed(0)
                outcomes.append(list(flat(run_source(source, "M").eval()(*inputs))))
        except (TypeError, RuntimeError, SyntaxError) as fault:
            wrong.append((name, sources[1], str(fault)))
            continue
        if not all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*outcomes, strict=True)):
            wrong.append((name, sources[1], "another value"))
    assert not wrong, [name for name, *_ in wrong]
    assert tried > 30


@pytest.mark.parametrize(
    ("after", "joins"),
    [
        ([], True),
        (["h = y + 1", "z = h"], True),
        (["z = h + 1"], False),
        (["h = h + 1"], False),
        (["for layer in layers:", "    h = y"], False),
    ],
)
def test_a_variable_that_is_read_later_is_not_written_away(after: list[str], joins: bool) -> None:
    def called(*items: str) -> Piece:
        return bracketed("f(", [("", Piece(item)) for item in items], ")")

    rest = []
    for text in after:
        prefix, equals, value = text.strip().partition(" = ")
        rest.append(Line(prefix + equals, Piece(value), deeper=len(text) - len(text.lstrip())))
    yes = [Line("h = ", Piece("g(x)")), Line("y = ", called("x", "h", "0.1"))]
    no = [Line("y = ", called("x", "g(x)", "0.0"))]
    both = one_of(yes, no, MODE, (rest, rest))
    found = [line.text for line in both or []]
    assert found == (["y = f(x, g(x), 0.1 if self.training else 0.0)"] if joins else [])
    assert one_of(yes, no, MODE, None) is None


# --- loops over a part of a container --------------------------------------------------------------------------------

PART = """
block Layer(first = false) {
  input x: float[N, D]
  input scale: float[N, D]
  y = (x * scale) -> fc: Linear(D)
  output y
  if first { output scale = relu(scale + y) }
}
model M {
  input x: float[N, 6]
  input scale: float[N, 6]
  x, scale = (x, scale) -> "layers.0": Layer(true)
  for i in range(1, 6) { x = (x, scale) -> "layers.{i}": Layer }
  END
}
"""


@pytest.mark.parametrize(
    ("end", "loop"),
    [
        ("output x", "for layer in self.layers[1:]:"),
        ('output y = x -> "layers.6": Linear(4)', "for layer in self.layers[1:6]:"),
        ('x = relu(x)\nfor i in range(6, 9) { x = (x, scale) -> "layers.{i}": Layer }\noutput x', "self.layers[6:]:"),
    ],
)
def test_members_in_a_row_that_are_not_all_are_a_loop_over_a_slice(end: str, loop: str) -> None:
    source = emitted(PART.replace("END", end))
    assert loop in source
    assert "layers[2]" not in source


def test_a_loop_ends_where_a_value_is_needed_later() -> None:
    source = emitted(PART.replace("END", "output x").replace("{ x = (x, scale)", "{ old = x\nx = (x, scale)") + "")
    assert "self.layers[1:]" in source
    text = PART.replace("{ x = (x, scale)", "{ if i == 3 { old = x }\nx = (x, scale)")
    source = emitted(text.replace("END", "output y = x + old"))
    assert "self.layers[3:]" in source or "self.layers[3]" in source


# --- members by rule -------------------------------------------------------------------------------------------------


def made(*numbers: int, head: str = "nn.Linear(") -> list[Piece]:
    return [bracketed(head, [("", Piece("4")), ("", Piece(str(number)))], ")") for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        ((8, 16, 24, 32), ["nn.Linear(4, 8 + 8 * i) for i in range(4)"]),
        ((0, 1, 2, 3, 4), ["nn.Linear(4, i) for i in range(5)"]),
        ((9, 7, 5, 3, 1), ["nn.Linear(4, 9 - 2 * i) for i in range(5)"]),
        ((1, 2, 4, 8), ["nn.Linear(4, 2**i) for i in range(4)"]),
        ((3, 6, 12, 24), ["nn.Linear(4, 3 * 2**i) for i in range(4)"]),
        ((1, 2, 4, 1, 2, 4), ["nn.Linear(4, 2 ** (i % 3)) for i in range(6)"]),
        ((5, 6, 7), ["nn.Linear(4, 5)", "nn.Linear(4, 6)", "nn.Linear(4, 7)"]),
        ((1, 2, 3, 4, 9), ["nn.Linear(4, 1 + i) for i in range(4)", "nn.Linear(4, 9)"]),
        ((1, 5, 2, 9), ["nn.Linear(4, 1)", "nn.Linear(4, 5)", "nn.Linear(4, 2)", "nn.Linear(4, 9)"]),
    ],
)
def test_numbers_that_follow_a_rule_are_a_generator(numbers: tuple[int, ...], texts: list[str]) -> None:
    found = by_rule(made(*numbers))
    assert [piece.text for piece in found] == texts
    values = []
    for piece in found:
        inside = piece.text.replace("nn.Linear(4, ", "(")
        values += eval(f"[{inside}]")
    assert values == list(numbers)


def test_a_rule_never_reaches_into_another_one() -> None:
    inner = [by_rule(made(*range(start, start + 4)))[0] for start in (1, 5, 9, 13)]
    outer = [bracketed("nn.Sequential(", [("", bracketed("*(", [("", piece)], ")"))], ")") for piece in inner]
    assert [piece.text for piece in by_rule(outer)] == [piece.text for piece in outer]


RULES = """
block Layer(width) {
  input x: float[N, D]
  output cat([x, x -> fc: Linear(width)], dim=1)
}
block Stage(depth, i = 3) {
  input x: float[N, D]
  for k in range(depth) { x = x -> "layers.layer{k + 1}": Layer(i) }
  output x -> Linear(5)
}
model M {
  input x: float[N, 8]
  x = x -> a: Stage(5) -> b: Stage(6, 4) -> c: Stage(4)
  for k in range(5) { x = x -> "d.{k}": Linear(4 + 2 * k) }
  output x
}
"""


def test_members_by_rule_are_right_in_classes_that_are_shared() -> None:
    source = emitted(RULES)
    assert "*(nn.Linear(4 + 2 * i, 6 + 2 * i) for i in range(4))" in source
    assert 'OrderedDict({f"layer{i + 1}": Layer(D + i_ * i, i_) for i in range(depth)})' in source


# --- members that only some instances have ---------------------------------------------------------------------------

SOME = """
block Squeeze { input x: float[N, D]
  output x * sigmoid(x -> fc: Linear(D)) }
block Unit(width, k) { input x: float[N, D]
  output relu((x -> fc: Linear(width)) * k) }
block Mixer(expand, width, weigh = false) {
  input x: float[N, D]
  i = 0
  y = x
  body: {
    if expand != 1 {
      y = y -> "{i}": Unit(expand * D, 1)
      i = i + 1
    }
    y = y -> "{i}": Unit(expand * D, 0.5)
    if weigh {
      i = i + 1
      y = y -> "{i}": Squeeze
    }
    y = y -> "{i + 1}": Unit(width, 2)
  }
  output x + y if width == D else y
}
model M {
  input x: float[N, 6]
  output y = x -> USES
}
"""


@pytest.mark.parametrize(
    "uses",
    [
        ["Mixer(1, 6)", "Mixer(3, 4)", "Mixer(2, 4, true)", "Mixer(1, 5, true)"],
        ["Mixer(2, 6)", "Mixer(1, 6, true)", "Mixer(3, 6)"],
        ["Mixer(2, 6)", "Mixer(1, 4)", "Mixer(1, 4)", "Mixer(4, 3)"],
        ["Mixer(1, 6)", "Mixer(1, 6, true)"],
    ],
)
def test_members_that_only_some_have_are_made_where_the_author_says(uses: list[str]) -> None:
    source = emitted(SOME.replace("USES", " -> ".join(uses)))
    assert names_of(source).count("Mixer") == 1
    assert "Mixer2" not in source
    assert "] if " in source


def test_the_condition_of_a_member_is_the_author_s() -> None:
    source = emitted(SOME.replace("USES", "Mixer(1, 6) -> Mixer(3, 4) -> Mixer(2, 4, true) -> Mixer(1, 5, true)"))
    assert "*([Unit(D, expand * D, 1)] if expand != 1 else [])" in source
    assert "*([Squeeze(expand * D)] if weigh else [])" in source
