"""Bare parameters and buffers: `param cls: float[1, 1, D] = normal(std=0.02)`, `buffer index: int[64] = arange(64)`."""

from __future__ import annotations

from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span, error
from nnspec.dims import Dim, show
from nnspec.elaborate.binding import check_fields, missing_argument, pair_up, unknown_argument
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame, GraphBuilder, name_of
from nnspec.elaborate.inputs import check_annotation, declared
from nnspec.elaborate.names import walk
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import MAX_ELEMENTS
from nnspec.elaborate.values import Fault, Owned, Tensor, describe, is_number, is_size
from nnspec.initializers import INITIALIZERS
from nnspec.syntax import ast
from nnspec.types import TensorType, is_float, show_dtype


def declare(frame: Frame, node: ast.Parameter) -> None:
    """Make a param or buffer a member of the body."""
    name = node.name.id
    type_ = _fixed_type(frame, node)
    place = frame.home.child(name, node.kind, "bound", node.span)
    place.type = type_
    place.doc = node.doc
    frame.bind(name, Owned(place.path, type_, node.kind, node.span), node.name.span)
    frame.fixed[name] = node.kind
    if node.options:
        option = node.options[0]
        raise Fault(error("NNS301", f"a {node.kind} has no option `{option.name}`", option.span, "unknown option"))
    if node.kind == "param":
        if not is_float(type_.dtype):
            raise Fault(
                error(
                    "NNS303",
                    f"a param is trained, and {show_dtype(type_.dtype)} cannot be",
                    node.type.span,
                    "not a float type",
                    helps=("a tensor that is saved and not trained is a `buffer`",),
                )
            )
        place.init = _initializer(frame, node)
    if place.init is None:
        place.value = _closed(frame, node, type_)


def _fixed_type(frame: Frame, node: ast.Parameter) -> TensorType:
    dtype, dims = declared(frame, node.type)
    sizes: list[int] = []
    elements = 1
    for expr in dims:
        if isinstance(expr, ast.Ellipsis) or (isinstance(expr, ast.Name) and expr.id == "_"):
            raise Fault(error("NNS405", f"the sizes of a {node.kind} are numbers", expr.span, "not a number"))
        value = evaluate(frame, expr)
        if isinstance(value, Dim):
            text = show(value)
            raise Fault(
                error(
                    "NNS405",
                    f"`{node.name.id}` has a dimension `{text}` that is not known when the module is built",
                    expr.span,
                    "not a fixed number",
                    helps=(
                        f"give it a fixed bound and slice it where it is used: `{node.name.id}[:{text}]`",
                        "or compute the tensor in the flow",
                    ),
                )
            )
        if not is_size(value) or value < 0:
            raise Fault(error("NNS303", f"a dimension is a size, not {describe(value)}", expr.span))
        sizes.append(value)
        elements *= max(value, 1)
    if elements > MAX_ELEMENTS:
        raise Fault(error("NNS310", f"`{node.name.id}` would have {elements:,} elements", node.type.span, "too large"))
    return TensorType(dtype, tuple(sizes))


def _initializer(frame: Frame, node: ast.Parameter) -> ir.Initializer | None:
    """The initialiser of a param, or None when its value is a constant tensor."""
    value = node.value
    function = name_of(value.function) if isinstance(value, ast.Call) else name_of(value)
    if function is not None and function not in frame.scope and function in INITIALIZERS:
        arguments = value.arguments if isinstance(value, ast.Call) else ()
        positional_shape = any(a.name is None for a in arguments) and not INITIALIZERS[function].fields
        if not positional_shape:
            return _bind_initializer(frame, function, arguments, node)
    if isinstance(value, (ast.Number, ast.Unary, ast.Name, ast.Binary)):
        number = evaluate(frame, value)
        if is_number(number):
            return ir.Initializer("constant", {"val": float(number)})
    return None


def _bind_initializer(
    frame: Frame, function: str, arguments: tuple[ast.Argument, ...], node: ast.Parameter
) -> ir.Initializer:
    cls = INITIALIZERS[function]
    given: dict[str, tuple[Any, ast.Argument]] = {}
    for name, argument in pair_up(function, list(cls.fields), arguments):
        if name not in cls.fields:
            raise unknown_argument(function, cls.fields, argument)
        given[name] = (evaluate(frame, argument.value), argument)
    values = check_fields(function, cls.fields, given)
    missing = [n for n, f in cls.fields.items() if f.required and n not in values]
    if missing:
        raise missing_argument(function, missing, cls.fields, node.value.span)
    return ir.Initializer(function, dict(cls(**values).given()))


def _closed(frame: Frame, node: ast.Parameter, type_: TensorType) -> ir.Graph:
    """A constant tensor: an expression over numbers and nothing that flows."""
    inner = Frame(frame.session, f"a {node.kind}")
    inner.graph = GraphBuilder()
    inner.scope = frame.scope
    _check_closed(frame, node)
    value = evaluate(inner, node.value)
    if inner.root.children:
        span = next(iter(inner.root.children.values())).span
        raise _too_early(node, span, "NNS311", "a layer", ("compute the tensor in the flow",))
    if is_number(value) or isinstance(value, bool):
        value = _filled(inner, value, type_, node)
    if not isinstance(value, Tensor):
        known = ", ".join(f"`{n}`" for n in INITIALIZERS)
        raise Fault(
            error(
                "NNS303",
                f"a {node.kind} starts from {'an initialiser, ' if node.kind == 'param' else ''}a number or a constant "
                f"tensor, not from {describe(value)}",
                node.value.span,
                helps=(f"initialisers are {known}",) if node.kind == "param" else (),
            )
        )
    check_annotation(frame, node.type, value.type, node.value.span, f"`{node.name.id}`")
    return inner.graph.finish((), (ir.Ref(value.id),))


def _check_closed(frame: Frame, node: ast.Parameter) -> None:
    """What is worked out when the module is built uses numbers and buffers: no symbol, no tensor, nothing trained."""
    for name in walk(node.value):
        if not isinstance(name, ast.Name):
            continue
        value = _foreign(frame.scope.get(name.id))
        if name.id == "training" and name.id not in frame.scope:
            raise _too_early(node, name.span, "NNS311", "the mode is chosen later", ("choose in the flow",))
        if isinstance(value, Dim):
            helps = ("give it a fixed bound and slice it where it is used", "or compute the tensor in the flow")
            raise _too_early(node, name.span, "NNS405", f"`{show(value)}` is not known then", helps)
        if value is not None:
            label = f"this is {describe(value)}"
            raise _too_early(node, name.span, "NNS311", label, ("compute the tensor in the flow",))


def _too_early(node: ast.Parameter, span: Span, code: str, label: str, helps: tuple[str, ...]) -> Fault:
    message = f"`{node.name.id}` is worked out when the module is built, from numbers and other buffers only"
    return Fault(error(code, message, span, label, helps=helps))


def _foreign(value: Any) -> Any:
    """What a value holds that is known only when the model runs, or is trained; None when there is no such thing."""
    if isinstance(value, (Dim, Tensor, Place)) or (isinstance(value, Owned) and value.kind == "param"):
        return value
    if isinstance(value, (list, tuple)):
        return next((found for found in map(_foreign, value) if found is not None), None)
    return None


def _filled(inner: Frame, value: Any, type_: TensorType, node: ast.Parameter) -> Tensor:
    graph = inner.builder(node.span)
    number = (
        bool(value) if type_.dtype == "bool" else float(value) if type_.dtype.startswith(("f", "b")) else int(value)
    )
    tensor = graph.value(type_, node.value.span)
    attributes = {"size": type_.dims, "fill_value": number, "dtype": type_.dtype}
    graph.nodes.append(ir.Op("full", (), attributes, (tensor.id,), node.span))
    return tensor
