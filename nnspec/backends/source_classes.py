"""Classes: the statements of one instance of a block, or of several that become one class with arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from nnspec import ir
from nnspec.backends.source_align import Rows, Unit, align, presence_of, unified, units
from nnspec.backends.source_arguments import Arguments
from nnspec.backends.source_fill import Differs, Fill
from nnspec.backends.source_formula import BlockText, Formula
from nnspec.backends.source_line import Line
from nnspec.backends.source_series import TURN
from nnspec.backends.source_text import Piece, bracketed
from nnspec.backends.source_tokens import masked
from nnspec.backends.source_unify import unify_lines
from nnspec.elaborate.place import is_reserved

_MOST_FORMS = 12
"""So many forms of a block are tried together."""
_MOST_CHOICES = 4
"""With more places at which the instances part, a class says less than two do."""
_SET = re.compile(r"self\.([A-Za-z_]\w*) = \Z")
_LOCAL = re.compile(r"(?!self\b)([A-Za-z_][\w, ()]*) = \Z")

Presence = tuple[bool, ...]
"""Which instances have a statement."""


@dataclass(slots=True)
class Draft:
    """A class as one instance of a block needs it."""

    number: int
    module: ir.Module
    base: str
    init: list[Line]
    methods: list[tuple[Line, list[Line]]]

    def form(self) -> tuple[object, ...]:
        """What drafts have in common that differ in literals at most."""
        bodies = [body for _, body in self.methods]
        texts = tuple(tuple(masked(line.text) for line in body) for body in (self.init, *bodies))
        return (self.base, tuple(head.text for head, _ in self.methods), texts)


@dataclass(slots=True)
class Class:
    """A class that is ready to be written, and the call that makes each of the instances."""

    drafts: Sequence[Draft]
    init: list[Line]
    methods: list[tuple[Line, list[Line]]]
    signature: list[tuple[str, Piece]] = field(default_factory=list)
    call: Callable[[str, int], Piece] = lambda name, instance: bracketed(f"{name}(", [], ")")


def classes(
    drafts: Sequence[Draft], text: Callable[[], BlockText | None], reserved: frozenset[str], *, merged: bool = True
) -> list[Class]:
    """As few classes as read well: one if the instances of a block can share it, else one for each form."""
    if not merged:
        return [_alone(draft) for draft in drafts]
    forms: dict[object, list[Draft]] = {}
    for draft in drafts:
        forms.setdefault(draft.form(), []).append(draft)
    found: list[Class] = []
    if len(forms) > _MOST_FORMS:
        for form in forms.values():
            _add(found, form, text, reserved)
        return found
    whole = _tried(drafts, text, reserved)
    if whole is not None:
        return [whole]
    for form in forms.values():
        if not _join(found, form, text, reserved):
            _add(found, form, text, reserved)
    return found


def _join(
    found: list[Class], drafts: Sequence[Draft], text: Callable[[], BlockText | None], reserved: frozenset[str]
) -> bool:
    """Add drafts of one form to the first class that can take them."""
    for at, other in enumerate(found):
        merged = _tried([*other.drafts, *drafts], text, reserved)
        if merged is not None:
            found[at] = merged
            return True
    return False


def _add(
    found: list[Class], drafts: Sequence[Draft], text: Callable[[], BlockText | None], reserved: frozenset[str]
) -> None:
    """A class for drafts of one form, or for each of them."""
    made = _tried(drafts, text, reserved)
    found += [made] if made is not None else [_alone(draft) for draft in drafts]


def _tried(drafts: Sequence[Draft], text: Callable[[], BlockText | None], reserved: frozenset[str]) -> Class | None:
    try:
        return _merge(drafts, text, reserved)
    except Differs:
        return None


def _alone(draft: Draft) -> Class:
    return Class([draft], draft.init, draft.methods)


def _merge(drafts: Sequence[Draft], text: Callable[[], BlockText | None], reserved: frozenset[str]) -> Class:
    if len(drafts) == 1:
        return _alone(drafts[0])
    first = drafts[0]
    if any(d.base != first.base or len(d.methods) != len(first.methods) for d in drafts):
        raise Differs
    local = {name for draft in drafts for line in draft.init for name in _assigned(line)}
    local |= {TURN} if any(f" for {TURN} in " in line.piece.text for draft in drafts for line in draft.init) else set()
    arguments = Arguments([draft.module for draft in drafts], text(), {*reserved, *local})
    return _Merger(drafts, arguments).merged()


def _assigned(line: Line) -> list[str]:
    """The variables that a statement of `__init__` sets."""
    match = _LOCAL.match(line.prefix) or re.match(r"for (\w[\w, ()]*) in ", line.prefix)
    return re.findall(r"\w+", match[1]) if match else []


class _Merger:
    """Merges the drafts of one class; `Differs` where that cannot be done."""

    def __init__(self, drafts: Sequence[Draft], arguments: Arguments) -> None:
        self._drafts = drafts
        self._arguments = arguments
        self._attributes: dict[str, str] = {}
        """Arguments that `forward` reads, and what the instance calls them."""
        members = {member.name for draft in drafts for member in draft.module.members}
        self._taken = members | {f"forward{number}" for number in range(2, 100)}
        self._members: dict[Presence, str] = {}
        """Members that only some instances have, by which."""
        self._asked: set[str] = set()
        """Those that `forward` asks for."""

    def merged(self) -> Class:
        """The class."""
        init = align([draft.init or [Line("", Piece("super().__init__()"))] for draft in self._drafts])
        bodies = [align([d.methods[at][1] for d in self._drafts]) for at in range(len(self._drafts[0].methods))]
        shared = sum(None not in row for rows in (init, *bodies) for row in rows)
        partial = sum(None in row for rows in (init, *bodies) for row in rows)
        choices = sum(map(_choices, (init, *bodies)))
        if choices > _MOST_CHOICES or choices >= shared or partial > 2 * shared:
            raise Differs
        self._find_members(init)
        constructor = self._statements(init, self._arguments.fill, self._condition)
        methods = []
        for at, body in enumerate(bodies):
            head = unify_lines([draft.methods[at][0] for draft in self._drafts], _refuse)
            methods.append((head, self._statements(body, self._fill_forward, self._condition_forward)))
        # After `super().__init__()`, before what is guarded.
        constructor[1:1] = [Line(f"self.{own} = ", Piece(name)) for name, own in self._attributes.items()]
        owns = len(constructor) > 1 or any(draft.init for draft in self._drafts)
        constructor = self._with_none(constructor) if owns else []
        return Class(self._drafts, constructor, methods, self._arguments.signature(), self._arguments.call)

    # --- statements ---

    def _statements(self, rows: Rows, fill: Fill, condition: Callable[[Presence, str], str]) -> list[Line]:
        """The statements of all instances; what only some have is guarded by what tells them apart."""
        lines: list[Line] = []
        done = [False] * len(self._drafts)
        """The instances that a branch of this choice is for."""
        returned = True
        """Whether all of its branches so far return."""
        for presence, group in groupby(rows, key=presence_of):
            merged = [line for row in group for line in unified(row, fill)]
            if all(presence):
                lines += merged
                done = [False] * len(presence)
                continue
            if any(a and b for a, b in zip(done, presence, strict=True)):
                done = [False] * len(presence)
            follows = any(done)
            done = [a or b for a, b in zip(done, presence, strict=True)]
            returned = lines[-1].prefix == "return " and lines[-1].deeper == 4 and returned if follows else True
            if follows and all(done) and returned:
                lines += merged
            elif follows and all(done):
                lines += [Line("else", Piece(""), ":"), *(line.nested() for line in merged)]
            else:
                test = Piece(condition(presence, _word(merged)))
                word = "elif " if follows and not returned else "if "
                lines += [Line(word, test, ":"), *(line.nested() for line in merged)]
        return lines

    def _condition(self, presence: Presence, word: str) -> str:
        return self._arguments.condition(presence, word).text

    def _condition_forward(self, presence: Presence, word: str) -> str:
        for values, test in ((presence, "is not None"), (_opposite(presence), "is None")):
            member = self._members.get(values)
            if member is not None:
                self._asked.add(member)
                return f"self.{member} {test}"
        return self._own(self._arguments.condition(presence, word)).text

    def _fill_forward(self, values: tuple[object, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
        return self._own(self._arguments.fill(values, word, own=own, test=test))

    def _own(self, formula: Formula) -> Formula:
        """The same expression over what the instance remembers of its arguments."""
        for name in sorted(formula.names - self._attributes.keys()):
            own = name
            while own in self._taken or is_reserved(own):
                own += "_"
            self._taken.add(own)
            self._attributes[name] = own
        text = formula.renamed({name: f"self.{self._attributes[name]}" for name in formula.names})
        return Formula(text, formula.level, formula.values, formula.names)

    # --- members that only some have ---

    def _find_members(self, rows: Rows) -> None:
        targets = [_target(next(unit for unit in row if unit is not None)) for row in rows]
        for row, target in zip(rows, targets, strict=True):
            if target and None in row and targets.count(target) == 1:
                self._members.setdefault(presence_of(row), target)

    def _with_none(self, lines: list[Line]) -> list[Line]:
        """The constructor, where a member that `forward` asks for is there in any case."""
        found: list[Line] = []
        for unit in units(lines):
            names = [name for line in unit[1:] if (name := _target((line,))) in self._asked]
            found += [*(Line(f"self.{name} = ", Piece("None")) for name in names), *unit]
        return found


def _refuse(values: tuple[object, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
    raise Differs


def _choices(rows: Rows) -> int:
    """How many chains of `if` and `elif` the statements need: the branches of one are for different instances."""
    count = 0
    done: Presence = ()
    for presence, _ in groupby(rows, key=presence_of):
        if all(presence):
            done = ()
        elif not done or any(a and b for a, b in zip(done, presence, strict=True)):
            count += 1
            done = presence
        else:
            done = tuple(a or b for a, b in zip(done, presence, strict=True))
    return count


def _opposite(presence: Presence) -> Presence:
    return tuple(not each for each in presence)


def _target(unit: Unit) -> str:
    match = _SET.match(unit[0].prefix)
    return match[1] if match else ""


def _word(lines: Sequence[Line]) -> str:
    """What to call the presence of statements: the first thing that they set."""
    return next((m[1] for line in lines if (m := re.search(r"(\w+) = \Z", line.prefix))), "more")
