"""Codes of scans: what the steps of a recurrence cannot do."""

from __future__ import annotations

from nnspec.codes import Code


def _scan(head: str, body: str) -> str:
    """A model with one scan."""
    lines = "\n".join(f"    {line.strip()}" for line in body.strip().splitlines())
    declared = "  input x: float[N, T, 8]\n"
    return f"model Net {{\n{declared}  ys = scan x_t in x over dim=1 with {head} {{\n{lines}\n  }}\n  output ys\n}}\n"


_WITH_NORM = "h = h + (x_t -> Linear(8, bias=false) -> {norm})\nyield h"

CODES = (
    Code(
        "NNS224",
        "a layer that cannot stand in a scan",
        """
        Batch normalisations learn running statistics of the batch in training. In a scan they would learn those of each
        step one over the other, and the last step would win. Norms of single samples have no such state; what is to be
        normalised over the batch can be, for all steps at once, in front of the scan or behind it.
        """,
        _scan("h = zeros(N, 8)", _WITH_NORM.format(norm="BatchNorm1d")),
        _scan("h = zeros(N, 8)", _WITH_NORM.format(norm="LayerNorm")),
    ),
    Code(
        "NNS420",
        "a state that changes its type",
        """
        Every step of a scan does the same to states of the same type. What a step leaves in a state has the element
        type and the sizes that the state started with; what grows from step to step can be yielded instead.
        """,
        _scan("h = zeros(N, 8)", "h = cat([h, x_t], dim=1)\nyield h"),
        _scan("h = zeros(N, 8)", "h = h + x_t\nyield h"),
    ),
)
