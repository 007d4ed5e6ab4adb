"""Lists that grow: `features = [x]`, then `features.append(layer(features))`, found where calls take ever longer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec import ir
from nnspec.backends.source_plan import Step

_LEAST = 2
"""How often a list must grow to be worth a variable."""


@dataclass(slots=True)
class Growing:
    """A list that begins with the first `length` of its items; `name` is its variable once it is written."""

    items: tuple[Any, ...]
    length: int
    word: str
    """What those who take it call it."""
    name: str = ""


class GrowingLists:
    """The growing lists of a body: by the node before which each begins, and by the values that are appended."""

    def __init__(
        self, steps: Sequence[Step], outputs: Sequence[ir.Operand], words: Callable[[Step], Sequence[str]]
    ) -> None:
        self.starts: dict[int, Growing] = {}
        self.appended: dict[int, Growing] = {}
        self._words = words
        used = [(number, operand) for number, step in enumerate(steps) for operand in _lists(step)]
        used += [(len(steps), operand) for operand in outputs if isinstance(operand, tuple)]
        known = {operand for _, operand in used}
        for _, items in reversed(used):
            least = next(n for n in range(1, len(items) + 1) if items[:n] in known)
            if len(items) - least >= _LEAST and not any(_is_start(items, g.items) for g in self.starts.values()):
                self._add(items, least, steps, used)

    def _add(
        self, items: tuple[Any, ...], least: int, steps: Sequence[Step], used: Sequence[tuple[int, tuple[Any, ...]]]
    ) -> None:
        """Go through the steps: whenever a part of the list is used, it must be as long as the list is then."""
        length, first = least, -1
        appended = []
        for number, step in enumerate((*steps, None)):
            for operand in (each for at, each in used if at == number):
                if len(operand) >= least and _is_start(operand, items):
                    if len(operand) != length:
                        return
                    first = number if first < 0 else first
            made = step.outputs if step is not None and step.kind == "node" else ()
            if length < len(items) and made == (items[length].id,):
                if first < 0 or made[0] in self.appended:
                    return
                appended.append(made[0])
                length += 1
        if length == len(items) and first < len(steps):
            grown = Growing(items, least, self._word(steps[first], items[:least]))
            self.starts[id(steps[first].node)] = grown
            self.appended.update(dict.fromkeys(appended, grown))

    def _word(self, step: Step, operand: tuple[Any, ...]) -> str:
        pairs = zip(step.inputs, self._words(step), strict=False)
        return next((word for given, word in pairs if given == operand), "xs")

    def name(self, operand: tuple[Any, ...]) -> str | None:
        """The variable that holds a list now."""
        lists = {id(grown): grown for grown in self.starts.values()}.values()
        return next((g.name for g in lists if g.name and g.items[: g.length] == operand), None)


def _lists(step: Step) -> Iterator[tuple[Any, ...]]:
    """The lists of tensors that a step takes."""
    for inner in step.inner:
        yield from _lists(inner)
    if step.kind == "node":
        for operand in step.inputs:
            if isinstance(operand, tuple) and operand and all(isinstance(part, ir.Ref) for part in operand):
                yield operand


def _is_start(part: Sequence[Any], whole: Sequence[Any]) -> bool:
    return tuple(whole[: len(part)]) == tuple(part)
