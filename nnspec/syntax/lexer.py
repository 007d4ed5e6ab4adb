"""Text to tokens: one compiled expression, line ends that mean something, and keywords decided by their place.

`Lexer.tokens` is lazy and can start anywhere, so that recovery from a syntax error restarts it with other brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Edit, Fix, Span, error
from nnspec.syntax.tables import Tables

MAX_STRING = 64 * 1024
MAX_BRACKETS = 100

NEWLINE = "_NL"
END = "$END"
OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {")": "(", "]": "[", "}": "{"}

RESERVED = frozenset(("if", "else", "for", "in", "and", "or", "not", "true", "false", "none"))

_WORD = re.compile(r'[ \t]*["\w]')
_VALUE = re.compile(r'[ \t]*(?:["\w(\[{]|-(?!>))')
# Words that are keywords at the head of a statement, each with what must follow it.
HEADS = {
    "nnspec": re.compile(r"[ \t]*\d"),
    "block": re.compile(r'[ \t]*["\w{]'),
    "model": re.compile(r'[ \t]*["\w{]'),
    "extern": _WORD,
    "train": re.compile(r"[ \t]*[\w({]"),
    "import": _WORD,
    "from": _WORD,
    "input": _WORD,
    "output": _VALUE,
    "param": _WORD,
    "buffer": _WORD,
    "params": _WORD,
    "update": _WORD,
    "assert": _VALUE,
    "yield": _VALUE,
}
# A line that begins with one of these in column 0 is a new declaration, whatever brackets are open.
DECLARATIONS = frozenset(("block", "model", "extern", "train", "import", "from"))

# Words that are keywords between two operands; `scan` is one between `=` and a name.
_INFIX = frozenset(("as", "from", "import", "over", "with"))
_CONTEXTUAL = frozenset(HEADS) | _INFIX | {"scan"}
_OPERAND_ENDS = frozenset(("NAME", "MEMBER", "NUMBER", "STRING", "BROKEN", ")", "]", "}", "true", "false", "none"))
_COMMENTS = re.compile(r"#[^\n]*")
_CONTINUES = re.compile(r"[ \t]*(?:->|[-+*/%@<>]|[=!]=|(?:else|and|or|in|not)\b)")

# What people type for something else: the token that is meant, its spelling, and what to say.
_MEANT = {
    ";": (NEWLINE, "\n", "statements end at line ends"),
    "&&": ("and", "and", "write `and`"),
    "||": ("or", "or", "write `or`"),
    "&": ("and", "and", "write `and`"),
    "|": ("or", "or", "write `or`"),
    "!": ("not", "not ", "write `not`"),
    "=>": ("->", "->", "data flows through `->`"),
    "^": ("**", "**", "powers are written `**`"),
    "\u2192": ("->", "->", "write `->`"),
    "\u2212": ("-", "-", "write `-`"),
    "\u2013": ("-", "-", "write `-`"),
    "\u00d7": ("*", "*", "write `*`"),
    "\u2264": ("<=", "<=", "write `<=`"),
    "\u2265": (">=", ">=", "write `>=`"),
    "\u2260": ("!=", "!=", "write `!=`"),
    "\u00a0": ("", " ", "write an ordinary space"),
}
_QUOTES = "'\u2018\u2019\u201c\u201d`"


class Token(NamedTuple):
    """A word of the text; `type` is the literal itself for signs and keywords."""

    type: str
    text: str
    start: int
    end: int


class LimitError(Exception):
    """The text passes a limit of the language, or there are too many errors: reading it ends here."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__(diagnostic.message if diagnostic else "too many errors")
        self.diagnostic = diagnostic


# The groups of the master expression; a string has one more inside it, for its closing quote.
_MEMBER, _NAME, _LINE, _SIGN, _NUMBER, _STRING, _QUOTE, _COMMENT, _OTHER = range(1, 10)


@lru_cache(maxsize=1)
def _master(names: str, signs: tuple[str, ...]) -> re.Pattern[str]:
    operators = "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))
    groups = (
        r"((?<=\.)\w+)",
        f"({names})",
        r"((?:#[^\n]*)?\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n){0,500})",
        f"((?!=>)(?:{operators}))",
        r"(\d\w*(?:\.\d\w*)?(?:(?<=[eE])[+-]\d\w*)?)",
        r'("[^"\\\n]*(?:\\[^\n][^"\\\n]*)*("?))',
        r"(#[^\n]*|\Z)",
        rf"(=>|&&|\|\||[{_QUOTES}][^{_QUOTES}\n]*[{_QUOTES}]?|[\0-\x08\x0b-\x1f\x7f]+|[^\n])",
    )
    return re.compile(r"[ \t]*(?:" + "|".join(groups) + ")", re.ASCII)


class Lexer:
    """The tokens of one text; what is wrong with them goes to `report`."""

    def __init__(self, text: str, tables: Tables, source: int, report: Callable[[Diagnostic], None]) -> None:
        self.text = text
        self.tables = tables
        self.source = source
        self.report = report
        self.docs: dict[int, str] = {}
        self._pattern = _master(tables.patterns["NAME"], tuple(w for w in tables.literals if not w[0].isalpha()))

    def tokens(self, start: int = 0, end: int | None = None, brackets: list[Token] | None = None) -> Iterator[Token]:
        """The tokens from `start` on, inside the brackets given; always ends with a line end and an END."""
        text, new = self.text, tuple.__new__
        stop = len(text) if end is None else end
        stack: list[Token] = [] if brackets is None else brackets
        last = NEWLINE
        behind = start
        for found in self._pattern.finditer(text, start, stop):
            kind = found.lastindex or _COMMENT
            first, at = found.span(kind)
            word = text[first:at]
            if kind == _NAME:
                type_ = "NAME"
                if word in RESERVED:
                    type_ = word
                elif word in _CONTEXTUAL:
                    type_ = self._keyword(word, first, at, last)
                    if stack and type_ in DECLARATIONS and last != "extern" and text[first - 1] == "\n":
                        stack.clear()
                        if last not in (NEWLINE, "{"):
                            yield Token(NEWLINE, "", behind, behind)
            elif kind == _SIGN:
                type_ = word
                if word in OPENERS:
                    stack.append(new(Token, (word, word, first, at)))
                    if len(stack) > MAX_BRACKETS:
                        raise LimitError(self._too_deep(first))
                elif word in CLOSERS:
                    close(stack, word)
            elif kind == _LINE:
                if "##" in word:
                    self._document(first, at)
                if (stack and stack[-1][0] != "{") or last in (NEWLINE, "{") or _CONTINUES.match(text, at, stop):
                    continue
                # A line end stands right behind its line's last token: whatever follows is no part of anything.
                type_, word, first, at = NEWLINE, "", behind, behind
            elif kind == _MEMBER:
                type_ = "MEMBER"
            elif kind == _NUMBER:
                type_ = "NUMBER"
            elif kind == _STRING:
                type_ = self._string(first, at, bool(found[_QUOTE]))
            elif kind == _COMMENT:
                continue
            else:
                type_ = self._illegal(word, first, at)
                if not type_ or (type_ == NEWLINE and last in (NEWLINE, "{")):
                    continue
            last = type_
            behind = at
            yield new(Token, (type_, word, first, at))
        if last != NEWLINE:
            yield Token(NEWLINE, "", behind, behind)
        yield Token(END, "", stop, stop)

    def comments(self) -> Iterator[Token]:
        """All comments, which `tokens` leaves out."""
        for found in self._pattern.finditer(self.text):
            if found.lastindex in (_LINE, _COMMENT):
                for comment in _COMMENTS.finditer(self.text, found.start(), found.end()):
                    yield Token(
                        "COMMENT", comment[0].rstrip(), comment.start(), comment.start() + len(comment[0].rstrip())
                    )

    def _keyword(self, word: str, first: int, at: int, last: str) -> str:
        """The type of a word that is a keyword in some places."""
        if last in (NEWLINE, "{"):
            follows = HEADS.get(word)
            return word if follows and follows.match(self.text, at) else "NAME"
        if word == "block":
            return word if last == "extern" else "NAME"
        if word == "scan":
            return word if last == "=" and _WORD.match(self.text, at) else "NAME"
        return word if word in _INFIX and last in _OPERAND_ENDS and _WORD.match(self.text, at) else "NAME"

    def _document(self, first: int, at: int) -> None:
        """Keep the `##` lines that end at `at` as the documentation of what starts there."""
        lines = self.text[first:at].split("\n")[:-1]
        if not starts_line(self.text, first):
            lines = lines[1:]
        doc: list[str] = []
        for line in reversed(lines):
            stripped = line.strip()
            if not stripped.startswith("##"):
                break
            doc.append(stripped[2:].strip())
        if doc:
            indent = len(self.text[at : at + 1000]) - len(self.text[at : at + 1000].lstrip(" \t"))
            self.docs[at + indent] = "\n".join(reversed(doc))

    def _string(self, first: int, at: int, closed: bool) -> str:
        if at - first > MAX_STRING:
            message = f"a string of {at - first - 2:,} characters; at most {MAX_STRING:,} are allowed"
            self.report(error("NNS114", message, Span(first, first + 1, self.source), "too long"))
            return "BROKEN"
        if closed:
            return "STRING"
        end = Span(at, at, self.source)
        self.report(
            error(
                "NNS103",
                'this string has no closing `"`',
                Span(first, at, self.source),
                "the string starts here and runs to the end of the line",
                helps=('a string ends on the line where it starts, with `"`',),
                fixes=(Fix('add the closing `"`', (Edit(end, '"'),)),),
            )
        )
        return "BROKEN"

    def _illegal(self, word: str, first: int, at: int) -> str:
        """Report text that belongs to no token; the type of the token that was probably meant, or nothing."""
        span = Span(first, at, self.source)
        if word[0] in _QUOTES:
            body = word.strip(_QUOTES)
            fix = Fix("use double quotes", (Edit(span, f'"{body}"'),), safe=len(word) > 1)
            self.report(
                error("NNS104", 'strings stand between double quotes (`"`)', span, "not a string", fixes=(fix,))
            )
            return "BROKEN"
        meant, spelling, advice = _MEANT.get(word, ("", "", ""))
        if spelling == "\n" and self.text[span.end : span.end + 80].lstrip(" \t")[:1] in ("", "\n"):
            spelling = ""
        shown = word if word.isprintable() else " ".join(f"U+{ord(c):04X}" for c in word[:4])
        fixes = (Fix(advice, (Edit(span, spelling),)),) if advice else ()
        helps: tuple[str, ...] = ()
        if not advice and word.isalpha():
            helps = ("names are made of the letters a-z and A-Z, digits and `_`; other text stands in strings",)
        elif word == "~":
            helps = ("a mask is turned round by `logical_not(mask)`, a condition by `not`",)
        message = f"`{shown}` is no part of the language"
        self.report(error("NNS104", message, span, "not understood", helps=helps, fixes=fixes))
        return meant

    def _too_deep(self, at: int) -> Diagnostic:
        message = f"brackets are nested more than {MAX_BRACKETS} deep"
        return error("NNS114", message, Span(at, at + 1, self.source), "the first bracket beyond the limit")


def starts_line(text: str, at: int) -> bool:
    """Whether there are only blanks between the start of the line and `at`."""
    return not text[text.rfind("\n", 0, at) + 1 : at].strip(" \t")


def close(stack: list[Token], closer: str) -> None:
    """Take from a stack of open brackets those that a closing one ends; one that closes nothing changes nothing."""
    opener = CLOSERS[closer]
    for depth in range(len(stack) - 1, -1, -1):
        if stack[depth][0] == opener:
            del stack[depth:]
            return
