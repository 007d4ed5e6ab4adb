"""Declared types against actual ones: symbols bound, sizes proved equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import Edit, Fix, Label, Span, error
from nnspec.dims import Dim, Size, show, symbol
from nnspec.elaborate.expressions import evaluate, library, unknown_name
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.values import (
    BlockFunction,
    DType,
    Fault,
    FunctionValue,
    ParamRef,
    Recipe,
    Tensor,
    describe,
    is_number,
    is_size,
)
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.types import ALIASES, DTYPES, TensorType, canonical, is_complex, real_part, show_dtype


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
    type_ = element_type(statement.type)
    dims = type_.dims or ()
    return [d.id for d in dims if isinstance(d, ast.Name) and d.id[:1].isupper()]


def element_type(node: ast.Type) -> ast.TensorType:
    """The type of the tensors in a list, or of the tensor itself."""
    while isinstance(node, ast.ListType):
        node = node.element
    return node


def list_words(node: ast.ListType) -> str:
    """What a list holds, for a sentence."""
    return "a list of tensors" if isinstance(node.element, ast.TensorType) else "a list of lists of tensors"


def declared(frame: Frame, node: ast.Type) -> tuple[str, tuple[ast.Expr | ast.Ellipsis, ...]]:
    """Element type and written dims of a tensor type; the element type may be a hyperparameter or a constant."""
    if isinstance(node, ast.ListType):
        note = "a list of tensors is an input of a block, or a value of a body"
        raise Fault(error("NNS303", "this is a tensor, and its type is not a list", node.span, "a list", notes=(note,)))
    given = frame.scope.get(node.dtype, frame.file.constants.get(node.dtype))
    dtype = given if isinstance(given, DType) else canonical(node.dtype)
    if dtype is None:
        close = suggest(node.dtype, [*DTYPES, *ALIASES])
        helps = [f"did you mean `{close}`?"] if close else []
        raise Fault(error("NNS201", f"unknown element type `{node.dtype}`", node.dtype_span, helps=helps))
    if node.dims is None:
        raise Fault(
            error("NNS303", f"`{node.dtype}` needs its dimensions", node.span, helps=(f"write `{node.dtype}[N, 8]`",))
        )
    return str(dtype), node.dims


def refuse_complex(node: ast.Type, dtype: str, what: str) -> None:
    """Refuse complex numbers where they would have to be stored or handed over."""
    if is_complex(dtype):
        halves = f"{show_dtype(real_part(dtype))}[..., 2]"
        raise Fault(
            error(
                "NNS303",
                f"{what} holds real numbers, not {dtype}",
                node.span,
                "complex numbers",
                helps=(f"let it be `{halves}`, with real and imaginary part: `view_as_complex(x)` joins them",),
            )
        )


def same(frame: Frame, some: Sequence[Size], others: Sequence[Size]) -> bool:
    """Whether dimensions are proved equal, one by one."""
    return len(some) == len(others) and all(frame.proof.equal(a, b) for a, b in zip(some, others, strict=True))


def known(callee: Frame, name: str) -> bool:
    """Whether a name in a type is bound already, and no new symbol."""
    return name in callee.scope or name in callee.file.constants


def size_of(frame: Frame, expr: ast.Expr) -> Size:
    """A dimension that is written in a type."""
    if isinstance(expr, ast.Name) and not known(frame, expr.id) and library(frame, expr.id, expr.span) is None:
        raise unknown_name(frame, expr, "size")
    value = evaluate(frame, expr)
    if not is_size(value) or (isinstance(value, int) and value < 0):
        raise Fault(error("NNS303", f"a dimension is a size, not {describe(value)}", expr.span, "not a size"))
    size: Size = int(value) if isinstance(value, int) else value  # `8 * 0.5` is a plain 4 from here on
    return size


def free_type(frame: Frame, statement: ast.Input, number: int) -> TensorType:
    """The type of a model's input: its unbound capitalised names become the model's symbols."""
    if isinstance(statement.type, ast.ListType):
        helps = ("give each tensor an input of its own, and make the list in the body: `xs = [a, b]`",)
        raise Fault(
            error(
                "NNS303",
                "an input of a model is one tensor: who calls it could give a list of any length",
                statement.type.span,
                "lists are for blocks",
                helps=helps,
            )
        )
    dtype, dims = declared(frame, statement.type)
    refuse_complex(statement.type, dtype, "an input of a model")
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
        elif isinstance(expr, ast.Name) and expr.id[:1].isupper() and not known(frame, expr.id):
            frame.scope[expr.id] = symbol(expr.id)
            frame.fixed[expr.id] = "symbol"
            frame.symbols.append(ir.Symbol(expr.id, number, axis, expr.span))
            sizes.append(symbol(expr.id))
        else:
            sizes.append(size_of(frame, expr))
    return TensorType(dtype, tuple(sizes))


def check_value(frame: Frame, node: ast.Type, value: Any, span: Span, what: str) -> None:
    """Check a tensor, or a list of them, against the type that it is declared with."""
    if isinstance(node, ast.ListType) and isinstance(value, (list, tuple)):
        for position, part in enumerate(value):
            check_value(frame, node.element, part, span, f"{what}, element {position},")
    elif isinstance(value, Tensor) and not isinstance(node, ast.ListType):
        check_annotation(frame, node, value.type, span, what)
    else:
        words = list_words(node) if isinstance(node, ast.ListType) else "one tensor"
        raise Fault(error("NNS413", f"{what} is declared as {words}, but it is {describe(value)}", node.span))


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
    if start and frame.rest is not None and not same(frame, rest, frame.rest):
        label = f"`...` is [{', '.join(map(show, frame.rest))}] in this body"
        raise Fault(error("NNS413", message, node.span, label, others=(Label(span, f"this is {actual}"),)))
    for expr, size in zip(tail, actual.dims[actual.rank - len(tail) :], strict=True):
        if isinstance(expr, ast.Name) and expr.id == "_":
            continue
        expected = size_of(frame, expr)
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
    "layer": lambda v: isinstance(v, Recipe),
    "parameter": lambda v: isinstance(v, ParamRef),
}


def check_hyperparameter(block: ast.Definition, hyper: ast.Hyperparameter, value: Any, span: Span) -> Any:
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
                fixes=_as_layer(value, span) if wants == "a layer" else (),
            )
        )
    return value


def _as_layer(value: Any, span: Span) -> tuple[Fix, ...]:
    """For a function where a layer is wanted: the layer that computes the same, else a chain of the function alone."""
    if not isinstance(value, (BlockFunction, FunctionValue)):
        return ()
    if value.arguments:
        ends = (Span(span.start, span.start, span.source), "{ "), (Span(span.end, span.end, span.source), " }")
        return (Fix("make it a chain", tuple(Edit(place, brace) for place, brace in ends), safe=True),)
    known = registry.index("layer") if isinstance(value, FunctionValue) else ()
    name = value.cls.__name__ if isinstance(value, FunctionValue) else value.block.name.id
    layer = next((n for n in known if n.lower() == name.replace("_", "")), f"{{ {name} }}")
    return (Fix(f"write `{layer}`", (Edit(span, layer),), safe=True),)


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
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a string"}
    return words.get(node.dtype, f"a {node.dtype}")
