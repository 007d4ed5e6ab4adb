"""A whole file: declarations collected, constants worked out, models elaborated, the program put together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Label, Sink, Sources, Span, error
from nnspec.elaborate import blocks
from nnspec.elaborate.blocks import complete_block, elaborate_body
from nnspec.elaborate.frame import Frame, GraphBuilder
from nnspec.elaborate.inputs import free_type, input_statements, symbol_names
from nnspec.elaborate.names import check_statement, walk
from nnspec.elaborate.overrides import setting_called, value_of
from nnspec.elaborate.session import Session
from nnspec.elaborate.statements import not_built, run
from nnspec.elaborate.values import UNKNOWN, BlockRecipe, Fault, Silent
from nnspec.facts import Facts
from nnspec.suggest import suggest
from nnspec.syntax import ast

Overrides = Mapping[str, Any]
"""Hyperparameters set from outside: values, or `overrides.Written` text in the language's own notation."""


def start(file: ast.File, sources: Sources, sink: Sink) -> Session:
    """A session with the file's declarations known."""
    session = Session(file, sources, sink, run, check_statement)
    for declaration in file.declarations:
        if isinstance(declaration, ast.Block):
            _declare_block(session, declaration)
        elif isinstance(declaration, (ast.Import, ast.FromImport)):
            sink.report(not_built("`import`", declaration.span))
            _poison_import(session, declaration)
        elif isinstance(declaration, ast.Extern):
            sink.report(not_built("`extern`", declaration.span))
            session.poison(declaration.name.id)
    frame = Frame(session, "a constant")
    frame.scope = session.constants
    constants = [d for d in file.declarations if isinstance(d, (ast.Assign, ast.Assert, ast.Broken))]
    with _deep_recursion(), suppress(Silent):
        run(frame, constants)
    return session


def _poison_import(session: Session, node: ast.Import | ast.FromImport) -> None:
    if isinstance(node, ast.Import):
        names = [node.alias] if node.alias else []
    else:
        names = [alias or name for name, alias in node.names]
    for name in names:
        session.poison(name.id)


def _declare_block(session: Session, block: ast.Block) -> None:
    name = block.name.id
    other = session.blocks.get(name)
    if other is not None:
        session.sink.report(
            error(
                "NNS202",
                f"there are two blocks `{name}`",
                block.name.span,
                "declared again here",
                others=(Label(other.name.span, "first declared here"),),
            )
        )
        return
    session.blocks[name] = block
    seen: dict[str, Span] = {}
    for hyper in block.hyperparameters:
        if hyper.name.id in seen:
            session.sink.report(
                error("NNS202", f"`{name}` has two hyperparameters `{hyper.name.id}`", hyper.name.span, "again here")
            )
        seen[hyper.name.id] = hyper.name.span


def models(session: Session) -> list[ast.Block]:
    """The models of the file, in order."""
    return [b for b in session.blocks.values() if b.kind == "model"]


def train_section(session: Session) -> ast.Train | None:
    """The `train` section of the file; a second one is a fault."""
    found = [d for d in session.file.declarations if isinstance(d, ast.Train)]
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
        for block in known:
            if block.name.id == name:
                return block
        _no_model(session, name, known)
        return None
    train = train_section(session)
    if train is not None and train.model is not None:
        named = train.model.function if isinstance(train.model, ast.Call) else train.model
        if isinstance(named, ast.Name):
            for block in known:
                if block.name.id == named.id:
                    return block
    if not known:
        _no_model(session, None, known)
        return None
    if len(known) > 1:
        used = {n for b in session.blocks.values() for n in _mentioned(b)}
        tops = [b for b in known if b.name.id not in used]
        if len(tops) == 1:
            return tops[0]
        names = ", ".join(f"`{b.name.id}`" for b in known)
        session.sink.report(
            error(
                "NNS211",
                f"this file has several models: {names}",
                known[0].name.span,
                "which one is meant?",
                helps=(
                    f"name it: `--model {known[-1].name.id}`",
                    *((f"or behind `train`: `train {known[-1].name.id} {{`",) if train is not None else ()),
                ),
            )
        )
        return None
    return known[0]


def _mentioned(block: ast.Block) -> set[str]:
    return {n.id for n in walk(block.body) if isinstance(n, ast.Name) and n.id != block.name.id}


def _no_model(session: Session, name: str | None, known: list[ast.Block]) -> None:
    broken = any(isinstance(d, ast.Broken) for d in session.file.declarations)
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
        if train is not None and isinstance(train.model, ast.Call) and _names(train.model, block):
            frame = Frame(session, "`train`")
            recipe = blocks.bind_block(frame, block, train.model) if train.model.arguments else None
            written = {a.name for a in train.model.arguments}
            positional = [h.name.id for h in block.hyperparameters][
                : sum(a.name is None for a in train.model.arguments)
            ]
            for name in (*positional, *(n for n in written if n)):
                assert recipe is not None
                given[name] = (recipe.arguments[name], train.model.span)
        known = [h.name.id for h in block.hyperparameters]
        for name, value in overrides.items():
            if name not in known:
                close = suggest(name, known)
                helps = [f"did you mean `{close}`?"] if close else [f"they are {', '.join(known)}"] if known else []
                if train is not None and (setting := setting_called(name)):
                    helps = [f"did you mean `{setting}`?"]
                raise Fault(
                    error("NNS314", f"`{block.name.id}` has no hyperparameter `{name}`", block.head, helps=helps)
                )
            given[name] = (value_of(session, name, value), block.head)
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


def _names(node: ast.Call, block: ast.Block) -> bool:
    return isinstance(node.function, ast.Name) and node.function.id == block.name.id


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
    with _deep_recursion():
        try:
            return _both_modes(session, recipe)
        except Silent:
            return None
        except RecursionError:
            session.sink.report(
                error(
                    "NNS310",
                    f"blocks and expressions of `{recipe.title}` are nested too deeply",
                    recipe.block.head,
                    "too many levels",
                    helps=("let blocks use themselves fewer times, or split long expressions",),
                )
            )
            return None


def _both_modes(session: Session, recipe: BlockRecipe) -> ir.Entry | None:
    first = _elaborate(session, recipe, "train", None)
    if first.failed:
        return None
    methods = {"infer": first.method}
    if first.uses_training:
        second = _elaborate(session, recipe, "infer", first.module)
        if second.failed:
            return None
        methods = {"infer": second.method, "train": first.method}
    block = recipe.block
    return ir.Entry(block.name.id, first.module, methods, block.doc, block.head)


def _elaborate(session: Session, recipe: BlockRecipe, mode: ir.Mode, expected: int | None) -> blocks.Elaborated:
    block = recipe.block
    frame = Frame(session, f"`{block.name.id}`", facts=Facts(), mode=mode)
    frame.root_kind = "model"
    frame.block = block
    frame.graph = GraphBuilder()
    for name, value in recipe.arguments.items():
        frame.scope[name] = value
        frame.fixed[name] = "hyperparameter"
    types = []
    for number, statement in enumerate(input_statements(block)):
        name = statement.name.id
        try:
            if statement.default is not None:
                raise Fault(not_built("an optional input of a model", statement.default.span))
            type_ = free_type(frame, statement, number)
            tensor = frame.graph.value(type_, statement.span)
            frame.graph.hint(tensor, name)
            frame.bind(name, tensor, statement.name.span)
            types.append(type_)
        except (Fault, Silent) as fault:
            frame.failed = True
            if isinstance(fault, Fault):
                frame.report(fault.diagnostic)
            frame.scope[name] = UNKNOWN
            for symbol in symbol_names(statement):
                frame.scope.setdefault(symbol, UNKNOWN)
    return elaborate_body(frame, recipe, types, expected)


def finish(session: Session, entries: list[ir.Entry], training: ir.Training | None = None) -> ir.Program:
    """The program of these entries."""
    sources = tuple((s.name, s.text) for s in session.sources.items)
    return ir.Program(tuple(session.modules), tuple(session.methods), tuple(entries), training, sources)
