"""Sequences side by side: which element of one is which of another, where each may lack some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from nnspec.backends.source_fill import Differs

Element = TypeVar("Element")

_MOST_CELLS = 4_000
"""How large a table may be that aligns two sequences."""


def table(
    sequences: Sequence[Sequence[Element]],
    key: Callable[[Element], object],
    likeness: Callable[[Element, Element], int],
) -> list[list[Element | None]]:
    """Rows of elements that can be one, None where a sequence lacks it; the order is that of each sequence.

    Elements of two keys are never one; `likeness` says how much two are alike, and 0 that they cannot be one.
    """
    forms: dict[object, int] = {}
    form_of = [forms.setdefault(tuple(map(key, sequence)), len(forms)) for sequence in sequences]
    models = [sequences[form_of.index(number)] for number in range(len(forms))]
    rows: list[list[int | None]] = [[at] for at in range(len(models[0]))]
    for number in range(1, len(models)):
        rows = _with_form(rows, models, number, key, likeness)
    pairs = list(zip(sequences, form_of, strict=True))
    return [[None if (at := row[form]) is None else sequence[at] for sequence, form in pairs] for row in rows]


def _with_form(
    rows: list[list[int | None]],
    models: Sequence[Sequence[Element]],
    number: int,
    key: Callable[[Element], object],
    likeness: Callable[[Element, Element], int],
) -> list[list[int | None]]:
    """The table with one more form: of the orders that fit, the one in which most is shared."""
    new = models[number]
    if len(rows) * len(new) > _MOST_CELLS:
        raise Differs
    heads = [[models[form][at] for form, at in enumerate(row) if at is not None] for row in rows]
    keys = [key(element) for element in new]
    alike = []
    for head in heads:
        wanted = key(head[0])
        alike.append([_least(head, e, likeness) if k == wanted else 0 for e, k in zip(new, keys, strict=True)])
    best = [[0] * (len(new) + 1) for _ in range(len(rows) + 1)]
    for i in reversed(range(len(rows))):
        for j in reversed(range(len(new))):
            together = best[i + 1][j + 1] + alike[i][j] if alike[i][j] else 0
            best[i][j] = max(together, best[i + 1][j], best[i][j + 1])
    found: list[list[int | None]] = []
    i = j = 0
    while i < len(rows) or j < len(new):
        both = i < len(rows) and j < len(new)
        if both and alike[i][j] and best[i][j] == best[i + 1][j + 1] + alike[i][j]:
            found.append([*rows[i], j])
            i, j = i + 1, j + 1
        elif j == len(new) or (i < len(rows) and best[i + 1][j] >= best[i][j + 1]):
            found.append([*rows[i], None])
            i += 1
        else:
            found.append([*([None] * number), j])
            j += 1
    return found


def _least(head: Sequence[Element], element: Element, likeness: Callable[[Element, Element], int]) -> int:
    """How much an element is like that of a row that it is least like."""
    least = likeness(head[0], element)
    for other in head[1:]:
        if not least:
            return 0
        least = min(least, likeness(other, element))
    return least
