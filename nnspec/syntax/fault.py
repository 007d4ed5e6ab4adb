"""A token that does not fit, and the place around it in words: what was found, what was expected."""

from __future__ import annotations

import re
from typing import NamedTuple

from nnspec.diagnostics import Span
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.lexer import END, NEWLINE, Token

_WORD = re.compile(r"[A-Za-z_]\w*")

# How a statement is written, shown when something in it is missing.
FORMS = {
    "input": "`input x: float[N, 3]`",
    "output": "`output name = value`",
    "param": "`param weight: float[3] = zeros()`",
    "buffer": "`buffer mask: float[3] = ones(3)`",
    "block": "`block Name(width = 64) { ... }`",
    "model": "`model Name(width = 64) { ... }`",
    "extern": '`extern block Name(width) from "package.module:Class" { ... }`',
    "import": '`import "blocks/resnet.nns" as resnet`',
    "from": '`from "blocks/resnet.nns" import Stage`',
    "for": "`for i in range(4) { ... }`",
    "if": "`if test { ... } else { ... }`",
    "assert": '`assert test, "message"`',
    "params": '`params "*.bias" { ... }`',
    "update": "`update name { ... }`",
    "nnspec": "`nnspec 1`",
}
_EXPECTED = (
    ("+", "an operator"),
    ("(", "`(`"),
    (")", "`)`"),
    ("]", "`]`"),
    (",", "`,`"),
    ("=", "`=`"),
    (":", "`:`"),
    ("->", "`->`"),
    ("in", "`in`"),
    ("over", "`over`"),
    ("with", "`with`"),
    ("{", "`{`"),
    ("}", "`}`"),
    (NEWLINE, "the end of the line"),
)


class Opener(NamedTuple):
    """A bracket that is open: its token, its place on the stack, where its statement begins, if it opens a chain."""

    token: Token
    depth: int
    begin: int
    chain: bool


class Fault(NamedTuple):
    """A token that does not fit, and what stands around it."""

    text: str
    source: int
    automaton: Automaton
    wrong: Token
    begin: int
    outer: tuple[Opener, ...]
    inner: tuple[Opener, ...]

    def span(self, start: int, end: int) -> Span:
        """A place in this text."""
        return Span(start, end, self.source)

    @property
    def place(self) -> Span:
        """What to underline: the token, or for an end the last word in front of it."""
        if self.wrong.type in (NEWLINE, END):
            return self.span(self.automaton.end, self.automaton.end)
        return self.span(self.wrong.start, self.wrong.end)

    @property
    def head(self) -> str:
        """The first word of the statement."""
        found = _WORD.match(self.text, self.begin)
        return found[0] if found else ""

    @property
    def last(self) -> Token | None:
        """The token in front, if it was not yet made part of something."""
        value = self.automaton.values[-1] if self.automaton.values else None
        return value if type(value) is Token else None


def opened(fault: Fault, opener: Opener) -> str:
    """What a bracket belongs to, in the author's words."""
    head = fault.text[opener.begin : opener.token.start].strip()
    if opener.token.type != "{":
        before = re.search(
            r"([\w.]+)[ \t]*\Z", fault.text[max(opener.begin, opener.token.start - 80) : opener.token.start]
        )
        return f"`{before[1]}{opener.token.type}`" if before else f"`{opener.token.type}`"
    if opener.chain:
        return "a chain"
    named = re.match(r"(?:extern\s+)?(block|model|update)\s+(\w+)", head)
    if named:
        return f"{named[1]} `{named[2]}`"
    if head.endswith(":"):
        return f"group `{head[:-1].strip()}`"
    word = _WORD.match(head)
    return f"`{word[0]}`" if word else "a body"


def found(fault: Fault) -> str:
    """A token in words."""
    wrong = fault.wrong
    if wrong.type == NEWLINE:
        return "the end of the line"
    if wrong.type == END:
        return "the end of the file"
    text = wrong.text if len(wrong.text) <= 40 else wrong.text[:37] + "..."
    if wrong.type == "NUMBER":
        return f"the number `{text}`"
    if wrong.type == "STRING":
        return f"the string `{text}`"
    return f"the word `{text}`" if wrong.type == wrong.text and text[0].isalpha() else f"`{text}`"


def expected(automaton: Automaton) -> str:
    phrases = []
    if automaton.accepts("NUMBER"):
        phrases.append("a value")
    elif automaton.accepts("NAME"):
        phrases.append("a name")
    elif automaton.accepts("STRING"):
        phrases.append("a string")
    # What begins a value or goes on with one is said by these words already.
    covered = ("(", "{", "in", "->") if phrases or automaton.accepts("+") else ()
    phrases += [words for kind, words in _EXPECTED if kind not in covered and automaton.accepts(kind)]
    phrases = phrases[:4]
    return " or ".join((", ".join(phrases[:-1]), phrases[-1])) if len(phrases) > 1 else "".join(phrases)
