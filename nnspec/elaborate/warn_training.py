"""Losses that do not go with what the model ends in: a softmax in front of one that applies it, scores without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span, error
from nnspec.elaborate.session import Session
from nnspec.elaborate.warn_targets import end_warnings, target_warnings
from nnspec.elaborate.warn_updates import update_warnings
from nnspec.training.metric import Metric
from nnspec.training.metric_cut import metric_class

_TRANSPARENT = frozenset(
    ("reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "getitem", "rearrange", "to", "Flatten")
)
"""What changes the shape of values and not the values."""

_ACTIVATIONS = {
    "Softmax": "softmax",
    "softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "log_softmax": "log_softmax",
    "Sigmoid": "sigmoid",
    "sigmoid": "sigmoid",
    "ReLU": "relu",
    "relu": "relu",
    "Tanh": "tanh",
    "tanh": "tanh",
}
_SCORES = ("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "matmul")

_TWICE = {
    ("cross_entropy", "softmax"): "`cross_entropy` applies the softmax itself, and the model ends in one",
    ("cross_entropy", "log_softmax"): "`cross_entropy` applies the log-softmax itself, and the model ends in one",
    ("cross_entropy", "sigmoid"): "`cross_entropy` takes scores, and the model ends in a sigmoid",
    ("binary_cross_entropy_with_logits", "sigmoid"): "`binary_cross_entropy_with_logits` applies the sigmoid itself, "
    "and the model ends in one",
    ("binary_cross_entropy_with_logits", "softmax"): "`binary_cross_entropy_with_logits` takes scores, "
    "and the model ends in a softmax",
    ("cross_entropy", "relu"): "`cross_entropy` takes scores of both signs, and the model ends in a ReLU",
    ("cross_entropy", "tanh"): "`cross_entropy` takes scores of any size, and the model ends in a tanh",
    ("binary_cross_entropy_with_logits", "relu"): "`binary_cross_entropy_with_logits` takes scores of both signs, "
    "and the model ends in a ReLU",
    ("binary_cross_entropy_with_logits", "tanh"): "`binary_cross_entropy_with_logits` takes scores of any size, "
    "and the model ends in a tanh",
    ("multilabel_soft_margin_loss", "sigmoid"): "`multilabel_soft_margin_loss` applies the sigmoid itself, "
    "and the model ends in one",
}
_MISSING = {
    ("binary_cross_entropy", "scores"): (
        "`binary_cross_entropy` takes probabilities, and the model ends in scores",
        "binary_cross_entropy_with_logits",
    ),
} | {
    (loss, kind): (f"`{loss}` takes log-probabilities, and the model ends in {end}", better if kind == "scores" else "")
    for loss, better in (("nll_loss", "cross_entropy"), ("kl_div", ""), ("ctc_loss", ""))
    for kind, end in (("scores", "scores"), ("softmax", "probabilities"), ("sigmoid", "a sigmoid"))
}


_HARM = {"relu": "no score falls below 0", "tanh": "no score leaves the range from -1 to 1"}
_REPAIR = dict.fromkeys(_HARM, "leave out the last activation: the loss takes what the layer in front of it gives")

_Origin = tuple[str, "Span | None"]
"""What made a value, behind all that only reshaped it: softmax, sigmoid, scores; and where."""


def training_warnings(session: Session, program: ir.Program) -> Iterator[Diagnostic]:
    """Warnings about the loss and the metrics of a program's training."""
    training = program.training
    if training is None:
        return
    yield from update_warnings(program)
    losses = [update.loss for update in training.updates]
    for loss in losses:
        yield from _graph_warnings(session, program, training, loss)
        yield from target_warnings(program, training, loss)
    # With another loss, such as the squared error, scores without a sigmoid may well aim at 0 and 1.
    logits = "binary_cross_entropy_with_logits"
    aims = any(isinstance(node, ir.Op) and node.function == logits for loss in losses for node in loss.nodes)
    for metric in training.metrics:
        for node, (kind, span) in _origins(program, training, metric.graph):
            if kind == "scores":
                others = (Label(span, _ends(kind)),) if span is not None else ()
                yield from _metric_of_scores(session, metric.graph, node, others, aims)


def _graph_warnings(
    session: Session, program: ir.Program, training: ir.Training, graph: ir.Graph
) -> Iterator[Diagnostic]:
    for node, origin in _origins(program, training, graph):
        yield from _judge(session, node, origin)
        yield from end_warnings(training, graph, node, origin)


def _origins(program: ir.Program, training: ir.Training, graph: ir.Graph) -> Iterator[tuple[ir.Op, _Origin]]:
    """The functions of a graph, each with what made its first operand, where that is known."""
    entry = program.entries[training.entry]
    methods = entry.methods_with(training.inputs)
    method = program.methods[methods.get("train", methods["infer"])]
    names = dict(zip(graph.inputs, training.names, strict=False))
    for node in graph.nodes:
        if not isinstance(node, ir.Op) or not node.inputs or not isinstance(node.inputs[0], ir.Ref):
            continue
        value, maker = _behind(graph, node.inputs[0].id)
        origin = _named(maker.function, maker.span) if isinstance(maker, ir.Op) else None
        if isinstance(maker, ir.Call):
            origin = _origin_in(program, replace(method, graph=graph), value)
        if maker is None:
            given = names.get(value)
            if given is None or given[0] != "model":
                continue
            output = method.graph.outputs[method.output_names.index(given[1])]
            origin = _origin_in(program, method, output.id) if isinstance(output, ir.Ref) else None
        if origin is not None:
            yield node, origin


def _judge(session: Session, node: ir.Op, origin: _Origin) -> Iterator[Diagnostic]:
    kind, span = origin
    others = (Label(span, _ends(kind)),) if span is not None else ()
    twice = _TWICE.get((node.function, kind))
    if twice is not None:
        yield error(
            "NNS630",
            twice,
            node.span,
            "does it once more" if kind == "log_softmax" else _HARM.get(kind, "learns slowly, or not at all"),
            severity="warning",
            others=others,
            helps=(_REPAIR.get(kind, "give the loss the scores, and make probabilities in an output of their own"),),
        )
    message, better = _MISSING.get((node.function, kind), ("", ""))
    if message:
        fixes = _renamed(session, node, better) if better else ()
        wanted = "Sigmoid" if node.function == "binary_cross_entropy" else "LogSoftmax(dim=-1)"
        helps = () if fixes else (f"let the model end in `{wanted}`",)
        yield error(
            "NNS631", message, node.span, _needs(node), severity="warning", others=others, helps=helps, fixes=fixes
        )


def _metric_of_scores(
    session: Session, graph: ir.Graph, node: ir.Op, others: tuple[Label, ...], aims: bool
) -> Iterator[Diagnostic]:
    """A metric of scores that wants probabilities, or that takes one half for a yes where 0 is aimed at (`aims`)."""
    cls = metric_class(node)
    if cls is None or node.span is None:
        return
    metric: Metric = cls(**node.attributes)
    types = [graph.values[number].type for number in ir.refs(node.inputs)]
    name = node.function
    message = f"`{name}` takes probabilities, and the model ends in scores"
    if metric.wants_probabilities(types):
        several = types[0].rank > types[1].rank
        helps = (f"give it `{'softmax(..., dim=1)' if several else 'sigmoid(...)'}` of them",)
        yield error(
            "NNS631", message, node.span, "needs values from 0 to 1", severity="warning", others=others, helps=helps
        )
    text = session.text(node.span)
    if aims and metric.halves(types) and text.startswith(f"{name}(") and text.endswith(")"):
        edit = Edit(Span(node.span.end - 1, node.span.end, node.span.source), ", threshold=0)")
        fixes = (Fix("count scores from 0 on", (edit,)),)
        label = "counts what is above 0.5"
        yield error("NNS631", message, node.span, label, severity="warning", others=others, fixes=fixes)


def _ends(kind: str) -> str:
    return "makes scores of any size" if kind == "scores" else f"{kind.replace('_', '-')} here"


def _needs(node: ir.Op) -> str:
    return (
        "needs values from 0 to 1" if node.function == "binary_cross_entropy" else "needs logarithms of probabilities"
    )


def _renamed(session: Session, node: ir.Op, better: str) -> tuple[Fix, ...]:
    """The loss under the name of one that takes scores."""
    if node.span is None or not session.text(node.span).startswith(node.function):
        return ()
    start = node.span.start
    place = Span(start, start + len(node.function), node.span.source)
    return (Fix(f"use `{better}`, which takes scores", (Edit(place, better),)),)


def _behind(graph: ir.Graph, value: int) -> tuple[int, ir.Node | None]:
    """The value that this one is but for its shape, and what made it: None for an input."""
    for node in reversed(graph.nodes):
        if value not in ir.flat(node.outputs):
            continue
        if not isinstance(node, ir.Op) or node.function not in _TRANSPARENT or not isinstance(node.inputs[0], ir.Ref):
            return value, node
        value = node.inputs[0].id
    return value, None


def _named(name: str, span: Span | None) -> _Origin | None:
    if name in _ACTIVATIONS:
        return _ACTIVATIONS[name], span
    return ("scores", span) if name in _SCORES else None


def _origin_in(program: ir.Program, method: ir.Method, value: int) -> _Origin | None:
    """What made a value of a model, looked for in the blocks that it calls as well."""
    while True:
        value, node = _behind(method.graph, value)
        if isinstance(node, ir.Op):
            return _named(node.function, node.span)
        if isinstance(node, ir.Scan):
            output = node.body.outputs[node.outputs.index(value)]
            method, value = replace(method, graph=node.body), output.id
            continue
        if not isinstance(node, ir.Call):
            return None
        if node.method is None:
            module = program.modules[program.module_at(method.module, node.path)]
            if module.name in _TRANSPARENT and isinstance(node.inputs[0], ir.Ref):
                value = node.inputs[0].id
                continue
            return _named(module.name, node.span)
        callee = program.methods[node.method]
        position = next((i for i, made in enumerate(node.outputs) if made == value), None)
        output = callee.graph.outputs[position] if position is not None else None
        if not isinstance(output, ir.Ref):
            return None
        method, value = callee, output.id
