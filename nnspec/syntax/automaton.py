"""The LALR automaton at work: a stack, fed with tokens, that builds nodes as it reduces.

It runs the tables that Lark computes without Lark: a warm start needs no import of it, the loop is faster than its
general one, and recovery works on this stack instead of on private state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from nnspec.diagnostics import Span
from nnspec.syntax.lexer import CLOSERS, END, NEWLINE, Token
from nnspec.syntax.tables import Rule, Tables

# Builds the value of a rule from the values of its symbols and the range of the text that they cover.
Action = Callable[[list[Any], int, int], Any]
# How many symbols a rule takes, what it makes of them, and how; None where its only value passes on as it is.
Reduction = tuple[int, str, Action | None]


def reductions(tables: Tables, builder: object, source: int) -> tuple[Reduction, ...]:
    """What to do for each rule of the grammar, with the builder's method of that name."""
    return tuple((rule.size, rule.origin, _action(rule, builder, source)) for rule in tables.rules)


class Automaton:
    """One parse: a stack of `states`, and above its first the `values` that were read and the offsets they begin at."""

    def __init__(self, tables: Tables, reductions: Sequence[Reduction], start: str) -> None:
        self.rows = tables.rows
        self.rules = tables.rules
        self.states = [tables.starts[start]]
        self.values: list[Any] = []
        self.begins: list[int] = []
        self.end = 0
        self._final = tables.ends[start]
        self._reductions = reductions

    def feed(self, tokens: Iterable[Token]) -> Token | None:
        """Take tokens to the last; returns the one that does not fit, if any."""
        rows, reductions = self.rows, self._reductions
        states, values, begins = self.states, self.values, self.begins
        end = self.end
        row = rows[states[-1]]
        for token in tokens:
            kind = token[0]
            while (goal := row.get(kind)) is None or goal < 0:
                if goal is None:
                    self.end = end
                    return None if kind == END and states[-1] == self._final else token
                size, origin, action = reductions[~goal]
                if action is None:
                    states.pop()
                elif size:
                    taken = values[-size:]
                    first = len(begins) - size
                    begin = begins[first]
                    del states[-size:], values[-size:], begins[first + 1 :]
                    values.append(action(taken, begin, end))
                else:
                    values.append(action([], token[2], token[2]))
                    begins.append(token[2])
                goal = rows[states[-1]][origin]
                states.append(goal)
                row = rows[goal]
            states.append(goal)
            values.append(token)
            begins.append(token[2])
            end = token[3]
            row = rows[goal]
        self.end = end
        return None

    def settle(self) -> None:
        """Finish what a line end or a closing bracket completes: the automaton waits for a token that fits to do so."""
        last = self.values[-1] if self.values else None
        if not isinstance(last, Token) or (last.type != NEWLINE and last.type not in CLOSERS):
            return
        while len(goals := set(self.rows[self.states[-1]].values())) == 1 and (goal := goals.pop()) < 0:
            size, origin, action = self._reductions[~goal]
            first = len(self.values) - size
            begin, taken = self.begins[first], self.values[first:]
            del self.states[-size:]
            self.cut(len(self.states) - 1, action(taken, begin, self.end) if action else taken[0], origin, begin)

    def accepts(self, *kinds: str) -> bool:
        """Whether tokens of these types could follow, one after the other."""
        states = self.states.copy()
        for kind in kinds:
            while (goal := self.rows[states[-1]].get(kind)) is None or goal < 0:
                if goal is None:
                    return kind == END and states[-1] == self._final
                rule = self.rules[~goal]
                if rule.size:
                    del states[-rule.size :]
                states.append(self.rows[states[-1]][rule.origin])
            states.append(goal)
        return True

    def cut(self, depth: int, value: Any, origin: str, begin: int) -> None:
        """Drop all above the state at `depth`, and put `value` there as a finished `origin`."""
        del self.states[depth + 1 :], self.values[depth:], self.begins[depth:]
        self.states.append(self.rows[self.states[-1]][origin])
        self.values.append(value)
        self.begins.append(begin)


def _action(rule: Rule, builder: object, source: int) -> Action | None:
    if not rule.method and not rule.origin.startswith("<_"):
        index = rule.keep[0][0]
        return None if rule.size == 1 else lambda values, begin, end: values[index]
    if not rule.method:
        return _collect(rule)
    method = getattr(builder, rule.method, None) or getattr(builder, rule.method + "_")
    new = tuple.__new__
    if any(spliced or index < 0 for index, spliced in rule.keep):
        collect = _collect(rule)
        return lambda values, begin, end: method(new(Span, (begin, end, source)), *collect(values, begin, end))
    if len(rule.keep) == 1:
        only = rule.keep[0][0]
        return lambda values, begin, end: method(new(Span, (begin, end, source)), values[only])
    if len(rule.keep) == rule.size:
        return lambda values, begin, end: method(new(Span, (begin, end, source)), *values)
    if not rule.keep:
        return lambda values, begin, end: method(new(Span, (begin, end, source)))
    pick = itemgetter(*(index for index, _ in rule.keep))
    return lambda values, begin, end: method(new(Span, (begin, end, source)), *pick(values))


def _collect(rule: Rule) -> Callable[[list[Any], int, int], list[Any]]:
    """Gather the kept values in one list; a list in front is extended, so that long lists stay linear."""
    keep = rule.keep
    if keep and keep[0][1]:
        first, rest = keep[0][0], keep[1:]
    else:
        first, rest = -1, keep

    def collect(values: list[Any], begin: int, end: int) -> list[Any]:
        gathered: list[Any] = values[first] if first >= 0 else []
        for index, spliced in rest:
            if spliced:
                gathered += values[index]
            else:
                gathered.append(None if index < 0 else values[index])
        return gathered

    return collect
