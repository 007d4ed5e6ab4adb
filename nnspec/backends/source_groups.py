"""Which modules are written together: those of one block whose own blocks are written already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec import ir


def block_of(module: ir.Module) -> tuple[Any, ...]:
    """What tells blocks apart: the name, and the place in the spec."""
    return module.name, module.span


def groups(program: ir.Program, blocks: Sequence[int]) -> Iterator[list[int]]:
    """The modules of each block in one group, callees first; several where a block holds others of its own kind."""
    owned = {number: list(_owned(program, number)) for number in blocks}
    waiting: dict[Any, list[int]] = {}
    for number in blocks:
        waiting.setdefault(block_of(program.modules[number]), []).append(number)
    done: set[int] = set()
    while waiting:
        ready = {key: [n for n in numbers if done.issuperset(owned[n])] for key, numbers in waiting.items()}
        whole = [key for key, numbers in ready.items() if len(numbers) == len(waiting[key])]
        for key in whole or [next(key for key, numbers in ready.items() if numbers)]:
            yield ready[key]
            done.update(ready[key])
            waiting[key] = [number for number in waiting[key] if number not in done]
            if not waiting[key]:
                del waiting[key]


def _owned(program: ir.Program, number: int) -> Iterator[int]:
    """The blocks in a module, through its containers."""
    seen = {number}
    stack = [number]
    while stack:
        for member in program.modules[stack.pop()].members:
            inner = member.module
            if inner is not None and inner not in seen:
                seen.add(inner)
                if program.modules[inner].kind == "block":
                    yield inner
                elif program.modules[inner].kind != "layer":
                    stack.append(inner)
