"""One Python method of several bodies: for both modes, and for optional inputs that are there or not.

What the bodies share is written once, and where they differ an `if` asks for the mode or for an input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from nnspec import ir
from nnspec.backends.source_choice import Test, one_of
from nnspec.backends.source_line import Line
from nnspec.backends.source_text import Piece

Case = tuple[ir.Mode, tuple[bool, ...]]
"""When a body is meant: the mode, and which parameters are given."""


MODE = Test(None, "self.training", "not self.training")


def merge(bodies: Mapping[Case, Sequence[Line]], names: Sequence[str]) -> list[Line]:
    """The statements that do what each body does in its case; `names` are those of the parameters."""
    tests = [Test(i, f"{name} is None", f"{name} is not None") for i, name in enumerate(names)]
    return _merge(bodies, [*tests, MODE])


def _merge(bodies: Mapping[Case, Sequence[Line]], tests: Sequence[Test]) -> list[Line]:
    first, *others = bodies.values()
    if all(_text(other) == _text(first) for other in others):
        return _without_differing_notes(first, *others)
    for number, test in enumerate(tests):
        yes = {case: lines for case, lines in bodies.items() if test.holds(case)}
        no = {case: lines for case, lines in bodies.items() if case not in yes}
        if yes and no:
            rest = tests[number + 1 :]
            return _weave(_merge(yes, rest), _merge(no, rest), test)
    raise AssertionError("two bodies for one case")


def _text(lines: Sequence[Line]) -> tuple[str, ...]:
    return tuple(line.text for line in lines)


def _weave(yes: Sequence[Line], no: Sequence[Line], test: Test, *, looped: bool = False) -> list[Line]:
    ours, theirs = _units(yes), _units(no)
    found: list[Line] = []
    pairs = SequenceMatcher(None, [_text(u) for u in ours], [_text(u) for u in theirs], autojunk=False)
    for tag, a, b, c, d in pairs.get_opcodes():
        if tag == "equal":
            for mine, other in zip(ours[a:b], theirs[c:d], strict=True):
                found += _without_differing_notes(mine, other)
        elif b - a == d - c == 1 and _same_loop(ours[a], theirs[c]):
            found += [ours[a][0], *_weave(ours[a][1:], theirs[c][1:], test, looped=True)]
        else:
            first, second = ([line for unit in units for line in unit] for units in (ours[a:b], theirs[c:d]))
            after = ([line for unit in ours[b:] for line in unit], [line for unit in theirs[d:] for line in unit])
            both = one_of(first, second, test, None if looped else after)
            found += both or _choice(first, second, test, last=not after[0] and not after[1])
    return found


def _units(lines: Sequence[Line]) -> list[list[Line]]:
    """Statements with what stands below them: a loop, or an `if` with its `else`, is whole."""
    units: list[list[Line]] = []
    for line in lines:
        if units and (line.deeper > lines[0].deeper or line.text.lstrip() == "else:"):
            units[-1].append(line)
        else:
            units.append([line])
    return units


def _same_loop(ours: Sequence[Line], theirs: Sequence[Line]) -> bool:
    return ours[0].text == theirs[0].text and ours[0].text.lstrip().startswith("for ")


def _choice(yes: Sequence[Line], no: Sequence[Line], test: Test, *, last: bool) -> list[Line]:
    if not yes:
        return _guarded(test.no, no)
    if not no:
        return _guarded(test.yes, yes)
    if last and any(line.text.lstrip().startswith("return ") and line.deeper == yes[0].deeper for line in yes):
        # Two ways that part for good: the first one returns.
        return [*_guarded(test.yes, yes), *no]
    other = Line("else", Piece(""), ":", deeper=no[0].deeper)
    return [*_guarded(test.yes, yes), other, *(line.nested() for line in no)]


def _guarded(condition: str, lines: Sequence[Line]) -> list[Line]:
    return [Line("if ", Piece(condition), ":", deeper=lines[0].deeper), *(line.nested() for line in lines)]


def _without_differing_notes(first: Sequence[Line], *others: Sequence[Line]) -> list[Line]:
    """Lines of one text; a comment that is not the same in all of them would be wrong in some."""
    for lines in zip(first, *others, strict=True):
        if any(a.comment != b.comment for a, b in pairwise(lines)):
            for line in lines:
                line.comment = ""
    return list(first)
