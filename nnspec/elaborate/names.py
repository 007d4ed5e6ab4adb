"""Names and arguments in what was not elaborated: branches not taken, loops of no turns, blocks that nobody uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from nnspec import registry
from nnspec.elaborate.binding import flows_in, given_text, missing_argument, pair_up, unknown_argument
from nnspec.elaborate.bound import bound_names, broken_names
from nnspec.elaborate.builtins import BUILTINS, CONSTANTS
from nnspec.elaborate.expressions import target_names, unknown_name
from nnspec.elaborate.files import Namespace
from nnspec.elaborate.frame import Frame, name_of
from nnspec.elaborate.imports import find
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import UNKNOWN, BlockFunction, BlockRecipe, Fault, Silent
from nnspec.layer import Layer
from nnspec.syntax import ast
from nnspec.types import canonical

_SKIPPED = ("span", "op_span", "name_span", "dtype_span", "doc")


def check_rest(session: Session) -> None:
    """Report unknown names and arguments in all bodies that elaboration did not reach."""
    for file in session.files.values():
        if not file.in_library:
            for block in file.own_blocks:
                _check_body(session, block, block.body)


def check_statement(frame: Frame, statement: ast.Statement) -> None:
    """Report unknown names and arguments of a statement that is not run, because of what failed before it."""
    if frame.block is None or isinstance(statement, ast.Broken):
        return
    session = frame.session
    known = session.bindable.get(id(frame.block))
    if known is None:
        known = session.bindable[id(frame.block)] = frozenset(_scope(session, frame.block).scope)
    sizes = _sizes(statement)
    for node in walk(statement):
        name = node.value if isinstance(node, ast.Attribute) else node
        if not (isinstance(name, ast.Name) and name.id in known):
            _check(session, frame, node, sizes)


def _check_body(session: Session, block: ast.Definition, body: ast.Body) -> None:
    if id(body) not in session.ran:
        frame = _scope(session, block)
        sizes = _sizes(body)
        for node in walk(body):
            _check(session, frame, node, sizes)
        return
    for statement in body.statements:
        if isinstance(statement, ast.If):
            _check_body(session, block, statement.then)
            if statement.orelse is not None:
                _check_body(session, block, statement.orelse)
        elif isinstance(statement, (ast.For, ast.Group)):
            _check_body(session, block, statement.body)
        elif isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Scan):
            _check_body(session, block, statement.value.body)


def _scope(session: Session, block: ast.Definition) -> Frame:
    """A frame in which every name that the block could bind is bound, to something unknown."""
    frame = Frame(session, block.name.id, file=session.home(block))
    names = {h.name.id for h in block.hyperparameters} | {"training", "_"}
    for node in walk(block.body):
        if isinstance(node, (ast.For, ast.Comprehension)):
            names.update(n.id for n in target_names(node.target))
        elif isinstance(node, (ast.Assign, ast.Input, ast.Parameter, ast.Output)):
            names.update(bound_names(node))
        elif isinstance(node, ast.Label) and isinstance(node.value, str):
            names.add(node.value.split(".")[0])
        elif isinstance(node, ast.Broken):
            names.update(broken_names(frame, node))
        elif isinstance(node, ast.Scan):
            names.update(n.id for n, _ in (*node.sequences, *node.states))
        if isinstance(node, ast.Input):
            type_ = node.type.element if isinstance(node.type, ast.ListType) else node.type
            dims = (type_.dims or ()) if isinstance(type_, ast.TensorType) else ()
            names.update(d.id for d in dims if isinstance(d, ast.Name) and d.id[:1].isupper())
    frame.scope = dict.fromkeys(names, UNKNOWN)
    return frame


def _sizes(node: ast.Node) -> set[int]:
    """The names below a node that stand in a type, by identity."""
    types = (each for each in walk(node) if isinstance(each, ast.TensorType))
    return {id(name) for each in types for name in walk(each.dims or ())}


def _check(session: Session, frame: Frame, node: ast.Node, sizes: set[int]) -> None:
    if isinstance(node, ast.Name) and not _is_known(session, frame, node.id):
        frame.report(unknown_name(frame, node, "size" if id(node) in sizes else "").diagnostic)
    if isinstance(node, ast.Attribute):
        _imported(session, frame, node)
    if isinstance(node, ast.Call) and isinstance(node.function, ast.Name) and node.function.id not in frame.scope:
        _check_arguments(frame, node, node.function.id, frame.file.blocks.get(node.function.id))
    if isinstance(node, ast.Call) and isinstance(node.function, ast.Attribute):
        found = _imported(session, frame, node.function)
        if found is not None:
            _check_arguments(frame, node, found.name.id, found)


def _imported(session: Session, frame: Frame, node: ast.Attribute) -> ast.Definition | None:
    """The block that `file.Name` means; what the file does not have is reported."""
    name = name_of(node.value)
    other = None if name is None or name in frame.scope else frame.file.constants.get(name)
    if isinstance(other, Namespace):
        with suppress(Silent):
            try:
                found = find(session, other.file, node.name, node.name_span, other.title)
                return found.block if isinstance(found, (BlockFunction, BlockRecipe)) else None
            except Fault as fault:
                frame.report(fault.diagnostic)
    return None


def _is_known(session: Session, frame: Frame, name: str) -> bool:
    return (
        name in frame.scope
        or name in frame.file.constants
        or name in frame.file.blocks
        or name in BUILTINS
        or name in CONSTANTS
        or name in registry.index("initializer")
        or name in registry.index("layer")
        or name in registry.index("function")
        or canonical(name) is not None
    )


def _check_arguments(frame: Frame, node: ast.Call, name: str, block: ast.Definition | None) -> None:
    cls = None if block else registry.find("layer", name) or registry.find("function", name)
    if block is not None:
        known = [h.name.id for h in block.hyperparameters]
        known += [s.name.id for s in block.body.statements if isinstance(s, ast.Input)]
    elif cls is not None and not getattr(cls, "extra", ""):
        inputs = [n.lstrip("*") for n in cls.input_names()]
        known = [*([] if issubclass(cls, Layer) else inputs), *cls.fields]
        start = registry.find("initializer", name)  # `normal` and `orthogonal` are both
        known += start.fields if start is not None else ()
    else:
        return
    for argument in node.arguments:
        if argument.name is None or argument.name in known:
            continue
        layer = cls if cls is not None and issubclass(cls, Layer) else None
        if layer is None or not ("weight" in argument.name or "bias" in argument.name):
            fault = flows_in(layer, argument) if layer is not None else None
            fault = fault or unknown_argument(name, known, argument, frame if cls is not None else None)
            frame.report(fault.diagnostic)
            return
    if name[0].isupper():
        _check_count(frame, node, name, block, cls)


def _check_count(frame: Frame, node: ast.Call, name: str, block: ast.Definition | None, cls: Any) -> None:
    """Report an argument too many, or one that is lacking, of a layer or a block."""
    if block is not None:
        order = [h.name.id for h in block.hyperparameters]
        required = [h.name.id for h in block.hyperparameters if h.default is None]
    else:
        order = [n for n, f in cls.fields.items() if not f.keyword]
        required = [n for n, f in cls.fields.items() if f.required]
    with suppress(Silent):
        try:
            given = {n for n, _ in pair_up(name, order, node.arguments)}
            missing = [n for n in required if n not in given]
            if missing:
                fields = cls.fields if cls else {}
                raise missing_argument(name, missing, fields, node.span, given_text(frame, node.arguments))
        except Fault as fault:
            frame.report(fault.diagnostic)


def mentioned(nodes: Iterable[ast.Node]) -> set[str]:
    """The names that something below these nodes looks up, element types and the patterns of settings among them."""
    found: set[str] = set()
    for node in walk(tuple(nodes)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.TensorType):
            found.add(node.dtype)
        elif isinstance(node, ast.Settings):
            found |= mentioned((node.pattern, node.body))
    return found


def walk(node: Any) -> Iterator[ast.Node]:
    """All nodes below one, itself included; the names that are bound, and not looked up, are left out."""
    stack = [node]
    while stack:
        node = stack.pop()
        if isinstance(node, tuple):
            stack.extend(node)
        elif isinstance(node, ast.Node):
            yield node
            stack.extend(_parts(node))


def _parts(node: ast.Node) -> list[Any]:
    if isinstance(node, (ast.Input, ast.Parameter)):
        return [node.type] + ([node.default] if isinstance(node, ast.Input) else [node.value])
    if isinstance(node, (ast.Assign, ast.Output)):
        return [node.type, node.value]
    if isinstance(node, (ast.For, ast.Comprehension)):
        tail = [node.body] if isinstance(node, ast.For) else [node.element, node.test]
        return [node.iterable, *tail]
    if isinstance(node, ast.Settings):
        return [statement.value for statement in node.body.statements if isinstance(statement, ast.Assign)]
    slots = [s for c in type(node).__mro__ for s in getattr(c, "__slots__", ()) if s not in _SKIPPED]
    return [getattr(node, s) for s in slots]
