"""Imports: which file one means, whether it may be read, and which of its names it brings in."""

from __future__ import annotations

import posixpath
import re

from nnspec.diagnostics import Edit, Fix, Label, Span, error
from nnspec.elaborate.expressions import block_value, target_names
from nnspec.elaborate.files import MAIN, FileScope, Namespace, Unreadable
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import UNKNOWN, Fault, Silent
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.syntax.build import dotted

MAX_FILES = 256
MAX_NESTING = 32
"""Files that import each other in a row."""
MAX_TEXT = 16 * 1024 * 1024
"""Characters of all files together."""

_LONGEST_PATH = 1000
_ABSOLUTE = re.compile(r"[/~]|[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Import = ast.Import | ast.FromImport


def locate(session: Session, scope: FileScope, node: Import) -> str:
    """The key of the file that an import means; what cannot be read or be gone into once more is a fault."""
    path = _path(node)
    try:
        if isinstance(node.path, ast.String):
            key = session.reader.locate(path, scope.key)
        else:
            key = session.reader.locate_library(path)
    except Unreadable as reason:
        raise unreadable(node, path, reason) from None
    if key == session.reader.main:
        key = MAIN
    _check_circle(session, scope, node, key)
    return key


def unreadable(node: Import, path: str, reason: Unreadable) -> Fault:
    """The fault of a file that cannot be imported."""
    message = f"cannot import `{path}`: {reason.reason}"
    return Fault(error(reason.code, message, node.path.span, "cannot be imported", helps=reason.helps))


def _path(node: Import) -> str:
    """What an import names: a path with an end, or a module of the library."""
    span = node.path.span
    if not isinstance(node.path, ast.String):
        return dotted(node.path) or ""
    parts = node.path.parts
    if any(not isinstance(part, str) for part in parts):
        raise Fault(error("NNS218", "the path of an import is plain text", span, "this is worked out"))
    path = "".join(str(part) for part in parts)
    if not path or len(path) > _LONGEST_PATH or _CONTROL.search(path):
        why = "nothing" if not path else "no path"
        raise Fault(error("NNS218", f"this names {why}", span, "expected the path of a file"))
    if "\\" in path:
        text = '"' + path.replace("\\", "/") + '"'
        fix = Fix("write `/`", (Edit(span, text),))
        raise Fault(error("NNS218", "parts of a path are separated by `/`", span, "has a `\\`", fixes=(fix,)))
    if _ABSOLUTE.match(path):
        raise Fault(
            error(
                "NNS219",
                f"`{path}` is not a relative path",
                span,
                "names a place on one machine",
                helps=("a path starts from the folder of the file that imports: it must mean the same on any machine",),
            )
        )
    if not path.endswith(".nns"):
        text = path if path.partition(".")[0] == "std" else f'"{path}.nns"'
        fixes = (Fix(f"write `{text}`", (Edit(span, text),)),) if text == path or "." not in path[-5:] else ()
        raise Fault(error("NNS218", f"`{path}` is not a spec", span, "does not end in `.nns`", fixes=fixes))
    return path


def _check_circle(session: Session, scope: FileScope, node: Import, key: str) -> None:
    """Refuse a file that is being read already: what it declares cannot be known yet."""
    keys = [opened for opened, _ in session.opening]
    if key not in keys:
        return
    start = keys.index(key)
    chain = [_title(session, opened) for opened in (*keys[start:], key)]
    others = [Label(at, "on the way here") for _, at in session.opening[start + 1 :] if at is not None]
    message = "a file imports itself" if len(chain) == 2 else f"files import each other: {' -> '.join(chain)}"
    helps = ("move what both need into a file of its own",) if len(chain) > 2 else ()
    raise Fault(error("NNS221", message, node.path.span, "closes the circle", others=others, helps=helps))


def _title(session: Session, key: str) -> str:
    return session.sources[session.files[key].file.span.source].name


def shown(session: Session, scope: FileScope, node: Import) -> str:
    """What messages call the imported file: its place as seen from where the main file's name starts."""
    path = _path(node)
    if not isinstance(node.path, ast.String):
        return path
    importer = session.sources[scope.file.span.source].name
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer.replace("\\", "/")), path))


def check_bounds(session: Session, node: Import, size: int) -> None:
    """Refuse one file too many, before it is parsed."""
    span = node.path.span
    message = ""
    if len(session.opening) > MAX_NESTING:
        message = f"files import each other more than {MAX_NESTING} deep"
    elif len(session.files) >= MAX_FILES:
        message = f"a program has at most {MAX_FILES} files"
    elif size + sum(len(source.text) for source in session.sources.items) > MAX_TEXT:
        message = f"the files of a program have more than {MAX_TEXT:,} characters together"
    if message:
        raise Fault(error("NNS310", message, span, "one file too many"))


# --- names -----------------------------------------------------------------------------------------------------------


def declared_names(file: ast.File) -> dict[str, Span]:
    """The names that a file declares, with their places."""
    found: dict[str, Span] = {}
    for declaration in file.declarations:
        if isinstance(declaration, ast.Definition):
            found.setdefault(declaration.name.id, declaration.name.span)
        elif isinstance(declaration, ast.Assign):
            for name in target_names(declaration.target):
                found.setdefault(name.id, name.span)
    return found


def bring_in(session: Session, scope: FileScope, node: Import, other: FileScope | None, own: dict[str, Span]) -> None:
    """Give the importing file its names; all of them are unknown where the other file could not be read."""
    if isinstance(node, ast.Import):
        _as_namespace(session, scope, node, other, own)
        return
    for name, alias in node.names:
        local = alias or name
        try:
            _claim(scope, local, own)
        except Fault as fault:
            session.sink.report(fault.diagnostic)
            continue
        scope.imports[local.id] = local.span
        try:
            _bring(session, scope, node, other, name, local)
        except (Fault, Silent) as fault:
            scope.constants[local.id] = UNKNOWN
            if isinstance(fault, Fault):
                session.sink.report(fault.diagnostic)
                for meant in (edit.text for fix in fault.diagnostic.fixes for edit in fix.edits):
                    if meant not in own and meant not in scope.imports:
                        scope.constants.setdefault(meant, UNKNOWN)  # its uses say what is meant


def _as_namespace(
    session: Session, scope: FileScope, node: ast.Import, other: FileScope | None, own: dict[str, Span]
) -> None:
    if node.alias is None:
        stem = re.split(r"[/.]", _path(node).removesuffix(".nns"))[-1]
        fix = Fix(
            "say what it is called here", (Edit(Span(node.span.end, node.span.end, node.span.source), f" as {stem}"),)
        )
        scope.constants.setdefault(stem, UNKNOWN)
        raise Fault(
            error(
                "NNS218", "this import gives no name", node.span, "no `as`", fixes=(fix,) if stem.isidentifier() else ()
            )
        )
    _claim(scope, node.alias, own)
    scope.imports[node.alias.id] = node.alias.span
    scope.constants[node.alias.id] = UNKNOWN if other is None else Namespace(other, _path(node))


def _claim(scope: FileScope, local: ast.Name, own: dict[str, Span]) -> None:
    """Refuse a name that the file has already."""
    first = scope.imports.get(local.id)
    if first is not None:
        raise Fault(
            error(
                "NNS202",
                f"`{local.id}` is imported twice",
                local.span,
                "again here",
                others=(Label(first, "first imported here"),),
                helps=("one of them can get another name: `as ...`",),
            )
        )
    if local.id in own:
        raise Fault(
            error(
                "NNS202",
                f"`{local.id}` is imported, and this file declares a `{local.id}` of its own",
                local.span,
                "imported here",
                others=(Label(own[local.id], "declared here"),),
                helps=(f"import it under another name: `{local.id} as ...`",),
            )
        )


def _bring(
    session: Session, scope: FileScope, node: ast.FromImport, other: FileScope | None, name: ast.Name, local: ast.Name
) -> None:
    if other is None:
        raise Silent
    if name.id in other.blocks and name.id not in other.imports:
        block = other.blocks[name.id]
        if local.id[0].islower() != name.id[0].islower():
            raise Fault(
                error(
                    "NNS206",
                    f"`{name.id}` cannot be called `{local.id}` here",
                    local.span,
                    "capitalised names are layers, and those in lower case functions",
                )
            )
        scope.blocks[local.id] = block
    else:
        scope.constants[local.id] = find(session, other, name.id, name.span, _path(node))


def find(session: Session, other: FileScope, name: str, span: Span, title: str) -> object:
    """What a name means that another file declares; a fault with that file's names if it does not."""
    if name not in other.imports:
        if name in other.blocks:
            return block_value(other.blocks[name], span)
        if name in other.constants:
            return other.constants[name]
        if any(isinstance(d, ast.Broken) for d in other.file.declarations):
            raise Silent  # what could not be read may declare it
    known = other.exports()
    close = suggest(name, known)
    helps: list[str] = []
    if name in other.imports:
        where = session.sources[other.imports[name].source]
        helps = [f"`{where.name}` imports it itself: take it from the file that declares it"]
    elif not close:
        helps = [f"it declares {', '.join(f'`{n}`' for n in known[:8])}" if known else "it declares nothing"]
    fixes = [Fix(f"did you mean `{close}`?", (Edit(span, close),))] if close and not helps else []
    raise Fault(error("NNS220", f"`{title}` has no `{name}`", span, "not declared there", helps=helps, fixes=fixes))
