"""Bare parameters and buffers: `param cls: float[1, 1, D] = normal(std=0.02)`, `buffer index: int[64] = arange(64)`."""

from __future__ import annotations

from typing import Any

from nnspec import ir, registry
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.dims import Dim, show
from nnspec.elaborate.binding import check_fields, missing_argument, pair_up, unknown_argument
from nnspec.elaborate.builtins import BUILTINS
from nnspec.elaborate.expressions import evaluate, library
from nnspec.elaborate.frame import Frame, GraphBuilder, name_of
from nnspec.elaborate.inputs import check_annotation, declared, refuse_complex
from nnspec.elaborate.names import walk
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import MAX_ELEMENTS
from nnspec.elaborate.values import Fault, Inexact, Owned, Tensor, describe, is_number, is_size
from nnspec.initializers import Initializer, constant, way
from nnspec.layer import ShapeError
from nnspec.suggest import suggest
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
        place.init = initializer(frame, node.value, f"`{name}`")
    if place.init is None:
        place.value = closed(frame, node.value, f"`{name}`", node.kind, type_)
        value = place.value.values[place.value.outputs[0].id]
        check_annotation(frame, node.type, value.type, node.value.span, f"`{name}`")
        return
    try:
        way(place.init).check(type_)
    except ShapeError as fault:
        raise Fault(error(fault.code, fault.message, node.value.span, f"`{name}` is {type_}")) from None


def _fixed_type(frame: Frame, node: ast.Parameter) -> TensorType:
    dtype, dims = declared(frame, node.type)
    refuse_complex(node.type, dtype, f"a {node.kind}")
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
        sizes.append(int(value))
        elements *= max(value, 1)
    if elements > MAX_ELEMENTS:
        raise Fault(error("NNS310", f"`{node.name.id}` would have {elements:,} elements", node.type.span, "too large"))
    return TensorType(dtype, tuple(sizes))


def initializer(frame: Frame, value: ast.Expr, title: str) -> ir.Initializer | None:
    """The initialiser that an expression names, or None when it is none (a constant tensor, perhaps)."""
    function = name_of(value.function) if isinstance(value, ast.Call) else name_of(value)
    cls = registry.find("initializer", function) if function is not None else None
    if function is not None and cls is not None and not _is_bound(frame, function):
        arguments = value.arguments if isinstance(value, ast.Call) else ()
        positional_shape = any(a.name is None for a in arguments) and not cls.fields
        if not positional_shape:
            return _bind_initializer(frame, cls, arguments, value.span)
    if function is not None and not _is_bound(frame, function) and _is_unknown(frame, function):
        raise _no_initializer(function, value)
    if not isinstance(value, (ast.Flow, ast.Chain)):
        _check_closed(frame, value, title)
        number = evaluate(_inside(frame), value)
        if is_number(number):
            return ir.Initializer("constant", {"val": float(number)})
    return None


def _is_bound(frame: Frame, name: str) -> bool:
    return name in frame.scope or name in frame.file.constants or name in frame.file.blocks


def _is_unknown(frame: Frame, name: str) -> bool:
    return name not in BUILTINS and library(frame, name, Span(0, 0)) is None


def _no_initializer(name: str, value: ast.Expr) -> Fault:
    """The fault of a name that is neither an initialiser nor anything else; torch's names end in `_`."""
    place = value.function.span if isinstance(value, ast.Call) else value.span
    close = suggest(name.removesuffix("_"), registry.index("initializer"))
    fixes = (Fix(f"write `{close}`", (Edit(place, close),)),) if close else ()
    known = ", ".join(f"`{n}`" for n in registry.index("initializer"))
    message = f"unknown initialiser `{name}`"
    label = "not one of torch.nn.init"
    return Fault(error("NNS201", message, place, label, notes=(f"known are {known}",), fixes=fixes))


def _bind_initializer(
    frame: Frame, cls: type[Initializer], arguments: tuple[ast.Argument, ...], span: Span
) -> ir.Initializer:
    function = cls.__name__
    given: dict[str, tuple[Any, ast.Argument]] = {}
    for name, argument in pair_up(function, list(cls.fields), arguments):
        if name not in cls.fields:
            raise unknown_argument(function, cls.fields, argument)
        given[name] = (evaluate(frame, argument.value), argument)
    values = check_fields(function, cls.fields, given)
    missing = [n for n, f in cls.fields.items() if f.required and n not in values]
    if missing:
        raise missing_argument(function, missing, cls.fields, span)
    return ir.Initializer(function, dict(cls(**values).given()))


def closed(frame: Frame, value: ast.Expr, title: str, kind: str, filled: TensorType | None = None) -> ir.Graph:
    """A constant tensor: an expression over numbers and nothing that flows. A number fills one of type `filled`."""
    _check_closed(frame, value, title)
    inner = _inside(frame)
    found = evaluate(inner, value)
    if inner.root.children:
        span = next(iter(inner.root.children.values())).span
        raise _too_early(title, span, "NNS311", "a layer", ("compute the tensor in the flow",))
    if filled is not None and (is_number(found) or isinstance(found, bool)):
        found = _filled(inner, found, filled, value.span)
    if not isinstance(found, Tensor):
        known = ", ".join(f"`{n}`" for n in registry.index("initializer"))
        starts = "an initialiser, " if kind == "param" else ""
        raise Fault(
            error(
                "NNS303",
                f"a {kind} starts from {starts}a number or a constant tensor, not from {describe(found)}",
                value.span,
                helps=(f"initialisers are {known}",) if kind == "param" else (),
            )
        )
    return inner.builder(value.span).finish((), (ir.Ref(found.id),))


def _inside(frame: Frame) -> Frame:
    """A frame with the names of a body and a graph of its own."""
    inner = Frame(frame.session, "what a parameter or buffer starts from", file=frame.file)
    inner.graph = GraphBuilder()
    inner.scope = frame.scope
    return inner


def _check_closed(frame: Frame, node: ast.Expr, title: str) -> None:
    """What is worked out when the module is built uses numbers and buffers: no symbol, no tensor, nothing trained."""
    for name in walk(node):
        if not isinstance(name, ast.Name):
            continue
        value = _foreign(frame.scope.get(name.id))
        if name.id == "training" and name.id not in frame.scope:
            raise _too_early(title, name.span, "NNS311", "the mode is chosen later", ("choose in the flow",))
        if isinstance(value, Dim):
            helps = ("give it a fixed bound and slice it where it is used", "or compute the tensor in the flow")
            raise _too_early(title, name.span, "NNS405", f"`{show(value)}` is not known then", helps)
        if value is not None:
            label = f"this is {describe(value)}"
            raise _too_early(title, name.span, "NNS311", label, ("compute the tensor in the flow",))


def _too_early(title: str, span: Span, code: str, label: str, helps: tuple[str, ...]) -> Fault:
    message = f"{title} is worked out when the module is built, from numbers and other buffers only"
    return Fault(error(code, message, span, label, helps=helps))


def _foreign(value: Any) -> Any:
    """What a value holds that is known only when the model runs, or is trained; None when there is no such thing."""
    if isinstance(value, Inexact):
        raise value.fault
    if isinstance(value, (Dim, Tensor, Place)) or (isinstance(value, Owned) and value.kind == "param"):
        return value
    if isinstance(value, (list, tuple)):
        return next((found for found in map(_foreign, value) if found is not None), None)
    return None


def _filled(inner: Frame, value: Any, type_: TensorType, span: Span) -> Tensor:
    if not _is_held(value, type_.dtype):
        message = f"{describe(value)} is no element of {type_}"
        raise Fault(error("NNS318", message, span, f"{show_dtype(type_.dtype)} does not hold this"))
    graph = inner.builder(span)
    number = bool(value) if type_.dtype == "bool" else float(value) if is_float(type_.dtype) else int(value)
    tensor = graph.value(type_, span)
    attributes = {"size": type_.dims, "fill_value": number, "dtype": type_.dtype}
    graph.nodes.append(ir.Op("full", (), attributes, (tensor.id,), span))
    return tensor


def _is_held(value: Any, dtype: str) -> bool:
    """Whether an element type has a number: torch would wrap or cut off one that it does not have, or refuse it."""
    if dtype == "bool":
        return value in (0, 1)
    if not is_float(dtype):
        bits = int(dtype.lstrip("uint"))
        low, high = (0, 2**bits) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        return bool(value == value // 1 and low <= value < high)
    try:
        constant(val=float(value)).check(TensorType(dtype, ()))
    except ShapeError:
        return False
    return True
