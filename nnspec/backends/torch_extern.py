"""Layers that are written in Python, found before a module is built from them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from nnspec import ir


class ExternError(Exception):
    """Python code that a spec names cannot be used; `module` is the extern, None where it is not known which."""

    def __init__(self, module: ir.Module | None, reason: str, note: str = "") -> None:
        super().__init__(reason)
        self.module = module
        self.reason = reason
        self.note = note


def has_externs(program: ir.Program) -> bool:
    """Whether some of its layers are written in Python."""
    return any(module.kind == "extern" for module in program.modules)


def find_externs(program: ir.Program) -> bool:
    """Import the classes of all externs, which runs their code; raises `ExternError`. False if there are none."""
    for module in (module for module in program.modules if module.kind == "extern"):
        home, _, name = module.origin.partition(":")
        try:
            found = getattr(importlib.import_module(home), name, None)
        except ImportError as fault:
            missing = isinstance(fault, ModuleNotFoundError) and fault.name is not None
            if missing and (home == fault.name or home.startswith(f"{fault.name}.")):
                raise ExternError(module, f"Python finds no module `{fault.name}`", _SEARCHED) from None
            raise ExternError(module, f"importing `{home}` fails: {in_words(fault)}") from fault
        # What the code of others raises while it is imported is anybody's guess.
        except Exception as fault:
            raise ExternError(module, f"importing `{home}` fails: {in_words(fault)}") from fault
        if not callable(found):
            why = f"has no `{name}`" if found is None else f"has a `{name}` that is no class"
            raise ExternError(module, f"the Python module `{home}` {why}")
    return has_externs(program)


_SEARCHED = "it is looked for as `import` does: among installed packages, and in the folders of PYTHONPATH"


def in_words(fault: BaseException) -> str:
    """An exception in one line."""
    text = str(fault).strip().split("\n", 1)[0][:200]
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__


def is_current(home: ModuleType) -> bool:
    """Whether the classes that a module took from others are still theirs: Python code may be loaded again."""
    for value in vars(home).values():
        if isinstance(value, type) and value.__module__ != home.__name__:
            there = getattr(sys.modules.get(value.__module__), value.__qualname__, value)
            if there is not value:
                return False
    return True
