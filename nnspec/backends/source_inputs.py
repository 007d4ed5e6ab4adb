"""What a function is given: which text reaches each value, and how lists of tensors are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec import ir
from nnspec.backends.source_line import shape
from nnspec.backends.source_text import POSTFIX, Piece, Slot


class Inputs:
    """The parameters of a function. `texts`: the text of each value (`x`, `xs[0]`); `lists`: those that are lists."""

    def __init__(self, inputs: Sequence[Any], names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.texts: dict[int, str] = {}
        self.lists: dict[str, tuple[Any, ...]] = {}
        """Parameters that are lists, and their operands."""
        for given, name in zip(inputs, names, strict=True):
            self._add(given, name)

    def _add(self, given: Any, text: str) -> None:
        if isinstance(given, int):
            self.texts[given] = text
        elif given is not None:
            self.lists[text] = operands(given)
            for position, part in enumerate(given):
                self._add(part, f"{text}[{position}]")

    @property
    def variables(self) -> dict[int, str]:
        """The values that have a parameter of their own."""
        return {value: text for value, text in self.texts.items() if text.isidentifier()}

    @property
    def elements(self) -> dict[int, str]:
        """The values that are reached through a list."""
        return {value: text for value, text in self.texts.items() if not text.isidentifier()}

    def text(self, number: int, element: Sequence[int] = ()) -> str:
        """What reaches an input, or a tensor of one that is a list."""
        return self.names[number] + "".join(f"[{position}]" for position in element)

    def written(self, operand: tuple[Any, ...], write: Callable[[Any], Any]) -> Any:
        """A list of tensors, with `write` for each: a parameter, a slice of one, or a list that may have one inside."""
        for name, whole in self.lists.items():
            start = _position(whole, operand) if len(operand) > 1 or operand == whole != () else -1
            if start >= 0:
                stop = start + len(operand)
                place = f"[{start or ''}:{stop if stop < len(whole) else ''}]" if operand != whole else ""
                return Slot(name + place, Piece(name + place, POSTFIX), -1)
        for name, whole in self.lists.items():
            start = _position(operand, whole) if whole else -1
            if start >= 0:
                before, after = operand[:start], operand[start + len(whole) :]
                return (*map(write, before), Slot(name, Piece(f"*{name}"), -1), *map(write, after))
        return tuple(map(write, operand))


def _position(whole: Sequence[Any], part: Sequence[Any]) -> int:
    """Where a part begins in a list; -1 if it is not there."""
    starts = range(len(whole) - len(part) + 1)
    return next((start for start in starts if whole[start : start + len(part)] == part), -1)


def operands(given: Any) -> Any:
    """The operand that is an input as it came in."""
    return ir.Ref(given) if isinstance(given, int) else tuple(map(operands, given))


def shapes(graph: ir.Graph, inputs: Sequence[Any]) -> str:
    """The shapes of inputs: `[N, 3], [[N, 8], [N, 4]]`."""
    return ", ".join(_shape(graph, given) for given in inputs if given is not None)


def _shape(graph: ir.Graph, given: Any) -> str:
    return shape(graph.values[given].type) if isinstance(given, int) else f"[{shapes(graph, given)}]"
