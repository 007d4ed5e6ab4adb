"""Layers of an emitted file that are Python already: imported under their names, constructed and called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnspec import ir
from nnspec.backends.source_names import identifier
from nnspec.elaborate.extern import is_origin
from nnspec.layer import Code, call


class Externs:
    """The externs among some modules; `names` says what each class is called in the file, by its origin."""

    def __init__(self, program: ir.Program, modules: Iterable[int], taken: Iterable[str]) -> None:
        self.modules = {n: program.modules[n] for n in modules if program.modules[n].kind == "extern"}
        self.names: dict[str, str] = {}
        used = set(taken)
        for module in self.modules.values():
            if not is_origin(module.origin):
                raise ValueError(f"not the place of a class: {module.origin!r}")
            if module.origin not in self.names:
                base = name = identifier(module.origin.partition(":")[2])
                count = 1
                while name in used:
                    count += 1
                    name = f"{base}_{count}"
                used.add(name)
                self.names[module.origin] = name

    def imports(self) -> list[str]:
        """The import statements, one a module."""
        found: dict[str, list[str]] = {}
        for origin, name in self.names.items():
            home, _, cls = origin.partition(":")
            found.setdefault(home, []).append(cls if cls == name else f"{cls} as {name}")
        return [f"from {home} import {', '.join(sorted(classes))}" for home, classes in sorted(found.items())]

    def construct(self, number: int) -> Code:
        """`Class(width=3)`: arguments have the names that the spec gives them."""
        module = self.modules[number]
        arguments = {name: attr.value for name, attr in module.arguments.items()}
        return Code("call", self.names[module.origin], (), arguments)

    def call(self, text: str, operands: Iterable[Any]) -> Code:
        """A call of the layer that `text` reaches; optional inputs behind the last one given are left out."""
        given = [list(o) if isinstance(o, tuple) else o for o in operands]
        while given and given[-1] is None:
            given.pop()
        return call(text, *given)
