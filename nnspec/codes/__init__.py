"""What each diagnostic code means, with an example and its repair: the text behind `nnspec explain`.

The modules beside this one hold the codes, one module a phase, each with `CODES`, a tuple of `Code`. They are read when
somebody asks, never while a spec is checked.
"""

from __future__ import annotations

import pkgutil
import textwrap
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    """A diagnostic code: `example` is a spec that is reported with it, `repair` the same one without errors.

    `when` says whether checking the spec reports it, or only running it does (on files and machines that may differ).
    """

    code: str
    title: str
    meaning: str
    example: str
    repair: str
    when: Literal["check", "run"] = "check"


@cache
def all_codes() -> tuple[Code, ...]:
    """Every code, in order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted((code for name in names for code in _codes(f"{__name__}.{name}")), key=lambda code: code.code))


def lookup(code: str) -> Code | None:
    """The code of a name, as written on a terminal: `NNS401`, `nns401` or `401`."""
    name = code.strip().upper()
    if name.isdecimal():
        name = f"NNS{name}"
    return next((known for known in all_codes() if known.code == name), None)


def explain_text(code: Code) -> str:
    """A code's page for the terminal: title, meaning, example and repair."""
    meaning = [textwrap.fill(" ".join(part.split()), 88) for part in textwrap.dedent(code.meaning).split("\n\n")]
    return "\n\n".join(
        [
            f"{code.code}: {code.title}",
            *(part for part in meaning if part),
            "Example:",
            textwrap.indent(_spec(code.example), "    "),
            "Repaired:",
            textwrap.indent(_spec(code.repair), "    "),
        ]
    )


def _codes(module: str) -> tuple[Code, ...]:
    codes: tuple[Code, ...] = import_module(module).CODES
    return codes


def _spec(text: str) -> str:
    return textwrap.dedent(text).strip("\n")
