"""How deep a tree is, found without recursion: what comes after the parser may recurse over it."""

from __future__ import annotations

from typing import Any

from nnspec.syntax import ast

MAX_DEPTH = 400
_FIELDS: dict[type[Any], tuple[str, ...]] = {}


def too_deep(root: ast.Node) -> ast.Node | None:
    """A node that lies deeper than anything may, if there is one."""
    level: list[Any] = [root]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return None
    return next((node for node in level if isinstance(node, ast.Node)), root)


def _children(node: Any) -> list[Any]:
    if isinstance(node, tuple):
        return [child for child in node if isinstance(child, (ast.Node, tuple))]
    found: list[Any] = []
    for name in _fields(type(node)):
        value = getattr(node, name)
        if isinstance(value, tuple):
            found += [child for child in value if isinstance(child, (ast.Node, tuple))]
        elif isinstance(value, ast.Node):
            found.append(value)
    return found


def _fields(kind: type[Any]) -> tuple[str, ...]:
    if kind not in _FIELDS:
        slots = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
        _FIELDS[kind] = tuple(name for name in slots if name != "head" and not name.endswith("span"))
    return _FIELDS[kind]
