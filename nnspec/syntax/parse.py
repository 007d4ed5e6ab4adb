"""From text to syntax tree: never raises, reports every syntax error, and reads on behind each."""

from __future__ import annotations

import gc
import re
from functools import lru_cache
from typing import Any

from nnspec.diagnostics import Diagnostic, Sink, Span, error
from nnspec.syntax import ast, explain, tables
from nnspec.syntax.automaton import Automaton, reductions
from nnspec.syntax.build_statements import StatementBuilder
from nnspec.syntax.depth import too_deep
from nnspec.syntax.fault import Fault
from nnspec.syntax.lexer import END, NEWLINE, Lexer, LimitError, Token
from nnspec.syntax.recover import Recovery

MAX_SOURCE = 4 * 1024 * 1024
MAX_LINE = 256 * 1024
MAX_ERRORS = 100


def parse(text: str, sink: Sink, source: int = 0) -> ast.File:
    """The syntax tree of a spec; what is wrong goes to the sink, and `Broken` nodes stand for it."""
    collecting = gc.isenabled()
    gc.disable()  # nothing that a parse makes is garbage yet: collecting would only make it slower than linear
    try:
        return _Parse(text, sink, source).file()
    finally:
        if collecting:
            gc.enable()


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text in order, comments among them as COMMENT; what is wrong with it is not reported."""
    lexer = Lexer(text, _tables(), 0, lambda diagnostic: None)
    found = [*lexer.comments()]
    try:
        found += lexer.tokens()
    except LimitError:
        found.append(Token(END, "", len(text), len(text)))
    return tuple(sorted(found, key=lambda token: token.start))


@lru_cache(maxsize=1)
def _tables() -> tables.Tables:
    return tables.load()


class _Parse:
    """One text on its way to a tree."""

    def __init__(self, text: str, sink: Sink, source: int) -> None:
        loaded = _tables()
        self.text = text
        self.sink = sink
        self.source = source
        self.tables = loaded
        self.lexer = Lexer(text, loaded, source, self.report)
        number = re.compile(loaded.patterns["NUMBER"])
        self.builder = StatementBuilder(text, source, self.lexer.docs, number, self.report, self.expression)
        self.reductions = reductions(loaded, self.builder, source)
        # Lines that were reported: what else is wrong with them mostly follows from the first fault.
        self.bad_lines: set[int] = set()

    def report(self, diagnostic: Diagnostic) -> None:
        """Pass a diagnostic on, unless its line has one."""
        line = self.text.rfind("\n", 0, diagnostic.span.start)
        if line in self.bad_lines:
            return
        self.bad_lines.add(line)
        self.sink.report(diagnostic)
        if len(self.bad_lines) >= MAX_ERRORS:
            raise LimitError

    def file(self) -> ast.File:
        """Read the whole text."""
        whole = Span(0, len(self.text), self.source)
        try:
            self._check_size()
            automaton = Automaton(self.tables, self.reductions, "file")
            self._run(automaton)
        except LimitError as limit:
            if limit.diagnostic is not None:
                self.sink.report(limit.diagnostic)
            return ast.File(whole, None, (ast.Broken(whole),))
        file = automaton.values[0] if automaton.values else None
        if not isinstance(file, ast.File):
            return ast.File(whole, None, (ast.Broken(whole),))
        deep = too_deep(file) if self.builder.deep else None
        if deep is not None:
            self.sink.report(error("NNS114", "this expression is nested too deeply", deep.span, "too many levels"))
            return ast.File(whole, None, (ast.Broken(whole),))
        return file

    def _run(self, automaton: Automaton) -> None:
        recovery: Recovery | None = None
        stream = self.lexer.tokens(1 if self.text.startswith("\ufeff") else 0)
        while (wrong := automaton.feed(stream)) is not None:
            recovery = recovery or Recovery(self.lexer, automaton)
            diagnostic, stream = recovery.resume(wrong)
            if diagnostic is not None:
                self.report(diagnostic)

    def _check_size(self) -> None:
        size = len(self.text)
        if size > MAX_SOURCE:
            message = f"the file has {size:,} characters; at most {MAX_SOURCE:,} are read"
            raise LimitError(error("NNS114", message, Span(0, 0, self.source), "too large"))
        at = 0
        while size - at > MAX_LINE:
            end = self.text.rfind("\n", at, at + MAX_LINE)
            if end < 0:
                message = f"a line of more than {MAX_LINE:,} characters"
                raise LimitError(error("NNS114", message, Span(at, at, self.source), "this line is too long"))
            at = end + 1

    def expression(self, start: int, end: int) -> Any:
        """The expression in a range of the text: what a string interpolates."""
        span = Span(start, end, self.source)
        automaton = Automaton(self.tables, self.reductions, "flow")
        automaton.end = start
        inner = (token for token in self.lexer.tokens(start, end) if token.type != NEWLINE)
        wrong = automaton.feed(inner)
        if wrong is None:
            return automaton.values[0]
        fault = Fault(self.text, self.source, automaton, wrong, start, (), ())
        self.report(explain.interpolation(fault))
        return ast.Broken(span)
