"""Values set from outside the file, in the language's own notation: `--set act=GELU`, `--set train.epochs=3`."""

from __future__ import annotations

import re
from typing import Any

from nnspec.arguments import parse_words, words_of
from nnspec.diagnostics import Sink, Span, error
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import Fault, Silent
from nnspec.syntax import ast
from nnspec.syntax.parse import parse
from nnspec.training.settings import Settings


class Written(str):
    """An override given as text of the language."""

    __slots__ = ()


def parse_value(session: Session, name: str, text: Written) -> ast.Expr:
    """The expression that an override says."""
    number = session.sources.add(f"--set {name}={text}", f"value = {text}")
    sink = Sink()
    file = parse(session.sources[number].text, sink, number)
    if sink.failed:
        for diagnostic in sink.diagnostics:
            session.sink.report(diagnostic)
        raise Silent
    if len(file.declarations) != 1 or not isinstance(file.declarations[0], ast.Assign):
        raise Fault(error("NNS314", f"`{text}` is not a value", Span(0, len(text) + 8, number), "not a value"))
    return file.declarations[0].value


_BARE = re.compile(r"[\w./~-]+(?: [\w./~-]+)*")


def parse_setting(session: Session, name: str, text: Written, kind: str) -> ast.Expr:
    """The expression that an override says for a setting of a kind: a word needs no quotes where it can be one."""
    word = text in words_of(kind) or ("str" in parse_words(kind) and _BARE.fullmatch(text) and text != "none")
    return parse_value(session, name, Written(f'"{text}"') if word else text)


def setting_called(name: str) -> str | None:
    """The setting of `train` that a bare name may mean: `train.epochs`, or `train.optimizer.lr`."""
    if name in Settings.fields:
        return f"train.{name}"
    return f"train.optimizer.{name}" if name in ("lr", "momentum", "weight_decay", "betas") else None


_NO_WORDS = (ast.Call, ast.Chain, ast.List, ast.Name, ast.Number)
"""Defaults whose place no string takes."""


def value_of(session: Session, name: str, given: Any, default: ast.Expr | None = None) -> Any:
    """The value of an override: a value from Python as it is, text worked out.

    A bare word may stand for itself, as a string, unless the default is of another kind.
    """
    if not isinstance(given, Written):
        return list(given) if isinstance(given, tuple) else given
    node = parse_value(session, name, given)
    frame = Frame(session, "an override")
    is_bool = isinstance(default, ast.Constant) and isinstance(default.value, bool)
    word = isinstance(node, ast.Name) and node.id[:1].islower()
    if word and not is_bool and not isinstance(default, _NO_WORDS):
        try:
            return evaluate(frame, node)
        except Fault:
            return str(given)
    return evaluate(frame, node)
