"""Applying library layers and functions: operands gathered, shape rules asked, nodes added to the graph."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from types import NoneType
from typing import Any

from nnspec import ir
from nnspec.arguments import Field
from nnspec.diagnostics import Edit, Fix, Label, Span, error
from nnspec.dims import Dim, DimTooLarge
from nnspec.elaborate.absent import absent_helps, check_given, check_one
from nnspec.elaborate.binding import (
    check_value,
    decimal,
    given_text,
    in_order,
    missing_argument,
    pair_up,
    unknown_argument,
)
from nnspec.elaborate.builtins import NUMERIC
from nnspec.elaborate.expressions import operand_value
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.operands import allocate, apply_function, first_tensor, operand, outputs_of, size_tensor, trim
from nnspec.elaborate.place import Place
from nnspec.elaborate.repairs import drop_argument
from nnspec.elaborate.session import MAX_ELEMENTS
from nnspec.elaborate.shape_faults import shape_fault
from nnspec.elaborate.torch_order import doubt
from nnspec.elaborate.values import Fault, FunctionValue, LayerRecipe, Tensor, is_number
from nnspec.layer import ONE_OF_SEVERAL, Function, Layer, Operation, ShapeError
from nnspec.layer_complex import refuse_complex
from nnspec.syntax import ast

Flowing = tuple[list[Any], dict[str, Any]]
"""What flows into a layer: values by position, then by name."""


# --- operands --------------------------------------------------------------------------------------------------------


def gather(frame: Frame, cls: type[Operation], flowing: Flowing, title: str, span: Span) -> list[Any]:
    """Flowing values in the order of the class's inputs; None for optional ones that are not given."""
    names = cls.input_names()
    positional, named = list(flowing[0]), dict(flowing[1])
    star = names[-1].startswith("*") if names else False
    plain = names[:-1] if star else names
    if len(positional) > len(plain) and not star:
        most = f"{len(plain)} input{'s' if len(plain) != 1 else ''}"
        raise Fault(
            error(
                "NNS412",
                f"`{title}` takes {most}, but {len(positional)} flow in",
                span,
                "too many inputs",
                helps=ONE_OF_SEVERAL,
            )
        )
    values: list[Any] = positional[: len(plain)]
    values.extend(named.pop(name, None) for name in plain[len(values) :])
    for name in named:
        why = f"is given `{name}` twice" if name in plain else f"has no input `{name}`"
        raise Fault(
            error("NNS412", f"`{title}` {why}", span, f"`{name}`", helps=(f"its inputs are {', '.join(plain)}",))
        )
    for position, name in enumerate(plain[: cls.required_inputs()]):
        if values[position] is None:
            helps = absent_helps(frame, span) if position < len(positional) else ()
            raise Fault(
                error("NNS412", f"`{title}` needs its input `{name}`", span, f"no `{name}` flows in", helps=helps)
            )
    return values + positional[len(plain) :]


# --- layers ----------------------------------------------------------------------------------------------------------


def call_layer(frame: Frame, place: Place, flowing: Flowing, span: Span) -> Any:
    """Feed values to a library layer in its place."""
    recipe = place.recipe
    assert isinstance(recipe, LayerRecipe)
    cls = type(recipe.layer)
    values = gather(frame, cls, flowing, recipe.title, span)
    check_one(cls, recipe.title, values, span)
    check_given(frame, cls, recipe.title, values, span)
    names = cls.input_names()
    pairs = [
        operand(frame, cls, names[min(i, len(names) - 1)].lstrip("*"), value, span) for i, value in enumerate(values)
    ]
    types = tuple(p[0] for p in pairs)
    key = (id(recipe.layer), types)
    cached = frame.layer_cache.get(key)
    if cached is None:
        cached = _infer_layer(frame, recipe, types, tuple(values), span)
        frame.layer_cache[key] = cached
    layer, result, _ = cached
    doubt(frame.session, recipe, layer)
    _settle(frame, place, recipe, layer, span)
    tensors, ids = allocate(frame, result, span, first_tensor(values))
    graph = frame.builder(span)
    graph.nodes.append(ir.Call(place.path, trim(pairs), outputs_of(ids), span=span))
    return tensors


def _infer_layer(
    frame: Frame, recipe: LayerRecipe, types: tuple[Any, ...], values: tuple[Any, ...], span: Span
) -> tuple[Layer, Any, LayerRecipe]:
    if recipe.bare:
        missing = [n for n, f in recipe.layer.fields.items() if f.required]
        if missing:
            raise missing_argument(recipe.title, missing, recipe.layer.fields, recipe.span)
    try:
        refuse_complex(recipe.layer, types)
        layer = recipe.layer.complete(frame.proof, *types)
        result = layer.infer(frame.proof, *types)
    except ShapeError as fault:
        fixes = drop_argument(frame, recipe, fault)
        raise shape_fault(frame, fault, recipe.span, spans=recipe.spans, sources=values, fixes=fixes) from None
    except DimTooLarge as fault:
        raise Fault(error("NNS310", f"this size is too large to reason about: {fault}", span)) from None
    for name, weight in layer.weights().items():
        elements = 1
        for size in weight.shape:
            elements *= size
        if elements > MAX_ELEMENTS:
            shape = " x ".join(f"{s:,}" for s in weight.shape)
            raise Fault(
                error(
                    "NNS310",
                    f"`{name}` of `{recipe.title}` would have {shape} elements",
                    recipe.span,
                    f"more than the limit of {MAX_ELEMENTS:,}",
                )
            )
    return layer, result, recipe


def _settle(frame: Frame, place: Place, recipe: LayerRecipe, layer: Layer, span: Span) -> None:
    """Fix the layer's sizes at its first use; later uses must agree."""
    if place.layer is layer:
        return
    if place.layer is None:
        place.layer = layer
        place.module = frame.session.intern_layer(layer, recipe.exprs, recipe.span)
        place.use = (span, None)
        _tie(frame, place, recipe, layer)
        return
    if place.layer != layer:
        assert place.use is not None
        raise shared_fault(place, span, _difference(place.layer, layer))


def shared_fault(place: Place, span: Span, difference: str) -> Fault:
    """The fault of a shared layer that would need other parameters at another use."""
    first = place.use[0] if place.use else place.span
    return Fault(
        error(
            "NNS415",
            f"`{place.path}` is shared, but its parameters would differ between its uses: {difference}",
            span,
            "does not fit here",
            others=(Label(first, "its sizes were fixed here"),),
            helps=("bind a second layer for this use",),
        )
    )


def _difference(first: Layer, second: Layer) -> str:
    ours, theirs = first.weights(), second.weights()
    for name, weight in ours.items():
        other = theirs.get(name)
        if other is None or other.shape != weight.shape:
            shape = list(other.shape) if other else "absent"
            return f"`{name}` is {list(weight.shape)} there and {shape} here"
    for name, spec in first.fields.items():
        if spec.inferred and getattr(first, name) != getattr(second, name):
            return f"{name} is {getattr(first, name)} there and {getattr(second, name)} here"
    return "they are configured differently"


def _tie(frame: Frame, place: Place, recipe: LayerRecipe, layer: Layer) -> None:
    weights = layer.weights()
    for name, owner in recipe.ties.items():
        span = recipe.spans[name]
        weight = weights.get(name)
        if weight is None:
            known = [n for n, w in weights.items() if w.trained]
            argument = ast.Argument(span, name, ast.Constant(span, None), span)
            raise unknown_argument(recipe.title, [*recipe.layer.fields, *known], argument)
        if owner.type.dims != weight.shape:
            raise Fault(
                error(
                    "NNS416",
                    f"`{name}` of `{recipe.title}` has shape {list(weight.shape)}, "
                    f"but what it is tied to has {list(owner.type.dims)}",
                    span,
                    "shapes differ",
                    others=(Label(owner.span, f"this is {owner.type}"),) if owner.span != span else (),
                )
            )
        alias = f"{place.path}.{name}"
        if owner.outer is not None:
            frame.outer_ties.append((alias, owner.outer, span))
        else:
            frame.ties.append(ir.Tie(alias, owner.path, span))


# --- functions -------------------------------------------------------------------------------------------------------


def call_function(
    frame: Frame, value: FunctionValue, arguments: Sequence[ast.Argument], flowing: Flowing, span: Span
) -> Any:
    """Apply a library function to what flows in and to its written arguments."""
    cls = value.cls
    title = cls.__name__
    inputs, options = _split_arguments(frame, cls, arguments, flowing, span)
    builtin = NUMERIC.get(title)
    if builtin is not None and len(inputs) == 1:
        name, only = next(iter(inputs.items()))
        if is_number(only):
            return builtin(frame, [only], span)
        if isinstance(only, Dim) and title != "abs":
            inputs[name] = size_tensor(frame, only, span)
    missing = [n for n, f in cls.fields.items() if f.required and n not in options]
    if missing:
        raise missing_argument(title, missing, cls.fields, span, given_text(frame, arguments))
    spans = _places(cls, arguments, len(flowing[0]))
    return apply_function(frame, cls(**options), _by_place(cls, inputs, title, span), span, value.span, spans)


def _order(cls: type[Function]) -> list[str]:
    """The names that values by position go to."""
    return list(cls.order or (*cls.input_names(), *(n for n, f in cls.fields.items() if not f.keyword)))


def _places(cls: type[Function], arguments: Sequence[ast.Argument], flowing: int) -> dict[str, Span]:
    """Where each argument of a call is written, by name."""
    places = {a.name: a.span for a in arguments if a.name is not None}
    positional = [a for a in arguments if a.name is None]
    for name, argument in zip(_order(cls)[flowing:], positional, strict=False):
        if name.startswith("*"):
            break
        places[name] = argument.span
    return places


def _by_place(cls: type[Function], inputs: dict[str, Any], title: str, span: Span) -> list[Any]:
    values: list[Any] = []
    required = cls.required_inputs()
    for position, name in enumerate(cls.input_names()):
        if name.startswith("*"):
            values += inputs.get(name[1:], ())
        elif name in inputs:
            values.append(inputs[name])
        elif position < required:
            helps = (in_order(_order(cls)),)
            raise Fault(error("NNS302", f"`{title}` needs `{name}`", span, f"missing `{name}`", helps=helps))
        else:
            values.append(None)
    return values


def _split_arguments(
    frame: Frame, cls: type[Function], arguments: Sequence[ast.Argument], flowing: Flowing, span: Span
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is given to a function, sorted into inputs and options."""
    order = _order(cls)
    known = dict.fromkeys((*order, *cls.input_names(), *cls.fields))
    positional = [(v, span) for v in flowing[0]]
    positional += [(operand_value(frame, a.value), a.value.span) for a in arguments if a.name is None]
    if order and order[0] in cls.sequences and not flowing[0]:
        _tensors_apart(cls, positional)
    given: dict[str, tuple[Any, Span]] = {}
    for position, (value, place) in enumerate(positional):
        slot = order[position] if position < len(order) else (order[-1] if order else "")
        if slot.startswith("*"):
            rest = [v for v, _ in positional[position:]]
            given[slot[1:]] = (rest, place)
            break
        if position >= len(order):
            _sizes_apart(cls, order, arguments, len(flowing[0]))
            pair_up(cls.__name__, order, [ast.Argument(place, None, ast.Constant(place, None))] * len(positional))
        given[slot] = (value, place)
    for name, value in flowing[1].items():
        given[name] = (value, span)
    extra = getattr(cls, "extra", "")
    extras: list[tuple[str, Any]] = []
    for argument in arguments:
        if argument.name is None:
            continue
        value = operand_value(frame, argument.value)
        if argument.name in given:
            raise Fault(error("NNS306", f"`{cls.__name__}` is given `{argument.name}` twice", argument.span))
        if argument.name not in known:
            if not extra:
                raise unknown_argument(cls.__name__, [name.lstrip("*") for name in known], argument, frame)
            size = Field()
            size.name, size.kind = argument.name, "Size"
            extras.append((argument.name, check_value(cls.__name__, size, value, argument.value.span)))
            continue
        given[argument.name] = (value, argument.value.span)
    if extras:
        given[extra] = (tuple(extras), span)
    decimals = {a.value.span: decimal(a.value) for a in arguments}
    options = {
        n: check_value(cls.__name__, cls.fields[n], v, place, decimals.get(place, ""), order)
        for n, (v, place) in given.items()
        if n in cls.fields
    }
    return {n: v for n, (v, _) in given.items() if n not in cls.fields}, options


def _sizes_apart(cls: type[Function], order: list[str], arguments: Sequence[ast.Argument], flowing: int) -> None:
    """`reshape(x, N, 8)`: several sizes where one argument holds them all."""
    written = [a for a in arguments if a.name is None][max(len(order) - 1 - flowing, 0) :]
    spec = cls.fields.get(order[-1]) if order else None
    if spec is None or "tuple" not in spec.kind or len(written) < 2 or any(map(_is_option, written)):
        return
    place = written[0].span.to(written[-1].span)
    fix = Fix("put brackets around the sizes", _around(place, "()"))
    message = f"`{cls.__name__}` takes `{spec.name}` as one argument, and here are {len(written)}"
    raise Fault(error("NNS305", message, place, "one argument holds them all", fixes=(fix,)))


def _is_option(argument: ast.Argument) -> bool:
    """Whether this is `true`, `none` or a string, which no size is."""
    node = argument.value
    return isinstance(node, ast.String) or (isinstance(node, ast.Constant) and isinstance(node.value, (bool, NoneType)))


def _tensors_apart(cls: type[Function], positional: list[tuple[Any, Span]]) -> None:
    """`cat(a, b, dim=1)`: several tensors where one list holds them all."""
    places = [place for _, place in takewhile(lambda pair: isinstance(pair[0], Tensor), positional)]
    if len(places) < 2:
        return
    place = places[0].to(places[-1])
    message = f"`{cls.__name__}` takes its tensors as one list, and here are {len(places)} of them"
    fix = Fix("put them into a list", _around(place, "[]"))
    raise Fault(error("NNS305", message, place, "one argument holds them all", fixes=(fix,)))


def _around(place: Span, brackets: str) -> tuple[Edit, Edit]:
    first, last = Span(place.start, place.start, place.source), Span(place.end, place.end, place.source)
    return Edit(first, brackets[0]), Edit(last, brackets[1])
