"""Words for the formatter: the tokens of a text with the line ends, blank lines and comments between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nnspec.syntax import ast
from nnspec.syntax.lexer import CLOSERS, END, NEWLINE, OPENERS, Token

OPERATORS = frozenset(
    ("+", "-", "*", "/", "//", "%", "@", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not", "if", "else")
)
"""What a line inside brackets, or one that goes on with the statement of the line before, may begin with."""

_OPERAND_ENDS = frozenset(("NAME", "MEMBER", "NUMBER", "STRING", ")", "]", "}", "true", "false", "none"))


@dataclass(slots=True)
class Comment:
    """A comment on a line of its own."""

    text: str
    blank: bool
    """Whether a blank line stands in front of it."""


@dataclass(slots=True, eq=False)
class Word:
    """A token and what stands around it. What is decided about lines is decided in `broken` and `blank`."""

    text: str
    type: str
    opens: bool = False
    """Whether it is the first word of a statement (or declaration)."""
    broken: bool = False
    """Whether it begins a line."""
    blank: bool = False
    """Whether a blank line stands in front of it."""
    comments: list[Comment] = field(default_factory=list)
    """Lines of comment in front of it."""
    trailing: str = ""
    """The comment behind it, at the end of its line."""
    partner: Word | None = None
    """For a bracket: the other one."""
    inside: Word | None = None
    """The bracket around it."""
    is_chain: bool = False
    """For a `{`: whether it opens a chain, and not a body."""
    previous: Word | None = None
    operand: bool = False
    """Whether a value ends here, so that a `-` or a bracket behind it goes on with it."""
    named: bool = False
    """For a `=`: whether it names an argument (`stride=2`)."""

    @property
    def is_soft(self) -> bool:
        """For a bracket: whether line ends inside mean nothing."""
        return self.type in "()[]"


def read(text: str, tokens: Sequence[Token], chains: frozenset[int]) -> list[Word]:
    """The words of a text, the last of which is its end; `chains` are the places of the braces of chains."""
    words: list[Word] = []
    stack: list[Word] = []
    pending: list[Comment] = []
    behind, opens, breaks, scanning = 0, True, 0, False
    for token in tokens:
        if token.type == NEWLINE:
            opens = True
            continue
        breaks += text.count("\n", behind, token.start)
        behind = token.end
        if token.type == "COMMENT":
            if words and not breaks and not pending:
                words[-1].trailing = _tidy(token.text)
            else:
                pending.append(Comment(_tidy(token.text), breaks > 1))
                breaks = 0
            continue
        last = words[-1] if words else None
        brace = last is not None and last.type == "{" and not last.is_chain
        word = Word(token.text, token.type, opens or brace, breaks > 0 or bool(pending), breaks > 1, pending)
        word.previous, word.operand = last, token.type in _OPERAND_ENDS
        word.is_chain = token.start in chains
        scanning = (scanning or word.type == "over") and word.type not in ("with", "{")
        word.named = word.type == "=" and (scanning or _names_argument(word))
        _bracket(word, stack)
        words.append(word)
        pending, breaks, opens = [], 0, False
        if token.type == END:
            break
    return words


def chain_places(node: ast.Node) -> frozenset[int]:
    """Where the braces of a tree's chains open."""
    return frozenset(each.span.start for each in _nodes(node) if isinstance(each, ast.Chain))


def _nodes(root: ast.Node) -> Iterator[ast.Node]:
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, ast.Node):
            yield node
            stack.extend(getattr(node, name) for c in type(node).__mro__ for name in getattr(c, "__slots__", ()))


def _tidy(comment: str) -> str:
    """One blank between the signs of a comment and its words."""
    signs = comment[: len(comment) - len(comment.lstrip("#"))]
    rest = comment[len(signs) :].rstrip()
    return f"{signs} {rest}" if rest and rest[0] not in " \t!" else signs + rest


def _bracket(word: Word, stack: list[Word]) -> None:
    """Keep the stack of open brackets; a closing one is outside of its own brackets, as the opening one is."""
    if word.type in CLOSERS and stack:
        word.partner = stack.pop()
        word.partner.partner = word
    word.inside = stack[-1] if stack else None
    if word.type in OPENERS:
        stack.append(word)


def _names_argument(word: Word) -> bool:
    """Whether a `=` stands behind `(name` or `, name` in the brackets of a call, tuple or record."""
    name = word.previous
    around = name.inside if name is not None else None
    if name is None or around is None or around.type != "(" or name.previous is None:
        return False
    return name.previous.type in ("(", ",") and not _declares(around)


def _declares(bracket: Word) -> bool:
    """Whether a bracket holds the hyperparameters of a block."""
    name = bracket.previous
    return name is not None and name.previous is not None and name.previous.type in ("block", "model")
