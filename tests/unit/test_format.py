"""`nnspec fmt`: one style, nothing lost, nothing changed in meaning."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nnspec.diagnostics import Sink
from nnspec.syntax import ast
from nnspec.syntax.format import WIDTH, format_text
from nnspec.syntax.parse import parse, tokens

ROOT = Path(__file__).parents[2]
SPECS = [
    *sorted((ROOT / "examples").rglob("*.nns")),
    *sorted((ROOT / "nnspec" / "std").glob("*.nns")),
    *sorted((ROOT / "tests" / "errors").glob("*.nns")),
]


def formatted(text: str) -> str:
    """The text in nnspec's style; it has no syntax errors."""
    sink = Sink()
    result = format_text(text, sink)
    assert not sink.diagnostics, sink.diagnostics
    return result


def tree(text: str) -> ast.File | None:
    """The syntax tree, or None for a text with syntax errors."""
    sink = Sink()
    file = parse(text, sink)
    return None if sink.failed else file


@pytest.mark.parametrize("path", [p for p in SPECS if "errors" not in p.parts], ids=lambda p: p.stem)
def test_what_ships_is_formatted(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text) == text, f"nnspec fmt {path.relative_to(ROOT)}"


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_meaning_and_comments_stay_and_formatting_again_changes_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    before = tree(text)
    if before is None:
        sink = Sink()
        assert format_text(text, sink).split() == text.split()
        assert sink.failed
        return
    once = formatted(text)
    assert ast.same(tree(once), before)
    assert _comments(once) == _comments(text)
    assert formatted(once) == once


def _comments(text: str) -> list[str]:
    return ["".join(t.text.split()) for t in tokens(text) if t.type == "COMMENT"]


def _scrambled(text: str, random_: random.Random, *, lines: bool) -> str:
    """The text with other blanks between its words, and, if asked, line ends and comments where they mean nothing."""
    result: list[str] = []
    behind, open_ = 0, "{"
    for token in tokens(text):
        gap = text[behind : token.start]
        if token.type in ("_NL", "$END"):
            continue
        behind = token.end
        if "\n" in gap or token.type == "COMMENT" or (result and result[-1].startswith("#")):
            result.append(gap + " " * (random_.randrange(4) if token.type != "COMMENT" or "\n" in gap else 1))
        else:
            needed = bool(gap) or bool(result and result[-1][-1].isalnum() and token.text[0].isalnum())
            touching = "." in (token.text, result[-1] if result else "")
            blanks = 0 if touching else random_.randrange(int(needed), 4)
            if lines and open_[-1] in "([" and blanks and random_.random() < 0.2:
                result.append("\n" * random_.randrange(1, 4) + random_.choice(["", " # why\n", "  "]))
            result.append(" " * blanks)
        result.append(token.text)
        if token.type in ("(", "[", "{"):
            open_ += token.type
        elif token.type in (")", "]", "}"):
            open_ = open_[:-1]
    return "".join(result) + "\n"


@pytest.mark.parametrize("path", [p for p in SPECS if "errors" not in p.parts], ids=lambda p: p.stem)
def test_other_blanks_come_to_the_same_text(path: Path) -> None:
    text = path.read_text("utf-8")
    for seed in range(3):
        assert formatted(_scrambled(text, random.Random(seed), lines=False)) == formatted(text)


@pytest.mark.parametrize("path", [p for p in SPECS if "errors" not in p.parts], ids=lambda p: p.stem)
def test_other_line_ends_are_read_and_settle_at_once(path: Path) -> None:
    text = path.read_text("utf-8")
    for seed in range(3):
        scrambled = _scrambled(text, random.Random(seed), lines=True)
        once = formatted(scrambled)
        assert ast.same(tree(once), tree(text))
        assert _comments(once) == _comments(scrambled)
        assert formatted(once) == once


CASES = {
    "blanks": ("width=64\nheight  =  -width+2**-1", "width = 64\nheight = -width + 2 ** -1\n"),
    "arguments": ("a=f( x,k = 3 )", "a = f(x, k=3)\n"),
    "brackets as arguments": ("a=f(x,k = (1,2),n= [3])\nb=-(c)", "a = f(x, k=(1, 2), n=[3])\nb = -(c)\n"),
    "index": ("a=x[ : , none,...,: w//2,-1 :]", "a = x[:, none, ..., :w // 2, -1:]\n"),
    "hyperparameters": (
        "block A(w=3,act : int=GELU){\ninput x:float[N]\noutput x}",
        "block A(w = 3, act: int = GELU) {\n  input x: float[N]\n  output x\n}\n",
    ),
    "blank lines": (
        "\n\na = 1\n\n\n\nb = 2\n##doc\nmodel A {\n\n input x: float[N]\n\n\n output y = x\n\n}\nc = 3\n\n",
        "a = 1\n\nb = 2\n\n## doc\nmodel A {\n  input x: float[N]\n\n  output y = x\n}\n\nc = 3\n",
    ),
    "one line stays one": (
        "block A {\n input x: float[N]\n if true {x = x}\n mlp: {y = x}\n output x\n}",
        "block A {\n  input x: float[N]\n  if true { x = x }\n  mlp: { y = x }\n  output x\n}\n",
    ),
    "else": (
        "block A {\n input x: float[N]\n if a { x = y }\n else if b {\n x = z }\n # c\n else { x = w }\n output x\n}",
        "block A {\n  input x: float[N]\n  if a { x = y } else if b {\n    x = z\n  }\n  # c\n  else { x = w }\n"
        "  output x\n}\n",
    ),
    "chain": (
        "a = {Linear(3)\n-> b : ReLU*2\n # why\n->  Linear( 4 )}",
        "a = {\n  Linear(3)\n  -> b: ReLU * 2\n  # why\n  -> Linear(4)\n}\n",
    ),
    "flow": (
        "block A {\n input x: float[N]\n y = x # one\n # two\n    -> Linear(3) -> ReLU\n -> Linear(4)\n output y }",
        "block A {\n  input x: float[N]\n  y = x  # one\n    # two\n    -> Linear(3) -> ReLU\n    -> Linear(4)\n"
        "  output y\n}\n",
    ),
    "open bracket": ("a = f(b,\n      [c, d],\n      e = 3)", "a = f(\n  b,\n  [c, d],\n  e=3\n)\n"),
    "hugged bracket": ("a = f([\nb, c\n  ])", "a = f([\n  b, c\n])\n"),
    "settings": (
        "train (G = A(), D=B()) {\n  lr=1\n  steps = 2\n\n  seed=3\n}",
        "train (G=A(), D=B()) {\n  lr    = 1\n  steps = 2\n\n  seed = 3\n}\n",
    ),
    "scan": (
        "block A {\n input x: float[N]\n ys,h=scan a in x,b in y over dim = 1,reverse=true with h=z,c=w {\n"
        " yield h }\n output ys }",
        "block A {\n  input x: float[N]\n  ys, h = scan a in x, b in y over dim=1, reverse=true with h = z, c = w {\n"
        "    yield h\n  }\n  output ys\n}\n",
    ),
    "imports": (
        'nnspec   1\nimport  "a.nns"  as a\nfrom std.vision  import A,B as C',
        'nnspec 1\nimport "a.nns" as a\nfrom std.vision import A, B as C\n',
    ),
    "comments": ("#one\n\n##two\na = 1 #three\n#", "# one\n\n## two\na = 1  # three\n#\n"),
    "nothing": ("", ""),
    "strings stay": ('a = "x{ b+1 }  y"', 'a = "x{ b+1 }  y"\n'),
    "line ends of other systems": ("\ufeffa = 1\r\nb = 2\r\n", "a = 1\nb = 2\n"),
}


@pytest.mark.parametrize("case", CASES)
def test_style(case: str) -> None:
    text, wanted = CASES[case]
    assert formatted(text) == wanted
    assert formatted(wanted) == wanted


@pytest.mark.parametrize(
    "statement",
    [
        "y = x" + " -> conv: Conv2d(width, 3, stride=2, padding=1, bias=false)" * 3,
        "y = rearrange(" + "x + " * 40 + "x, pattern)",
        "y = f(" + ", ".join(f"argument_{i}=[{i}, 2, 3]" for i in range(30)) + ")",
        "y = a + (b -> " + "c -> " * 30 + "d) + (e -> f)",
        "y = {" + " -> ".join(f"Linear({i})" for i in range(30)) + "}",
        "if a { y = f(" + ", ".join("argument" for _ in range(20)) + ") }",
    ],
)
def test_long_lines_are_broken(statement: str) -> None:
    text = formatted(f"block A {{\n input x: float[N]\n{statement}\n output y }}\n")
    assert max(map(len, text.splitlines())) <= WIDTH
    assert formatted(text) == text


def test_text_with_syntax_errors_is_left_alone() -> None:
    sink = Sink()
    text = "model A {\n   input x float[N\n}\n"
    assert format_text(text, sink) == text
    assert sink.failed
