"""Bodies side by side: which statement of one instance of a block is which of another."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.backends.source_line import Line
from nnspec.backends.source_unify import Differs, Fill, dummy, key, unify_lines

_MOST_CELLS = 4_000
"""How large the table may be that aligns two bodies."""

Unit = tuple[Line, ...]
"""A statement with all that stands in it."""

Row = list["Unit | None"]
"""A statement in each instance; None where an instance lacks it."""

Rows = list[Row]


def align(bodies: Sequence[Sequence[Line]]) -> Rows:
    """The statements of several bodies in an order that is the order of each."""
    sequences = [units(body) for body in bodies]
    forms: dict[object, int] = {}
    form_of = [forms.setdefault(tuple(map(_key, sequence)), len(forms)) for sequence in sequences]
    models = [sequences[form_of.index(number)] for number in range(len(forms))]
    table: list[list[int | None]] = [[at] for at in range(len(models[0]))]
    for number in range(1, len(models)):
        table = _with_form(table, models, number)
    pairs = list(zip(sequences, form_of, strict=True))
    return [[None if (at := row[form]) is None else sequence[at] for sequence, form in pairs] for row in table]


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


def _with_form(table: list[list[int | None]], models: Sequence[Sequence[Unit]], number: int) -> list[list[int | None]]:
    """The table with one more form: of the orders that fit, the one in which most statements are shared."""
    new = models[number]
    if len(table) * len(new) > _MOST_CELLS:
        raise Differs
    heads = [[models[form][at] for form, at in enumerate(row) if at is not None] for row in table]
    keys = [_key(unit) for unit in new]
    known: dict[tuple[str, str], bool] = {}

    def alike_(a: Unit, b: Unit) -> bool:
        texts = ("\n".join(line.text for line in a), "\n".join(line.text for line in b))
        if texts not in known:
            known[texts] = _alike(a, b)
        return known[texts]

    alike = []
    for head in heads:
        wanted = _key(head[0])
        alike.append(
            [k == wanted and all(alike_(each, unit) for each in head) for unit, k in zip(new, keys, strict=True)]
        )
    best = [[0] * (len(new) + 1) for _ in range(len(table) + 1)]
    for i in reversed(range(len(table))):
        for j in reversed(range(len(new))):
            best[i][j] = best[i + 1][j + 1] + 1 if alike[i][j] else max(best[i + 1][j], best[i][j + 1])
    found: list[list[int | None]] = []
    i = j = 0
    while i < len(table) or j < len(new):
        if i < len(table) and j < len(new) and alike[i][j]:
            found.append([*table[i], j])
            i, j = i + 1, j + 1
        elif j == len(new) or (i < len(table) and best[i + 1][j] >= best[i][j + 1]):
            found.append([*table[i], None])
            i += 1
        else:
            found.append([*([None] * number), j])
            j += 1
    return found


def _alike(a: Unit, b: Unit) -> bool:
    """Whether two statements of one key could be one."""
    try:
        unified([a, b], dummy)
    except Differs:
        return False
    return True
