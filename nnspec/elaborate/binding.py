"""Binding a spec's arguments to the fields of a library class, with every fault at the argument's own place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from nnspec import ir
from nnspec.arguments import Arguments, Field, Misfit, convert, describe_kind, words_of
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.dims import Dim, show
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame, param_ref
from nnspec.elaborate.repairs import removal
from nnspec.elaborate.values import Fault, Inexact, LayerRecipe, Owned, Recipe, Silent, Tensor, describe, show_value
from nnspec.layer import Layer
from nnspec.suggest import LEFT_OUT, suggest
from nnspec.syntax import ast

_OPTIONAL = ("bias", "weight")
"""Arguments that say whether there is a parameter of that name, or which one it is."""

_LONGEST_GIVEN = 60
"""Characters of arguments that a help writes down."""


def bind_layer(frame: Frame, cls: type[Layer], node: ast.Call) -> LayerRecipe:
    """The recipe of `Layer(arguments)`."""
    try:
        return _bind_layer(frame, cls, node)
    except Fault as fault:
        raise _without_inferred(frame, cls, node, fault) from None


def _without_inferred(frame: Frame, cls: type[Layer], node: ast.Call, fault: Fault) -> Fault:
    """A fault with the likely reason: torch's first argument is a size that is inferred here."""
    size = next((n for n, f in cls.fields.items() if f.inferred), None)
    written = [a for a in node.arguments if a.name is None]
    code, place = fault.diagnostic.code, fault.diagnostic.span
    wrong = next((a for a in written if place in (a.span, a.value.span)), None)
    by_place = [n for n, f in cls.fields.items() if not f.keyword][: len(written)]
    twice = code == "NNS306" and any(a.span == place and a.name in by_place for a in node.arguments)
    if size is None or not written or not (twice or (wrong and code in ("NNS303", "NNS304", "NNS305"))):
        return fault
    if wrong is written[0] and cls.fields[by_place[0]].required:
        return fault  # a size of the layer's own, and a wrong one
    if not all(_may_be_size(a.value) for a in (written[0], wrong or written[0])):
        return fault
    start, after = written[0].span, node.arguments[1:]
    if size == "num_channels" and len(written) > 1:
        edit = Edit(Span(start.end, written[1].span.end, start.source), "")
    elif after:
        edit = Edit(Span(start.start, after[0].span.start, start.source), "")
    else:
        edit = Edit(Span(node.function.span.end, node.span.end, start.source), "")
    return _leaving_out(fault, size, edit)


def _may_be_size(node: ast.Expr) -> bool:
    """Whether this reads like a size: a number, or what may stand for one."""
    return isinstance(node, (ast.Number, ast.Name, ast.Attribute, ast.Index, ast.Binary))


def _leaving_out(fault: Fault, size: str, edit: Edit) -> Fault:
    fix = Fix(f"leave `{size}` out: it is inferred from the input", (edit,))
    return Fault(replace(fault.diagnostic, fixes=(*fault.diagnostic.fixes, fix)))


def _bind_layer(frame: Frame, cls: type[Layer], node: ast.Call) -> LayerRecipe:
    names = [n for n, f in cls.fields.items() if not f.keyword]
    given: dict[str, tuple[Any, ast.Argument]] = {}
    ties: dict[str, ast.Argument] = {}
    inner: dict[str, LayerRecipe] = {}
    for name, argument in pair_up(cls.__name__, names, node.arguments, open_names=True):
        if name not in cls.fields:
            ties[name] = argument
            continue
        value = evaluate(frame, argument.value)
        if _holds_layer(cls, name) and (value is not None or cls.fields[name].required):
            inner[name] = _inner(cls, name, value, argument.value.span)
            value = ir.Record(type(inner[name].layer).__name__, dict(inner[name].layer.given()))
        if name in _OPTIONAL and argument.name and param_ref(value, argument.value.span) is not None:
            ties[name] = argument  # there is one, and this is it
        else:
            given[name] = (value, argument)
    for name, argument in ties.items():
        if "weight" not in name and "bias" not in name:
            raise flows_in(cls, argument) or unknown_argument(cls.__name__, cls.fields, argument, frame)
    values = check_fields(cls.__name__, cls.fields, given)
    _check_required(frame, cls, cls.fields, values, node)
    recipe = LayerRecipe(cls(**values), node.span)
    for name, each in inner.items():
        _inherit(recipe, name, each)
    recipe.ordered = tuple(name for name, (_, argument) in given.items() if argument.name is None)
    for name, (_, argument) in given.items():
        recipe.spans[name] = argument.span
        if not isinstance(argument.value, (ast.Number, ast.Constant, ast.String)) and not _holds_layer(cls, name):
            recipe.exprs[name] = frame.session.text(argument.value.span)
    for name, argument in ties.items():
        _bind_tie(frame, recipe, name, argument)
    return recipe


def flows_in(cls: type[Layer], argument: ast.Argument) -> Fault | None:
    """The fault of an input of a layer that is written among its arguments."""
    name = argument.name
    if name not in cls.input_names():
        return None
    first = cls.input_names()[0]
    message = f"`{name}` is an input of `{cls.__name__}`, not an argument"
    helps = (f"it flows in: `({first}, {name}=...) -> {cls.__name__}(...)`",)
    return Fault(error("NNS301", message, argument.name_span or argument.span, "an input", helps=helps))


def _inner(cls: type[Layer], name: str, value: Any, span: Span) -> LayerRecipe:
    """The recipe of a layer that another one wraps, or has as a part."""
    if not isinstance(value, LayerRecipe):
        if name != "layer":
            message = f"`{name}` of `{cls.__name__}` must be a layer of the library, not {describe(value)}"
            notes = (f"`{name}`: {cls.fields[name].doc}",)
            raise Fault(error("NNS303", message, span, "not a layer of the library", notes=notes))
        message = f"`{cls.__name__}` wraps one layer of the library, such as `Linear(8)`, not {describe(value)}"
        helps = ("wrap the layers inside it, one by one",) if isinstance(value, Recipe) else ()
        if isinstance(value, Tensor):
            helps = (f"layers are configured first: `x -> {cls.__name__}(Linear(8))`",)
        raise Fault(error("NNS303", message, span, "not a layer of the library", helps=helps))
    missing = [n for n, f in value.layer.fields.items() if f.required] if value.bare else []
    if missing:
        raise missing_argument(value.title, missing, value.layer.fields, span)
    return value


def _holds_layer(cls: type[Layer], name: str) -> bool:
    """Whether an argument is a layer."""
    return cls.fields[name].kind in ("Layer", "Layer | None")


def _inherit(recipe: LayerRecipe, name: str, inner: LayerRecipe) -> None:
    """What holds a layer keeps the places of its arguments; a wrapper is that layer, and keeps its ties as well."""
    kind, tied = type(recipe.layer).__name__, next(iter(inner.ties), "")
    if name != "layer" and tied:
        message = f"`{tied}` of `{inner.title}` is tied, which `{name}` of `{kind}` cannot be"
        helps = (f"a layer behind the `{kind}` can be tied",) if name == "norm" else ()
        raise Fault(error("NNS311", message, inner.spans[tied], "tied here", helps=helps))
    computed = getattr(recipe.layer, "name", "")
    if computed in inner.ties:
        message = f"`{computed}` of `{inner.title}` is tied, and `{kind}` would compute it"
        helps = ("wrap the layer that owns it",)
        raise Fault(error("NNS311", message, inner.spans[computed], "tied here", helps=helps))
    recipe.inner[name] = inner
    recipe.ties.update(inner.ties)
    recipe.spans.update({argument: span for argument, span in inner.spans.items() if argument not in recipe.spans})


def _bind_tie(frame: Frame, recipe: LayerRecipe, name: str, argument: ast.Argument) -> None:
    """`weight=wte.weight`: an argument may tie a parameter of its name, of one that is also an option (`bias`) too."""
    value = evaluate(frame, argument.value)
    owner = param_ref(value, argument.value.span)
    if owner is None and isinstance(value, (Tensor, Owned)):
        kind = "a tensor" if isinstance(value, Tensor) else f"the buffer `{value.path}`"
        message = f"`{name}` of `{recipe.title}` is tied to a parameter, not to {kind}"
        helps = ("tie it to that of a layer that stands earlier, `wte.weight`, or to a `param`",)
        raise Fault(error("NNS311", message, argument.value.span, "not a parameter", helps=helps))
    if owner is None:
        raise unknown_argument(recipe.title, type(recipe.layer).fields, argument)
    recipe.ties[name] = owner
    recipe.spans[name] = argument.span


def pair_up(
    title: str, names: Sequence[str], arguments: Iterable[ast.Argument], *, open_names: bool = False
) -> list[tuple[str, ast.Argument]]:
    """Positional and named arguments by name; too many, doubled and misplaced ones are faults."""
    arguments = list(arguments)
    pairs: list[tuple[str, ast.Argument]] = []
    seen: set[str] = set()
    for position, argument in enumerate(arguments):
        name = argument.name
        if name is None and position and arguments[position - 1].name is not None:
            raise Silent  # a syntax error, and reported as one
        if name is None:
            if position >= len(names):
                count = len([a for a in arguments if a.name is None])
                most = f"at most {len(names)} argument{'s' if len(names) != 1 else ''}" if names else "no arguments"
                raise Fault(
                    error(
                        "NNS305",
                        f"`{title}` takes {most} by position, but {count} {'is' if count == 1 else 'are'} given",
                        argument.span,
                        "one too many",
                        helps=(f"its arguments are {', '.join(names)}",) if names else (),
                    )
                )
            name = names[position]
        if name in seen:
            raise Fault(error("NNS306", f"`{title}` is given `{name}` twice", argument.span, "given again here"))
        seen.add(name)
        pairs.append((name, argument))
    return pairs


def unknown_argument(title: str, known: Iterable[str], argument: ast.Argument, frame: Frame | None = None) -> Fault:
    """The fault of an argument that a class does not have; with a frame for a class of the library."""
    known = list(known)
    assert argument.name is not None
    close = suggest(argument.name, known)
    span = argument.name_span or argument.span
    if frame is not None and argument.name in LEFT_OUT:
        without = (Fix(LEFT_OUT[argument.name], (removal(frame, argument.span),), safe=True),)
        message = f"`{title}` has no argument `{argument.name}`"
        return Fault(error("NNS301", message, span, "unknown argument", fixes=without))
    fixes = [Fix(f"write `{close}`", (Edit(span, close),))] if close else []
    helps = [] if close else [f"its arguments are {', '.join(f'`{n}`' for n in known)}" if known else "it takes none"]
    return Fault(
        error(
            "NNS301", f"`{title}` has no argument `{argument.name}`", span, "unknown argument", helps=helps, fixes=fixes
        )
    )


def check_fields(title: str, fields: Any, given: dict[str, tuple[Any, ast.Argument]]) -> dict[str, Any]:
    """The given values as their fields hold them: kinds and bounds checked."""
    values = {}
    for name, (value, argument) in given.items():
        spec: Field = fields[name]
        values[name] = check_value(title, spec, value, argument.value.span, decimal(argument.value))
    return values


def decimal(node: ast.Expr) -> str:
    """A number that is written with a point, as it would be shown."""
    return show_value(float(node.value)) if isinstance(node, ast.Number) and isinstance(node.value, Fraction) else ""


def check_value(title: str, spec: Field, value: Any, span: Span, written: str = "", order: Sequence[str] = ()) -> Any:
    """One value as its field holds it; `written` is how the author wrote a number with a point.

    A function has its tensors among its arguments, whose `order` is told when one of them stands in another's place.
    """
    if isinstance(value, Inexact):
        raise value.fault
    kind = f"{spec.kind} | None" if spec.inferred else spec.kind
    try:
        converted = convert(kind, value)
    except Misfit:
        raise _misfit(title, spec, value, span, written, order) from None
    fault = spec.bound_fault(converted)
    if fault is not None:
        raise Fault(
            error("NNS304", f"`{spec.name}` of `{title}` {fault}, not {show_value(value)}", span, "out of bounds")
        )
    return converted


def _misfit(title: str, spec: Field, value: Any, span: Span, written: str, order: Sequence[str]) -> Fault:
    wants = describe_kind(spec.kind)
    if isinstance(value, Fraction) and "whole" in wants and written:
        message = f"`{spec.name}` of `{title}` must be a whole number, not {written}"
        return Fault(error("NNS307", message, span, "not a whole number"))
    if isinstance(value, Fraction) and "whole" in wants:
        return Fault(
            error(
                "NNS307",
                f"`{spec.name}` of `{title}` must be a whole number, and this is {value.numerator}/{value.denominator}",
                span,
                f"{value.numerator} is not divisible by {value.denominator}",
                helps=("round down with `//` if that is meant",),
            )
        )
    parts = value if isinstance(value, (tuple, list)) else (value,)
    symbol = next((part for part in parts if isinstance(part, Dim)), None)
    if symbol is not None and "Size" not in spec.kind:
        return Fault(
            error(
                "NNS405",
                f"`{spec.name}` of `{title}` must be {wants}, not the symbol `{show(symbol)}`",
                span,
                "not known at compile time",
                helps=("give the input a fixed size there",),
            )
        )
    helps = []
    if isinstance(value, Tensor):
        helps = ["a tensor flows in by an arrow: `x -> ...`"] if not order else [in_order(order)] if order[1:] else []
    close = suggest(value, words_of(spec.kind)) if isinstance(value, str) else None
    if close is not None:
        helps = [f'write "{close}"']
    if _fits(spec.kind, (value,)):
        helps = [f"write `({show_value(value)},)`"]
    return Fault(
        error(
            "NNS303",
            f"`{spec.name}` of `{title}` must be {wants}, not {_described(value)}",
            span,
            f"expected {wants}",
            helps=helps,
        )
    )


def _fits(kind: str, value: Any) -> bool:
    try:
        convert(kind, value)
    except Misfit:
        return False
    return True


def _described(value: Any) -> str:
    return f"`{show_value(value)}`" if isinstance(value, (tuple, list)) else describe(value)


def in_order(names: Sequence[str]) -> str:
    """The order of a function's arguments, as a help says it."""
    return f"its arguments go in this order: {', '.join(f'`{n}`' for n in names)}"


def _check_required(frame: Frame, cls: type[Arguments], fields: Any, values: dict[str, Any], node: ast.Call) -> None:
    missing = [n for n, f in fields.items() if f.required and n not in values]
    if missing:
        raise missing_argument(cls.__name__, missing, fields, node.span, given_text(frame, node.arguments))


def given_text(frame: Frame, arguments: Sequence[ast.Argument]) -> str:
    """What is given in a call, as it stands before an argument that is lacking; dots where that is long."""
    text = ", ".join(frame.session.text(a.span) for a in arguments)
    return f"{'...' if len(text) > _LONGEST_GIVEN or chr(10) in text else text}, " if text else ""


def missing_argument(title: str, missing: Sequence[str], fields: Any, span: Span, given: str = "") -> Fault:
    """The fault of required arguments that are not given; `given` is what stands before them in a call."""
    names = " and ".join(f"`{n}`" for n in missing)
    notes = [f"`{n}`: {fields[n].doc}" for n in missing if n in fields and fields[n].doc]
    return Fault(
        error(
            "NNS302",
            f"`{title}` needs {names}",
            span,
            f"missing {names}",
            notes=notes,
            helps=(f"write `{title}({given}{', '.join(f'{n}=...' for n in missing)})`",),
        )
    )
