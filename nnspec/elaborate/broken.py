"""What a line that could not be read leaves behind: names that nothing more is said about."""

from __future__ import annotations

import re

from nnspec.elaborate.expressions import library
from nnspec.elaborate.frame import Frame
from nnspec.syntax import ast

_WORD = re.compile(r"[A-Za-z_]\w*")
_TARGETS = re.compile(r"^[ \t]*(?:output[ \t]+)?([\w,() \t]*?)(?=[ \t]*=[^=]|[ \t]+\w)", re.MULTILINE)
_DECLARED = re.compile(r"\b(?:block|model|as)[ \t]+([A-Za-z_]\w*)")
_FIRST = re.compile(r"^([A-Za-z_]\w*)[ \t]*=", re.MULTILINE)
_LONGEST = 4000
"""Characters of a broken part that are looked at."""


def broken_names(frame: Frame, statement: ast.Broken) -> list[str]:
    """What a broken line may have bound: what stands in front of `=`, and all words that are new."""
    text = frame.session.text(statement.span)[:_LONGEST]
    if frame.scope is frame.session.constants:
        return _DECLARED.findall(text) + [word for word in _FIRST.findall(text) if word not in frame.scope]
    bound = {word for part in _TARGETS.findall(text) for word in _WORD.findall(part)}
    new = {w for w in _WORD.findall(text) if w not in frame.scope and library(frame, w, statement.span) is None}
    return sorted(word for word in bound | new if word not in frame.fixed and word not in frame.session.constants)
