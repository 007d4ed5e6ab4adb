"""Flows, chains and calls: `x -> conv1: Conv2d(64, 3) -> relu`."""

from __future__ import annotations

from functools import reduce
from typing import Any

from nnspec import registry
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.elaborate import arithmetic, blocks, repeats
from nnspec.elaborate.binding import bind_layer
from nnspec.elaborate.block_functions import call_block_function
from nnspec.elaborate.builtins import BUILTINS
from nnspec.elaborate.calls import Flowing, call_function, call_layer
from nnspec.elaborate.expressions import evaluate, handles
from nnspec.elaborate.frame import Frame, name_of
from nnspec.elaborate.inputs import input_statements
from nnspec.elaborate.operands import apply_named
from nnspec.elaborate.place import Origin, Place, kind_of
from nnspec.elaborate.session import COPY_STEPS
from nnspec.elaborate.values import (
    Asked,
    BlockFunction,
    BlockRecipe,
    ChainRecipe,
    Fault,
    FunctionValue,
    LayerRecipe,
    Link,
    Owned,
    Recipe,
    RepeatRecipe,
    Tensor,
    describe,
    is_number,
)
from nnspec.syntax import ast

# --- flows -----------------------------------------------------------------------------------------------------------


@handles(ast.Flow)
def _flow(frame: Frame, node: ast.Flow) -> Any:
    flowing = head(frame, node.head)
    value: Any = None
    for item in node.items:
        value = _apply_item(frame, item, flowing)
        flowing = (list(value) if isinstance(value, tuple) else [value], {})
    return value


def head(frame: Frame, node: ast.Expr) -> Flowing:
    """What stands in front of the first arrow: one value, or several by position and name."""
    if isinstance(node, ast.Tuple):
        positional = [evaluate(frame, a.value) for a in node.items if a.name is None]
        return positional, {a.name: evaluate(frame, a.value) for a in node.items if a.name is not None}
    value = evaluate(frame, node)
    if isinstance(value, (Recipe, Place, FunctionValue, BlockFunction)):
        raise Fault(
            error(
                "NNS311",
                "a flow begins with a value, and this is a layer",
                node.span,
                "nothing flows out of this",
                helps=("a chain of layers that waits for its input is written in braces: `{ A -> B }`",),
            )
        )
    return (list(value), {}) if isinstance(value, tuple) else ([value], {})


def _apply_item(frame: Frame, item: ast.Item, flowing: Flowing) -> Any:
    what, label, span = _item(frame, item)
    return apply(frame, frame.home, what, flowing, label, "auto" if label is None else "label", span)


def _item(frame: Frame, item: ast.Item) -> tuple[Any, str | None, Span]:
    what = _applied(frame, item.layer)
    if item.count is not None:
        count = evaluate(frame, item.count)
        if not isinstance(what, Recipe):
            raise Fault(
                error(
                    "NNS316",
                    "only a recipe can be repeated",
                    item.layer.span,
                    f"this is {describe(what)}",
                    notes=("a layer that exists has one set of weights",) if isinstance(what, Place) else (),
                )
            )
        what = arithmetic.repeat(frame, what, count, item.layer.span.to(item.count.span))
    return what, label_name(frame, item.label), item.layer.span


def label_name(frame: Frame, label: ast.Label | None) -> str | None:
    """The text of a label, computed ones worked out."""
    if label is None:
        return None
    if isinstance(label.value, str):
        return label.value
    value = evaluate(frame, label.value)
    assert isinstance(value, str)
    return value


def _applied(frame: Frame, node: ast.Expr) -> Any:
    """What an item applies; a function's call keeps its arguments until something flows into it."""
    if isinstance(node, ast.Call):
        function = evaluate(frame, node.function) if not _is_builtin(frame, node, flowing=True) else None
        if isinstance(function, (FunctionValue, BlockFunction)):
            return _held(frame, function, node)
        if function is not None:
            return _configure(frame, function, node)
    return evaluate(frame, node)


def _held(frame: Frame, function: FunctionValue | BlockFunction, node: ast.Call) -> FunctionValue | BlockFunction:
    """A function that waits for its input, its arguments worked out here: their names may mean others there."""
    values = [ast.Constant(a.value.span, evaluate(frame, a.value)) for a in node.arguments]
    pairs = zip(node.arguments, values, strict=True)
    held = (*(function.arguments or ()), *(ast.Argument(a.span, a.name, v, a.name_span) for a, v in pairs))
    if isinstance(function, FunctionValue):
        return FunctionValue(function.cls, node.function.span, held)
    return BlockFunction(function.block, node.function.span, held)


def apply(frame: Frame, home: Place, what: Any, flowing: Flowing, label: str | None, origin: Origin, span: Span) -> Any:
    """Feed values to a layer, a function or a recipe; a recipe takes a new place in `home`."""
    if isinstance(what, (FunctionValue, BlockFunction, Place)) and label is not None:
        word = "a function takes no name" if not isinstance(what, Place) else f"this layer is called `{what.path}`"
        raise Fault(error("NNS205", f"the label `{label}` cannot stand here: {word}", span, "labelled here"))
    frame.session.step(span, frame.title, COPY_STEPS)
    if isinstance(what, FunctionValue):
        return call_function(frame, what, what.arguments or (), flowing, span)
    if isinstance(what, BlockFunction):
        return call_block_function(frame, what, what.arguments or (), flowing, span)
    if isinstance(what, Recipe):
        name = home.automatic(what.title) if label is None else label
        what = plant(home.child(name, kind_of(what), origin, span), what)
    if isinstance(what, Place):
        return feed(frame, what, flowing, span)
    helps = []
    if isinstance(what, (Tensor, Owned)):
        helps = ["tensors meet in an operator or a function: `x + y`, `cat([x, y], dim=1)`"]
    if what is None:
        helps = ["ask first, `if norm != none { x = x -> norm }`; the layer that does nothing is `Identity`"]
    raise Fault(error("NNS311", f"{describe(what)} is not a layer: nothing can flow into it", span, helps=helps))


def plant(place: Place, recipe: Recipe) -> Place:
    """Give a recipe its place; a chain gets places for what it holds, a repetition when that is needed."""
    place.recipe = recipe
    if isinstance(recipe, ChainRecipe):
        position = 0
        for link in recipe.links:
            if isinstance(link.what, Recipe):
                name = str(position) if link.label is None else link.label
                origin: Origin = "position" if link.label is None else "label"
                plant(place.child(name, kind_of(link.what), origin, link.span), link.what)
                position += 1
    return place


def unfold(place: Place) -> None:
    """Give the copies of a repetition that nothing flowed through places: one of them is meant by itself."""
    recipe = place.recipe
    if isinstance(recipe, RepeatRecipe) and not place.children:
        for number in range(recipe.count):
            _copy(place, recipe, number)


def _copy(place: Place, recipe: RepeatRecipe, number: int) -> Place:
    return plant(place.child(str(number), kind_of(recipe.of), "position", recipe.of.span), recipe.of)


def feed(frame: Frame, place: Place, flowing: Flowing, span: Span) -> Any:
    """Feed values to a layer that has its place."""
    recipe = place.recipe
    if isinstance(recipe, LayerRecipe):
        return call_layer(frame, place, flowing, span)
    if isinstance(recipe, BlockRecipe):
        return blocks.call_block(frame, place, flowing, span)
    if isinstance(recipe, RepeatRecipe):
        return _feed_repeat(frame, place, flowing, span)
    if recipe is None:
        message = f"`{place.path}` is part of a block, and nothing flows into it from outside"
        raise Fault(error("NNS311", message, span, "inside a block", helps=("feed the block",)))
    assert isinstance(recipe, ChainRecipe)
    return _feed_chain(frame, place, recipe, flowing)


def _feed_repeat(frame: Frame, place: Place, flowing: Flowing, span: Span) -> Any:
    first, *rest = flowing[0] or [None]
    value: Any = first
    recipe = place.recipe
    assert isinstance(recipe, RepeatRecipe)
    graph = frame.builder(span)
    for number in range(recipe.count):
        child = place.children.get(str(number)) or repeats.copy_of(place, number) or _copy(place, recipe, number)
        if isinstance(value, tuple):
            raise Fault(
                error("NNS412", "only a layer with one output can be repeated", span, f"it gives {len(value)} outputs")
            )
        frame.session.step(span, frame.title, COPY_STEPS)
        start = repeats.mark(frame, graph)
        before, value = value, feed(frame, child, ([value, *rest], flowing[1]), span)
        end, others = repeats.mark(frame, graph), (*rest, *flowing[1].values())
        if repeats.is_settled(start, end, before, value, others):
            repeats.settle(place, number, recipe.count)
            if place.steady is not None and number + 1 >= place.steady.start:
                further = range(number + 1, recipe.count)
                blocks.grow(frame, len(further) * (end.unfolded - start.unfolded), span)
                return repeats.copy_on(graph, start, place, further, before, value)
    return value


def _feed_chain(frame: Frame, place: Place, recipe: ChainRecipe, flowing: Flowing) -> Any:
    children = iter(place.children.values())
    value: Any = flowing[0][0] if len(flowing[0]) == 1 and not flowing[1] else tuple(flowing[0])
    for link in recipe.links:
        what = next(children) if isinstance(link.what, Recipe) else link.what
        if isinstance(what, Place):
            value = feed(frame, what, flowing, link.span)
        else:
            value = apply(frame, place, what, flowing, link.label, "position", link.span)
        flowing = (list(value) if isinstance(value, tuple) else [value], {})
    return value


@handles(ast.Chain)
def _chain(frame: Frame, node: ast.Chain) -> ChainRecipe:
    links = []
    for item in node.items:
        what, label, span = _item(frame, item)
        if isinstance(what, Place):
            raise Fault(
                error(
                    "NNS311",
                    f"a chain takes recipes, and `{what.path}` is a layer that exists",
                    span,
                    "already has a place",
                    helps=("let values flow through it in the body: `x -> a -> b`",),
                )
            )
        if not isinstance(what, (Recipe, FunctionValue, BlockFunction)):
            raise Fault(error("NNS311", f"{describe(what)} is not a layer", span, "not a layer"))
        if label is not None and not isinstance(what, Recipe):
            raise Fault(error("NNS205", f"the label `{label}` cannot stand here: a function takes no name", span))
        links.append(Link(label, what, span))
    return ChainRecipe(tuple(links), node.span)


# --- calls -----------------------------------------------------------------------------------------------------------


def _is_builtin(frame: Frame, node: ast.Call, *, flowing: bool = False) -> bool:
    """Whether a call is one of compile-time values; a tensor flows into the library's function of that name."""
    name = name_of(node.function)
    waits = flowing or _is_named(node.arguments)
    if name not in BUILTINS or name == "sum" or (waits and registry.find("function", name)):  # see `_sum`
        return False
    return not any(name in names for names in (frame.scope, frame.file.constants, frame.file.blocks))


def _is_named(arguments: tuple[ast.Argument, ...]) -> bool:
    """Whether there are arguments, and all of them are given by name."""
    return bool(arguments) and all(a.name is not None for a in arguments)


def _waits(function: FunctionValue | BlockFunction, arguments: tuple[ast.Argument, ...]) -> bool:
    """Whether a call configures a function and gives it no input: `act = softmax(dim=1)` waits for what flows in."""
    if isinstance(function, FunctionValue):
        inputs = [name.lstrip("*") for name in function.cls.input_names()]
        required, options = inputs[: function.cls.required_inputs()], [*inputs, *function.cls.fields]
    else:
        statements = input_statements(function.block)
        required = [s.name.id for s in statements if s.default is None]
        options = [*(s.name.id for s in statements), *(h.name.id for h in function.block.hyperparameters)]
    given = [a.name for a in arguments]
    known = all(name in options for name in given)
    return _is_named(arguments) and known and bool(required) and required[0] not in given


def _sum(frame: Frame, values: list[Any] | tuple[Any, ...], span: Span) -> Any:
    """The sum of a list: of numbers, or of tensors."""
    if not any(isinstance(v, (Tensor, Owned)) for v in values):
        return BUILTINS["sum"](frame, [values], span)
    return reduce(lambda total, value: apply_named(frame, "add", (total, value), span), values)


_BOUNDS = {"min": ("clamp_max", "minimum"), "max": ("clamp_min", "maximum")}
"""What the least and the greatest of a tensor and a number are, and of two tensors among more."""


def _are_scalars(values: list[Any]) -> bool:
    """Whether these are numbers and tensors without dimensions, of which `min(1, x)` is the least.

    A whole number behind the only tensor is the dimension that torch's function takes: `min(x, 0)`.
    """
    tensors = [v for v in values if isinstance(v, (Tensor, Owned))]
    numbers = [v for v in values if is_number(v)]
    has_dim = len(values) == 2 and not is_number(values[0]) and isinstance(values[1], int)
    return (
        bool(tensors and numbers)
        and len(tensors) + len(numbers) == len(values)
        and all(t.type.dims == () for t in tensors)
        and not has_dim
    )


def _extreme(frame: Frame, name: str, values: list[Any], span: Span) -> Any:
    """The least or the greatest of numbers and of tensors without dimensions; there are some of both."""
    of_number, of_tensor = _BOUNDS[name]
    numbers = [v for v in values if is_number(v)]
    tensors = [v for v in values if not is_number(v)]
    result = reduce(lambda one, other: apply_named(frame, of_tensor, (one, other), span), tensors)
    return apply_named(frame, of_number, (result, BUILTINS[name](frame, [numbers], span)), span)


@handles(ast.Call)
def _call(frame: Frame, node: ast.Call) -> Any:
    arguments = node.arguments
    if _is_builtin(frame, node):
        name = name_of(node.function)
        assert name is not None
        values = [evaluate(frame, a.value) for a in arguments]
        if name in _BOUNDS and _are_scalars(values) and not any(a.name for a in arguments):
            return _extreme(frame, name, values, node.span)
        if not (registry.find("function", name) and any(isinstance(v, (Tensor, Owned)) for v in values)):
            for argument in arguments:
                if argument.name is not None:
                    raise Fault(error("NNS301", f"`{name}` takes no named arguments", argument.span, "given by name"))
            return BUILTINS[name](frame, values, node.span)
        pairs = zip(arguments, values, strict=True)
        arguments = tuple(ast.Argument(a.span, a.name, ast.Constant(a.value.span, v), a.name_span) for a, v in pairs)
    function = evaluate(frame, node.function)
    if isinstance(function, (FunctionValue, BlockFunction)) and _waits(function, arguments):
        return _held(frame, function, node)
    if isinstance(function, FunctionValue):
        if function.cls.__name__ == "sum" and len(arguments) == 1 and arguments[0].name is None:
            value = evaluate(frame, arguments[0].value)
            if isinstance(value, (list, tuple)):
                return _sum(frame, value, node.span)
            place = arguments[0].value.span
            arguments = (ast.Argument(arguments[0].span, None, ast.Constant(place, value)),)
        arguments = (*(function.arguments or ()), *arguments)
        return call_function(frame, FunctionValue(function.cls, node.function.span), arguments, ([], {}), node.span)
    if isinstance(function, BlockFunction):
        arguments = (*(function.arguments or ()), *node.arguments)
        return call_block_function(frame, function, arguments, ([], {}), node.span)
    if isinstance(function, Asked):
        return function.answer(frame, function.question, node)
    return _configure(frame, function, node)


def _configure(frame: Frame, function: Any, node: ast.Call) -> Recipe:
    if isinstance(function, LayerRecipe) and function.bare:
        return bind_layer(frame, type(function.layer), node)
    if isinstance(function, BlockRecipe) and function.bare:
        return blocks.bind_block(frame, function.block, node)
    text = frame.session.text(node.function.span)
    if isinstance(function, Place) and node.arguments:
        value = frame.session.text(node.arguments[0].span)
        flow = f"{value} -> {text}"
        fixes = (Fix(f"write `{flow}`", (Edit(node.span, flow),)),) if len(node.arguments) == 1 else ()
        raise Fault(
            error(
                "NNS311",
                f"`{text}` is a layer: values flow into it by an arrow",
                node.span,
                "called like a function",
                helps=() if fixes else (f"write `(a, b) -> {text}`",),
                fixes=fixes,
            )
        )
    if isinstance(function, Recipe):
        given = f"{describe(function)} that has its arguments"
        helps = (f"arguments are given in one place: hand over the kind of layer alone, `{function.title}`",)
        message = f"`{text}` is {given}, and cannot be given more"
        raise Fault(error("NNS311", message, node.span, "configured again here", helps=helps))
    raise Fault(error("NNS311", f"{describe(function)} cannot be called", node.span, "not a layer or a function"))
