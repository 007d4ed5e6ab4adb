"""Lists that grow: `features = [x]`, then `features.append(layer(features))`, where calls take ever longer lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec import ir
from nnspec.backends.source_plan import Step

_LEAST = 2
"""How often a list must grow to be worth a variable."""
_MOST = 16
"""Lists of one body that are looked into."""

_Used = dict[int, list[tuple[Any, ...]]]
"""The lists that a step takes, by the number of the step; those of the outputs come behind the last."""


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
        self.starts: dict[int, list[Growing]] = {}
        self.appended: dict[int, Growing] = {}
        self._words = words
        self._lists: list[Growing] = []
        used: _Used = {number: found for number, step in enumerate(steps) if (found := list(_lists(step)))}
        used[len(steps)] = [operand for operand in outputs if isinstance(operand, tuple)]
        for items, least in _candidates([operand for found in used.values() for operand in found]):
            if not any(_is_start(items, grown.items) for grown in self._lists):
                self._add(items, least, steps, used)

    def _add(self, items: tuple[Any, ...], least: int, steps: Sequence[Step], used: _Used) -> None:
        """Go through the steps: whenever a part of the list is used, it must be as long as the list is then."""
        length, first = least, -1
        appended = []
        for number, step in enumerate((*steps, None)):
            for operand in used.get(number, ()):
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
            self._lists.append(grown)
            self.starts.setdefault(id(steps[first].node), []).append(grown)
            self.appended.update(dict.fromkeys(appended, grown))

    def _word(self, step: Step, operand: tuple[Any, ...]) -> str:
        pairs = zip(step.inputs, self._words(step), strict=False)
        return next((word for given, word in pairs if given == operand), "xs")

    def name(self, operand: tuple[Any, ...]) -> str | None:
        """The variable that holds a list now."""
        return next((g.name for g in self._lists if g.name and g.items[: g.length] == operand), None)


def _candidates(operands: Sequence[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], int]]:
    """Lists that others begin, longest first, each with the length of the shortest that does."""
    known = set(operands)
    lengths = sorted({len(operand) for operand in known} - {0})
    if len(lengths) <= 1 or len(lengths) * len(known) > _MOST_COMPARED:
        return []
    found = []
    for items in dict.fromkeys(operands):
        least = next((n for n in lengths if n <= len(items) and items[:n] in known), len(items))
        if len(items) - least >= _LEAST:
            found.append((items, least))
    return sorted(found, key=lambda each: -len(each[0]))[:_MOST]


_MOST_COMPARED = 100_000
"""Pairs of lists that are compared: more would take longer than writing them."""


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
