"""Checks the `train` section of a stored program: what feeds what, the numbers that are followed, and what it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec import ir
from nnspec.dims import Dim, Size, show, substitute, symbols
from nnspec.facts import Facts
from nnspec.types import TensorType, is_float
from nnspec.verify_graph import TypeCheck, form_problems
from nnspec.verify_library import NotValid, check_record, check_settings


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
        for update in training.updates:
            check_record("optimizer", update.optimizer)
        check_settings(training.settings)
        types = _named_types(program, training)
    except NotValid as reason:
        yield str(reason)
        return
    names = [metric.name for metric in training.metrics]
    if len({"loss", *names}) <= len(names) or not all(map(str.isidentifier, names)):
        yield "names of metrics are different identifiers"
    graphs = [*((f"the loss{update.name and f' of `{update.name[:80]}`'}", update.loss) for update in training.updates), *((f"metric `{m.name[:80]}`", m.graph) for m in training.metrics)]
    for title, graph in graphs:
        yield from (f"{title}: {problem}" for problem in _scalar(program, graph, types))


def _named_types(program: ir.Program, training: ir.Training) -> list[TensorType]:
    """The types of the outputs and fields that loss and metrics take, for the sizes of the data."""
    entry = program.entries[training.entry]
    methods = entry.methods_with(training.inputs)
    method = program.methods[methods.get("train", methods["infer"])]
    outputs = dict(zip(method.output_names, method.graph.outputs, strict=True))
    sizes = _sizes(training, method)
    types = []
    for kind, name in training.names:
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


def _scalar(program: ir.Program, graph: ir.Graph, types: Sequence[TensorType]) -> Iterator[str]:
    known = frozenset(name for kind in types for dim in kind.dims for name in symbols(dim))
    problems = list(form_problems(graph, known))
    if not problems and [graph.values[i].type if i is not None else None for i in graph.inputs] != list(types):
        problems.append("its inputs are not the outputs and fields that it names")
    if not problems and not _is_number(graph):
        problems.append("it is not one float number")
    yield from problems
    if not problems:
        yield from TypeCheck(program, graph, Facts(), None, ("function", "metric")).problems()


def _is_number(graph: ir.Graph) -> bool:
    output = graph.outputs[0]
    kind = graph.values[output.id].type if isinstance(output, ir.Ref) else None
    return len(graph.outputs) == 1 and kind is not None and is_float(kind.dtype) and not kind.dims
