"""What is said about inputs that are left out, and about lists where one tensor is wanted."""

from __future__ import annotations

import re
from typing import Any

from nnspec.diagnostics import Span, error
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.values import Fault
from nnspec.layer import Operation
from nnspec.syntax import ast


def absent_symbol(frame: Frame, node: ast.Name) -> Fault:
    """The fault of a symbol whose input is left out, or is an empty list."""
    name = frame.absent[node.id]
    state, test = ("an empty list", f"len({name}) > 0")
    if frame.scope.get(name) != []:
        state, test = ("not given", f"{name} != none")
    message = f"`{node.id}` is a size of the input `{name}`, which is {state} here"
    helps = (f"ask first: `if {test} {{ ... }}`", f"or let an input that is always there bind `{node.id}`")
    return Fault(error("NNS201", message, node.span, "not known here", helps=helps))


def absent_helps(frame: Frame, span: Span) -> tuple[str, ...]:
    """How to ask for the optional inputs that are left out here, those that are written at a place."""
    words = set(re.findall(r"[A-Za-z_]\w*", frame.session.text(span)))
    names = [name for name in frame.left_out if frame.scope.get(name) is None]
    return tuple(
        f"`{name}` is an optional input, and not given here: ask first, `if {name} != none {{ ... }}`"
        for name in [n for n in names if n in words] or names
    )


def check_given(frame: Frame, cls: type[Operation], title: str, values: list[Any], span: Span) -> None:
    """Refuse `none` where a function or a layer needs a tensor."""
    if any(_holds_none(value) for value in values[: cls.required_inputs()]):
        helps = absent_helps(frame, span)
        raise Fault(error("NNS311", f"`{title}` needs a tensor, not `none`", span, "is `none` here", helps=helps))


def _holds_none(value: Any) -> bool:
    return any(map(_holds_none, value)) if isinstance(value, (list, tuple)) else value is None


def check_one(cls: type[Operation], title: str, values: list[Any], span: Span) -> None:
    """Refuse a list where a function or a layer takes one tensor."""
    first = next(iter(cls.input_names()), "*")
    if values and isinstance(values[0], list) and not first.startswith("*") and first not in cls.sequences:
        count = len(values[0])
        helps = (f"join them, `cat(xs, dim=1)`, or take each by itself: `[x -> {title} for x in xs]`",)
        if title == "add":
            helps = ("a list grows by a list: `xs + [x]`; its sum is `sum(xs)`",)
        message = f"`{title}` takes one tensor, not a list of {count}"
        raise Fault(error("NNS311", message, span, "a list flows in", helps=helps))
