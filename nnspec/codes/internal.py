"""Codes 9xx: faults of nnspec itself."""

from __future__ import annotations

from nnspec.codes import Code

_NET = """
model Net {
  input x: float[N, 8]
  output y = x -> Linear(2)
}
"""

CODES = (
    Code(
        "NNS901",
        "a fault of nnspec itself",
        """
        Something went wrong that is not the spec's doing. Please report it, with the spec that shows it.

        No spec should ever lead here, so that the example below is like any other.
        """,
        _NET,
        _NET,
        when="run",
    ),
)
