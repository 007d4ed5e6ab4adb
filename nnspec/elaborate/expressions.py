"""Values of expressions. Flows and calls register themselves here (see `flows`, `calls`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from nnspec import registry, registry_std
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.dims import Dim
from nnspec.elaborate import arithmetic
from nnspec.elaborate.absent import absent_symbol
from nnspec.elaborate.builtins import BUILTINS, CONSTANTS
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.spelling import called_twice, renamed
from nnspec.elaborate.values import (
    BlockFunction,
    BlockRecipe,
    DType,
    Fault,
    FunctionValue,
    Inexact,
    LayerRecipe,
    Owned,
    Record,
    Silent,
    Tensor,
    Undecided,
    describe,
    is_size,
    show_value,
)
from nnspec.suggest import DATA_SIZED, NEAREST, closest, suggest
from nnspec.syntax import ast
from nnspec.types import canonical

_MOST_NAMES = 1000
"""Names of a body that an unknown one is compared with: the latest."""

_PREFIX = re.compile(
    r"(?P<module>(?:torch|nn|F|init|linalg|special|tf|keras|np|numpy|jnp|jax|math)\."
    r"(?:(?:nn|functional|optim|init|linalg|special|fft|layers|keras|math|numpy|random)\.)*)(?P<name>[A-Za-z]\w*)"
)
"""The name of a layer or a function, with what stands before it in programs of torch and others."""

Handler = Callable[[Frame, Any], Any]
_HANDLERS: dict[type, Handler] = {}
_H = TypeVar("_H", bound=Handler)


def handles(*nodes: type) -> Callable[[_H], _H]:
    """Register a function that gives the value of these nodes."""

    def register(handler: _H) -> _H:
        for node in nodes:
            _HANDLERS[node] = handler
        return handler

    return register


def evaluate(frame: Frame, node: ast.Expr) -> Any:
    """The value of an expression; raises `Fault` for the author's mistake."""
    value = _HANDLERS[type(node)](frame, node)
    if isinstance(value, Inexact):
        raise value.fault
    return value


def operand_value(frame: Frame, node: ast.Expr) -> Any:
    """The same where a number that is known at run time may stand too: next to a tensor, or in more arithmetic."""
    return _HANDLERS[type(node)](frame, node)


@handles(ast.Broken)
def _broken(frame: Frame, node: ast.Broken) -> Any:
    raise Silent


@handles(ast.Number, ast.Constant)
def _literal(frame: Frame, node: ast.Number | ast.Constant) -> Any:
    return node.value


@handles(ast.String)
def _string(frame: Frame, node: ast.String) -> str:
    parts = []
    for part in node.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        value = evaluate(frame, part)
        if isinstance(value, Dim) or not isinstance(value, (str, int, float, bool)):
            raise Fault(error("NNS309", f"{describe(value)} cannot stand in a string", part.span))
        parts.append(value if isinstance(value, str) else show_value(value))
    return "".join(parts)


@handles(ast.Name)
def _name(frame: Frame, node: ast.Name) -> Any:
    name = node.id
    try:
        return frame.lookup(name)
    except KeyError:
        pass
    if name == "training":
        if frame.graph is None:
            raise Fault(error("NNS201", "`training` is known only in the body of a block or model", node.span))
        frame.uses_training = True
        return frame.mode == "train"
    found = library(frame, name, node.span)
    if found is None:
        raise unknown_name(frame, node)
    return found


_BUDGETS = ("parameters", "macs")
"""What a top-level assert may ask of a model."""


def library(frame: Frame, name: str, span: Span) -> Any:
    """What a name means outside the body: a block, a layer, a function, a constant; None when it is unknown."""
    block = frame.file.blocks.get(name)
    if block is not None:
        return block_value(block, span)
    layer = registry.find("layer", name)
    if layer is not None:
        missing = [n for n, f in layer.fields.items() if f.required]
        recipe = LayerRecipe(layer(**dict.fromkeys(missing)), span, bare=True)
        return recipe
    for kind in frame.library:
        function = registry.find(kind, name)
        if function is not None:
            return FunctionValue(function, span)
    if name in CONSTANTS:
        return CONSTANTS[name]
    dtype = canonical(name)
    return DType(dtype) if dtype else None


def block_value(block: ast.Definition, span: Span) -> BlockFunction | BlockRecipe:
    """What the name of a block stands for, at the place where it is used."""
    if isinstance(block, ast.Block) and block.name.id[0].islower():
        return BlockFunction(block, span)
    return BlockRecipe(block, {}, {}, span, bare=True)


def unknown_name(frame: Frame, node: ast.Name, kind: str = "") -> Fault:
    """The fault of a name that nothing defines, with the closest that something does."""
    name = node.id
    if name in frame.absent:
        return absent_symbol(frame, node)
    if name in _BUDGETS:
        message = f"`{name}(...)` is asked by asserts of the file, and by nothing else"
        return Fault(error("NNS321", message, node.span, "not in an assert of the file"))
    if frame.session.sink.full:
        return Fault(error("NNS201", f"unknown name `{name}`", node.span))
    if not kind:
        kind = "layer" if name[:1].isupper() and not name.isupper() else "name"
    blocks = frame.file.blocks
    candidates = [*list(frame.scope)[-_MOST_NAMES:], *frame.offered, *frame.file.constants, *blocks]
    if kind != "size":
        candidates += registry.index("layer")
        candidates += [n for kind in frame.library for n in registry.index(kind)]
        candidates += [*BUILTINS, "true", "false", "none", *(["training"] if frame.graph is not None else [])]
    close = suggest(name, candidates)
    fixes = [Fix(_offer(frame, name, close), (renamed(frame, node.span, close),))] if close else []
    prefix = _PREFIX.match(frame.session.sources[node.span.source].text, node.span.start)
    if prefix:
        fixes = [_without_module(frame, prefix, candidates, node.span.source)]
    if kind == "size" and not close and name[0].islower():
        symbol = name[0].upper() + name[1:]
        fixes = [Fix(f"symbols are capitalised: `{symbol}`", (Edit(node.span, symbol),))]
    if name in frame.inner_names:
        notes = [f"`{name}` is bound in the body of a scan, and is not known outside"]
        helps = ["`yield` it, or make it a state"]
        return Fault(error("NNS201", f"unknown {kind} `{name}`", node.span, _NOWHERE[kind], notes=notes, helps=helps))
    if name in DATA_SIZED:
        notes = ["how many elements it gives is known at run time only, and a spec's shapes when it is compiled"]
        helps = [DATA_SIZED[name]]
        return Fault(error("NNS201", f"unknown {kind} `{name}`", node.span, _NOWHERE[kind], notes=notes, helps=helps))
    if name in NEAREST:
        return Fault(error("NNS201", f"unknown {kind} `{name}`", node.span, _NOWHERE[kind], helps=[NEAREST[name]]))
    offered = ", ".join(f"`{n}`" for n in frame.offered)
    notes = [f"outputs of the model and fields of the data are {offered}"] if offered else []
    homes = registry_std.blocks().get(name, ())
    helps = [f"the library has one to import: `from {home} import {name}`" for home in homes]
    helps += [frame.advice[name]] if name in frame.advice else []
    below = frame.graph is None and _stands_below(frame, node)
    helps = [f"`{name}` stands below: constants use those above them"] if below else helps
    fixes = [] if helps else fixes
    text = f"unknown {kind} `{name}`"
    return Fault(error("NNS201", text, node.span, _NOWHERE[kind], notes=notes, helps=helps, fixes=fixes))


def _without_module(frame: Frame, found: re.Match[str], candidates: list[str], source: int) -> Fix:
    """The name of another framework's function or layer as it is here."""
    name = found["name"]
    known = name in candidates or name in CONSTANTS or canonical(name) is not None
    close = name if known or name in NEAREST else suggest(name, candidates) or name
    title = f"drop the `{found['module']}`: layers and functions are called by their own names"
    title += "" if close == name else f", and this one `{close}`"
    span = Span(found.start(), found.end(), source)
    return Fix(title, (called_twice(frame, span, close) or Edit(span, close),))


def _stands_below(frame: Frame, used: ast.Name) -> bool:
    """Whether a constant of this name stands further down in the file."""
    assigns = (node for node in frame.file.file.declarations if isinstance(node, ast.Assign))
    names = (name for node in assigns for name in target_names(node.target))
    return any(name.id == used.id and name.span.start > used.span.end for name in names)


_NOWHERE = {
    "layer": "not a layer, a function or a block in scope",
    "name": "nothing of this name is in scope",
    "size": "no input binds this symbol, and no number has this name",
}


def _offer(frame: Frame, name: str, close: str) -> str:
    word = _word(close, frame)
    if word == "layer" and name == f"Lazy{close}":
        return f"layers infer the sizes of what flows in, and this one is called `{close}`"
    if not closest(name, [close]):
        return f"this {word} is called `{close}` here"
    if word == "name" or close == "training":
        return f"did you mean `{close}`?"
    return f"a {word} with a similar name exists: `{close}`"


_WORDS = ("true", "false", "none", "training")


def _word(name: str, frame: Frame) -> str:
    if name in frame.scope or name in frame.offered or name in frame.file.constants or name in _WORDS:
        return "name"
    if name in frame.file.blocks:
        return "block"
    return "layer" if name in registry.index("layer") else "function"


@handles(ast.List)
def _list(frame: Frame, node: ast.List) -> Any:
    return arithmetic.bounded(frame, [evaluate(frame, item) for item in node.items], node.span)


@handles(ast.Tuple)
def _tuple(frame: Frame, node: ast.Tuple) -> Any:
    if any(item.name for item in node.items):
        record = Record()
        for item in node.items:
            if item.name is None:
                raise Fault(error("NNS309", "a record has names for all of its values", item.span, "no name"))
            record[item.name] = evaluate(frame, item.value)
        return record
    return arithmetic.bounded(frame, tuple(evaluate(frame, item.value) for item in node.items), node.span)


@handles(ast.Comprehension)
def _comprehension(frame: Frame, node: ast.Comprehension) -> Any:
    result = []
    hidden = save_targets(frame, node.target)
    for value in iterate(frame, node.iterable):
        frame.session.step(node.span, "a comprehension")
        assign_local(frame, node.target, value)
        if node.test is None or condition(frame, node.test, "a comprehension's `if`"):
            result.append(evaluate(frame, node.element))
    restore_targets(frame, hidden)
    return arithmetic.bounded(frame, result, node.span)


def iterate(frame: Frame, node: ast.Expr) -> list[Any]:
    """The items that a loop goes over."""
    value = evaluate(frame, node)
    if isinstance(value, (list, tuple)):
        return list(value)
    raise Fault(
        error(
            "NNS309",
            f"a loop goes over a list, not over {describe(value)}",
            node.span,
            "not a list",
            helps=(f"count with `range({show_value(value)})`",) if is_size(value) else (),
        )
    )


def target_names(target: ast.Target) -> list[ast.Name]:
    """The names in a target, in order."""
    if isinstance(target, ast.Name):
        return [target]
    return [name for item in target.items for name in target_names(item)]


def save_targets(frame: Frame, target: ast.Target) -> dict[str, Any]:
    """Check that loop variables shadow nothing; returns what to restore."""
    for name in target_names(target):
        if name.id != "_" and any(name.id in taken for taken in (frame.scope, frame.fixed, frame.file.constants)):
            raise Fault(
                error(
                    "NNS203",
                    f"the loop variable `{name.id}` would hide another `{name.id}`",
                    name.span,
                    "already bound in this body" if name.id in frame.scope else "already a constant of this file",
                    helps=("choose another name",),
                )
            )
    return {name.id: None for name in target_names(target)}


def restore_targets(frame: Frame, hidden: dict[str, Any]) -> None:
    """Forget loop variables."""
    for name in hidden:
        frame.scope.pop(name, None)


def assign_local(frame: Frame, target: ast.Target, value: Any) -> None:
    """Bind a loop's variables."""
    if isinstance(target, ast.Name):
        if target.id != "_":
            frame.scope[target.id] = value
        return
    for part, item in zip(target.items, unpack(value, len(target.items), target.span), strict=True):
        assign_local(frame, part, item)


def unpack(value: Any, count: int, span: Span) -> tuple[Any, ...]:
    """The parts of a tuple or list for so many targets."""
    if not isinstance(value, (tuple, list)):
        raise Fault(error("NNS414", f"{describe(value)} cannot be unpacked into {count} names", span, "not several"))
    if len(value) != count:
        nested = any(isinstance(v, (tuple, list)) for v in value)
        raise Fault(
            error(
                "NNS414",
                f"{len(value)} values cannot be unpacked into {count} names",
                span,
                f"{count} names here",
                notes=(f"the values are {' and '.join(map(describe, value))}",) if len(value) < 6 else (),
                helps=("a tuple inside is unpacked in brackets: `a, (b, c) = ...`",) if nested else (),
            )
        )
    return tuple(value)


def condition(frame: Frame, node: ast.Expr, what: str) -> bool:
    """The truth of a condition that must be known now."""
    value = evaluate(frame, node)
    if isinstance(value, Undecided):
        raise arithmetic.undecided(value, node.span, what)
    if isinstance(value, (Tensor, Owned)):
        raise tensor_condition(node.span)
    if not isinstance(value, bool):
        asked = value is None and isinstance(node, ast.Name)
        helps = (f"ask whether it is given: `{frame.session.text(node.span)} != none`",) if asked else ()
        message = f"{what} needs true or false, not {describe(value)}"
        raise Fault(error("NNS309", message, node.span, "not a condition", helps=helps))
    return value


def tensor_condition(span: Span) -> Fault:
    """A tensor where a condition must stand."""
    return Fault(
        error(
            "NNS417",
            "a tensor has no truth at compile time",
            span,
            "its values are known only at run time",
            helps=(
                "choose between values with `where(condition, a, b)`",
                "combine masks with `logical_and`, `logical_or` and `logical_not`",
            ),
        )
    )


@handles(ast.Conditional)
def _conditional(frame: Frame, node: ast.Conditional) -> Any:
    test = evaluate(frame, node.test)
    if isinstance(test, Undecided):
        return arithmetic.choose(test, evaluate(frame, node.then), evaluate(frame, node.orelse), node.test.span)
    if isinstance(test, (Tensor, Owned)):
        raise tensor_condition(node.test.span)
    if not isinstance(test, bool):
        raise Fault(error("NNS309", f"`if` needs true or false, not {describe(test)}", node.test.span))
    return operand_value(frame, node.then if test else node.orelse)
