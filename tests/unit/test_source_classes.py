"""Classes of emitted source: instances of a block share one, and it makes of each what its own class would make."""

from __future__ import annotations

import ast
import inspect
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nnspec import ir
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.backends.source import emit, write_module
from nnspec.backends.source_fill import ANY, Differs
from nnspec.backends.source_formula import Formula
from nnspec.backends.source_line import Line
from nnspec.backends.source_text import Piece, bracketed
from nnspec.backends.source_unify import unify_lines
from nnspec.compiler import compile_text
from tests.contract import judge, run_module, run_source

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*(ROOT / "examples").glob("*.nns"), *(ROOT / "tests" / "golden").glob("*.nns")])
ZOO = sorted((ROOT / "examples" / "zoo").glob("*.nns"))


def emitted(text: str) -> str:
    return emit(compile_text(text).program)


def names_of(source: str) -> list[str]:
    """The classes of a source, in order."""
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


def both(program: ir.Program) -> tuple[nn.Module, nn.Module]:
    """The module, and the one in which every instance of a block has a class of its own; seeded alike."""
    modules = []
    for merged in (True, False):
        written = write_module(program, merged=merged)
        torch.manual_seed(0)
        modules.append(run_source(written.text, written.names[0]))
    return modules[0], modules[1]


def assert_same(program: ir.Program, trials: int = 3) -> None:
    """Both forms own the same, in the same order and drawn alike, and compute the same in both modes."""
    one, other = both(program)
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    assert [n for n, _ in one.named_modules()] == [n for n, _ in other.named_modules()]
    for form, training in itertools.product(program.main.choices, (False, True)):
        method = program.methods[form.methods["infer"]]
        for sizes in trial_sizes(method, trials)[-2:]:
            inputs = random_inputs(program, method, sizes, np.random.default_rng(0))
            outcomes: list[Any] = []
            for module in (one.train(training), other.train(training)):
                torch.manual_seed(1)
                try:
                    outcomes.append(run_module(module, inputs, method.input_names))
                except ValueError as fault:  # a batch norm refuses to train on one value
                    outcomes.append(str(fault))
            got, want = outcomes
            assert isinstance(got, str) == isinstance(want, str)
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shared_classes_make_what_separate_ones_make(path: Path) -> None:
    assert_same(compile_text(path.read_text("utf-8"), name=str(path)).program)


@pytest.mark.slow
@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_shared_classes_of_published_networks_own_the_same(path: Path) -> None:
    smaller = {"num_hidden_layers": 4, "hidden_size": 512} if path.stem == "llama" else {}  # 7 billion would not fit
    one, other = both(compile_text(path.read_text("utf-8"), name=str(path), overrides=smaller).program)
    assert list(one.state_dict()) == list(other.state_dict())
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


# --- what a careful person would write -------------------------------------------------------------------------------


RESIDUAL = """
block Basic(width, stride = 1) {
  input x: float[N, C, H, W]
  y = x -> conv: Conv2d(width, 3, stride=stride, padding=1) -> bn: BatchNorm2d
  if stride != 1 or C != width { x = x -> skip: { Conv2d(width, 1, stride=stride) -> BatchNorm2d } }
  output relu(x + y)
}
block Stage(width, depth, stride) {
  input x: float[N, C, H, W]
  for i in range(depth) { x = x -> "{i}": Basic(width, stride if i == 0 else 1) }
  output x
}
model M {
  input x: float[N, 4, H, W]
  output y = x -> a: Stage(4, 2, 1) -> b: Stage(8, 3, 2) -> c: Stage(6, 5, 2)
}
"""


def test_a_block_is_one_class_with_arguments_for_what_differs() -> None:
    source = emitted(RESIDUAL)
    assert names_of(source) == ["Basic", "Stage", "M"]
    assert "def __init__(self, C, width, stride=1):" in source
    assert "self.conv = nn.Conv2d(C, width, 3, stride=stride, padding=1)" in source
    assert "self.b = Stage(4, 8, 3, 2)" in source


def test_a_member_that_only_some_have_is_made_where_the_author_says() -> None:
    source = emitted(RESIDUAL)
    assert "        self.skip = None\n        if stride != 1 or C != width:\n            self.skip = " in source
    assert "        if self.skip is not None:\n            x = self.skip(x)" in source


def test_runs_of_several_lengths_are_one_loop() -> None:
    source = emitted(RESIDUAL)
    assert "Basic(C, width, stride=stride)" in source
    assert "*(Basic(width, width) for _ in range(depth - 1))" in source


def test_what_is_the_same_everywhere_is_no_argument() -> None:
    text = "block B(n, m) {\ninput x: float[N, D]\noutput x -> Linear(n) -> Linear(m)\n}\n"
    source = emitted(text + "model M {\ninput x: float[N, 8]\noutput y = x -> B(3, 8) -> B(4, 8)\n}")
    assert "def __init__(self, n):" in source
    assert "nn.Linear(8, n)" in source
    assert "nn.Linear(n, 8)" in source


def test_the_author_s_expression_is_kept_where_it_says_the_value() -> None:
    text = "block B(n) {\ninput x: float[N, D]\noutput x -> Linear(3 * n + 1) -> Linear(n)\n}\n"
    source = emitted(text + "model M {\ninput x: float[N, 8]\noutput y = x -> B(3) -> B(4) -> B(9)\n}")
    assert "nn.Linear(D, 3 * n + 1)" in source


def test_what_is_decided_in_the_author_s_expression_is_left_out() -> None:
    text = """
block Part(width, given = none, stride = 1, dilation = 1) {
  input x: float[N, C, H, W]
  inside = max(1, C // 2) if given == none else given
  y = x -> a: Conv2d(inside, 3, padding=dilation * (width // 2)) -> b: Conv2d(width, 1)
  if stride == 1 and C == width { y = y -> c: Conv2d(C, 1) }
  output y
}

model M {
  input x: float[N, 8, 9, 9]
  output y = x -> Part(8) -> Part(6) -> Part(6)
}
"""
    source = emit(compile_text(text).program)
    assert "max(1, C // 2)" in source
    assert "padding=width // 2" in source
    assert "if C == width" in source
    assert not [part for part in ("None ==", "else None", "1 *", "1 ==") if part in source]


def test_a_docstring_is_broken_anew_and_has_no_examples() -> None:
    first, second = "Words " * 18 + "end of the first.", "Words " * 3 + "of the second."
    text = f"""
## {first}
## {second}
##
## - one
## - two
##
## Example: `x -> Part` with x: float[N, 8].
block Part {{
  input x: float[N, D]
  output x -> Linear(D)
}}

model M {{
  input x: float[N, 8]
  output y = x -> Part
}}
"""
    source = emit(compile_text(text).program)
    assert f"{first} {second}" in " ".join(source.split())
    assert "    - one\n    - two\n" in source
    assert "Example" not in source


def test_what_no_argument_says_becomes_one() -> None:
    text = "block B(sizes) {\ninput x: float[N, D]\noutput x -> fc: Linear(sizes[0] ** 2) -> out: Linear(8)\n}\n"
    source = emitted(text + "model M {\ninput x: float[N, 8]\noutput y = x -> B([3]) -> B([4]) -> B([2])\n}")
    assert names_of(source) == ["B", "M"]
    assert "def __init__(self, fc_out_features):" in source
    assert "B(9)" in source


def test_numbers_of_forward_are_remembered() -> None:
    text = "block B(heads, scale) {\ninput x: float[N, T, 12]\n"
    text += (
        'y = rearrange(x, "n t (h d) -> n h t d", h=heads) * scale\noutput rearrange(y, "n h t d -> n t (h d)")\n}\n'
    )
    source = emitted(text + "model M {\ninput x: float[N, T, 12]\noutput y = x -> B(3, 0.5) -> B(4, 2.5)\n}")
    assert names_of(source) == ["B", "M"]
    assert "self.heads = heads" in source
    assert "* self.scale" in source


def test_a_docstring_and_comments_lead_back_to_the_spec() -> None:
    program = compile_text(RESIDUAL, name="some/where/net.nns").program
    source = emit(program)
    assert "Basic(C, width, stride=1) (net.nns, line 2)." in source
    assert "y = self.conv(x)  # line 4" in source
    assert "some" not in source


def test_a_file_name_cannot_leave_its_docstring() -> None:
    source = emit(compile_text(RESIDUAL, name='a/x"""\nimport os\n\\.nns').program)
    assert names_of(source) == ["Basic", "Stage", "M"]
    assert not any(isinstance(node, ast.Import) and node.names[0].name == "os" for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize(("name", "classes"), [("resnet50", ["Bottleneck", "ResNet50"]), ("gpt2", None)])
def test_a_published_network_is_short(name: str, classes: list[str] | None) -> None:
    path = ROOT / "examples" / "zoo" / f"{name}.nns"
    source = emit(compile_text(path.read_text("utf-8"), name=path.name).program)
    found = names_of(source)
    assert found == (classes or sorted(set(found), key=found.index))
    assert not any(word[-1].isdigit() and word[:-1] in found for word in found)
    assert len(source.splitlines()) < 150


# --- what could go wrong ---------------------------------------------------------------------------------------------

HARD = {
    "values that agree by chance": """
block B(a, b) { input x: float[N, D]
  output x -> Linear(a) -> Linear(b) -> Linear(D) }
model M { input x: float[N, 4]
  output y = x -> B(4, 4) -> B(8, 8) -> B(4, 8) }
""",
    "names of Python and torch": """
block B(nn, torch, forward, type, self, F, lambda, range, training_, x) { input h: float[N, D]
  y = h -> Linear(nn) -> Linear(torch) -> Linear(forward) -> Linear(type) -> Linear(self) -> Linear(lambda)
    -> Linear(range)
  output (y -> Linear(D)) * F + training_ + x }
model M { input x: float[N, 5]
  output y = x -> B(2, 3, 4, 5, 6, 0.5, 7, 8, 9, 1) -> B(3, 4, 5, 6, 7, 1.5, 8, 9, 10, 2)
    -> B(2, 2, 2, 2, 2, 2.5, 2, 2, 2, 3) }
""",
    "an argument called like a member": """
block B(fc, relu) { input x: float[N, D]
  output relu_of(x -> fc: Linear(D), k=fc) * relu }
block relu_of(k) { input x: float[N, D]
  output relu(x) * k }
model M { input x: float[N, 5]
  output y = x -> B(2, 0.5) -> B(3, 1.5) }
""",
    "a size and an argument that differ in case": """
block B(c, C_) { input x: float[N, C]
  output x -> Linear(c) -> Linear(C_) -> Linear(C + c) }
model M { input x: float[N, 5]
  output y = x -> B(2, 3) -> B(4, 5) -> B(6, 7) }
""",
    "recipes, functions, strings, lists and none": """
block B(act, norm, mode, sizes, gate = none) { input x: float[N, D, L]
  y = x -> Conv1d(sizes[0], 3, padding=1, padding_mode=mode) -> norm -> act
  if gate != none { y = y * gate }
  output y -> Conv1d(D, sizes[1], padding="same") }
model M { input x: float[N, 4, L]
  assert L >= 3
  output y = x -> B(GELU, Identity, "zeros", [3, 3]) -> B(relu, BatchNorm1d, "circular", [5, 1], 0.5)
    -> B(ReLU, Identity, "reflect", [2, 5]) -> B(Tanh, Identity, "zeros", [3, 3], 2.0) }
""",
    "ties, parameters and buffers": """
block B(n, k) { input x: float[N, D]
  param scale: float[D] = normal(std=k)
  param start: float[n] = arange(n) * 0.5
  buffer table: float[n] = sqrt(arange(n) + 1.0) * k
  a = Linear(n, bias=false)
  y = (x * scale) -> a
  z = x -> b: Linear(n, bias=false, weight=a.weight)
  output (y + z * table + start) -> Linear(D) }
model M { input x: float[N, 5]
  output y = x -> B(3, 0.5) -> B(4, 0.25) -> B(7, 1.5) }
""",
    "a block that holds itself": """
block Tree(level, width) { input x: float[N, D]
  if level > 0 {
    x = x -> left: Tree(level - 1, width + level) -> right: Tree(level - 1, width)
  } else {
    x = x -> leaf: Linear(width)
  }
  output x }
model M { input x: float[N, 5]
  output y = x -> Tree(3, 4) -> Tree(2, 6) }
""",
    "shared layers and several uses": """
block B(n) { input x: float[N, T, D]
  fc = Linear(D)
  h = x -> fc -> relu -> fc
  output h -> softmax(dim=-1) -> Linear(n) -> Linear(D) }
model M { input x: float[N, T, 6]
  input z: float[S, U, 6]
  b = B(3)
  c = B(4)
  output y = x -> b -> c -> b
  output w = z -> c }
""",
    "training and inference": """
block B(p, n, head) { input x: float[N, D]
  if training { x = (x -> noise: Linear(D)) * p }
  y = x -> Linear(n)
  if head { y = y -> head: Linear(n) -> relu }
  if training { output y * n } else { output y } }
model M { input x: float[N, 6]
  output y = x -> B(0.5, 3, true) -> B(0.25, 4, false) -> B(0, 5, true) }
""",
    "choices of three, with returns": """
block B(kind, n) { input x: float[N, D]
  if kind == 0 { y = x -> a: Linear(n) }
  else if kind == 1 { y = x -> b: { Linear(n) -> ReLU } }
  else { y = x -> c: LayerNorm }
  if kind == 2 { output y } else { output y + 1 } }
model M { input x: float[N, 6]
  output y = x -> B(0, 6) -> B(1, 4) -> B(2, 5) -> B(0, 3) -> B(1, 9) -> B(2, 1) }
""",
    "numbers that Python tells apart": """
block B(k, s) { input x: int[N, 4]
  output x * k + s }
model M { input x: int[N, 4]
  output a = x -> B(2, 1)
  output b = x -> B(2.0, 1)
  output c = x -> B(-2, 0)
  output d = x -> B(-0.5, 3.0) }
""",
    "loops with other things in them": """
block B(n, depth, act) { input x: float[N, D]
  for i in range(depth) { x = x + (x -> "fc{i}": Linear(D)) * (i + n) }
  x = x -> layers: { Linear(D) -> act } * depth
  output x -> Linear(n) }
model M { input x: float[N, 6]
  output y = x -> B(3, 2, ReLU) -> B(4, 3, ReLU) -> B(5, 2, GELU) -> B(6, 1, ReLU) }
""",
    "text that is long": """
block B(alpha_of_the_first, alpha_of_the_second, alpha_of_the_third, alpha_of_the_fourth) { input x: float[N, D, L]
  output x
    -> Conv1d(2 * alpha_of_the_first + alpha_of_the_second, 3, stride=alpha_of_the_third, padding=alpha_of_the_fourth)
    -> Conv1d(alpha_of_the_first * alpha_of_the_second * alpha_of_the_third, 1) }
model M { input x: float[N, 6, L]
  assert L >= 40
  output y = x -> B(3, 2, 1, 1) -> B(4, 3, 2, 0) -> B(5, 2, 3, 1) }
""",
    "a constant of the file and bindings": """
factor = 4
block B(n, ratio = 0.5) { input x: float[N, D]
  hidden = factor * n
  half = hidden / 2
  for n_ in [1, 2] { x = x -> "pre{n_}": Linear(D) }
  output x -> Linear(hidden) -> Linear(half) -> Dropout(ratio) -> Linear(D) }
model M { input x: float[N, 6]
  output y = x -> B(3) -> B(4, 0.25) -> B(5) }
""",
}


@pytest.mark.parametrize("title", HARD)
def test_shared_classes_are_right_in_hard_cases(title: str) -> None:
    program = compile_text(HARD[title]).program
    assert_same(program)
    source = emit(program)
    compile(source, title, "exec")
    judge(program, with_onnx=title != "numbers that Python tells apart")


SIZES = ("a", "b", "a + b", "2 * a", "a * b", "a // 2 + 1", "max(a, b)", "D", "D + a", "3", "a if flag else b")
TESTS = ("flag", "a > b", "D != a", "flag and a > 2", "not flag", "mode == 1", "p > 0.2")
STEPS = (
    "x = x -> Linear({size})",
    "x = x -> LayerNorm",
    "x = x -> act",
    "x = x * ({size}) + p",
    "x = x -> {{ Linear({size}) -> act }} * 2",
    "x = x -> Dropout(p)",
    "x = softmax(x, dim={axis})",
    "if {test} {{ x = x -> Linear({size}) }}",
    "if {test} {{ x = x -> LayerNorm }} else {{ x = x -> act -> Linear({size}) }}",
    "if {test} {{ x = x * ({size}) }} else {{ x = x - a }}",
    "if training {{ x = x -> Dropout(p) }}",
    "for i in range(a) {{ x = x -> Linear(D) }}",
)


def random_program(seed: int) -> str:
    """A block of random statements, used several times with random arguments."""
    draw = random.Random(seed)

    def step() -> str:
        words = {"size": draw.choice(SIZES), "test": draw.choice(TESTS), "axis": draw.choice((-1, 0, 1))}
        return draw.choice(STEPS).format(**words)

    def use() -> str:
        act, flag = draw.choice(("ReLU", "GELU", "tanh")), draw.choice(("true", "false"))
        p = draw.choice(("0", "0.5", "0.25"))
        return f"B({draw.randint(1, 5)}, {draw.randint(1, 5)}, {p}, {flag}, {draw.randint(0, 2)}, {act})"

    body = "\n".join(step() for _ in range(draw.randint(2, 6)))
    uses = " -> ".join(use() for _ in range(draw.randint(2, 5)))
    block = f"block B(a, b, p, flag, mode = 0, act = ReLU) {{\ninput x: float[N, D]\n{body}\noutput x\n}}\n"
    return f"{block}model M {{\ninput x: float[N, 6]\noutput y = x -> {uses}\n}}\n"


@pytest.mark.parametrize("seed", range(40))
def test_shared_classes_are_right_for_random_blocks(seed: int) -> None:
    assert_same(compile_text(random_program(seed)).program, trials=2)


def test_defaults_come_last_and_are_the_author_s() -> None:
    module = both(compile_text(HARD["a constant of the file and bindings"]).program)[0]
    signature = inspect.signature(type(module.get_submodule("b")))
    assert list(signature.parameters) == ["n", "ratio"]
    assert signature.parameters["ratio"].default == 0.5


# --- statements ------------------------------------------------------------------------------------------------------


def fill(values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
    return Formula("a + b", 11, values)


def line(text: str) -> Line:
    return Line("x = ", Piece(text))


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("f(1)", "f(2)", "f(a + b)"),
        ("y * 2", "y * 3", "y * (a + b)"),
        ("y - 2", "y - 3", "y - (a + b)"),
        ("f(-2)", "f(3)", "f(a + b)"),
        ("y[:2]", "y[:3]", "y[:(a + b)]"),
        ("g(y, (1, 2))", "g(y, (1, 3))", "g(y, (1, a + b))"),
    ],
)
def test_literals_that_differ_are_filled(first: str, second: str, text: str) -> None:
    assert unify_lines([line(first), line(second)], fill).piece.text == text


@pytest.mark.parametrize(
    ("first", "second"),
    [("f(1)", "g(1)"), ("y * 2", "y + 2"), ("f(1)", "f(1, 2)"), ("y.sum(1)", "y.mean(1)"), ("x1 + 1", "x2 + 1")],
)
def test_other_differences_keep_statements_apart(first: str, second: str) -> None:
    with pytest.raises(Differs):
        unify_lines([line(first), line(second)], fill)


def test_names_of_members_are_no_arguments() -> None:
    def named(name: str) -> Line:
        return Line("", bracketed("self.add_module(", [("", Piece(f'"{name}"')), ("", Piece("nn.ReLU()"))], ")"))

    with pytest.raises(Differs):
        unify_lines([named("0"), named("1")], fill)


def test_an_instance_without_the_statement_has_no_say() -> None:
    seen = []

    def remember(values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
        seen.append(values)
        return fill(values, word)

    unify_lines([line("f(1)"), None, line("f(2)")], remember)
    assert seen == [(1, ANY, 2)]
