"""The tokens of a statement as it is written: which are literals, and what these say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.layer import Ref

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<class>nn\.[A-Za-z]\w*(?![\w.(]))
    |(?P<number>(?<![\w.])(?:\d[\d_]*\.?\d*(?:e[+-]?\d+)?))
    |(?P<word>[A-Za-z_]\w*)
    |(?P<space>\s+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def masked(text: str) -> tuple[str, ...]:
    """The tokens of a text without its literals."""
    return tuple("" if is_literal else token for token, is_literal in tokens(text))


def stands_alone(row: Sequence[tuple[str, bool]], at: int) -> bool:
    """Whether a token is all that stands between brackets and commas, so that an expression there needs no brackets."""
    before = row[at - 1][0] if at else "("
    after = row[at + 1][0] if at + 1 < len(row) else ")"
    return (before in "([" or (before.isspace() and at > 1 and row[at - 2][0] == ",")) and after in ",)]"


def tokens(text: str) -> Iterator[tuple[str, bool]]:
    """The tokens of a text, and whether each is a literal; a sign belongs to its number."""
    found = [(m[0], m.lastgroup) for m in _TOKEN.finditer(text)]
    at = 0
    before = "("
    while at < len(found):
        token, kind = found[at]
        if token == "-" and before in "([,=:" and at + 1 < len(found) and found[at + 1][1] == "number":
            at += 1
            token, kind = token + found[at][0], "number"
        literal = kind in ("string", "class", "number") or token in ("True", "False", "None")
        yield token, literal
        before = before if kind == "space" else token
        at += 1


def literal(token: str) -> Any:
    """What a literal says; a class of torch is a name."""
    return Ref(token) if token.startswith("nn.") else ast.literal_eval(token)
