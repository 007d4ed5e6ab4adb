"""Bodies side by side: which statement of one instance of a block is which of another."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.backends.source_fill import Differs, Fill, dummy
from nnspec.backends.source_line import Line
from nnspec.backends.source_table import table
from nnspec.backends.source_unify import key, unify_lines

Unit = tuple[Line, ...]
"""A statement with all that stands in it."""

Row = list["Unit | None"]
"""A statement in each instance; None where an instance lacks it."""

Rows = list[Row]


def align(bodies: Sequence[Sequence[Line]]) -> Rows:
    """The statements of several bodies in an order that is the order of each."""
    known: dict[tuple[str, str], bool] = {}

    def likeness(a: Unit, b: Unit) -> int:
        texts = ("\n".join(line.text for line in a), "\n".join(line.text for line in b))
        if texts not in known:
            known[texts] = _alike(a, b)
        return known[texts]

    return table([units(body) for body in bodies], _key, likeness)


def presence_of(row: Row) -> tuple[bool, ...]:
    """Which instances have the statement."""
    return tuple(unit is not None for unit in row)


def unified(row: Row, fill: Fill) -> list[Line]:
    """The statement that all instances share."""
    length = len(next(unit for unit in row if unit is not None))
    if any(unit is not None and len(unit) != length for unit in row):
        raise Differs
    return [unify_lines([None if unit is None else unit[at] for unit in row], fill) for at in range(length)]


def units(lines: Sequence[Line]) -> list[Unit]:
    """Statements, each whole: a loop with its body, an `if` with its `else`."""
    found: list[list[Line]] = []
    for line in lines:
        if found and (line.deeper > found[-1][0].deeper or line.prefix in ("else", "elif ")):
            found[-1].append(line)
        else:
            found.append([line])
    return [tuple(unit) for unit in found]


def _key(unit: Unit) -> tuple[object, ...]:
    return tuple(map(key, unit))


def _alike(a: Unit, b: Unit) -> bool:
    """Whether two statements of one key could be one."""
    try:
        unified([a, b], dummy)
    except Differs:
        return False
    return True
