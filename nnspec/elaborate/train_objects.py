"""Configured objects of the library in a `train` section: `Adam(lr=1e-3)`, and those that hold others."""

from __future__ import annotations

from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Arguments, Field, objects_of
from nnspec.diagnostics import error
from nnspec.elaborate.binding import (
    check_value,
    decimal,
    given_text,
    missing_argument,
    pair_up,
    unknown_argument,
)
from nnspec.elaborate.expressions import condition, evaluate
from nnspec.elaborate.extern import require_allowed
from nnspec.elaborate.frame import name_of
from nnspec.elaborate.overrides import parse_setting
from nnspec.elaborate.session import MAX_DEPTH
from nnspec.elaborate.train_section import Section, is_none, translated, written
from nnspec.elaborate.values import Fault, Silent
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.average import Average
from nnspec.training.dataset import Dataset
from nnspec.training.optimizer import Optimizer
from nnspec.training.scheduler import Scheduler
from nnspec.training.transform import Transform

OBJECTS = {
    "data": "dataset",
    "validation": "dataset",
    "optimizer": "optimizer",
    "schedule": "scheduler",
    "average": "average",
}
"""Settings that are objects of the library, and their kind there."""

OPTIONAL = ("validation", "schedule", "average")
"""Those that may be `none`: there is no such thing then."""

_STEPS = 50
"""What binding an object costs, in steps of the elaboration: names may stand for objects that hold objects."""

WORDS = {
    "dataset": "a data set",
    "optimizer": "an optimizer",
    "scheduler": "a scheduler",
    "average": "an average of the weights",
    "transform": "a transform",
}
"""Kinds of objects in words."""


def setting_object(section: Section, name: str) -> Any:
    """The object that a setting is: None when it is not set, is `none`, or at fault, which is reported."""
    node = written(section, name)
    if node is None:
        return None
    try:
        node = chosen(section, node)
        if name in OPTIONAL and is_none(node):
            return None
        return bind_object(section, name, OBJECTS[name], node)
    except Fault as fault:
        section.fail(fault)
    except Silent:
        section.frame.failed = True
    return None


def record(section: Section, path: str, value: Arguments) -> ir.Record:
    """An object as the IR holds it."""
    return ir.Record(type(value).__name__, dict(value.given()), section.spans[path])


def class_of(section: Section, path: str, kind: str, node: ast.Expr) -> Any:
    """The class of a library object; a name that there is not is a fault."""
    if isinstance(node, ast.Broken):
        raise Silent
    function = node.function if isinstance(node, ast.Call) else node
    word = name_of(function)
    cls = registry.find(kind, word) if word else None
    if cls is None:
        close = suggest(word, registry.index(kind)) if word else None
        listed = ", ".join(f"`{n}`" for n in sorted(registry.index(kind)))
        helps = [f"did you mean `{close}`?"] if close else [f"there are {listed}"]
        shown = f"unknown {kind} `{word}`" if word else f"`{path}` must be {WORDS[kind]}"
        raise Fault(error("NNS201", shown, function.span, f"not {WORDS[kind]}", helps=helps))
    return cls


def bind_object(section: Section, path: str, kind: str, node: ast.Expr) -> Any:
    """The object that an expression says; `path` is what it and its arguments are called from outside."""
    node = chosen(section, node)
    cls = class_of(section, path, kind, node)
    section.session.step(node.span, section.title, _STEPS)
    if path.count(".") > MAX_DEPTH:
        raise Fault(error("NNS310", "objects stand in objects too deeply", node.span, "too many levels"))
    arguments = node.arguments if isinstance(node, ast.Call) else ()
    title = cls.__name__
    pairs = pair_up(title, [n for n, f in cls.fields.items() if not f.keyword], arguments)
    for name, argument in pairs:
        if name not in cls.fields:
            raise unknown_argument(title, cls.fields, argument)
        section.spans[f"{path}.{name}"] = argument.span
    values = {name: _argument(section, f"{path}.{name}", title, cls.fields[name], a.value) for name, a in pairs}
    values |= _from_outside(section, path, cls)
    missing = [n for n, f in cls.fields.items() if f.required and n not in values]
    if missing:
        raise missing_argument(title, missing, cls.fields, node.span, given_text(section.frame, arguments))
    section.spans[path] = node.span
    made = cls(**values)
    if isinstance(made, (Dataset, Optimizer, Scheduler, Transform, Average)):
        translated(section, path, made.check)
    if isinstance(made, Dataset) and made.runs_code:
        require_allowed(section.session, getattr(made, made.runs_code), node.span, "loading the data runs this code")
    return made


def chosen(section: Section, node: ast.Expr) -> ast.Expr:
    """An expression behind the names of bindings and the choices that are known."""
    seen: set[str] = set()
    while True:
        if isinstance(node, ast.Conditional):
            node = node.then if condition(section.frame, node.test, "`if`") else node.orelse
        elif isinstance(node, ast.Name) and node.id in section.objects and node.id not in seen:
            seen.add(node.id)
            node = section.objects[node.id].value
        else:
            return node


def set_objects_aside(section: Section) -> None:
    """Bindings of library objects are no tensors to work out."""
    for binding in tuple(section.bindings):
        if (
            isinstance(binding.target, ast.Name)
            and not isinstance(binding.value, ast.Scan)
            and is_object(binding.value)
        ):
            section.objects[binding.target.id] = binding
            section.bindings.remove(binding)


def is_object(node: ast.Expr) -> bool:
    """Whether an expression is an object of the library, or a list of such."""
    if isinstance(node, ast.List):
        return bool(node.items) and all(map(is_object, node.items))
    word = name_of(node.function) if isinstance(node, ast.Call) else None
    return word is not None and any(word in registry.index(kind) for kind in WORDS)


def _argument(section: Section, path: str, title: str, spec: Field, node: ast.Expr) -> Any:
    kinds = objects_of(spec.kind)
    value = _nested(section, path, kinds[0], node) if kinds else evaluate(section.frame, node)
    return check_value(title, spec, value, node.span, decimal(node))


def _nested(section: Section, path: str, kind: str, node: ast.Expr) -> Any:
    """The value of an argument that holds objects: a record of each."""
    node = chosen(section, node)
    if isinstance(node, ast.List):
        return [_nested(section, f"{path}.{i}", kind, item) for i, item in enumerate(node.items)]
    if isinstance(node, ast.Tuple) and all(item.name is None for item in node.items):
        return tuple(_nested(section, f"{path}.{i}", kind, item.value) for i, item in enumerate(node.items))
    if isinstance(node, (ast.Call, ast.Name)):
        return record(section, path, bind_object(section, path, kind, node))
    return evaluate(section.frame, node)


def _from_outside(section: Section, path: str, cls: type[Arguments]) -> dict[str, Any]:
    """The arguments of an object that are set from outside: `--set train.optimizer.lr=0.1`."""
    values = {}
    start = f"{section.path}{path}."
    for each, text in section.overrides.items():
        name, _, deeper = each.removeprefix(start).partition(".")
        if not each.startswith(start):
            continue
        spec = cls.fields.get(name)
        if spec is None:
            close = suggest(name, cls.fields)
            helps = [f"did you mean `{close}`?"] if close else [f"its arguments are {', '.join(cls.fields)}"]
            message = f"`{cls.__name__}` has no argument `{name}`"
            raise Fault(error("NNS314", message, section.head, helps=helps))
        if not deeper:
            section.consumed.add(each)
            node = parse_setting(section.session, f"train.{each}", text, spec.kind)
            values[name] = _argument(section, f"{path}.{name}", cls.__name__, spec, node)
    return values
