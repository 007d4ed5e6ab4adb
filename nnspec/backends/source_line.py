"""A statement of emitted source, and what it is made from: types as comments, library functions, their operands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from nnspec import registry
from nnspec.backends.source_text import WIDTH, Piece, comment, layout
from nnspec.diagnostics import Span
from nnspec.dims import render
from nnspec.layer import Operation
from nnspec.types import TensorType


class Line:
    """A statement: `prefix piece suffix`, a trailing comment, how much deeper it stands, and the spec's place.

    `lead` stands above it, as comments of their own; `origin` says the spec's line in front of the comment.
    """

    __slots__ = ("comment", "deeper", "lead", "origin", "piece", "prefix", "span", "suffix")

    def __init__(
        self, prefix: str, piece: Piece, suffix: str = "", note: str = "", *, deeper: int = 0, span: Span | None = None
    ) -> None:
        self.prefix, self.piece, self.suffix = prefix, piece, suffix
        self.comment = note
        self.deeper = deeper
        self.span = span
        self.lead = ""
        self.origin = ""

    @property
    def text(self) -> str:
        """The statement on one line: what makes two of them equal."""
        return f"{' ' * self.deeper}{self.prefix}{self.piece.text}{self.suffix}"

    def render(self, indent: int) -> list[str]:
        """The lines as they stand in a file; a comment that does not fit is left out."""
        lines = layout(self.prefix, self.piece, self.suffix, indent + self.deeper)
        both = f"{self.origin}: {self.comment}" if self.origin and self.comment else ""
        for note in (both, self.comment, self.origin):
            if note and len(lines[-1]) + len(note) + 4 <= WIDTH:
                lines[-1] += f"  # {note}"
                break
        return [*comment(self.lead, indent + self.deeper), *lines]

    def nested(self) -> Line:
        """The same statement one level deeper."""
        line = Line(self.prefix, self.piece, self.suffix, self.comment, deeper=self.deeper + 4, span=self.span)
        line.lead = self.lead
        return line


class Pending:
    """An expression that waits to become part of the next one."""

    __slots__ = ("depth", "holds", "piece", "span", "value")

    def __init__(self, value: int, piece: Piece, depth: int, holds: list[int], span: Span | None) -> None:
        self.value, self.piece, self.depth, self.holds, self.span = value, piece, depth, holds, span


def shape(type_: TensorType) -> str:
    """`[N, 512]`; a size without a name is `_`."""
    dims = (render(d, lambda name: "_" if name.startswith("_") else name) for d in type_.dims)
    return f"[{', '.join(dims)}]"


@lru_cache(maxsize=1024)
def function_class(name: str) -> Any:
    """The library function (or metric) of that name."""
    found = registry.find("function", name) or registry.find("metric", name)
    if found is None:
        raise ValueError(f"no function is called {name!r}")
    return found


def as_lists(operation: Operation, operands: Sequence[Any]) -> list[Any]:
    """Operands with lists of tensors as lists, which is how torch has them; other nested ones stay tuples."""
    if not operation.sequences:
        return list(operands)
    names = operation.input_names()
    wanted = [names[min(i, len(names) - 1)].lstrip("*") in operation.sequences for i in range(len(operands))]
    return [list(o) if w and isinstance(o, tuple) else o for o, w in zip(operands, wanted, strict=True)]
