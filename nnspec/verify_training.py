"""Checks the `train` section of a stored program: what feeds what, the numbers that are followed, and what it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Arguments
from nnspec.dims import Dim, Size, show, substitute, symbols
from nnspec.patterns import Found, applies, is_pattern, owned, trained
from nnspec.training.metric_cut import NotCut, cut
from nnspec.training.scheduler import scheduler
from nnspec.training.settings import NOTED
from nnspec.types import TensorType, is_float
from nnspec.verify_graph import TypeCheck, form_problems
from nnspec.verify_library import NotValid, check_parameters, check_record, check_settings
from nnspec.verify_updates import check_updates, facts_of, own


def training_problems(program: ir.Program) -> Iterator[str]:
    """What is wrong with the `train` section; everything else has been found to be good."""
    training = program.training
    if training is None:
        return
    if training.entry not in range(len(program.entries)):
        yield "training is of an entry"
        return
    try:
        check_record("dataset", training.data)
        if training.validation is not None:
            check_record("dataset", training.validation)
        if training.average is not None:
            check_record("average", training.average)
        _check_transforms(training)
        check_updates(program, training)
        for update in training.updates:
            check_update(program, training, update)
        check_settings(training.settings)
        types = _named_types(program, training)
    except NotValid as reason:
        yield str(reason)
        return
    names = [metric.name for metric in training.metrics]
    losses = [update.name or "loss" for update in training.updates]
    yield from _monitor_problems(training, [*losses, *names])
    if len({*losses, *names}) < len(losses) + len(names) or not all(map(str.isidentifier, names)):
        yield "names of metrics are different identifiers"
    noted = next((name for name in (*losses, *names) if name in NOTED), None)
    if noted is not None:
        yield f"no loss or metric is called `{noted}`"
    graphs = [
        *((f"the loss{update.name and f' of `{update.name[:80]}`'}", update.loss) for update in training.updates),
        *((f"the loss of `{u.name[:80]}` in inference", u.held) for u in training.updates if u.held is not None),
        *((f"metric `{m.name[:80]}`", m.graph) for m in training.metrics),
    ]
    metrics = {id(metric.graph) for metric in training.metrics}
    for title, graph in graphs:
        kinds = ("function", "metric") if id(graph) in metrics else ("function",)
        yield from (f"{title}: {problem}" for problem in _scalar(program, graph, types, kinds))


def _monitor_problems(training: ir.Training, known: list[str]) -> Iterator[str]:
    """Whether the numbers that a run follows are there."""
    for name, key in (("checkpoint", "best"), ("early_stopping", "monitor")):
        number = (training.settings.get(name) or {}).get(key)
        if number is not None and number.removeprefix("val/") not in known:
            yield f"`{name}` follows `{number[:80]}`, which is neither the loss nor a metric"


def _check_transforms(training: ir.Training) -> None:
    """Whether fields are transformed by what there is, and nothing random is done to all samples."""
    for title, records in (("transform", training.transforms), ("augment", training.augment)):
        for field, each in records.items():
            if field not in training.fields:
                raise NotValid(f"`{title}` is of a field `{field[:80]}` that there is not")
            for record in each:
                made = check_record("transform", record)
                if title == "transform" and getattr(made, "random", False):
                    raise NotValid(f"`{record.name}` is random, and `transform` holds for all samples")


def check_update(program: ir.Program, training: ir.Training, update: ir.Update) -> None:
    """Whether an update's optimizers take the parameters that they get, by `params` or without."""
    check_record("optimizer", update.optimizer)
    if update.schedule is not None:
        check_record("scheduler", update.schedule)
    root = program.modules[program.entries[training.entry].module]
    found = [each for each in owned(program.modules, root.members, root.ties) if each.member.kind == "param"]
    found = own(update, found)
    for group in update.groups:
        _check_group(program, group, found)
    used: dict[str, tuple[ir.Record, list[tuple[str, tuple[Any, ...]]]]] = {}
    for each in found:
        how = trained(update, each)
        if not how.frozen:
            key = repr((how.group, how.optimizer.arguments))
            shapes = used.setdefault(key, (how.optimizer, []))[1]
            shapes += [(each.path, each.member.type.dims)] if each.member.type is not None else []
    if found and not used:
        raise NotValid("no parameter is left to train")
    for record, shapes in used.values():
        check_parameters(_optimizer_of(update, record), shapes)


def _optimizer_of(update: ir.Update, record: ir.Record) -> Arguments:
    """The optimizer with what counts for some parameters; `params` may give arguments of the schedule as well."""
    cls = registry.find("optimizer", record.name)
    known = cls.fields if cls is not None else ()
    of_schedule = {n for s in scheduler(update.schedule).everything() for n in s.by_group} if update.schedule else set()
    strange = [name for name in record.arguments if name not in known and name not in of_schedule]
    if strange:
        raise NotValid(f"`params` gives `{strange[0][:80]}`, which `{record.name[:80]}` has not")
    arguments = {name: value for name, value in record.arguments.items() if name in known}
    return check_record("optimizer", ir.Record(record.name, arguments))


def _check_group(program: ir.Program, group: ir.Group, found: Sequence[Found]) -> None:
    if not is_pattern(group.pattern):
        raise NotValid("a pattern holds names, dots and `*`")
    foreign = any(module.kind == "extern" for module in program.modules)
    if not foreign and not any(applies(group, each) for each in found):
        raise NotValid(f"`{group.pattern[:80]}` matches no parameter")
    if not group.settings and group.optimizer is None:
        raise NotValid(f"`params` of `{group.pattern[:80]}` sets nothing")
    if not isinstance(group.settings.get("freeze", False), bool):
        raise NotValid("`freeze` is true or false")
    if group.optimizer is not None:
        check_record("optimizer", group.optimizer)


def _named_types(program: ir.Program, training: ir.Training) -> list[TensorType]:
    """The types of the outputs and fields that loss and metrics take, for the sizes of the data."""
    entry = program.entries[training.entry]
    methods = entry.methods_with(training.inputs)
    method = program.methods[methods.get("train", methods["infer"])]
    outputs = dict(zip(method.output_names, method.graph.outputs, strict=True))
    sizes = _sizes(training, method)
    types = []
    for kind, name in training.names:
        if kind == "clock" and name in ("step", "epoch"):
            types.append(TensorType("float32", ()))
            continue
        output = outputs.get(name) if kind == "model" else None
        found = _sized(method, output.id, sizes) if isinstance(output, ir.Ref) else None
        if kind == "data":
            found = training.fields.get(name)
        if found is None:
            raise NotValid(f"there is no `{name[:80]}` in the {kind}")
        types.append(found)
    return types


def _sizes(training: ir.Training, method: ir.Method) -> dict[str, Size]:
    """The sizes that the data gives to the model's symbols."""
    sizes: dict[str, Size] = {}
    if not set(training.inputs) <= set(method.input_names):
        raise NotValid("training feeds fields of the data to inputs of the model")
    for name, value in zip(method.input_names, method.graph.inputs, strict=True):
        field = training.fields.get(training.inputs.get(name, ""))
        if training.models and name not in training.inputs and name in ("step", "epoch"):
            field = TensorType("float32", ())
        if value is None and name not in training.inputs:
            continue
        if value is None or field is None:
            raise NotValid(f"training feeds no field to the input `{name[:80]}`")
        wanted = method.graph.values[value].type
        for want, have in zip(wanted.dims, field.dims, strict=False):
            if isinstance(want, Dim) and show(want).isidentifier():
                sizes.setdefault(show(want), have)
        if _sized(method, value, sizes) != field:
            raise NotValid(f"the input `{name[:80]}` is {wanted}, and its field is {field}")
    return sizes


def _sized(method: ir.Method, value: int, sizes: dict[str, Size]) -> TensorType:
    kind = method.graph.values[value].type
    return kind.with_dims(*(substitute(dim, sizes) for dim in kind.dims))


def _scalar(program: ir.Program, graph: ir.Graph, types: Sequence[TensorType], kinds: tuple[str, ...]) -> Iterator[str]:
    known = frozenset(name for kind in types for dim in kind.dims for name in symbols(dim))
    problems = list(form_problems(graph, known))
    if not problems and [graph.values[i].type if isinstance(i, int) else None for i in graph.inputs] != list(types):
        problems.append("its inputs are not the outputs and fields that it names")
    if not problems and not _is_number(graph):
        problems.append("it is not one float number")
    yield from problems
    if not problems:
        training = program.training
        assert training is not None
        module = program.entries[training.entry].module if training.models else None
        problems += TypeCheck(program, graph, facts_of(program, training), module, kinds).problems()
        yield from problems
    if not problems and "metric" in kinds:
        try:
            cut(graph)
        except NotCut as reason:
            yield reason.message


def _is_number(graph: ir.Graph) -> bool:
    output = graph.outputs[0]
    kind = graph.values[output.id].type if isinstance(output, ir.Ref) else None
    return len(graph.outputs) == 1 and kind is not None and is_float(kind.dtype) and not kind.dims
