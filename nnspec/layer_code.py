"""What emitted torch source is made of: a layer says what it is in torch as data, and the emitter prints it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Ref(str):
    """A Python name or expression that is already known to be safe: an input's variable, `self.conv1`."""

    __slots__ = ()


class Code:
    """A Python expression as data; the emitter prints it. Arguments: Ref, Code, Dim, plain Python values, tuples."""

    __slots__ = ("args", "kind", "kwargs", "name")

    def __init__(self, kind: str, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.kind = kind
        self.name = name
        self.args = tuple(args)
        self.kwargs = kwargs


def call(name: str, *args: Any, **kwargs: Any) -> Code:
    """`name(args, key=value)`: `call("F.softmax", x, dim=-1)`."""
    return Code("call", name, args, kwargs)


def method(name: str, owner: Any, *args: Any, **kwargs: Any) -> Code:
    """`owner.name(args)`: `method("reshape", x, 2, -1)`."""
    return Code("method", name, (owner, *args), kwargs)


def infix(op: str, left: Any, right: Any) -> Code:
    """`left op right`."""
    return Code("infix", op, (left, right), {})


def prefix(op: str, operand: Any) -> Code:
    """`-x`, `~x`."""
    return Code("prefix", op, (operand,), {})


def attribute(owner: Any, name: str) -> Code:
    """`owner.name`: `attribute(x, "dtype")`."""
    return Code("attribute", name, (owner,), {})


def index(owner: Any, *items: Any) -> Code:
    """`owner[items]`; items are ints, Dims, `slice`s of them, `...`, None, Ref."""
    return Code("index", "", (owner, *items), {})


def torch_dtype(name: str) -> Ref:
    """`torch.float32` for an element type's name."""
    return Ref(f"torch.{name}")
