"""Loss and metrics: scalar expressions over the model's outputs and the data's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

from nnspec import ir, registry
from nnspec.diagnostics import Span, error
from nnspec.dims import symbol
from nnspec.elaborate.builtins import BUILTINS
from nnspec.elaborate.expressions import evaluate, library, target_names, unknown_name
from nnspec.elaborate.frame import Frame, GraphBuilder, name_of
from nnspec.elaborate.names import walk
from nnspec.elaborate.statements import run
from nnspec.elaborate.train_section import Section, is_none, written
from nnspec.elaborate.values import UNKNOWN, Fault, FunctionValue, Record, Silent, Tensor, describe
from nnspec.syntax import ast
from nnspec.training.dataset import BATCH
from nnspec.training.metric_cut import NotCut, cut, metrics_in
from nnspec.training.settings import NOTED
from nnspec.types import TensorType, is_float

EXPRESSIONS = ("loss", "metrics")
"""Settings that are expressions over tensors."""

LIBRARY = ("function", "metric")
"""What they are computed with."""


Names = tuple[tuple[Literal["model", "data", "clock"], str], ...]
"""What the graphs take, in the order of their inputs."""

CLOCK = {name: TensorType("float32", ()) for name in ("step", "epoch")}
"""How many steps and epochs are done: numbers that a loss may use, unless something else has their names."""


def mentioned_names(
    section: Section, outputs: Mapping[str, Any], fields: Mapping[str, Any], parts: Sequence[Section] = ()
) -> Names:
    """Outputs, fields and clocks that the loss and the metrics mention, in the section or in its parts, in order."""
    places = (section, *(part for part in parts if part is not section))
    nodes = [n for place in places for name in EXPRESSIONS if (n := written(place, name)) is not None]
    nodes += [b.value for place in places for b in place.bindings]
    mentioned: set[tuple[str, str]] = set()
    for node in walk(tuple(nodes)):
        if isinstance(node, ast.Attribute) and name_of(node.value) in ("model", "data"):
            mentioned.add((str(name_of(node.value)), node.name))
        elif isinstance(node, ast.Name):
            if node.id in outputs and node.id in fields:
                section.fail(
                    Fault(
                        error(
                            "NNS606",
                            f"`{node.id}` is an output of the model and a field of the data",
                            node.span,
                            "which one?",
                            helps=(f"write `model.{node.id}` or `data.{node.id}`",),
                        )
                    )
                )
            mentioned.add(("model" if node.id in outputs else "data", node.id))
    bound = {name.id for place in places for binding in place.bindings for name in target_names(binding.target)}
    hidden = {*outputs, *fields, *bound, *section.frame.file.constants}
    return (
        *(("model", n) for n in outputs if ("model", n) in mentioned),
        *(("data", n) for n in fields if ("data", n) in mentioned),
        *(("clock", n) for n in CLOCK if ("data", n) in mentioned and n not in hidden),
    )


def check_functions(section: Section) -> None:
    """Report what loss and metrics call and nothing defines, where there is no model to compute them from."""
    frame = Frame(section.session, "`train`")
    frame.library = LIBRARY
    bound = {name.id for binding in section.bindings for name in target_names(binding.target)}
    known = {*bound, *frame.file.constants, *BUILTINS}
    for call in walk(tuple(section.settings[name].value for name in EXPRESSIONS if name in section.settings)):
        function = call.function if isinstance(call, ast.Call) else None
        if isinstance(function, ast.Name) and function.id not in known:
            with suppress(Silent):
                if library(frame, function.id, function.span) is None:
                    frame.report(unknown_name(frame, function).diagnostic)


def graph_frame(section: Section, names: Names, types: list[TensorType], mode: ir.Mode = "train") -> Frame:
    """A frame with these tensors, in which the bindings of the section have been worked out."""
    frame = Frame(section.session, "`train`")
    frame.library = LIBRARY
    frame.offered = section.offered
    frame.advice = section.data.advice() if section.data is not None else {}
    frame.graph = GraphBuilder()
    # `precision` is a setting and a metric: in an expression it is the metric.
    numbers = {
        n: v for n, v in section.frame.scope.items() if n in section.settings and registry.find("metric", n) is None
    }
    batch = {} if "N" in frame.file.constants else {"N": symbol(BATCH)}
    frame.scope = batch | numbers | {"model": Record(section.recipe.arguments), "data": Record()}
    counts = [n for _, n in names]
    for (kind, name), type_ in zip(names, types, strict=True):
        tensor = frame.graph.value(type_, None)
        frame.graph.hint(tensor, name)
        if kind != "clock":
            frame.scope[kind][name] = tensor
        if counts.count(name) == 1:
            frame.scope[name] = tensor
    bound = {name.id for binding in section.bindings for name in target_names(binding.target)}
    for name in CLOCK:  # those that nobody mentions may be meant by a misspelt one
        if name not in bound and name not in frame.file.constants:
            frame.scope.setdefault(name, UNKNOWN)
    if section.models is not None:
        section.models.enter(frame, mode)
    run(frame, section.bindings)
    section.frame.failed |= frame.failed
    return frame


def _finish(frame: Frame, count: int, value: Tensor) -> ir.Graph:
    assert frame.graph is not None
    return frame.graph.finish(tuple(range(count)), (ir.Ref(value.id),))


def _scalar(section: Section, frame: Frame, node: ast.Expr, what: str) -> Tensor | None:
    try:
        value = evaluate(frame, node)
    except Fault as fault:
        section.fail(fault)
        return None
    except Silent:
        section.frame.failed = True
        return None
    if not isinstance(value, Tensor):
        helps = (f"call it: `{value.cls.__name__}(...)`",) if isinstance(value, FunctionValue) else ()
        message = f"{what} is a number computed from tensors, not {describe(value)}"
        section.fail(Fault(error("NNS612", message, node.span, helps=helps)))
        return None
    if value.type.dims != () or not is_float(value.type.dtype):
        section.fail(
            Fault(
                error(
                    "NNS612",
                    f"{what} must be one float number, and this is {value.type}",
                    node.span,
                    "not a scalar",
                    helps=("reduce it with `mean(...)` or `sum(...)`",),
                )
            )
        )
        return None
    return value


def loss_graph(section: Section, names: Names, types: list[TensorType], mode: ir.Mode = "train") -> ir.Graph | None:
    """The graph of the loss; None when there is none, or it is at fault, which is reported."""
    node = written(section, "loss")
    if node is None:
        return None
    frame = graph_frame(section, names, types, mode)
    value = _scalar(section, frame, node, "the loss")
    graph = None if value is None else _finish(frame, len(names), value)
    return None if graph is None or _has_metric(section, graph) else graph


def _has_metric(section: Section, graph: ir.Graph) -> bool:
    """Report the first metric that a loss is computed with."""
    found = next(metrics_in(graph), None)
    if found is not None:
        message = f"`{found.function}` is a metric: it counts over all batches of an epoch, and has no gradient"
        helps = ("a loss is computed with functions; watch the metric by `metrics = [...]`",)
        section.fail(Fault(error("NNS612", message, found.span, "not a loss", helps=helps)))
    return found is not None


def metric_graphs(section: Section, names: Names, types: list[TensorType]) -> list[ir.Metric]:
    """The metrics, each a graph of its own; faults are reported."""
    node = written(section, "metrics")
    if node is None or is_none(node):
        return []
    if isinstance(node, ast.List):
        items: list[tuple[str | None, ast.Expr]] = [(None, item) for item in node.items]
    elif isinstance(node, ast.Tuple):
        items = [(a.name, a.value) for a in node.items]
    else:
        items = [(None, node)]
    metrics: list[ir.Metric] = []
    losses = [update.name.id for update in section.updates] or ["loss"]
    for given, item in items:
        name = given or _metric_name(item)
        if name in NOTED:
            section.fail(noted_name("a metric", name, item.span))
            continue
        if name in losses or any(m.name == name for m in metrics):
            section.fail(
                Fault(
                    error(
                        "NNS202",
                        f"there are two metrics `{name}`",
                        item.span,
                        helps=(f"name them: `metrics = (first={name}(...), second=...)`",),
                    )
                )
            )
            continue
        frame = graph_frame(section, names, types, "infer")
        value = _scalar(section, frame, item, "a metric")
        if value is not None:
            metrics.append(ir.Metric(name, _finish(frame, len(names), value)))
            _check_cut(section, metrics[-1], item)
    return metrics


def noted_name(what: str, name: str, span: Span) -> Fault:
    """The fault of a number that is called as something else in the rows of a run."""
    message = f"{what} cannot be called `{name}`: a run notes down its own `{name}` for each epoch"
    return Fault(error("NNS202", message, span, "taken", helps=("give it another name",)))


def _check_cut(section: Section, metric: ir.Metric, node: ast.Expr) -> None:
    """Report what mixes values of a batch with those of an epoch."""
    try:
        cut(metric.graph)
    except NotCut as reason:
        helps = ("work with the metric's own number: `1 - accuracy(...)`", "or give it what it is worked out from")
        section.fail(Fault(error("NNS612", reason.message, reason.span or node.span, reason.label, helps=helps)))


def _metric_name(node: ast.Expr) -> str:
    if isinstance(node, ast.Call):
        return name_of(node.function) or "metric"
    return name_of(node) or "metric"
