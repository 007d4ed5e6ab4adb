"""Syntax errors: each is said once, in words, at its place; what stands behind it is read; nothing crashes or hangs."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Diagnostic, Sink, Source
from nnspec.syntax import ast
from nnspec.syntax.parse import parse
from tests.unit.test_parse import FASHION, GAN, LLAMA, RESNET, REST, TRAIN

SPECS = (FASHION, GAN, LLAMA, RESNET, REST, TRAIN)


def report(text: str) -> tuple[Diagnostic, ...]:
    sink = Sink()
    parse(text, sink)
    return sink.diagnostics


def places(text: str) -> list[tuple[str, int, int]]:
    """Code, line and column of each error."""
    source = Source("spec.nns", text)
    return [(d.code, *source.position(d.span.start)) for d in report(text)]


def repaired(text: str, diagnostic: Diagnostic, number: int = 0) -> str:
    """The text after one of the fixes of a diagnostic."""
    for edit in sorted(diagnostic.fixes[number].edits, key=lambda e: e.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # brackets
        ("x = f(3\n", [("NNS101", 1, 6)]),
        ("x = [1, 2\ny = 3\n", [("NNS101", 1, 5)]),
        ("x = (1 + [2, 3)\n", [("NNS101", 1, 10)]),
        ("model A { x = f(3 }\n", [("NNS101", 1, 16)]),
        ("model A {\n  x = f(1,\n  y = g(2)\n  z = 3 4\n}\n", [("NNS101", 2, 8), ("NNS102", 4, 9)]),
        ("model A {\n  x = f(1,\n\nmodel B {\n}\n", [("NNS101", 2, 8), ("NNS101", 4, 1)]),
        ("model A(x = 3 {\n  y = 3 4\n}\n", [("NNS101", 1, 8), ("NNS102", 2, 9)]),
        ("model A {\n  x = 1\n", [("NNS101", 2, 8)]),
        ("model A {\n  if x {\n    y = 1\n\nblock B {\n}\n", [("NNS101", 5, 1)]),
        ("x = f(3))\n", [("NNS108", 1, 9)]),
        ("x = 3]\n}\n", [("NNS108", 1, 6), ("NNS108", 2, 1)]),
        # tokens that do not fit
        ("x 3\n", [("NNS102", 1, 3)]),
        ("x = \n", [("NNS102", 1, 4)]),
        ("x = 1 +\ny = 2\n", [("NNS102", 1, 8)]),
        ("x = 1 y = 2\n", [("NNS102", 1, 7)]),
        ("x = a ->\n", [("NNS102", 1, 9)]),
        ("block {\n}\n", [("NNS102", 1, 7)]),
        ("modelA {\n}\n", [("NNS102", 1, 1)]),
        ("model A {\n  input x\n  input y:\n}\n", [("NNS102", 2, 10), ("NNS102", 3, 11)]),
        ("model A {\n  if x:\n    y = 1\n    z = 2\n}\n", [("NNS102", 2, 7)]),
        ("x = a -> 3\n", [("NNS102", 1, 10)]),
        ("x = 3 -> a\n", [("NNS102", 1, 5)]),
        # strings and characters
        ('x = "abc\ny = 1\n', [("NNS103", 1, 5)]),
        ("x = 3; y = 4\n", [("NNS104", 1, 6)]),
        ("x = a && b\n", [("NNS104", 1, 7)]),
        ("x = 'abc'\n", [("NNS104", 1, 5)]),
        ("x = $3\né = 2\n", [("NNS104", 1, 5), ("NNS104", 2, 1)]),
        ("x = a \u2192 b\n", [("NNS104", 1, 7)]),
        ("x = 1\0\n", [("NNS104", 1, 6)]),
        ('x = "{a +}"\n', [("NNS120", 1, 9)]),
        ('x = "{}"\n', [("NNS120", 1, 6)]),
        ('x = "a{b"\n', [("NNS120", 1, 7)]),
        ('x = "a}b"\n', [("NNS120", 1, 7)]),
        ('x = "a\\q"\n', [("NNS120", 1, 7)]),
        # flows
        ("y = x + x -> ln\n", [("NNS105", 1, 7)]),
        ("y = x -> ln + x\n", [("NNS105", 1, 13)]),
        ("y = a if b else c -> d\n", [("NNS105", 1, 5)]),
        ("y = x -> a if b else c\n", [("NNS105", 1, 12)]),
        ("y = -x -> a\n", [("NNS105", 1, 5)]),
        ("model A {\n  relu(x)\n  x\n}\n", [("NNS106", 2, 3), ("NNS106", 3, 3)]),
        ("model A {\n  y = {\n    Linear(3)\n    ReLU\n  }\n}\n", [("NNS113", 4, 5)]),
        ("model A {\n  y = x\n    conv: Conv2d(3)\n}\n", [("NNS113", 3, 5)]),
        (
            "model A {\n  x = y\n    -> Conv2d(64 7)\n    -> Norm(,)\n    -> ReLU\n  y = 1 2\n}\n",
            [("NNS117", 3, 18), ("NNS102", 4, 13), ("NNS102", 6, 9)],
        ),
        ("x = y -> f(3): A\n", [("NNS119", 1, 10)]),
        # conditions, words
        ("model A {\n  if x = 1 {\n    y = 1 2\n  }\n}\n", [("NNS107", 2, 8), ("NNS102", 3, 11)]),
        ("assert a = 3\n", [("NNS107", 1, 10)]),
        ("model A {\n  x = 1\n  else { y = 2 }\n}\n", [("NNS122", 3, 3)]),
        ("model A {\n  if = 1\n}\n", [("NNS109", 2, 3)]),
        ("model A {\n  in = 1\n}\n", [("NNS109", 2, 3)]),
        ("model not {\n}\n", [("NNS109", 1, 7)]),
        ("x = True\ny = [None]\n", [("NNS110", 1, 5), ("NNS110", 2, 6)]),
        ("def f(x):\n  return x\n  y = f(x)\nz = 1\n", [("NNS110", 1, 1)]),
        ("class A(B) {\n}\n", [("NNS110", 1, 1)]),
        ("model A {\n  if a { x = 1 } elif b { x = 2 }\n}\n", [("NNS110", 2, 18)]),
        ("import torch\nfrom torch import nn\n", [("NNS110", 1, 8), ("NNS110", 2, 6)]),
        ("x += 1\n", [("NNS110", 1, 3)]),
        # numbers
        ("a = 1__0\nb = 07\nc = 3x\n", [("NNS111", 1, 5), ("NNS111", 2, 5), ("NNS111", 3, 5)]),
        ("a = .5\nb = 1.\n", [("NNS111", 1, 5), ("NNS111", 2, 6)]),
        ("a = 1e999999999\n", [("NNS112", 1, 5)]),
        ("a = 9223372036854775808\n", [("NNS112", 1, 5)]),
        # places, versions, types, arguments
        ("nnspec 2\nx = 1\n", [("NNS115", 1, 8)]),
        ("model A {\n}\noutput x\nif a { y = 1 }\n}\n", [("NNS116", 3, 1)]),
        ("model A {\n  model B { x = 1 }\n}\n", [("NNS116", 2, 3)]),
        ("x = f(a b)\n", [("NNS117", 1, 9)]),
        ("x = f(a\n  b)\n", [("NNS117", 2, 3)]),
        ("f(3) = 4\na.b = 1\n", [("NNS118", 1, 1), ("NNS118", 2, 1)]),
        ("x = f(a=1, 2)\n", [("NNS121", 1, 12)]),
        ("model A {\n  input x: list[a, b]\n  input y: float[3, ...]\n}\n", [("NNS123", 2, 12), ("NNS123", 3, 21)]),
    ],
)
def test_an_error_is_reported_once_at_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert places(text) == expected


def test_a_missing_brace_shows_both_places() -> None:
    (diagnostic,) = report("model A {\n  x = 1\n  y = 2\n  z = 3\n\nmodel C {\n}\n")
    assert diagnostic.message == "missing `}` to close model `A`"
    assert diagnostic.primary is not None
    assert diagnostic.primary.text == "a model cannot start inside another model"
    assert [(label.span.start, label.text) for label in diagnostic.labels[1:]] == [(8, "this block is never closed")]
    assert diagnostic.helps == ("insert `}` on line 5",)


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("y = x + x -> ln\n", ["y = (x + x) -> ln\n", "y = x + (x -> ln)\n"]),
        ("y = a + b * c -> ln\n", ["y = (a + b * c) -> ln\n", "y = a + b * (c -> ln)\n"]),
        ("y = x -> ln + x\n", ["y = (x -> ln) + x\n", "y = x -> (ln + x)\n"]),
        ("y = a if b else c -> d\n", ["y = (a if b else c) -> d\n", "y = a if b else (c -> d)\n"]),
    ],
)
def test_an_operator_next_to_an_arrow_offers_both_bracketings(text: str, fixed: list[str]) -> None:
    (diagnostic,) = report(text)
    assert [repaired(text, diagnostic, i) for i in range(len(diagnostic.fixes))] == fixed
    assert [report(each) for each in fixed] == [(), ()]


@pytest.mark.parametrize(
    "text",
    [
        "x = f(3\ny = 1\n",
        "x = (1 + [2, 3)\n",
        "x = f(3))\n",
        "x = f(a b)\n",
        "x = 1 y = 2\n",
        "x 3\n",
        'x = "abc\n',
        "x = a && b\n",
        "x = 'abc'\n",
        "x = 3; y = 4\n",
        "x = a \u2192 b\n",
        "x = True\n",
        "x = .5\n",
        "x = 1.\n",
        "assert a = 3\n",
        "model A {\n  x = 1\n\nmodel B {\n}\n",
        "model A {\n  if x {\n    y = 1\n",
        "model A {\n  relu(x)\n}\n",
        "model A {\n  y = {\n    Linear(3)\n    ReLU\n  }\n}\n",
        "model A {\n  y = x\n    conv: Conv2d(3)\n}\n",
        "model A {\n  if a { x = 1 } elif b { x = 2 }\n}\n",
        "model A {\n  return x\n}\n",
    ],
)
def test_a_fix_leads_to_a_text_without_errors(text: str) -> None:
    (diagnostic,) = report(text)
    assert report(repaired(text, diagnostic)) == ()


def test_what_was_expected_is_said_in_words() -> None:
    texts = ["x = ", "model A {\n input x\n}", "import 3", "x = f(,)", "for", "x = [1 for", "nnspec 1 2", "a b c"]
    for diagnostic in (d for text in texts for d in report(text)):
        words = " ".join([diagnostic.message, *(label.text for label in diagnostic.labels), *diagnostic.helps])
        assert not re.search(r"_NL|\$END|MEMBER|BROKEN|NAME|NUMBER|STRING|Token|<\w+>", words)
        assert diagnostic.message[0].islower() or diagnostic.message[0] in "`'"
        assert not diagnostic.message.endswith(".")


def test_names_of_a_broken_statement_stay_bound() -> None:
    sink = Sink()
    (block,) = parse("model A {\n  a, b = f(1 2)\n  input x: [3]\n  y = x\n}\n", sink).declarations
    assert isinstance(block, ast.Block)
    both, lost, kept = block.body.statements
    assert isinstance(both, ast.Assign)
    assert isinstance(both.target, ast.Targets)
    assert isinstance(both.value, ast.Broken)
    assert isinstance(lost, ast.Assign)
    assert isinstance(kept, ast.Assign)
    assert isinstance(kept.value, ast.Name)


def test_a_broken_item_does_not_lose_its_flow() -> None:
    sink = Sink()
    (declaration,) = parse("x = a\n  -> Conv2d(64 7)\n  -> ReLU\n", sink).declarations
    assert isinstance(declaration, ast.Assign)
    assert isinstance(declaration.value, ast.Flow)
    assert [type(item.layer).__name__ for item in declaration.value.items] == ["Broken", "Name"]


def test_errors_stop_at_a_hundred() -> None:
    assert len(report("x = 1 2\n" * 500)) == 100


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 100_000,
        "x = " + "1 + " * 2_500_000,
        "x = " + "1 + " * 30_000 + "1\n",
        "x = " + "-" * 30_000 + "1\n",
        "x = " + "a if b else " * 20_000 + "1\n",
        "x = a" + "()" * 30_000 + "\n",
        "x = a" + ".b" * 30_000 + "\n",
        "x = a" + "**a" * 30_000 + "\n",
        "model A {\n if a { x = 1 }" + "\n else if b { x = 1 }" * 5_000 + "\n}\n",
        'x = "' + "a" * 70_000 + '"\n',
        "\n" * 5_000_000,
    ],
    ids=["brackets", "line", "sum", "minus", "conditional", "calls", "members", "powers", "branches", "string", "file"],
)
def test_what_is_too_large_is_refused_soon(text: str) -> None:
    start = time.process_time()
    (diagnostic,) = report(text)
    assert diagnostic.code == "NNS114"
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "text",
    [
        ("\0 " * 100 + "\n") * 10_000,
        "x = { a b\n" * 100_000,
        "model A {\n" * 100_000,
        'x = "{a b}"\n' * 100_000,
        "x = f(" * 90 + "\n" + "a\n" * 100_000,
        '"' * 200_000,
        'x = "' + "{a}" * 20_000 + '"\n',
        " " * 200_000,
        "##a\n" * 500_000,
    ],
    ids=["nul", "chains", "models", "strings", "calls", "quotes", "interpolation", "blanks", "comments"],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.process_time()
    report(text)
    assert time.process_time() - start < 3


_PIECES = st.sampled_from(
    re.split(
        " ",
        "( ) { } [ ] -> = : , . * + - ** == @ \" # ## \n \r \0 ; ' \\ é 3 1e .5 x y T Linear model block train input "
        'output if else for in not and or scan over with yield params update import from as extern nnspec "{x}" _ ...',
    )
)


@given(
    st.text(max_size=200) | st.lists(_PIECES, max_size=60).map(" ".join) | st.lists(_PIECES, max_size=60).map("".join)
)
@settings(max_examples=200, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_gives_a_tree_or_a_report(text: str) -> None:
    sink = Sink()
    file = parse(text, sink)
    assert isinstance(file, ast.File)
    assert sink.failed or not any(isinstance(d, ast.Broken) for d in file.declarations)
    for diagnostic in sink.diagnostics:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)


@given(st.data())
@settings(max_examples=200, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_change_of_a_spec_gives_a_tree_or_a_report(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SPECS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 8))
        text = text[:at] + data.draw(_PIECES | st.just("")) + text[at + gone :]
    sink = Sink()
    assert isinstance(parse(text, sink), ast.File)
    for diagnostic in sink.diagnostics:
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)
