"""What a file declares: its blocks and externs, what it imports, and its constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from nnspec.diagnostics import Label, Sink, Span, error
from nnspec.elaborate import imports
from nnspec.elaborate.budgets import is_budget
from nnspec.elaborate.extern import check_declaration
from nnspec.elaborate.files import FileScope, Unreadable
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.session import Session
from nnspec.elaborate.statements import run
from nnspec.elaborate.values import Fault, Silent
from nnspec.syntax import ast
from nnspec.syntax.parse import parse


def open_file(session: Session, file: ast.File, key: str, at: Span | None = None) -> FileScope:
    """The scope of a file, with all its names known; `at` is the place that imports it."""
    scope = FileScope(file, key)
    session.files[key] = session.scopes[file.span.source] = scope
    for declaration in file.declarations:
        if isinstance(declaration, ast.Definition):
            _declare_block(session, scope, declaration)
    following = [d for d in file.declarations if isinstance(d, imports.Import)]
    if following:
        with _opening(session, key, at):
            _follow(session, scope, following)
    _work_out_constants(session, scope)
    return scope


@contextmanager
def _opening(session: Session, key: str, at: Span | None) -> Iterator[None]:
    session.opening.append((key, at))
    try:
        yield
    finally:
        session.opening.pop()


def _work_out_constants(session: Session, scope: FileScope) -> None:
    """Run the file's assignments; its asserts are about the file itself, and are not repeated where it is imported."""
    kinds = (ast.Assign, ast.Assert, ast.Broken) if scope is session.main else (ast.Assign, ast.Broken)
    constants = [d for d in scope.file.declarations if isinstance(d, kinds)]
    constants = [d for d in constants if not (isinstance(d, ast.Assert) and is_budget(scope, d))]
    if not constants:
        return
    frame = Frame(session, "a constant", file=scope)
    frame.scope = scope.constants
    with suppress(Silent):
        run(frame, constants)


def _declare_block(session: Session, scope: FileScope, block: ast.Definition) -> None:
    name = block.name.id
    other = scope.blocks.get(name)
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
    scope.blocks[name] = block
    if isinstance(block, ast.Extern):
        check_declaration(session, block)
    seen: dict[str, Span] = {}
    for hyper in block.hyperparameters:
        if hyper.name.id in seen:
            session.sink.report(
                error("NNS202", f"`{name}` has two hyperparameters `{hyper.name.id}`", hyper.name.span, "again here")
            )
        seen[hyper.name.id] = hyper.name.span


# --- imports ---------------------------------------------------------------------------------------------------------


def _follow(session: Session, scope: FileScope, nodes: list[imports.Import]) -> None:
    """Read what a file imports, and bring its names in."""
    own = imports.declared_names(scope.file)
    for node in nodes:
        other = None
        try:
            other = _imported(session, scope, node)
        except Fault as fault:
            session.sink.report(fault.diagnostic)
        try:
            imports.bring_in(session, scope, node, other, own)
        except Fault as fault:
            session.sink.report(fault.diagnostic)


def _imported(session: Session, scope: FileScope, node: imports.Import) -> FileScope:
    """The file that an import means, read once in a program."""
    key = imports.locate(session, scope, node)
    known = session.files.get(key)
    if known is not None:
        return known
    name = imports.shown(session, scope, node)
    try:
        text = session.reader.read(key)
    except Unreadable as reason:
        raise imports.unreadable(node, name, reason) from None
    imports.check_bounds(session, node, len(text))
    number = session.sources.add(name, text)
    return open_file(session, _parsed(session, text, number, node), key, node.path.span)


def _parsed(session: Session, text: str, number: int, node: imports.Import) -> ast.File:
    """The tree of a file; what is wrong with it is shown there, with the place that imports it."""
    sink = Sink()
    file = parse(text, sink, number)
    for diagnostic in sink.diagnostics:
        label = Label(node.path.span, "imported here")
        session.sink.report(replace(diagnostic, labels=(*diagnostic.labels, label)))
    return file
