"""Numbers and strings: what their spelling says, exactly, or why it says nothing."""

from __future__ import annotations

import re
import sys
from fractions import Fraction

MAX_INTEGER = 2**63 - 1
MAX_EXPONENT = 400
MAX_DIGITS = 400
_LARGEST = Fraction(sys.float_info.max)

_NUMBER = re.compile(r"(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"'}


class Float(Fraction):
    """A number that was written with a point or an exponent, or computed from one: exact, and a float next to tensors.

    A quotient of whole numbers is none.
    """

    __slots__ = ()


class Whole(int):
    """A whole number that was computed from a `Float`: a size where one is needed, and a float next to tensors."""

    __slots__ = ()


class LiteralError(Exception):
    """A literal that cannot be read: a code, what is wrong, what helps, and where in it."""

    def __init__(self, code: str, message: str, help_: str = "", start: int = 0, end: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help, self.start, self.end = code, message, help_, start, end


def number(text: str, strict: re.Pattern[str]) -> int | Float:
    """The value of a number's spelling: an int, or for decimals the exact fraction."""
    if text.isdecimal() and (text[0] != "0" or text == "0") and len(text) < 19:
        return int(text)
    if not strict.fullmatch(text):
        raise LiteralError("NNS111", f"`{_short(text)}` is not a number", _number_help(text))
    digits = text.replace("_", "")
    found = _NUMBER.fullmatch(digits)
    assert found is not None, "the grammar's numbers are digits, a fraction and an exponent"
    whole, fraction, exponent = found.groups()
    if len(digits) > MAX_DIGITS or len(exponent or "") > 5 or abs(int(exponent or 0)) > MAX_EXPONENT:
        raise LiteralError("NNS112", f"`{_short(text)}` has more digits, or a larger exponent, than {MAX_DIGITS}")
    if fraction is None and exponent is None:
        if int(digits) > MAX_INTEGER:
            raise LiteralError(
                "NNS112", f"`{_short(text)}` does not fit in 64 bits", f"the largest integer is {MAX_INTEGER:_}"
            )
        return int(digits)
    scale = int(exponent or 0) - len(fraction or "")
    mantissa = int(whole + (fraction or ""))
    value = Float(mantissa * 10**scale) if scale >= 0 else Float(mantissa, 10**-scale)
    if value > _LARGEST:
        raise LiteralError("NNS112", f"`{_short(text)}` is too large for a float", "infinity is written `inf`")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:20]}...{text[-10:]}"


def _number_help(text: str) -> str:
    digits = text.replace("_", "")
    if digits[:2].lower() in ("0x", "0b", "0o"):
        try:
            return f"numbers are decimal: write {int(digits[:40], 0)}"
        except ValueError:
            return "numbers are decimal"
    if digits.isdecimal() and "__" not in text and not text.endswith("_"):
        return f"a number does not begin with 0: write {digits[:40].lstrip('0') or '0'}"
    if "_" in text:
        return "`_` stands between two digits, and one at a time: `1_000_000`"
    if text[-1] in "eE+-":
        return "digits must follow the exponent's `e`: `1e-3`"
    return "a name does not begin with a digit; numbers look like `64`, `1_000`, `0.5`, `1e-3`"


def string(text: str) -> list[str | tuple[int, int]]:
    """The parts of a string's spelling (quotes included): literal text, and the ranges of `{...}` expressions."""
    if "{" not in text and "}" not in text:
        return [_unescape(text, 1, len(text) - 1)] if len(text) > 2 else []
    parts: list[str | tuple[int, int]] = []
    literal: list[str] = []
    at, end = 1, len(text) - 1
    while at < end:
        if text[at] in "{}" and text[at : at + 2] in ("{{", "}}") and at + 1 < end:
            literal.append(text[at])
            at += 2
        elif text[at] == "{":
            stop = _closing(text, at, end)
            if literal:
                parts.append("".join(literal))
                literal = []
            parts.append((at + 1, stop))
            at = stop + 1
        elif text[at] == "}":
            raise LiteralError(
                "NNS120", "`}` in a string closes nothing", "a brace as text is written `}}`", at, at + 1
            )
        else:
            stop = min((i for i in (text.find("{", at, end), text.find("}", at, end)) if i >= 0), default=end)
            literal.append(_unescape(text, at, stop))
            at = stop
    if literal:
        parts.append("".join(literal))
    return parts


def _closing(text: str, at: int, end: int) -> int:
    depth = 0
    for index in range(at, end):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if not depth:
                return index
    raise LiteralError("NNS120", "`{` in a string is never closed", "a brace as text is written `{{`", at, at + 1)


def _unescape(text: str, start: int, end: int) -> str:
    raw = text[start:end]
    if "\\" not in raw:
        return raw
    parts: list[str] = []
    at = 0
    for found in _ESCAPE.finditer(raw):
        code, letter = found.groups()
        if code is None and letter not in _ESCAPES:
            message = f"`{found[0]}` is no escape" if letter.isprintable() else "no escape"
            where = start + found.start()
            help_ = 'the escapes are \\n, \\t, \\r, \\", \\\\ and \\u0041; a backslash as text is written \\\\'
            raise LiteralError("NNS120", message, help_, where, where + len(found[0]))
        parts += (raw[at : found.start()], chr(int(code, 16)) if code else _ESCAPES[letter])
        at = found.end()
    return "".join(parts) + raw[at:]
