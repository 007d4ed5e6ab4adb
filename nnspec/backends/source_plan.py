"""How a block is laid out in torch: which container class holds what, and which calls are one statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from nnspec import ir
from nnspec.backends.source_names import plain
from nnspec.backends.source_text import quote

Holder = Literal["Sequential", "ModuleList", "ModuleDict", "Module"]

_METHODS = frozenset(("append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values"))
"""Methods of torch's containers: their members cannot be called so."""


@dataclass(slots=True)
class Step:
    """One statement of a body: a node, a whole container called at once (`run`), a loop over one, or a scan.

    `path` is what is called: a layer, or a container. A run or loop stands for the nodes that it `covers`; a loop's
    input is what goes from turn to turn, and `inner` are the steps of its first turn, for the member `first`. Those of
    a scan are the steps of its body.
    """

    kind: Literal["node", "run", "loop", "scan"]
    node: ir.Node
    inputs: tuple[ir.Operand, ...]
    outputs: tuple[Any, ...]
    path: str = ""
    covers: tuple[ir.Node, ...] = ()
    first: str = ""
    inner: tuple[Step, ...] = ()
    part: tuple[int, int | None] = (0, None)
    """Which members of its container a loop goes through, as a slice."""


class Layout:
    """A block's members as torch objects: paths, containers, and the text that reaches a member."""

    def __init__(self, program: ir.Program, number: int, layouts: dict[int, Layout]) -> None:
        self.program = program
        self.module = program.modules[number]
        self.number = number
        self.runs: set[str] = set()
        """Containers that are called as a whole somewhere."""
        self._layouts = layouts
        self._expressible: dict[int, bool] = {}
        self._positions: dict[int, dict[str, int]] = {}
        self._numbered: dict[int, bool] = {}
        self.only_body = False
        """Whether the block computes one thing only, so that it may itself be a container that is called."""

    # --- containers ---

    def inner(self, path: str) -> ir.Module:
        """The module at a path that goes through containers only."""
        return self.program.modules[self.program.module_at(self.number, path)]

    def numbered(self, module: ir.Module) -> bool:
        """Whether the members are modules called 0, 1, 2, ..."""
        known = self._numbered.get(id(module))
        if known is None:
            known = all(m.kind == "module" and m.name == str(i) for i, m in enumerate(module.members))
            self._numbered[id(module)] = known
        return known

    def holder(self, path: str, module: ir.Module) -> Holder:
        """The torch class for a container."""
        if not self._inline(module):
            return "Module"
        if path in self.runs:
            return "Sequential"
        return "ModuleList" if self.numbered(module) else "ModuleDict"

    def _inline(self, module: ir.Module) -> bool:
        """Whether a container can be built by one expression."""
        known = self._expressible.get(id(module))
        if known is None:
            known = all(
                m.module is not None and m.name not in _METHODS and self._inline_member(self.program.modules[m.module])
                for m in module.members
            )
            self._expressible[id(module)] = known
        return known

    def _inline_member(self, module: ir.Module) -> bool:
        return module.kind in ir.CALLED or self._inline(module)

    @property
    def base(self) -> Holder:
        """What the block's class derives from: a container, when its members are merely numbered."""
        if not self.module.members or not self.numbered(self.module) or not self._inline(self.module):
            return "Module"
        return "Sequential" if "" in self.runs else "ModuleList"

    # --- access ---

    def access(self, path: str, start: str = "self") -> str:
        """The expression that reaches a member: `self.layers[0].norm`."""
        text, at, layout = start, "", self
        module: ir.Module | None = self.module
        for name in path.split("."):
            text = layout._reach(text, at, module, name)
            at = f"{at}.{name}" if at else name
            number = self._child(module, name)
            module = None if number is None else self.program.modules[number]
            if number is not None and module is not None and module.kind == "block":
                layout, at = self._layouts[number], ""
        return text

    def _reach(self, text: str, at: str, module: ir.Module | None, name: str) -> str:
        if plain(name):
            return f"{text}.{name}"
        if module is None or module.kind == "layer":
            return f"getattr({text}, {quote(name)})"
        holder = self.holder(at, module) if at else self.base
        if holder in ("Sequential", "ModuleList"):
            return f"{text}[{self._position(module, name)}]"
        return f"{text}[{quote(name)}]" if holder == "ModuleDict" else f"getattr({text}, {quote(name)})"

    def values(self, path: str) -> str:
        """What a loop over the members of a container writes behind it: a `ModuleDict` goes through its keys."""
        return ".values()" if path and self.holder(path, self.inner(path)) == "ModuleDict" else ""

    def _position(self, module: ir.Module, name: str) -> int | None:
        positions = self._positions.get(id(module))
        if positions is None:
            positions = self._positions[id(module)] = {m.name: i for i, m in enumerate(module.members)}
        return positions.get(name)

    def _child(self, module: ir.Module | None, name: str) -> int | None:
        at = None if module is None or module.kind == "layer" else self._position(module, name)
        return None if module is None or at is None else module.members[at].module

    # --- calls of whole containers ---

    def starts(self, path: str) -> list[str]:
        """The containers whose first layer is the one at a path, outermost first."""
        found = []
        containers = path.split(".")[:-1]
        names = path.split(".")
        for depth in range(len(containers), -1, -1):
            container = ".".join(names[:depth])
            module = self.inner(container)
            if not module.members or module.members[0].name != names[depth]:
                break
            if self._inline(module) and (depth or self.numbered(module)):
                found.append(container)
        return found[::-1]

    def lists(self, path: str) -> Iterator[tuple[str, int]]:
        """The containers of numbered members on the way to a layer, and which of their members leads there."""
        names = path.split(".")
        for depth in range(1, len(names)):
            container = ".".join(names[:depth])
            module = self.inner(container)
            if self.numbered(module) and self._inline(module):
                yield container, int(names[depth])

    def leaves(self, path: str) -> Iterator[str]:
        """The paths of the layers in a container, in order."""
        for member in self.inner(path).members:
            assert member.module is not None
            inner = f"{path}.{member.name}" if path else member.name
            if self.program.modules[member.module].kind in ir.CALLED:
                yield inner
            else:
                yield from self.leaves(inner)
