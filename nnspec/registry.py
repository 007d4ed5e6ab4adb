"""Finds library classes by name, importing a file when one of its classes is first named.

The folders are scanned as text (a millisecond), so that a new class is found without being listed anywhere, and a spec
that uses three layers loads three files. Functions and metrics are the classes in lower case, the others those in
CamelCase (and a layer that wraps layers is in lower case, as torch has it); a class with a leading underscore is
nobody's but its file's.
"""

from __future__ import annotations

import importlib
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent
# A class of torch in a file's texts, which is emitted as it stands, is none of ours.
_CAPITALISED = re.compile(rb"\nclass ([A-Z]\w*)\((?!nn\.)")
_PUBLIC = re.compile(rb"\nclass ([A-Za-z]\w*)\((?!nn\.)")
_LOWER_CASE = re.compile(rb"\nclass ([a-z]\w*)\(")

FOLDERS = {
    "layer": "layers",
    "function": "functions",
    "optimizer": "training/optimizers",
    "dataset": "training/datasets",
    "metric": "training/metrics",
    "scheduler": "training/schedulers",
    "transform": "training/transforms",
    "average": "training/averages.py",
    "initializer": "initializers.py",
}
"""What kinds of library classes there are, and the folder or file where they live."""


@cache
def index(kind: str) -> dict[str, str]:
    """Name of each class of a kind -> the module that defines it."""
    home = _ROOT / FOLDERS[kind]
    lower = kind in ("function", "metric", "initializer")
    pattern = _LOWER_CASE if lower else _PUBLIC if kind == "layer" else _CAPITALISED
    package = ".".join(("nnspec", *home.relative_to(_ROOT).with_suffix("").parts))
    files = sorted(os.listdir(home)) if home.is_dir() else [""]
    found: dict[str, str] = {}
    for file in files:
        if file and not file.endswith(".py"):
            continue
        module = f"{package}.{file[:-3]}" if file else package
        text = (home / file).read_bytes()
        found |= {name.decode(): module for name in pattern.findall(text)}
    return found


@cache
def find(kind: str, name: str) -> type[Any] | None:
    """The class of that kind and name, or None."""
    module = index(kind).get(name)
    if module is None:
        return None
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found
