"""Losses whose targets are of a kind that they are hardly meant for: class numbers, a single class."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Label, Span, error
from nnspec.types import TensorType

_DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
"""Losses that say how far a prediction is from a number."""

_CLASSES = ("cross_entropy", "nll_loss")
"""Losses over the classes in dimension 1."""


_REACHES = {"sigmoid": "from 0 to 1", "softmax": "from 0 to 1", "tanh": "from -1 to 1", "relu": "of at least 0"}
"""The values that an activation gives."""


def target_warnings(program: ir.Program, training: ir.Training, graph: ir.Graph) -> Iterator[Diagnostic]:
    """Warnings about what the losses in a graph compare."""
    fields = {
        number: name for number, (kind, name) in zip(graph.inputs, training.names, strict=False) if kind == "data"
    }
    for node in graph.nodes:
        if not isinstance(node, ir.Op) or len(node.inputs) < 2:
            continue
        scores, target = node.inputs[:2]
        if not isinstance(scores, ir.Ref) or not isinstance(target, ir.Ref):
            continue
        if node.function in _DISTANCES and target.id in fields:
            yield from _whole_numbers(node, fields[target.id], graph.values[target.id].type)
        elif node.function in _CLASSES:
            yield from _single_class(node, graph.values[scores.id].type)


def _whole_numbers(node: ir.Op, field: str, type_: TensorType) -> Iterator[Diagnostic]:
    """A distance between class numbers means nothing; that others are meant shows where they are made floats."""
    if type_.dtype in ("int64", "int32", "uint8"):
        yield error(
            "NNS632",
            f"`{node.function}` takes the field `{field}` for amounts, and it is {type_}",
            node.span,
            "how far is one class from another?",
            severity="warning",
            helps=(
                "`cross_entropy` compares scores with class numbers",
                f"if these are amounts, say so: `to({field}, float)`",
            ),
        )


def _single_class(node: ir.Op, scores: TensorType) -> Iterator[Diagnostic]:
    """The probability of the only class is 1, whatever the model says."""
    if scores.rank > 1 and scores.dims[1] == 1:
        yield error(
            "NNS633",
            f"`{node.function}` over a single class is always 0: its scores are {scores}",
            node.span,
            "there is nothing to learn",
            severity="warning",
            helps=("`binary_cross_entropy_with_logits` takes one score a sample, and targets of 0 and 1",),
        )


def end_warnings(
    training: ir.Training, graph: ir.Graph, node: ir.Op, end: tuple[str, Span | None]
) -> Iterator[Diagnostic]:
    """Warnings about a distance to targets that the model's last activation, and where it is, cannot come to."""
    kind, place = end
    if node.function not in _DISTANCES or kind not in _REACHES:
        return
    others = (Label(place, f"{kind} here"),) if place is not None else ()
    target, scores = node.inputs[1], node.inputs[0]
    fields = {number: name for number, (_, name) in zip(graph.inputs, training.names, strict=False)}
    field = fields.get(target.id, "") if isinstance(target, ir.Ref) else ""
    last = training.transforms.get(field, ())[-1:]
    if last and last[0].name == "Standardize":
        yield error(
            "NNS634",
            f"the field `{field}` has mean 0 and deviation 1, and the model ends in values {_REACHES[kind]}",
            node.span,
            "part of the targets is out of reach",
            severity="warning",
            others=others,
            helps=("leave out the last activation",),
        )
    elif kind == "relu" and isinstance(scores, ir.Ref) and graph.values[scores.id].type.dims[1:] in ((), (1,)):
        yield error(
            "NNS634",
            f"`{node.function}` gets the one number of a ReLU, which learns nothing where it is 0",
            node.span,
            "stays at 0 once it is there",
            severity="warning",
            others=others,
            helps=("leave out the last activation; `Softplus` is one that is above 0 everywhere",),
        )
