"""Declared types against actual ones: symbols bound, sizes proved equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.dims import Dim, Size, show, substitute, symbol
from nnspec.elaborate.expressions import evaluate, library, unknown_name
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.values import DType, Fault, ParamRef, Recipe, describe, is_number, is_size
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.types import ALIASES, DTYPES, TensorType, canonical, show_dtype


def input_statements(block: ast.Block | ast.Extern) -> list[ast.Input]:
    """The inputs that a body begins with."""
    found = []
    for statement in block.body.statements:
        if not isinstance(statement, ast.Input):
            break
        found.append(statement)
    return found


def symbol_names(statement: ast.Input) -> list[str]:
    """The names in an input's type that may be symbols."""
    dims = (statement.type.dims or ()) if isinstance(statement.type, ast.TensorType) else ()
    return [d.id for d in dims if isinstance(d, ast.Name) and d.id[:1].isupper()]


def declared(frame: Frame, node: ast.Type) -> tuple[str, tuple[ast.Expr | ast.Ellipsis, ...]]:
    """Element type and written dims of a tensor type."""
    if isinstance(node, ast.ListType):
        raise Fault(error("NNS209", "lists of tensors as inputs cannot be compiled yet", node.span, "not built yet"))
    dtype = canonical(node.dtype)
    if dtype is None:
        close = suggest(node.dtype, [*DTYPES, *ALIASES])
        helps = [f"did you mean `{close}`?"] if close else []
        raise Fault(error("NNS201", f"unknown element type `{node.dtype}`", node.dtype_span, helps=helps))
    if node.dims is None:
        raise Fault(
            error("NNS303", f"`{node.dtype}` needs its dimensions", node.span, helps=(f"write `{node.dtype}[N, 8]`",))
        )
    return dtype, node.dims


def match_type(
    frame: Frame,
    callee: Frame,
    statement: ast.Input,
    actual: TensorType,
    number: int,
    span: Span,
    title: str,
    *,
    inline: bool = False,
) -> TensorType:
    """An actual type in the callee's own symbols; faults stand at the call."""
    dtype, dims = declared(callee, statement.type)
    name = statement.name.id
    wants = f"`{title}` takes `{name}` as {callee.session.text(statement.type.span)}"
    others = (Label(statement.span, "declared here"),)
    if dtype != actual.dtype:
        raise Fault(
            error(
                "NNS406",
                f"{wants}, but {actual} flows in",
                span,
                f"{show_dtype(actual.dtype)} instead of {show_dtype(dtype)}",
                others=others,
            )
        )
    start = 1 if dims and isinstance(dims[0], ast.Ellipsis) else 0
    fixed = len(dims) - start
    if actual.rank < fixed or (not start and actual.rank != fixed):
        raise Fault(
            error(
                "NNS402",
                f"{wants}, but {actual} flows in",
                span,
                f"{actual.rank} dimension{'s' if actual.rank != 1 else ''} instead of {fixed}",
                others=others,
            )
        )
    free = actual.rank - fixed
    local: list[Size] = _rest_before(frame, callee, actual.dims[:free], span, wants, inline) if start else []
    for axis, size in list(enumerate(actual.dims))[len(local) :]:
        expr = dims[axis - free + start] if axis >= free else None
        where = axis - actual.rank if start else axis
        local.append(_match_dim(frame, callee, expr, size, (number, where, span, wants, actual, others), inline))
    if start and callee.rest is None:
        callee.rest = tuple(local[:free])
    return TensorType(dtype, tuple(local))


def _rest_before(
    frame: Frame, callee: Frame, dims: tuple[Size, ...], span: Span, wants: str, inline: bool
) -> list[Size]:
    """What `...` stood for in an earlier input, which is what it stands for here; nothing before the first one."""
    if callee.rest is None:
        return []
    before = [size if inline else substitute(size, callee.facts.binding) for size in callee.rest]
    if _same(frame, before, dims):
        return list(callee.rest)
    shown = [f"[{', '.join(map(show, sizes))}]" for sizes in (dims, before)]
    message = f"{wants}, and `...` is {shown[0]} here and {shown[1]} in an input before"
    raise Fault(error("NNS402", message, span, "`...` stands for the same dimensions throughout a body"))


def _same(frame: Frame, some: Sequence[Size], others: Sequence[Size]) -> bool:
    """Whether dimensions are proved equal, one by one."""
    return len(some) == len(others) and all(frame.proof.equal(a, b) for a, b in zip(some, others, strict=True))


def _match_dim(
    frame: Frame, callee: Frame, expr: ast.Expr | ast.Ellipsis | None, size: Size, context: Any, inline: bool
) -> Size:
    number, axis, span, wants, actual, others = context
    if expr is None or isinstance(expr, ast.Ellipsis) or (isinstance(expr, ast.Name) and expr.id == "_"):
        return size if inline else _anonymous(callee, size, number, axis)
    if isinstance(expr, ast.Name) and expr.id[:1].isupper() and not _known(callee, expr.id):
        return _bind_symbol(callee, expr, size, number, axis, inline)
    expected = _size(callee, expr)
    outside = expected if inline else substitute(expected, callee.facts.binding)
    answer = frame.proof.equal(outside, size)
    if answer:
        return expected
    text = callee.session.text(expr.span)
    means = text if text == show(outside) else f"{text} = {show(outside)}"
    position = f"dimension {axis}" if axis >= 0 else f"dimension {axis} from the end"
    message = f"{wants}, but {actual} flows in: {position} is {show(size)}, not {means}"
    if answer is None:
        raise Fault(
            error(
                "NNS410",
                message,
                span,
                f"cannot show that {show(size)} == {show(outside)}",
                others=others,
                helps=(f"if it always holds, say so before: `assert {show(size)} == {show(outside)}`",),
            )
        )
    raise Fault(error("NNS401", message, span, f"{show(size)} instead of {means}", others=others))


def _known(callee: Frame, name: str) -> bool:
    return name in callee.scope or name in callee.session.constants


def _bind_symbol(callee: Frame, expr: ast.Name, size: Size, number: int, axis: int, inline: bool) -> Size:
    name = expr.id
    callee.fixed[name] = "symbol"
    if isinstance(size, int) or inline:
        callee.scope[name] = size
        if isinstance(size, int):
            callee.sizes[name] = size
        return size
    local = symbol(name)
    callee.scope[name] = local
    callee.facts.binding[name] = size
    callee.symbols.append(ir.Symbol(name, number, axis, expr.span))
    return local


def _anonymous(callee: Frame, size: Size, number: int, axis: int) -> Size:
    if isinstance(size, int):
        return size
    for name, bound in callee.facts.binding.items():
        if bound == size:
            return symbol(name)
    name = f"_{len(callee.symbols) + 1}"
    callee.facts.binding[name] = size
    callee.symbols.append(ir.Symbol(name, number, axis))
    return symbol(name)


def _size(frame: Frame, expr: ast.Expr) -> Size:
    if isinstance(expr, ast.Name) and not _known(frame, expr.id) and library(frame, expr.id, expr.span) is None:
        raise unknown_name(frame, expr, "size")
    value = evaluate(frame, expr)
    if not is_size(value) or (isinstance(value, int) and value < 0):
        raise Fault(error("NNS303", f"a dimension is a size, not {describe(value)}", expr.span, "not a size"))
    size: Size = value
    return size


def free_type(frame: Frame, statement: ast.Input, number: int) -> TensorType:
    """The type of a model's input: its unbound capitalised names become the model's symbols."""
    dtype, dims = declared(frame, statement.type)
    sizes: list[Size] = []
    for axis, expr in enumerate(dims):
        if isinstance(expr, ast.Ellipsis):
            raise Fault(
                error("NNS303", "`...` is for blocks: a model's input has a known number of dimensions", expr.span)
            )
        if isinstance(expr, ast.Name) and expr.id == "_":
            name = f"_{len(frame.symbols) + 1}"
            sizes.append(symbol(name))
            frame.symbols.append(ir.Symbol(name, number, axis, expr.span))
        elif isinstance(expr, ast.Name) and expr.id[:1].isupper() and not _known(frame, expr.id):
            frame.scope[expr.id] = symbol(expr.id)
            frame.fixed[expr.id] = "symbol"
            frame.symbols.append(ir.Symbol(expr.id, number, axis, expr.span))
            sizes.append(symbol(expr.id))
        else:
            sizes.append(_size(frame, expr))
    return TensorType(dtype, tuple(sizes))


def check_annotation(frame: Frame, node: ast.Type, actual: TensorType, span: Span, what: str) -> None:
    """Check `x: float[N, D] = ...`: element type, rank, and every dim that is not `_`."""
    dtype, dims = declared(frame, node)
    written = frame.session.text(node.span)
    start = 1 if dims and isinstance(dims[0], ast.Ellipsis) else 0
    tail: Sequence[Any] = dims[start:]
    message = f"{what} is declared as {written}, but it is {actual}"
    if dtype != actual.dtype:
        label = f"{show_dtype(dtype)} here, {show_dtype(actual.dtype)} there"
        raise Fault(error("NNS413", message, node.span, label, others=(Label(span, f"this is {actual}"),)))
    if actual.rank < len(tail) or (not start and actual.rank != len(tail)):
        label = f"{len(tail)} dimensions here, {actual.rank} there"
        raise Fault(error("NNS413", message, node.span, label, others=(Label(span, f"this is {actual}"),)))
    rest = actual.dims[: actual.rank - len(tail)]
    if start and frame.rest is not None and not _same(frame, rest, frame.rest):
        label = f"`...` is [{', '.join(map(show, frame.rest))}] in this body"
        raise Fault(error("NNS413", message, node.span, label, others=(Label(span, f"this is {actual}"),)))
    for expr, size in zip(tail, actual.dims[actual.rank - len(tail) :], strict=True):
        if isinstance(expr, ast.Name) and expr.id == "_":
            continue
        expected = _size(frame, expr)
        answer = frame.proof.equal(expected, size)
        if answer is None:
            raise Fault(
                error(
                    "NNS410",
                    message,
                    expr.span,
                    f"cannot show that {show(size)} == {show(expected)}",
                    others=(Label(span, f"this is {actual}"),),
                    helps=(f"if it always holds, say so before: `assert {show(size)} == {show(expected)}`",),
                )
            )
        if not answer:
            label = f"{show(expected)} here, {show(size)} there"
            raise Fault(error("NNS413", message, expr.span, label, others=(Label(span, f"this is {actual}"),)))


_KINDS: dict[str, Callable[[Any], bool]] = {
    "float": is_number,
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str) and not isinstance(v, DType),
    "dim": is_size,
    "layer": lambda v: isinstance(v, Recipe),
    "parameter": lambda v: isinstance(v, ParamRef),
}


def check_hyperparameter(block: ast.Block, hyper: ast.Hyperparameter, value: Any, span: Span) -> Any:
    """A hyperparameter's value against its declared kind; a symbol is never one."""
    name = hyper.name.id
    if isinstance(value, Dim):
        raise Fault(
            error(
                "NNS405",
                f"`{name}` of `{block.name.id}` is the symbol `{show(value)}`, and a hyperparameter must be known",
                span,
                "not known at compile time",
                helps=("give the input a fixed size there, or let the block take the size from its input",),
            )
        )
    if hyper.type is None:
        return value
    if not _fits(hyper.type, value):
        wants = _words(hyper.type)
        raise Fault(
            error(
                "NNS303",
                f"`{name}` of `{block.name.id}` must be {wants}, not {describe(value)}",
                span,
                f"expected {wants}",
                others=(Label(hyper.span, "declared here"),) if hyper.span != span else (),
            )
        )
    return value


def _fits(node: ast.Type, value: Any) -> bool:
    if isinstance(node, ast.ListType):
        return isinstance(value, (list, tuple)) and all(_fits(node.element, v) for v in value)
    check = _KINDS.get(node.dtype)
    if check is None:
        raise Fault(
            error(
                "NNS201",
                f"unknown kind of hyperparameter `{node.dtype}`",
                node.span,
                helps=(f"kinds are {', '.join(_KINDS)} and lists of them",),
            )
        )
    return value is None or check(value)


def _words(node: ast.Type) -> str:
    if isinstance(node, ast.ListType):
        return f"a list of `{node.element.dtype}`" if isinstance(node.element, ast.TensorType) else "a list of lists"
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a string", "dim": "a size"}
    return words.get(node.dtype, f"a {node.dtype}")
