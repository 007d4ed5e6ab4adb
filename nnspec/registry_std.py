"""Finds the library of blocks that are written in the language itself: its modules, and the names in each.

They lie in `nnspec/std`, a file a module: `std.residual` is `std/residual.nns`. As with library classes, the folder is
read as text, and a module is parsed when a spec first imports it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "std"

_ABOUT = re.compile(r"^nnspec 1\n\n((?:# .*\n)+)\n")
_DECLARED = re.compile(r"^(?:block|model)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


@cache
def modules() -> dict[str, Path]:
    """The modules by name (`std.residual`), in order, with their files."""
    return {f"std.{path.stem}": path for path in sorted(FOLDER.glob("*.nns"))}


def text_of(module: str) -> str:
    """The text of a module."""
    return modules()[module].read_text(encoding="utf-8")


def about(module: str) -> str:
    """What the comment at the head of a module says that it holds."""
    found = _ABOUT.match(text_of(module))
    return " ".join(line.removeprefix("# ") for line in found[1].splitlines()) if found else ""


@cache
def blocks() -> dict[str, tuple[str, ...]]:
    """Name of each block -> the modules that declare it."""
    found: dict[str, tuple[str, ...]] = {}
    for module in modules():
        for name in _DECLARED.findall(text_of(module)):
            found[name] = (*found.get(name, ()), module)
    return found
