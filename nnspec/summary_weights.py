"""How many parameters the modules of a program have, tied ones counted once, where they are owned."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nnspec import ir

_BYTES = {"64": 8, "32": 4, "16": 2}


@dataclass(frozen=True, slots=True)
class Count:
    """Elements of the parameters (they are trained) and buffers (they are not), and the bytes that each takes.

    What `externs` own besides is for their Python to know.
    """

    parameters: int = 0
    buffers: int = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    externs: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.parameters + other.parameters,
            self.buffers + other.buffers,
            self.parameter_bytes + other.parameter_bytes,
            self.buffer_bytes + other.buffer_bytes,
            self.externs + other.externs,
        )


class Weights:
    """Counts modules; `aliases` are paths from a module that are tied to something that is counted elsewhere."""

    def __init__(self, program: ir.Program) -> None:
        self._program = program
        self._counts: dict[tuple[int, frozenset[str]], Count] = {}
        self._members: dict[frozenset[str], dict[str, set[str]]] = {}

    def of(self, module: int) -> Count:
        """A module by itself."""
        return self.below(module, self.ties(module))

    def ties(self, module: int) -> frozenset[str]:
        """The aliases that a module itself declares."""
        return frozenset(tie.alias for tie in self._program.modules[module].ties)

    def below(self, module: int, aliases: frozenset[str]) -> Count:
        """A module less its aliases (which include its own)."""
        key = (module, aliases)
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = self._count(module, aliases)
        return found

    def inner(self, module: int | None, name: str, aliases: frozenset[str]) -> tuple[int | None, frozenset[str]]:
        """The module that a member is, if it is one, and its aliases."""
        member = None if module is None else self._find(module, name)
        if member is None or member.module is None:
            return None, frozenset()
        below = self._by_member(aliases).get(name, ())
        return member.module, frozenset(below) | self.ties(member.module)

    def _by_member(self, aliases: frozenset[str]) -> dict[str, set[str]]:
        """Aliases by their first names, less these."""
        found = self._members.get(aliases)
        if found is None:
            found = self._members[aliases] = {}
            for alias in aliases:
                first, _, rest = alias.partition(".")
                found.setdefault(first, set()).add(rest)
        return found

    def _find(self, module: int, name: str) -> ir.Member | None:
        try:
            return self._program.find(module, name)
        except KeyError:
            return None

    def _count(self, module: int, aliases: frozenset[str]) -> Count:
        by_member = self._by_member(aliases)
        total = Count(externs=int(self._program.modules[module].kind == "extern"))
        for member in self._program.modules[module].members:
            if member.module is not None:
                below = frozenset(by_member.get(member.name, ())) | self.ties(member.module)
                total += self.below(member.module, below)
            elif member.name not in by_member:
                total += count_member(member)
        return total


def count_member(member: ir.Member) -> Count:
    """A parameter or buffer."""
    assert member.type is not None, member.name
    elements = prod(dim if isinstance(dim, int) else 0 for dim in member.type.dims)
    size = elements * next((n for bits, n in _BYTES.items() if member.type.dtype.endswith(bits)), 1)
    return Count(elements, 0, size, 0) if member.kind == "param" else Count(0, elements, 0, size)
