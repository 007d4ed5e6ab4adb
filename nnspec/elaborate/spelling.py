"""Calls as other frameworks write them, and how they are written here: `x.view(-1, 64)` is `reshape(x, (-1, 64))`."""

from __future__ import annotations

import re

from nnspec import registry
from nnspec.diagnostics import Edit, Span
from nnspec.elaborate.frame import Frame
from nnspec.layer import Function

_LONGEST = 200
"""Characters of arguments that are looked at."""

_OPEN, _CLOSE = "([{", ")]}"


def renamed(frame: Frame, name: Span, close: str) -> Edit:
    """The edit of a name of something else: its sizes get brackets, where one argument holds them all."""
    found = arguments_behind(frame, name)
    cls = registry.find("function", close)
    twice = called_twice(frame, name, close)
    if twice is not None:
        return twice
    if found is None or cls is None or not issubclass(cls, Function):
        return Edit(name, close)
    parts, end = found
    before = frame.session.sources[name.source].text[max(0, name.start - 20) : name.start].rstrip()
    kept, sizes = ([], parts) if before.endswith("->") else (parts[:1], parts[1:])
    held = _held(cls, sizes)
    if held is None or held == sizes:
        return Edit(name, close)
    return Edit(Span(name.start, end, name.source), f"{close}({', '.join([*kept, *held])})")


def called_twice(frame: Frame, name: Span, close: str) -> Edit | None:
    """The edit of `CrossEntropyLoss(...)(x, y)`: a function takes at once what a class and its call take."""
    made = arguments_behind(frame, name)
    cls = registry.find("function", close)
    if made is None or cls is None or not issubclass(cls, Function) or not all(map(_is_named, made[0])):
        return None
    options, end = made
    called = arguments_behind(frame, Span(name.start, end, name.source))
    if called is None:
        return None
    return Edit(Span(name.start, called[1], name.source), f"{close}({', '.join([*called[0], *options])})")


def applied(cls: type[Function], operand: str, parts: list[str]) -> str | None:
    """The call of a function on an operand, with arguments as a method has them; None where they do not fit."""
    held = _held(cls, parts)
    given = {part.partition("=")[0].strip() for part in parts if _is_named(part)}
    inputs = cls.input_names()[: cls.required_inputs()]
    required = {*inputs, *(name for name, field in cls.fields.items() if field.required)}
    needed = required.intersection(_behind(cls)[len(parts) - len(given) :])
    if held is None or any(name not in given for name in needed):
        return None
    return f"{cls.__name__}({', '.join([operand, *held])})"


def arguments_behind(frame: Frame, span: Span) -> tuple[list[str], int] | None:
    """The arguments of a call as they are written behind what is called, and where it ends; None where none are."""
    text = frame.session.sources[span.source].text[span.end : span.end + _LONGEST]
    if not text.startswith("("):
        return None
    depth, start = 0, 1
    parts: list[str] = []
    for at, sign in enumerate(text):
        if sign in "\"'#\n":
            return None
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if depth == 0 or (depth == 1 and sign == ","):
            parts.append(text[start:at].strip())
            start = at + 1
        if depth == 0:
            return [part for part in parts if part], span.end + at + 1
    return None


def _behind(cls: type[Function]) -> list[str]:
    """The arguments by position behind the first operand."""
    return list(cls.order or (*cls.input_names(), *(n for n, f in cls.fields.items() if not f.keyword)))[1:]


def _held(cls: type[Function], parts: list[str]) -> list[str] | None:
    """Arguments behind the first operand, several sizes in brackets where the last argument holds them."""
    names = _behind(cls)
    last = cls.fields[names[-1]].kind if names and names[-1] in cls.fields else ""
    if any(map(_is_named, parts)):
        return parts
    ahead, sizes = parts[: max(len(names) - 1, 0)], parts[max(len(names) - 1, 0) :]
    if "tuple" in last and (len(sizes) > 1 or (last.startswith("tuple") and sizes and _is_number(sizes[0]))):
        return [*ahead, f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"]
    return parts if len(parts) <= len(names) else None


def _is_named(part: str) -> bool:
    return re.match(r"\w+\s*=(?!=)", part) is not None


def _is_number(part: str) -> bool:
    return re.fullmatch(r"-?\s*\d+", part) is not None
