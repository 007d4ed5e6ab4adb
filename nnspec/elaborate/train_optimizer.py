"""What makes a loss smaller: the optimizer, its schedule, and `params PATTERN { ... }` for some of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nnspec import ir, registry
from nnspec.arguments import Arguments, Field
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.elaborate.binding import check_value, decimal
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.settings import layer_in, nothing_matched, pattern_of_path, read_pattern
from nnspec.elaborate.train_objects import bind_object, record, setting_object
from nnspec.elaborate.train_section import Section, translated
from nnspec.elaborate.values import Fault, Silent
from nnspec.patterns import Found, Trained, applies, owned, trained
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.optimizer import Optimizer
from nnspec.training.scheduler import Scheduler


class Steps(NamedTuple):
    """How the parameters of a section, or of an update in it, are trained; None for an optimizer at fault."""

    optimizer: ir.Record | None
    groups: tuple[ir.Group, ...]
    schedule: ir.Record | None


class _Said(NamedTuple):
    """One thing that a group says: its value, and where."""

    value: Any
    node: ast.Expr
    target: ast.Name


def parameters(section: Section) -> list[Found]:
    """The parameters of the model that are known; what an extern owns is for its Python to know."""
    modules = section.session.modules
    root = modules[section.entry.module]
    found = owned(modules, root.members, root.ties)
    return [each for each in found if each.member.kind == "param" and each.member.type is not None]


def steps(section: Section, found: Sequence[Found]) -> Steps:
    """Optimizer, groups and schedule of a section, or of an update in it, for these parameters; faults are reported."""
    made = setting_object(section, "optimizer")
    schedule = setting_object(section, "schedule")
    optimizer = None if made is None else record(section, "optimizer", made)
    groups = []
    for number, node in enumerate(section.groups):
        try:
            groups.append(_group(section, number, node, optimizer, found))
        except Fault as fault:
            section.fail(fault)
        except Silent:
            section.frame.failed = True
    told = Steps(
        optimizer,
        tuple(group for group, _ in groups),
        None if schedule is None else record(section, "schedule", schedule),
    )
    if optimizer is not None and len(groups) == len(section.groups):
        try:
            _check(section, optimizer, schedule, groups, found)
        except Fault as fault:
            section.fail(fault)
    return told


def check_group_names(section: Section, optimizer: type[Optimizer]) -> None:
    """Report settings of `params` that the optimizer has not, where there is no model to say whom they are for."""
    schedules = [registry.find("scheduler", name) for name in registry.index("scheduler")]
    known = {"freeze", *optimizer.fields, *(name for cls in schedules if cls is not None for name in cls.by_group)}
    for node in section.groups:
        targets = [
            s.target for s in node.body.statements if isinstance(s, ast.Assign) and isinstance(s.target, ast.Name)
        ]
        if any(target.id == "optimizer" for target in targets):
            continue  # another one
        for target in targets:
            if target.id not in known:
                section.fail(Fault(_unknown(optimizer, target.id, target)))


# --- groups ----------------------------------------------------------------------------------------------------------


def _group(
    section: Section, number: int, node: ast.Settings, optimizer: ir.Record | None, found: Sequence[Found]
) -> tuple[ir.Group, dict[str, _Said]]:
    """A `params` statement; its settings are checked where it is known whom they are for."""
    layer, pattern = _target(section, node, found)
    own, said = None, {}
    for statement in node.body.statements:
        if isinstance(statement, ast.Broken):
            raise Silent
        target = statement.target if isinstance(statement, ast.Assign) else None
        if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
            raise Fault(error("NNS217", "`params` holds settings: `lr = ...`", statement.span, "not a setting"))
        if target.id in said or (target.id == "optimizer" and own is not None):
            raise Fault(error("NNS202", f"`{target.id}` is set twice here", target.span, "again here"))
        if isinstance(statement.value, ast.Scan):
            raise Fault(error("NNS303", "a setting is no `scan`", statement.value.span))
        if target.id == "optimizer":
            path = _path(number)
            own = record(section, path, bind_object(section, path, "optimizer", statement.value))
        elif target.id == "freeze":
            freeze = Field(doc="")
            freeze.name, freeze.kind = "freeze", "bool"
            value = check_value("params", freeze, evaluate(section.frame, statement.value), statement.value.span)
            said["freeze"] = _Said(value, statement.value, target)
        else:
            said[target.id] = _Said(evaluate(section.frame, statement.value), statement.value, target)
    if own is None and not said:
        helps = ("write `lr = ...`, `freeze = true`, or remove it",)
        raise Fault(error("NNS302", "this `params` sets nothing", node.span, "no settings", helps=helps))
    group = ir.Group(pattern, layer, {name: each.value for name, each in said.items()}, own, node.span)
    return group, said


def _path(number: int) -> str:
    return f"params.{number}"


def _target(section: Section, node: ast.Settings, found: Sequence[Found]) -> tuple[str, str]:
    """The layer that a pattern is relative to, or "", and the pattern; one that means nothing is a fault."""
    modules = section.session.modules
    root = modules[section.entry.module]
    layer, pattern = "", read_pattern(section.frame, node.pattern)[0]
    written = pattern
    if isinstance(node.pattern, ast.Name):
        if pattern.partition(".")[0] not in {member.name for member in root.members}:
            layer, pattern = layer_in(section.frame.file, pattern)
        pattern = pattern_of_path(pattern, layer, found)
    group = ir.Group(pattern, layer)
    if not any(applies(group, each) for each in found) and any(applies(group, each) for each in parameters(section)):
        message = f"`{written}` means parameters that {section.title} does not train"
        raise Fault(error("NNS617", message, node.pattern.span, "trained by none of its optimizers"))
    if not any(applies(group, each) for each in found) and not any(m.kind == "extern" for m in modules):
        frame = Frame(section.session, f"`{section.entry.name}`")
        frame.ties = list(root.ties)
        everything = list(owned(modules, root.members, root.ties))
        raise Fault(nothing_matched(frame, node, written, group, everything))
    return layer, pattern


# --- what counts for whom ---------------------------------------------------------------------------------------------


def _check(
    section: Section,
    optimizer: ir.Record,
    schedule: Scheduler | None,
    groups: list[tuple[ir.Group, dict[str, _Said]]],
    found: Sequence[Found],
) -> None:
    """Check the settings of groups by the optimizers that get them, and these by the parameters that they get."""
    plain = [group for group, _ in groups]
    for number, (group, said) in enumerate(groups):
        classes = _classes(optimizer, plain, number, found)
        for name, each in said.items():
            if name != "freeze":
                group.settings[name] = _checked(schedule, classes, name, each)
    update = ir.Update(_NO_GRAPH, optimizer, tuple(plain))
    used: dict[str, list[tuple[Found, Trained]]] = {}
    for parameter in found:
        how = trained(update, parameter)
        if not how.frozen:
            key = repr((how.group, how.optimizer.name, how.optimizer.arguments))
            used.setdefault(key, []).append((parameter, how))
    if found and not used:
        place = next(said["freeze"].target.span for _, said in reversed(groups) if "freeze" in said)
        raise Fault(error("NNS614", "no parameter is left to train", place, "freezes the last of them"))
    for part in used.values():
        _check_part(section, schedule, part, groups, alone=len(used) == 1)


_NO_GRAPH = ir.Graph((), (), (), ())


def _classes(
    optimizer: ir.Record, groups: list[ir.Group], number: int, found: Sequence[Found]
) -> list[type[Optimizer]]:
    """The optimizers that what a group says counts for: those of the parameters that it means."""
    group = groups[number]
    names = [group.optimizer.name] if group.optimizer is not None else []
    if not names:
        before = ir.Update(_NO_GRAPH, optimizer, tuple(groups[: number + 1]))
        meant = (each for each in found if applies(group, each))
        names = list(dict.fromkeys(trained(before, each).optimizer.name for each in meant)) or [optimizer.name]
    classes = [registry.find("optimizer", name) for name in names]
    return [cls for cls in classes if cls is not None]


def _checked(schedule: Scheduler | None, classes: list[type[Optimizer]], name: str, said: _Said) -> Any:
    """A setting as the optimizers hold it, or the schedule that has some for each group."""
    of_schedule = next((type(s) for s in schedule.everything() if name in s.by_group), None) if schedule else None
    value = said.value
    for cls in classes:
        spec = cls.fields.get(name) or (of_schedule.fields[name] if of_schedule is not None else None)
        if spec is None:
            raise Fault(_unknown(cls, name, said.target))
        if name in cls.whole:
            message = f"`{name}` of `{cls.__name__}` is for all of its parameters, and not for some of them"
            helps = (f"write it as an argument of `{cls.__name__}`",)
            raise Fault(error("NNS301", message, said.target.span, "for all or none", helps=helps))
        value = check_value(cls.__name__, spec, said.value, said.node.span, decimal(said.node))
    return value


def _unknown(cls: type[Arguments], name: str, target: ast.Name) -> Any:
    if name == "init":
        message = "`init` is a setting of the model, not of the training"
        helps = ("write this `params` in the model: how parameters start belongs to it",)
        return error("NNS301", message, target.span, "belongs in the model", helps=helps)
    known = ["freeze", "optimizer", *cls.fields]
    close = suggest(name, known)
    fixes = (Fix(f"write `{close}`", (Edit(target.span, close),)),) if close else ()
    listed = [] if close else [f"settings of parameters are {', '.join(f'`{n}`' for n in known)}"]
    message = f"`{cls.__name__}` has no argument `{name}`"
    return error("NNS301", message, target.span, "unknown setting", helps=listed, fixes=fixes)


def _check_part(
    section: Section,
    schedule: Scheduler | None,
    part: list[tuple[Found, Trained]],
    groups: list[tuple[ir.Group, dict[str, _Said]]],
    *,
    alone: bool,
) -> None:
    """Ask an optimizer about its arguments, and about the parameters that it really gets."""
    _, how = part[0]
    cls = registry.find("optimizer", how.optimizer.name)
    assert cls is not None
    arguments = {name: value for name, value in how.optimizer.arguments.items() if name in cls.fields}
    made: Optimizer = cls(**arguments)
    path = "optimizer" if how.group is None else _path(how.group)
    for group, said in groups:
        if any(applies(group, each) for each, _ in part):
            section.spans |= {f"{path}.{name}": each.target.span for name, each in said.items()}
    translated(section, path, made.check)
    if schedule is not None:
        translated(section, "schedule", lambda: schedule.check_optimizer(made))
    if made.searches and not alone:
        span = _first_group(section, groups) or section.head
        message = f"`{cls.__name__}` trains all parameters in one way, and `params` tells some of them apart"
        helps = ("`freeze` is the one setting that goes with it",)
        raise Fault(error("NNS614", message, span, "another way for some", helps=helps))
    shapes: list[tuple[str, Any]] = [
        (each.path, each.member.type.dims) for each, _ in part if each.member.type is not None
    ]
    translated(section, path, lambda: made.check_parameters(shapes))


def _first_group(section: Section, groups: list[tuple[ir.Group, dict[str, _Said]]]) -> Span | None:
    return next((group.span for group, said in groups if group.optimizer or set(said) - {"freeze"}), None)
