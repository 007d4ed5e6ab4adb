"""Names that a statement binds, and those that one binds perhaps that could not be read."""

from __future__ import annotations

import re

from nnspec import registry_std
from nnspec.elaborate.expressions import library, target_names
from nnspec.elaborate.frame import Frame
from nnspec.syntax import ast

_WORD = re.compile(r"[A-Za-z_]\w*")
_TARGETS = re.compile(r"^[ \t]*(?:output[ \t]+)?([\w,() \t]*?)(?=[ \t]*=[^=]|[ \t]+\w)", re.MULTILINE)
_DECLARED = re.compile(r"\b(?:block|model|as)[ \t]+([A-Za-z_]\w*)")
_FIRST = re.compile(r"^([A-Za-z_]\w*)[ \t]*=", re.MULTILINE)
_CHANGED = re.compile(r"^[ \t]*([A-Za-z_]\w*)\.\w+\(", re.MULTILINE)
_IMPORTED = re.compile(r"^(?:from[ \t].*?)?\bimport\b(.*)", re.MULTILINE)
_ALL = re.compile(r"^from[ \t]+(std\.\w+)[ \t]+import[ \t]*\*", re.MULTILINE)
_LONGEST = 4000
"""Characters of a broken part that are looked at."""


def bound_names(statement: ast.Statement) -> list[str]:
    """The names that a statement binds, those of statements inside included."""
    if isinstance(statement, ast.Assign):
        return [n.id for n in target_names(statement.target) if n.id != "_"]
    if isinstance(statement, (ast.Input, ast.Parameter)):
        return [statement.name.id]
    if isinstance(statement, ast.Output):
        return [statement.name.id] if statement.name else []
    bodies: list[ast.Body] = []
    if isinstance(statement, ast.If):
        bodies = [b for b in (statement.then, statement.orelse) if b is not None]
    elif isinstance(statement, (ast.For, ast.Group)):
        bodies = [statement.body]
    return [name for body in bodies for inner in body.statements for name in bound_names(inner)]


def broken_names(frame: Frame, statement: ast.Broken) -> list[str]:
    """What a broken line may have bound: what stands in front of `=`, and all words that are new."""
    text = frame.session.text(statement.span)[:_LONGEST]
    if frame.scope is frame.file.constants:
        named = _DECLARED.findall(text) + [word for part in _IMPORTED.findall(text) for word in _WORD.findall(part)]
        named += [name for name, homes in registry_std.blocks().items() if set(homes) & set(_ALL.findall(text))]
        return named + [word for word in _FIRST.findall(text) if word not in frame.scope]
    bound = {word for part in _TARGETS.findall(text) for word in _WORD.findall(part)} | set(_CHANGED.findall(text))
    new = {w for w in _WORD.findall(text) if w not in frame.scope and library(frame, w, statement.span) is None}
    return sorted(word for word in bound | new if word not in frame.fixed and word not in frame.file.constants)
