"""One style for all specs. Where lines end is the author's choice; blanks, indentation and brackets are not.

The formatter moves words and never changes them: it works on tokens, so that what it writes says what was read.

- Two blanks for each level; what goes on with a statement (`-> layer`, `+ y`) stands one level deeper.
- One blank around operators and none around the `=` of an argument, as in `Conv2d(width, 3, stride=2)`.
- A bracket with a line end inside holds its contents on lines of their own.
- A line longer than `WIDTH` is broken: at its arrows, then in its widest bracket, then at that bracket's commas.
- Blocks, models and `train` stand apart by one blank line; elsewhere at most one is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from nnspec.diagnostics import Diagnostic, Sink, Span, error
from nnspec.syntax import ast
from nnspec.syntax.format_words import OPERATORS, Word, chain_places, read
from nnspec.syntax.lexer import CLOSERS, END, OPENERS
from nnspec.syntax.parse import parse, tokens

WIDTH = 120
_INDENT = 2
_DECLARATIONS = frozenset(("block", "model", "extern", "train"))
_SETTINGS = frozenset(("train", "update", "params"))


def format_text(text: str, sink: Sink, source: int = 0) -> str:
    """The text in nnspec's style; unchanged when it has syntax errors, which go to the sink.

    Line ends become `\\n`, a byte order mark is dropped, comments are kept.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = Sink()
    tree = parse(text, found, source)
    if found.failed:
        for diagnostic in found.diagnostics:
            sink.report(diagnostic)
        return text
    formatted = _formatted(text, tree)
    if not ast.same(parse(formatted, found, source), tree) or _comments(formatted) != _comments(text):
        sink.report(_changed(source))
        return text
    return formatted


def _changed(source: int) -> Diagnostic:
    message = "formatting would change what this file says; it was left as it is"
    return error("NNS901", message, Span(0, 0, source), helps=("please report it with the file",))


def _comments(text: str) -> list[str]:
    return ["".join(t.text.split()) for t in tokens(text) if t.type == "COMMENT"]


def _formatted(text: str, tree: ast.File) -> str:
    words = read(text, tokens(text), chain_places(tree))
    for word in words:
        _settle(word)
    _open_brackets(words)
    _space_declarations(words)
    lines = _lines(words)
    while sum(map(_fold, lines)):
        _open_brackets(words)
        lines = _lines(words)
    _align(lines)
    return "".join(_written(line) for line in lines)


# --- where lines begin -----------------------------------------------------------------------------------------------


def _settle(word: Word) -> None:
    """Where a word may begin a line: a statement, what goes on with one, what stands behind a bracket or a comma."""
    last = word.previous
    held = bool(word.comments) or (last is not None and bool(last.trailing))
    if last is None or held or word.type == END or (word.opens and last.type != "{"):
        word.broken = True
    elif _ends_branch(word):
        word.broken = False
    elif word.inside is not None and word.inside.is_soft:
        starts = last.type in (",", *OPENERS) or word.type in ("->", "for", *CLOSERS)
        word.broken = word.broken and (starts or (word.type in OPERATORS and last.operand))
    if not word.opens:
        word.blank = False


def _ends_branch(word: Word) -> bool:
    """Whether a word is the `else` behind the body of an `if`."""
    body = word.previous.partner if word.previous is not None else None
    return word.type == "else" and body is not None and body.type == "{" and not body.is_chain


def _open_brackets(words: list[Word]) -> None:
    """A bracket with a line end of its own inside has its contents on lines of their own."""
    inner: dict[int, list[Word]] = {}
    for word in words:
        if word.inside is not None:
            inner.setdefault(id(word.inside), []).append(word)
    for word in words:
        if word.type in OPENERS and word.partner is not None:
            own = inner.get(id(word), [])
            opened = word.partner.broken or any(each.broken for each in own if each.type not in CLOSERS)
            if own and (opened or any(each.trailing for each in own) or word.trailing):
                own[0].broken = word.partner.broken = True
            elif not own and not word.partner.comments and not word.trailing:
                word.partner.broken = False


def _space_declarations(words: list[Word]) -> None:
    """Blank lines: one around declarations with a body, none at the edges of bodies, those of the author elsewhere."""
    apart = False
    for word in words:
        last = word.previous
        if last is None or last.type in OPENERS:
            _set_blank(word, False)
        if word.type in CLOSERS or word.type == END:
            word.blank = False
        elif word.inside is None and word.opens:
            if last is not None and (apart or word.type in _DECLARATIONS):
                _set_blank(word, True)
            apart = word.type in _DECLARATIONS


def _set_blank(word: Word, blank: bool) -> None:
    """Whether a blank line stands in front of a word and the comments that belong to it."""
    if word.comments:
        word.comments[0].blank = blank
    else:
        word.blank = blank


# --- lines -----------------------------------------------------------------------------------------------------------


class _Line:
    """Words that stand on one line."""

    def __init__(self, words: list[Word], indent: int) -> None:
        self.words = words
        self.indent = indent
        self.padding = 0
        """Blanks in front of the `=` of a setting."""

    @property
    def text(self) -> str:
        """The line without its indentation and comment."""
        parts = [self.words[0].text, " " * self.padding]
        for left, right in pairwise(self.words):
            parts += [" " if _apart(left, right) else "", right.text]
        return "".join(parts)


def _lines(words: list[Word]) -> list[_Line]:
    lines: list[_Line] = []
    indents: dict[int, int] = {}
    for word in words:
        if word.broken or not lines:
            lines.append(_Line([], _indent(word, indents)))
        lines[-1].words.append(word)
        indents[id(word)] = lines[-1].indent
    return lines


def _indent(word: Word, indents: dict[int, int]) -> int:
    if word.type in CLOSERS and word.partner is not None:
        return indents[id(word.partner)]
    around = word.inside
    base = 0 if around is None else indents[id(around)] + _INDENT
    goes_on = (word.type in OPERATORS or word.type == "->") and not _ends_branch(word)
    first = word.previous is None or word.previous is around
    return base + _INDENT if goes_on and not word.opens and not first and not (around and around.is_chain) else base


def _align(lines: list[_Line]) -> None:
    """Line up the `=` of settings that stand below each other."""
    run: list[_Line] = []
    for line in [*lines, None]:
        first = line.words[0] if line is not None else None
        if line is not None and first is not None and _is_setting(line):
            if run and (first.blank or first.comments or first.inside is not run[0].words[0].inside):
                run = _aligned(run)
            run.append(line)
        elif first is None or first.opens or first.type in CLOSERS:
            run = _aligned(run)


def _aligned(run: list[_Line]) -> list[_Line]:
    widest = max((len(line.words[0].text) for line in run), default=0)
    for line in run:
        line.padding = widest - len(line.words[0].text)
    return []


def _is_setting(line: _Line) -> bool:
    """Whether a line is `name = value` in a `train`, `update` or `params`."""
    first = line.words[0]
    around = first.inside
    if around is None or not first.opens or len(line.words) < 2 or line.words[1].type != "=":
        return False
    head = around.previous
    while head is not None and not (head.opens and head.inside is around.inside):
        head = head.previous
    return head is not None and head.type in _SETTINGS


def _written(line: _Line) -> str:
    first, indent = line.words[0], " " * line.indent
    deeper = " " * (line.indent + _INDENT * (first.type in CLOSERS))
    text = ""
    for comment in first.comments:
        text += ("\n" if comment.blank else "") + f"{deeper}{comment.text}\n"
    if first.type == END:
        return text
    trailing = line.words[-1].trailing
    return f"{text}{chr(10) if first.blank else ''}{indent}{line.text}{'  ' + trailing if trailing else ''}\n"


# --- long lines ------------------------------------------------------------------------------------------------------


def _fold(line: _Line) -> bool:
    """Break a line that is too long, if there is a place for it."""
    if line.indent + len(line.text) <= WIDTH:
        return False
    first = line.words[0]
    level = first.inside
    commas = [w for w in line.words[1:] if w.previous is not None and w.previous.type == "," and w.inside is level]
    if commas and level is not None and level.is_soft:
        return _break(commas)
    arrows = [w for w in line.words[1:] if w.type == "->" and w.inside is level]
    if arrows:
        return _break(arrows)
    widest = _widest_bracket(line)
    if widest is not None:
        return _break([widest])
    for loosest in (("or",), ("and",), ("+", "-")):
        signs = [w for w in line.words[1:] if w.type in loosest and w.inside is level and _is_binary(w)]
        if signs:
            return _break(signs)
    return False


def _is_binary(word: Word) -> bool:
    return word.previous is not None and word.previous.operand


def _break(words: list[Word]) -> bool:
    changed = any(not w.broken for w in words)
    for word in words:
        word.broken = True
    return changed


def _widest_bracket(line: _Line) -> Word | None:
    """The first word in the widest of the brackets that are closed on their line and lie in no other such."""
    ends: list[int] = []
    total = 0
    at = {id(word): number for number, word in enumerate(line.words)}
    for word in line.words:
        total += len(word.text) + 1
        ends.append(total)
    closed = {
        id(w): at[id(w.partner)] for w in line.words if w.type in OPENERS and at.get(id(w.partner), 0) > at[id(w)] + 1
    }
    outer = [w for w in line.words if id(w) in closed and not any(id(each) in closed for each in _around(w))]
    widest = max(outer, key=lambda w: ends[closed[id(w)]] - ends[at[id(w)]], default=None)
    return None if widest is None else line.words[at[id(widest)] + 1]


def _around(word: Word) -> Iterator[Word]:
    """The brackets around a word, from the inside out."""
    while word.inside is not None:
        word = word.inside
        yield word


# --- blanks ----------------------------------------------------------------------------------------------------------


def _apart(left: Word, right: Word) -> bool:
    """Whether a blank stands between two words of a line."""
    if "." in (left.type, right.type) or right.type in (",", ")", "]") or left.type in ("(", "["):
        return False
    if left.type == ",":
        return True
    if left.type == "{" or right.type == "}":
        return not (left.type == "{" and right.type == "}")
    if left.named or right.named or (left.type == "-" and not _is_binary(left)):
        return False
    if right.type in ("(", "["):
        return not left.operand or left.type == "}"
    if right.type == ":" or left.type == ":":
        return left.type == ":" and not _slices(left)
    return True


def _slices(colon: Word) -> bool:
    """Whether a `:` stands in an index."""
    around = colon.inside
    before = around.previous if around is not None else None
    return around is not None and around.type == "[" and before is not None and before.operand
