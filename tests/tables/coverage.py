"""`docs/coverage.md`: how nnspec fares in PyTorch's own tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from nnspec import registry

from .classes import public_classes, reason_against, said_as
from .functions import OTHERS, entries
from .library import op_db
from .rows import COLUMNS, Row, row_of_class, row_of_function

COMMAND = "python -m tests.tables > docs/coverage.md"

_INTRODUCTION = """\
# Held against PyTorch's own tables

PyTorch tests itself with two tables of samples: `module_db` makes every class of `torch.nn` with many arguments and
feeds it, `op_db` calls every function. Each sample is written here as a spec, with one input for every tensor, and
judged:

- **literal**: all that it was made from is plain numbers, strings and the like (others are given tensors or layers).
- **said**: a spec can say it, and compiles. *symbolic*: with a symbol for the first dimension as well.
- **equal**: the compiled module has the sample's weights (and the same seed, where numbers are drawn), and its outputs
  are torch's, bit for bit; in training also what is left in its buffers. Classes that differ in training are judged
  in both modes.
- **ONNX**: the exported graph agrees within 1e-5, relative to the magnitude where that exceeds 1, in ONNX Runtime; *by
  reference*: in onnx's own evaluator, where the runtime lacks an operator. *refused*: ONNX cannot express it, and the
  export says so. In training there is nothing to compare.

Every sample that is not said, or not the same, is below with its reason: how many they are stands behind each name.
Written by `{command}` with PyTorch {version};
`tests/tables/` has the code, and a test fails when this page is not what it would write.
"""


def version() -> str:
    """Of torch, without what it was built for."""
    return torch.__version__.partition("+")[0]


def page() -> Iterator[str]:
    """The lines of the page."""
    yield _INTRODUCTION.format(command=COMMAND, version=version())
    kinds = {name: said_as(name) for name in public_classes()}
    known = [row_of_class(name) for name, form in kinds.items() if form]
    yield from _table("Layers and losses", "class", known)
    yield "## Classes that no spec has\n"
    yield from (f"- {names}: {reason}" for reason, names in _without(kinds))
    yield ""
    named = sorted(registry.index("function"))
    rows = [row_of_function(name) for name in named if entries(name)]
    yield from _table("Functions", "function", rows)
    yield "## Functions that `op_db` lacks\n"
    yield "Their examples are tests against torch and ONNX all the same.\n"
    yield from (
        f"- `{name}`{': ' * bool(OTHERS.get(name))}{OTHERS.get(name, '')}" for name in named if not entries(name)
    )
    yield ""
    yield "## What `op_db` has and a spec has not\n"
    yield ", ".join(f"`{name}`" for name in lacking()) + "."


def lacking() -> list[str]:
    """Names of `op_db` that are no function of a spec."""
    covered = {entry.info.name for name in registry.index("function") for entry in entries(name)}
    return sorted({info.name for info in op_db()} - covered)


def _without(kinds: dict[str, str]) -> list[tuple[str, str]]:
    grouped: dict[str, list[str]] = {}
    for name, form in kinds.items():
        if not form:
            grouped.setdefault(reason_against(name), []).append(f"`{name}`")
    return [(reason, ", ".join(names)) for reason, names in grouped.items()]


def _table(title: str, what: str, rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    total = {column: sum(row.counts[column] for row in rows) for column in COLUMNS}
    clean = sum(row.counts["said"] == row.counts["equal"] > 0 for row in rows)
    form = "said as" if what == "class" else "in the table"
    yield f"## {title}\n"
    yield f"{len(rows)}, of which {clean} are torch's bit for bit in every sample that can be said.\n"
    yield f"| {what} | {form} | {' | '.join(COLUMNS)} |\n|---|---|{'---|' * len(COLUMNS)}"
    yield from (row.line() for row in rows)
    yield f"| total | | {' | '.join(str(number) for number in total.values())} |"
    yield f"\n### Exceptions: {title.lower()}\n"
    yield from exceptions(rows)
    yield ""


def exceptions(rows: Iterable[Row]) -> list[str]:
    """Each reason with what it is about, and how many samples of that."""
    grouped: dict[str, list[str]] = {}
    for row in rows:
        for reason, count in row.reasons().items():
            grouped.setdefault(reason, []).append(f"`{row.name}` {count}")
    return [f"- {reason}: {', '.join(names)}" for reason, names in sorted(grouped.items())]
