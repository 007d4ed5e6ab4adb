"""What fills the places in which the instances of a block differ."""

from __future__ import annotations

from typing import Any, Protocol

from nnspec.backends.source_formula import Formula
from nnspec.backends.source_text import ATOM


class Fill(Protocol):
    """Finds expressions for what differs."""

    def __call__(self, values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
        """An expression with these values in the instances (`ANY`: it does not matter); `word` names the place.

        Without `own`, none that is new: `Differs` when the instances' arguments do not say it. A `test` is a condition.
        """
        ...


class Differs(Exception):
    """The statements cannot be made one."""


class _Any:
    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()
"""The value of an instance that has no such place: any will do."""


def dummy(values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
    """Fills every place, to find out whether statements could be one."""
    return Formula("_", ATOM, values)
