"""Layers that are written in Python: `extern block` says where the class is, and what its shapes are.

Nothing here imports them. What comes out has the declared types; the class itself is first looked at when the module
is built.
"""

from __future__ import annotations

import keyword
import re
from fractions import Fraction
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span, error
from nnspec.dims import Size
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.inputs import declared, input_statements, size_of
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import DType, Fault, Tensor, describe
from nnspec.layer import ShapeError
from nnspec.syntax import ast
from nnspec.types import TensorType

ORIGIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""Where a class is found: `package.module:Class`."""

LONGEST_ORIGIN = 200


def is_origin(text: str) -> bool:
    """Whether a text says where a class is found, in words that Python takes as names."""
    words = re.split(r"[.:]", text)
    return len(text) <= LONGEST_ORIGIN and bool(ORIGIN.fullmatch(text)) and not any(map(keyword.iskeyword, words))


def is_parameter(name: str) -> bool:
    """Whether Python takes a word as the name of an argument."""
    return name.isidentifier() and not keyword.iskeyword(name)


def check_declaration(session: Session, node: ast.Extern) -> None:
    """Report an extern that the caller does not allow, and what is wrong with its head."""
    name = node.name.id
    origin = origin_of(node)
    if not is_origin(origin):
        session.sink.report(
            error(
                "NNS223",
                f"this does not say where the class of `{name}` is",
                node.origin.span,
                'expected "package.module:Class"',
                helps=("a module as `import` in Python takes it, a colon, and the class in it",),
            )
        )
    else:
        try:
            require_allowed(session, name, node.origin.span, "building the model runs this code")
        except Fault as fault:
            session.sink.report(fault.diagnostic)
    if name[0].islower():
        message = f"`{name}` is a layer, and layers have capitalised names"
        session.sink.report(error("NNS223", message, node.name.span, "in lower case"))
    for hyper in node.hyperparameters:
        if not is_parameter(hyper.name.id):
            message = f"`{hyper.name.id}` cannot be the name of an argument in Python"
            session.sink.report(error("NNS223", message, hyper.name.span, "a word of Python's own"))
    _check_body(session, node)


def require_allowed(session: Session, name: str, span: Span, label: str) -> None:
    """Refuse what is written in Python, unless the caller allows it."""
    if not session.allow_extern:
        raise Fault(
            error(
                "NNS222",
                f"`{name}` is written in Python, and running Python must be allowed",
                span,
                label,
                helps=("if you trust it: `--allow-extern`, or `allow_extern=True` in Python",),
            )
        )


def _check_body(session: Session, node: ast.Extern) -> None:
    """An extern has shapes and no computation."""
    for statement in node.body.statements[len(input_statements(node)) :]:
        is_type = isinstance(statement, ast.Output) and statement.type is not None and statement.value is None
        if not is_type and not isinstance(statement, (ast.Assert, ast.Broken)):
            session.sink.report(
                error(
                    "NNS223",
                    "an extern block says what goes in and what comes out, and computes nothing",
                    statement.span,
                    "not a declaration",
                    helps=("its outputs have types and no values: `output y: float[N, 8]`",),
                )
            )


def origin_of(node: ast.Extern) -> str:
    """The text that says where the class is; what is worked out in it is no part of a name."""
    return "".join(part if isinstance(part, str) else "{}" for part in node.origin.parts)


def check_argument(node: ast.Extern, name: str, value: Any, span: Span) -> None:
    """Refuse a hyperparameter that Python would not know what to do with."""
    if not is_plain(value):
        raise Fault(
            error(
                "NNS303",
                f"`{name}` of `{node.name.id}` goes to Python, and {describe(value)} cannot",
                span,
                "not plain data",
                helps=("numbers, strings, true, false, none, and lists of them can",),
            )
        )


def is_plain(value: Any) -> bool:
    """Whether a value is data that Python has as well."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return not isinstance(value, DType) and (value is None or isinstance(value, (bool, int, float, Fraction, str)))


def run_extern(callee: Frame, node: ast.Extern) -> None:
    """The outputs of an extern whose inputs are bound: new values of the declared types, made by one node."""
    inputs = input_statements(node)
    statements = node.body.statements[len(inputs) :]
    callee.session.run(callee, [s for s in statements if isinstance(s, (ast.Assert, ast.Broken))])
    graph = callee.builder(node.head)
    results = []
    for statement in statements:
        if isinstance(statement, ast.Output) and statement.type is not None:
            try:
                type_ = _output_type(callee, statement.type)
            except Fault as fault:
                callee.report(fault.diagnostic)
                continue
            tensor = graph.value(type_, statement.span)
            name = statement.name.id if statement.name else ""
            graph.hint(tensor, name)
            callee.outputs.append((name, tensor, statement.span))
            results.append(tensor.id)
    operands = tuple(_operand(callee.scope[s.name.id]) for s in inputs)
    graph.nodes.append(ir.Foreign(operands, tuple(results), node.span))


def _operand(value: Any) -> ir.Operand:
    if isinstance(value, (list, tuple)):
        return tuple(map(_operand, value))
    return ir.Ref(value.id) if isinstance(value, Tensor) else None


def _output_type(callee: Frame, node: ast.Type) -> TensorType:
    """A declared type with all of its sizes known, in the extern's symbols."""
    dtype, dims = declared(callee, node)
    sizes = list(callee.rest or ()) if dims and isinstance(dims[0], ast.Ellipsis) else []
    for dim in dims:
        if isinstance(dim, ast.Name) and dim.id == "_":
            why = "nothing but its declaration says what comes out of an extern"
            raise Fault(error("NNS223", why, dim.span, "this size must be known"))
        if not isinstance(dim, ast.Ellipsis):
            sizes.append(_required_size(callee, dim))
    return TensorType(dtype, tuple(sizes))


def _required_size(callee: Frame, dim: ast.Expr) -> Size:
    """A size that is at least 0, which is checked on entry where nothing shows it."""
    size = size_of(callee, dim)
    text = callee.session.text(dim.span)
    message = f"`{text}` is a size of what comes out of {callee.title}"
    try:
        callee.proof.require_at_least(size, 0, message)
    except ShapeError:
        raise Fault(error("NNS303", f"{message}, and it is less than 0", dim.span, "not a size")) from None
    return size
