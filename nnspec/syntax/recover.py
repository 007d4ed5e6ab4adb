"""After a syntax error: what is given up, what stands in its place, and where reading goes on.

The unit is the smallest that can be replaced: an item of a flow, the words in front of a body, else a statement. A
bracket that was never closed is recognised by the lines behind it, so that it costs its statement, not the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from nnspec.diagnostics import Diagnostic, Span
from nnspec.syntax import ast, explain
from nnspec.syntax.automaton import Automaton
from nnspec.syntax.fault import Fault, Opener
from nnspec.syntax.lexer import CLOSERS, DECLARATIONS, END, NEWLINE, OPENERS, Lexer, LimitError, Token, starts_line
from nnspec.syntax.tables import rule_symbol

STATEMENT, DECLARATION, ITEM = rule_symbol("statement"), rule_symbol("declaration"), rule_symbol("item")

# What may stand for unreadable words in front of a body, so that the body itself is read; `Broken` is made of them.
_HEADS: dict[str, tuple[str, ...]] = {
    "if": ("if", "BROKEN"),
    "for": ("for", "NAME", "in", "BROKEN"),
    "block": ("block", "NAME"),
    "model": ("model", "NAME"),
    "train": ("train", "BROKEN"),
    "params": ("params", "BROKEN"),
    "update": ("update", "NAME"),
}
_BINDS = re.compile(r"(?:(?:input|param|buffer)[ \t]+)?([A-Za-z_]\w*(?:[ \t]*,[ \t]*[A-Za-z_]\w*)*)[ \t]*(=(?!=)|:)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_DECLARED = re.compile(r"^(?:block|model|extern|train)\b", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_LOOK_AHEAD = 5_000
_GOES_ON = frozenset((")", "]", "}", "->", "else"))


class Region(NamedTuple):
    """The text of a broken statement: where it ends, its last token's end, and a body in it that can be read."""

    end: int
    last: int
    body: int | None = None
    dedent: bool = False


class Recovery:
    """Gets one parse going again after an error."""

    def __init__(self, lexer: Lexer, automaton: Automaton) -> None:
        self.text = lexer.text
        self.source = lexer.source
        self.lexer = lexer
        self.automaton = automaton
        # Behind a `}` too many, what should stand in a body stands outside: one report of it is enough.
        self._outside: int | None = None
        self._progress = (-1, 0)
        self._quiet = Lexer(lexer.text, lexer.tables, lexer.source, lambda diagnostic: None)

    def resume(self, wrong: Token) -> tuple[Diagnostic | None, Iterator[Token]]:
        """What to report about a token that did not fit, and the tokens to go on with."""
        automaton = self.automaton
        automaton.settle()
        base = max(i for i, state in enumerate(automaton.states) if self._is_base(state))
        begin = automaton.begins[base] if base < len(automaton.begins) else wrong.start
        openers = self._openers()
        outer = [o for o in openers if o.depth < base]
        inner = [o for o in openers if o.depth >= base]
        fault = Fault(self.text, self.source, automaton, wrong, begin, tuple(outer), tuple(inner))
        in_margin = wrong.type in DECLARATIONS and self._column(wrong.start) == 0
        if outer and not inner and (wrong.type == END or in_margin) and automaton.accepts("}"):
            return explain.open_bodies(fault), self._close_bodies(outer, wrong)
        region = self._region(begin, wrong, bool(outer))
        in_head = region.body is not None and region.body == wrong.start
        if inner and (region.dedent or in_head or self._is_unclosed(inner[-1], wrong)):
            stop = region.last if region.dedent or wrong.type in (NEWLINE, END) else automaton.end
            report: Diagnostic | None = explain.unclosed(fault, stop)
        else:
            report = self._once_outside(explain.unexpected(fault), wrong, bool(outer))
            resumed = self._next_item(base, wrong)
            if resumed:
                return report, resumed
        return report, self._keep_body(base, begin, region, fault) or self._replace(base, begin, region, fault)

    def _tokens(self, wrong: Token, at: int, openers: list[Opener]) -> Iterator[Token]:
        """The tokens from a place on; each error must lead further than the one before, if need be past its line."""
        progress = (at, -len(openers))
        if progress <= self._progress:
            if wrong.type == END:
                return iter(())
            at = self._end_of_line(max(wrong.end, at))
            progress = (at, -len(openers))
        self._progress = progress
        return self.lexer.tokens(at, brackets=[o.token for o in openers])

    def _once_outside(self, diagnostic: Diagnostic, wrong: Token, nested: bool) -> Diagnostic | None:
        if nested or not (diagnostic.code == "NNS116" or (diagnostic.code == "NNS108" and wrong.type == "}")):
            return diagnostic
        before, self._outside = self._outside, wrong.start
        return diagnostic if before is None or _DECLARED.search(self.text, before, wrong.start) else None

    # --- what is open ---

    def _is_base(self, state: int) -> bool:
        row = self.automaton.rows[state]
        return STATEMENT in row or DECLARATION in row

    def _openers(self) -> list[Opener]:
        """The brackets that are open, each with the start of the statement that it stands in."""
        found = []
        begin = 0
        states = self.automaton.states
        for index, value in enumerate(self.automaton.values):
            if self._is_base(states[index]):
                begin = self.automaton.begins[index]
            if type(value) is Token and value.type in OPENERS:
                chain = ITEM in self.automaton.rows[states[index + 1]]
                found.append(Opener(value, index, begin, chain))
        return found

    def _is_unclosed(self, opener: Opener, wrong: Token) -> bool:
        """Whether a token shows that a bracket in front of it should have been closed."""
        kind = wrong.type
        if kind in CLOSERS:
            return CLOSERS[kind] != opener.token.type
        if kind == END or (kind == NEWLINE and opener.token.type != "{"):
            return True
        return kind in DECLARATIONS and self._column(wrong.start) == 0

    def _column(self, at: int) -> int:
        return at - (self.text.rfind("\n", 0, at) + 1)

    # --- ways to go on ---

    def _close_bodies(self, outer: list[Opener], wrong: Token) -> Iterator[Token]:
        """Close all bodies that are open, as their author forgot to."""
        at = self.automaton.end
        for _ in outer:
            self.automaton.feed((Token("}", "", at, at), Token(NEWLINE, "", at, at)))
        return self._tokens(wrong, wrong.start, [])

    def _next_item(self, base: int, wrong: Token) -> Iterator[Token] | None:
        """Give up one item of a flow or chain, if the flow can go on behind it."""
        automaton = self.automaton
        places = [i for i, state in enumerate(automaton.states) if i > base and ITEM in automaton.rows[state]]
        if not places:
            return None
        place = places[-1]
        begin = automaton.begins[place] if place < len(automaton.begins) else wrong.start
        stack: list[Token] = []
        for token in self._ahead(begin, stack):
            if token.type in ("->", NEWLINE, "}") and not stack and token.start >= wrong.start:
                break
            if stack and starts_line(self.text, token.start) and token.type not in _GOES_ON:
                return None
        else:
            return None
        open_ = [o for o in self._openers() if o.depth < place]
        if token.type == "->" and not starts_line(self.text, token.start):
            return None
        if token.type == "}" and not (open_ and open_[-1].token.type == "{"):
            return None
        span = Span(begin, max(begin, automaton.end), self.source)
        automaton.cut(place, ast.Item(span, None, ast.Broken(span), None), ITEM, begin)
        if not automaton.accepts(token.type):
            return None
        if token.type == NEWLINE:
            automaton.feed((token,))
        return self._tokens(wrong, token.start, open_)

    def _keep_body(self, base: int, begin: int, region: Region, fault: Fault) -> Iterator[Token] | None:
        """Give up the words in front of a body, but read the body."""
        found = _WORD.match(self.text, begin)
        if region.body is None or not found:
            return None
        automaton = self.automaton
        del automaton.states[base + 1 :], automaton.values[base:], automaton.begins[base:]
        kinds = _HEADS[found[0]]
        if not automaton.accepts(*kinds, "{"):
            return None
        automaton.feed(Token(kind, "", begin, begin) for kind in kinds)
        return self._tokens(fault.wrong, region.body, list(fault.outer))

    def _replace(self, base: int, begin: int, region: Region, fault: Fault) -> Iterator[Token]:
        """Give up a whole statement; the names that it binds stay bound, to something unknown."""
        automaton = self.automaton
        origin = STATEMENT if STATEMENT in automaton.rows[automaton.states[base]] else DECLARATION
        if len(automaton.values) == base + 1 and automaton.states[-1] == automaton.rows[automaton.states[base]][origin]:
            # The statement is complete and stays: what is wrong comes behind it.
            automaton.feed((Token(NEWLINE, "", automaton.end, automaton.end),))
            end = self._region(fault.wrong.start, fault.wrong, bool(fault.outer)).end
            return self._tokens(fault.wrong, end, list(fault.outer))
        span = Span(begin, max(begin, region.last), self.source)
        automaton.cut(base, self._stand_in(span), origin, begin)
        automaton.end = span.end
        automaton.feed((Token(NEWLINE, "", span.end, span.end),))
        return self._tokens(fault.wrong, region.end, list(fault.outer))

    def _stand_in(self, span: Span) -> ast.Assign | ast.Broken:
        found = _BINDS.match(self.text, span.start, span.end)
        if not found or self.text[found.end() :].lstrip(" \t").startswith("{"):
            return ast.Broken(span)
        names = [
            ast.Name(Span(word.start(), word.end(), self.source), word[0])
            for word in _WORD.finditer(self.text, found.start(1), found.end(1))
        ]
        target = names[0] if len(names) == 1 else ast.Targets(names[0].span.to(names[-1].span), tuple(names))
        return ast.Assign(span, target, None, ast.Broken(span))

    # --- how far a broken statement goes ---

    def _region(self, begin: int, wrong: Token, nested: bool) -> Region:
        """Read on, counting brackets, to the line end or the line that does not belong to the statement."""
        indent = self._column(begin)
        found = _WORD.match(self.text, begin)
        bodied = found is not None and found[0] in _HEADS
        last = begin
        stack: list[Token] = []
        before: list[Token] = []
        for token in self._ahead(begin, stack):
            kind, start = token.type, token.start
            if kind == END or (kind == NEWLINE and not stack):
                return self._with_suite(Region(start, last), indent)
            if kind == "}" and nested and not any(o.type == "{" for o in before):
                return Region(start, last)
            if before and start > begin and kind != NEWLINE and self._is_outside(token, indent, before[-1]):
                return Region(start, last, dedent=True)
            if bodied and kind == "{" and start >= wrong.start and _LINE_END.match(self.text, token.end):
                return Region(start, last, body=start)
            last = max(last, token.end) if kind != NEWLINE else last
            before = stack.copy()
        return Region(self._end_of_line(max(last, wrong.end)), max(last, wrong.end))

    def _ahead(self, begin: int, stack: list[Token]) -> Iterator[Token]:
        """The tokens from a place on, silently; not without end, since each error may have to look ahead."""
        try:
            yield from islice(self._quiet.tokens(begin, brackets=stack), _LOOK_AHEAD)
        except LimitError:
            return

    def _is_outside(self, token: Token, indent: int, opener: Token) -> bool:
        """Whether a token begins a line that, by its indentation, does not belong into an open bracket."""
        if token.type in _GOES_ON or not starts_line(self.text, token.start):
            return False
        column = self._column(token.start)
        return column < indent or (column == indent and opener.type != "{")

    def _with_suite(self, region: Region, indent: int) -> Region:
        """Behind a line that ends in `:`, the indented lines belong to it: this is Python, and reported once."""
        if self.text[region.last - 1 : region.last] != ":":
            return region
        end = region.end
        for line in re.finditer(r"\r?\n([ \t]*)([^\r\n]?)", self.text[region.end :]):
            if line[2] and line[2] != "#" and len(line[1]) <= indent:
                break
            end = region.end + line.end() - 1
        return region._replace(end=self._end_of_line(end))

    def _end_of_line(self, at: int) -> int:
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end
