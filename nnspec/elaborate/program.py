"""A whole file: declarations collected, constants worked out, models elaborated, the program put together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from nnspec import ir
from nnspec.diagnostics import Label, Sink, Sources, Span, error
from nnspec.elaborate import blocks
from nnspec.elaborate.blocks import complete_block
from nnspec.elaborate.declarations import open_file
from nnspec.elaborate.entries import entry_of
from nnspec.elaborate.files import MAIN, FileScope, Namespace, Reader
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.names import check_statement, walk
from nnspec.elaborate.overrides import setting_called, value_of
from nnspec.elaborate.session import Session
from nnspec.elaborate.statements import run
from nnspec.elaborate.values import BlockRecipe, Fault, Silent
from nnspec.suggest import suggest
from nnspec.syntax import ast

_T = TypeVar("_T")

Overrides = Mapping[str, Any]
"""Hyperparameters set from outside: values, or `overrides.Written` text in the language's own notation."""


def start(file: ast.File, sources: Sources, sink: Sink, reader: Reader, *, allow_extern: bool = False) -> Session:
    """A session with the file's names known, and the files that it imports."""
    session = Session(sources, sink, reader, run, check_statement, allow_extern=allow_extern)
    with _deep_recursion():
        open_file(session, file, MAIN)
    return session


def models(session: Session) -> list[ast.Block]:
    """The models of the file, in order; those that it imports are another's."""
    return [b for b in session.main.own_blocks if isinstance(b, ast.Block) and b.kind == "model"]


def train_section(session: Session) -> ast.Train | None:
    """The `train` section of the file; a second one is a fault."""
    found = [d for d in session.main.file.declarations if isinstance(d, ast.Train)]
    for extra in found[1:]:
        session.sink.report(
            error(
                "NNS202",
                "there are two `train` sections",
                extra.head,
                "again here",
                others=(Label(found[0].head, "first here"),),
            )
        )
    return found[0] if found else None


def choose(session: Session, name: str | None) -> ast.Block | None:
    """The model that is meant: the one named, the one that is trained, or the only one that no other uses."""
    known = models(session)
    if name is not None:
        found = _model_called(session.main, name)
        if found is None:
            _no_model(session, name, known)
        return found
    train = train_section(session)
    trained = _trained(session, train)
    if trained is not None:
        return trained
    if not known:
        _no_model(session, None, known)
        return None
    if len(known) > 1:
        used = {n for b in session.main.own_blocks for n in _mentioned(b)}
        tops = [b for b in known if b.name.id not in used]
        if len(tops) == 1:
            return tops[0]
        if train is not None and session.sink.failed and not isinstance(train.model, (ast.Name, ast.Call)):
            return None  # the head of `train`, which may say it, could not be read
        names = ", ".join(f"`{b.name.id}`" for b in known)
        session.sink.report(
            error(
                "NNS211",
                f"this file has several models: {names}",
                known[0].name.span,
                "which one is meant?",
                helps=(
                    f"name it: `--model {known[-1].name.id}`",
                    *(
                        (f"or behind `train`: `train {known[-1].name.id} {{`",)
                        if train is not None and not trains_several(train)
                        else ()
                    ),
                ),
            )
        )
        return None
    return known[0]


def _model_called(file: FileScope, name: str) -> ast.Block | None:
    found = file.blocks.get(name)
    return found if isinstance(found, ast.Block) and found.kind == "model" else None


def _trained(session: Session, train: ast.Train | None) -> ast.Block | None:
    """The model that the head of `train` names, which may be imported."""
    node = None if train is None else train.model
    if isinstance(node, ast.Call):
        node = node.function
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        other = session.main.constants.get(node.value.id)
        return _model_called(other.file, node.name) if isinstance(other, Namespace) else None
    return _model_called(session.main, node.id) if isinstance(node, ast.Name) else None


def trains_several(train: ast.Train | None) -> bool:
    """Whether the head of `train` binds several models: `train (G = Generator(), D = Discriminator())`."""
    return train is not None and isinstance(train.model, ast.Tuple)


def _mentioned(block: ast.Definition) -> set[str]:
    return {n.id for n in walk(block.body) if isinstance(n, ast.Name) and n.id != block.name.id}


def _no_model(session: Session, name: str | None, known: list[ast.Block]) -> None:
    broken = any(isinstance(d, ast.Broken) for d in session.main.file.declarations)
    if name is None:
        if not broken and not session.sink.failed:
            session.sink.report(
                error(
                    "NNS210",
                    "there is no model in this file",
                    Span(0, 0),
                    helps=("a model begins with `model Name {`",),
                )
            )
        return
    names = [b.name.id for b in known]
    close = suggest(name, names)
    helps = [f"did you mean `{close}`?"] if close else [f"models here: {', '.join(names)}"] if names else []
    session.sink.report(error("NNS210", f"there is no model `{name}` in this file", Span(0, 0), helps=helps))


def recipe_for(session: Session, block: ast.Block, overrides: Overrides, train: ast.Train | None) -> BlockRecipe | None:
    """The model with its hyperparameters: overrides first, then the head of `train`, then defaults."""
    try:
        given: dict[str, tuple[Any, Span]] = {}
        exprs: dict[str, str] = {}
        if train is not None and isinstance(train.model, ast.Call) and _trained(session, train) is block:
            frame = Frame(session, "`train`")
            recipe = blocks.bind_block(frame, block, train.model) if train.model.arguments else None
            written = {a.name for a in train.model.arguments}
            positional = [h.name.id for h in block.hyperparameters][
                : sum(a.name is None for a in train.model.arguments)
            ]
            for name in (*positional, *(n for n in written if n)):
                assert recipe is not None
                given[name] = (recipe.arguments[name], train.model.span)
        known = {h.name.id: h.default for h in block.hyperparameters}
        for name, value in overrides.items():
            if name not in known:
                close = suggest(name, known)
                helps = [f"did you mean `{close}`?"] if close else [f"they are {', '.join(known)}"] if known else []
                if train is not None and (setting := setting_called(name)):
                    helps = [f"did you mean `{setting}`?"]
                raise Fault(
                    error("NNS314", f"`{block.name.id}` has no hyperparameter `{name}`", block.head, helps=helps)
                )
            given[name] = (value_of(session, name, value, known[name]), block.head)
        _check_complete(block, given)
        return complete_block(session, block, given, exprs, block.head)
    except Fault as fault:
        session.sink.report(fault.diagnostic)
    except Silent:
        pass
    return None


def _check_complete(block: ast.Block, given: Mapping[str, Any]) -> None:
    """A model that is compiled by itself has nobody who gives its hyperparameters but its defaults and the caller."""
    missing = [h.name.id for h in block.hyperparameters if h.default is None and h.name.id not in given]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        sets = " ".join(f"--set {name}=..." for name in missing)
        raise Fault(
            error(
                "NNS302",
                f"`{block.name.id}` needs {names}",
                block.head,
                f"missing {names}",
                helps=(f"give {names} a default, or `compile` and `run` it with `{sets}`",),
            )
        )


@contextmanager
def _deep_recursion() -> Iterator[None]:
    """Blocks nest to a depth of 64, expressions to 200: more than Python's default allows."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 6_000))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def elaborate_model(session: Session, recipe: BlockRecipe) -> ir.Entry | None:
    """Elaborate a model by itself, for both modes where it asks for `training`."""
    return within_depth(session, lambda: entry_of(session, recipe), recipe.title, recipe.block.head)


def within_depth(session: Session, action: Callable[[], _T | None], title: str, span: Span) -> _T | None:
    """Run an elaboration, which may nest deeply; None when it has faults, which are reported."""
    with _deep_recursion():
        try:
            return action()
        except Silent:
            return None
        except RecursionError:
            session.sink.report(
                error(
                    "NNS310",
                    f"blocks and expressions of `{title}` are nested too deeply",
                    span,
                    "too many levels",
                    helps=("let blocks use themselves fewer times, or split long expressions",),
                )
            )
            return None


def finish(session: Session, entries: list[ir.Entry], training: ir.Training | None = None) -> ir.Program:
    """The program of these entries."""
    sources = tuple((s.name, s.text) for s in session.sources.items)
    return ir.Program(tuple(session.modules), tuple(session.methods), tuple(entries), training, sources)
