"""A `train` section: data, loss, optimizer, metrics and settings, checked against the model and the data's fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Arguments
from nnspec.diagnostics import Edit, Fix, Label, error
from nnspec.elaborate.binding import (
    check_fields,
    check_value,
    decimal,
    given_text,
    missing_argument,
    pair_up,
    unknown_argument,
)
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import name_of
from nnspec.elaborate.names import walk
from nnspec.elaborate.overrides import Written, parse_value, setting_called
from nnspec.elaborate.session import Session
from nnspec.elaborate.statements import not_built
from nnspec.elaborate.train_fields import match_inputs, schema, sized
from nnspec.elaborate.train_graphs import EXPRESSIONS, check_functions, loss_graph, mentioned_names, metric_graphs
from nnspec.elaborate.train_section import Section, translated, written
from nnspec.elaborate.values import BlockRecipe, Fault, Record, Silent
from nnspec.patterns import owned
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.optimizer import Optimizer
from nnspec.training.settings import Settings

LATER = ("schedule", "clip_grad_norm", "precision", "checkpoint", "compile", "accumulate", "ema", "early_stopping")
"""Settings of the language that are not trained with yet."""

_OBJECTS = {"data": ("dataset", "a data set"), "optimizer": ("optimizer", "an optimizer")}
"""Settings that are objects of the library: their kind there, and in words."""


def elaborate_train(
    session: Session,
    node: ast.Train,
    entry: ir.Entry,
    recipe: BlockRecipe,
    *,
    base: Path,
    overrides: Mapping[str, Written],
    to_run: bool = False,
) -> ir.Training | None:
    """The training of a model, or None when the section has errors.

    Data whose file is missing is a fault only `to_run`: a spec can be checked where its data is not.
    """
    number = entry.methods.get("train", entry.methods["infer"])
    section = Section(session, node, (entry, session.methods[number], recipe), base, overrides)
    found = None
    try:
        found = _elaborate(section, to_run)
    except Fault as fault:
        section.fail(fault)
    except Silent:
        pass
    if not section.computed:
        check_functions(section)
    return found


def check_names(session: Session, node: ast.Train) -> None:
    """Report unknown settings, data, optimizers, losses and metrics of a section whose model has errors."""
    section = Section(session, node, None, Path(), {})
    _collect(section)
    for name, (kind, words) in _OBJECTS.items():
        value = written(section, name)
        if value is not None:
            with suppress(Silent):
                try:
                    _class_of(name, kind, words, value)
                except Fault as fault:
                    section.fail(fault)
    check_functions(section)


def chosen_optimizer(session: Session, node: ast.Train, entry: ir.Entry, recipe: BlockRecipe) -> ir.Record | None:
    """The optimizer that a section names; faults in the section are not reported, and mean that there is none."""
    section = Section(session, node, (entry, session.methods[entry.methods["infer"]], recipe), Path(), {})
    for statement in node.body.statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.target, ast.Name):
            section.settings.setdefault(statement.target.id, statement)
            section.bindings.append(statement)
    _bind_numbers(section)
    with suppress(Fault, Silent):
        written_as = section.settings.get("optimizer")
        if written_as is not None:
            value = _bind_object(section, "optimizer", written_as.value)
            return _record(section, "optimizer", value)
    return None


def _elaborate(section: Section, to_run: bool) -> ir.Training | None:
    _collect(section)
    _check_overrides(section)
    _bind_numbers(section)
    data = _object(section, "data")
    optimizer = _object(section, "optimizer")
    if optimizer is not None:
        translated(section, "optimizer", lambda: optimizer.check_parameters(_parameters(section)))
    settings = _plain_settings(section)
    if data is None:
        return None
    fields = schema(section, data, to_run)
    if fields is None:
        return None
    inputs, sizes = match_inputs(section, fields)
    outputs = {
        name: sized(section.method.graph, operand, sizes)
        for name, operand in zip(section.method.output_names, section.method.graph.outputs, strict=True)
        if isinstance(operand, ir.Ref)
    }
    section.offered = (*outputs, *fields)
    section.computed = True
    names = mentioned_names(section, outputs, fields)
    types = [outputs[n] if kind == "model" else fields[n] for kind, n in names]
    loss = loss_graph(section, names, types)
    metrics = metric_graphs(section, names, types)
    if loss is None or optimizer is None or section.frame.failed:
        return None
    return ir.Training(
        0,
        _record(section, "data", data),
        fields,
        inputs,
        names,
        (ir.Update(loss, _record(section, "optimizer", optimizer)),),
        tuple(metrics),
        settings,
        section.node.span,
    )


def _parameters(section: Section) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Names and shapes of what is trained; what an extern owns is for its Python to know."""
    modules = section.session.modules
    root = modules[section.entry.module]
    for found in owned(modules, root.members, root.ties):
        if found.member.kind == "param" and found.member.type is not None:
            yield found.path, found.member.type.dims


def _record(section: Section, name: str, value: Arguments) -> ir.Record:
    return ir.Record(type(value).__name__, dict(value.given()), section.spans[name])


# --- what is written -------------------------------------------------------------------------------------------------


def _collect(section: Section) -> None:
    """Sort the statements into settings and bindings."""
    known = (*_OBJECTS, *EXPRESSIONS, "inputs", *Settings.fields)
    for statement in section.node.body.statements:
        if isinstance(statement, (ast.Settings, ast.Update)):
            word = "`params` patterns" if isinstance(statement, ast.Settings) else "`update`"
            section.fail(Fault(not_built(f"{word} in `train`", statement.span)))
            continue
        if not isinstance(statement, ast.Assign):
            if not isinstance(statement, ast.Broken):
                section.fail(Fault(error("NNS609", "this does not belong in `train`", statement.span)))
            continue
        name = name_of(statement.target) if isinstance(statement.target, ast.Name) else None
        if name in LATER:
            section.fail(Fault(not_built(f"the setting `{name}`", statement.span)))
        elif name in known:
            assert name is not None
            if name in section.settings:
                first = Label(section.settings[name].span, "first here")
                section.fail(Fault(error("NNS202", f"`{name}` is set twice", statement.span, "again", others=(first,))))
            section.settings[name] = statement
        else:
            section.bindings.append(statement)
    meant = _check_bindings(section, known)
    updates = any(isinstance(s, ast.Update) for s in section.node.body.statements)
    for name in ("data",) if updates else ("data", "loss", "optimizer"):
        if name not in section.settings and name not in section.overrides and name not in meant:
            help_ = {"data": "data = Digits()", "loss": "loss = cross_entropy(logits, label)"}
            hint = help_.get(name, "optimizer = Adam(lr=1e-3)")
            section.fail(
                Fault(
                    error(
                        "NNS610",
                        f"`train` does not say its {name}",
                        section.node.head,
                        f"no `{name}` in it",
                        helps=(f"write `{hint}`",),
                    )
                )
            )


def _bind_numbers(section: Section) -> None:
    """What settings may use: the model's hyperparameters, plain settings, and bindings that need no tensor."""
    section.frame.scope = {"model": Record(section.recipe.arguments)}
    nodes = [(b.target.id, b.value) for b in section.bindings if isinstance(b.target, ast.Name)]
    for name in Settings.fields:
        node = written(section, name)
        if node is not None:
            nodes.append((name, node))
    for name, node in sorted(nodes, key=lambda pair: pair[1].span.start):
        # A tensor is no fault here: bindings are worked out again where there are tensors, and reported there.
        with suppress(Fault, Silent):
            section.frame.scope[name] = evaluate(section.frame, node)


def _check_bindings(section: Section, known: Iterable[str]) -> set[str]:
    """A binding that nobody uses may be a misspelt setting: the settings that are meant."""
    used = {n.id for n in walk(section.node.body) if isinstance(n, ast.Name)}
    meant: set[str] = set()
    for binding in tuple(section.bindings):
        name = name_of(binding.target) if isinstance(binding.target, ast.Name) else None
        if name is None or name in used:
            continue
        close = suggest(name, [*known, *LATER])
        if close in LATER:
            section.bindings.remove(binding)
            section.fail(Fault(not_built(f"a setting such as `{name}`", binding.span)))
            continue
        if close:
            meant.add(close)
            section.bindings.remove(binding)  # what it is set to is looked at where it has its right name
        fixes = [Fix(f"did you mean the setting `{close}`?", (Edit(binding.target.span, close),))] if close else []
        section.fail(
            Fault(
                error(
                    "NNS611",
                    f"`{name}` is no setting, and nothing uses it",
                    binding.target.span,
                    "no setting",
                    helps=() if close else (f"settings are {', '.join(known)}",),
                    fixes=fixes,
                )
            )
        )
    return meant


def _check_overrides(section: Section) -> None:
    for path in section.overrides:
        first = path.split(".")[0]
        known = (*_OBJECTS, *EXPRESSIONS, "inputs", *Settings.fields)
        if first not in known:
            close = suggest(first, known)
            meant = setting_called(first) or (f"train.{close}" if close else None)
            helps = [f"did you mean `{meant}`?"] if meant else []
            raise Fault(error("NNS314", f"`train` has no setting `{first}`", section.node.head, helps=helps))
        if path != first and first not in _OBJECTS:
            why = f"`train.{first}` has no arguments, so that `train.{path}` cannot be set"
            raise Fault(error("NNS314", why, section.node.head))


def _object(section: Section, name: str) -> Any:
    """A configured library object: `Adam(lr=1e-3)`."""
    node = written(section, name)
    if node is None:
        return None
    try:
        return _bind_object(section, name, node)
    except Fault as fault:
        section.fail(fault)
    except Silent:
        section.frame.failed = True
    return None


def _class_of(name: str, kind: str, words: str, node: ast.Expr) -> Any:
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
        shown = f"unknown {kind} `{word}`" if word else f"`{name}` must be {words}"
        raise Fault(error("NNS201", shown, function.span, f"not {words}", helps=helps))
    return cls


def _bind_object(section: Section, name: str, node: ast.Expr) -> Any:
    cls = _class_of(name, *_OBJECTS[name], node)
    arguments = node.arguments if isinstance(node, ast.Call) else ()
    given: dict[str, tuple[Any, ast.Argument]] = {}
    title = cls.__name__
    for argument_name, argument in pair_up(title, [n for n, f in cls.fields.items() if not f.keyword], arguments):
        if argument_name not in cls.fields:
            raise unknown_argument(title, cls.fields, argument)
        given[argument_name] = (evaluate(section.frame, argument.value), argument)
        section.spans[f"{name}.{argument_name}"] = argument.span
    values = check_fields(title, cls.fields, given)
    for path, text in section.overrides.items():
        if path.startswith(f"{name}."):
            values |= _override_argument(section, cls, path, text)
    missing = [n for n, f in cls.fields.items() if f.required and n not in values]
    if missing:
        raise missing_argument(title, missing, cls.fields, node.span, given_text(section.frame, arguments))
    section.spans[name] = node.span
    made = cls(**values)
    if isinstance(made, (Optimizer, Settings)):
        translated(section, name, made.check)
    return made


def _override_argument(section: Section, cls: type[Arguments], path: str, text: Written) -> dict[str, Any]:
    name = path.split(".", 1)[1]
    spec = cls.fields.get(name)
    if spec is None:
        close = suggest(name, cls.fields)
        helps = [f"did you mean `{close}`?"] if close else [f"its arguments are {', '.join(cls.fields)}"]
        raise Fault(error("NNS314", f"`{cls.__name__}` has no argument `{name}`", section.node.head, helps=helps))
    node = parse_value(section.session, f"train.{path}", text)
    return {name: check_value(cls.__name__, spec, evaluate(section.frame, node), node.span)}


def _plain_settings(section: Section) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, spec in Settings.fields.items():
        node = written(section, name)
        if node is None:
            continue
        try:
            section.spans[f"settings.{name}"] = node.span
            values[name] = check_value("train", spec, evaluate(section.frame, node), node.span, decimal(node))
        except Fault as fault:
            section.fail(fault)
        except Silent:
            section.frame.failed = True
    made = Settings(**values)
    translated(section, "settings", made.check)
    return made.complete()
