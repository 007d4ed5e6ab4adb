"""Text back to a size: the inverse of `show`, for sizes that were stored."""

from __future__ import annotations

import re

from nnspec.dims_algebra import Size, conditional, floordiv, maximum, minimum, mod, symbol

_TOKEN = re.compile(r"\s*(?:(\d+)|([^\W\d]\w*)|(//|[=!<>]=|[-+*%(),<>]))")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_MAX_TEXT = 100_000
_MAX_NESTING = 100
_MAX_DIGITS = 20


def parse_dim(text: str) -> Size:
    """The size that `show` would write as `text`; ValueError for any other text."""
    if len(text) > _MAX_TEXT:
        raise ValueError("the text of a size is too long")
    parser = _Parser(_tokens(text), text)
    size = parser.choice()
    parser.expect("")
    return size


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    text = text.strip()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not a size: {text!r}")
        tokens.append(match[0].strip())
        at = match.end()
    return [*tokens, ""]


class _Parser:
    """Recursive descent over the tokens, the last of which is empty."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens = tokens
        self.text = text
        self.at = 0
        self.nesting = 0

    def choice(self) -> Size:
        """sum [if sum op sum else choice]"""
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise ValueError("the text of a size is nested too deeply")
        then = self.sum()
        if self.accept("if"):
            left = self.sum()
            op = self.next()
            if op not in _COMPARISONS:
                raise self.error()
            right = self.sum()
            self.expect("else")
            then = conditional(op, left, right, then, self.choice())
        self.nesting -= 1
        return then

    def sum(self) -> Size:
        """product {(+ | -) product}"""
        total = self.product()
        while (op := self.peek()) in ("+", "-"):
            self.at += 1
            other = self.product()
            total = total + other if op == "+" else total - other
        return total

    def product(self) -> Size:
        """unary {(* | // | %) unary}"""
        total = self.unary()
        while (op := self.peek()) in ("*", "//", "%"):
            self.at += 1
            other = self.unary()
            if op != "*" and other == 0:
                raise self.error()
            total = total * other if op == "*" else floordiv(total, other) if op == "//" else mod(total, other)
        return total

    def unary(self) -> Size:
        """{-} operand"""
        negative = False
        while self.accept("-"):
            negative = not negative
        size = self.operand()
        return -size if negative else size

    def operand(self) -> Size:
        """A number, a symbol, `min(...)`, `max(...)` or something in brackets."""
        token = self.next()
        if token == "(":
            size = self.choice()
            self.expect(")")
            return size
        if token in ("min", "max") and self.accept("("):
            sizes = [self.choice()]
            while self.accept(","):
                sizes.append(self.choice())
            self.expect(")")
            return minimum(*sizes) if token == "min" else maximum(*sizes)
        if token[:1].isdigit() and len(token) <= _MAX_DIGITS:
            return int(token)
        if token.isidentifier() and token not in ("if", "else"):
            return symbol(token)
        raise self.error()

    def peek(self) -> str:
        """The next token, left in place."""
        return self.tokens[self.at]

    def next(self) -> str:
        """The next token, taken."""
        token = self.tokens[self.at]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def accept(self, token: str) -> bool:
        """Take the next token if it is this one."""
        if self.peek() != token:
            return False
        self.at += 1
        return True

    def expect(self, token: str) -> None:
        """Take this token or fail."""
        if self.next() != token:
            raise self.error()

    def error(self) -> ValueError:
        """The complaint about the whole text."""
        return ValueError(f"not a size: {self.text[:200]!r}")
