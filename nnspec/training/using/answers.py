"""What a model's outputs mean: classes with their probabilities where the loss says so, and otherwise numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nnspec import ir, registry
from nnspec.functions.classification import ClassLoss
from nnspec.layer import Function

_MOST_COLUMNS = 16_384

Column = tuple[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Meaning:
    """How an output is read: `likelihood` makes probabilities of it, along `axis` if there are several classes."""

    likelihood: str = ""
    axis: int = 0
    field: str = ""
    """The field of the data that it was held against."""
    classes: tuple[str, ...] = ()
    """The names of the classes, as far as they are known."""

    @property
    def several(self) -> bool:
        """Whether it has a score for each of several classes."""
        return self.likelihood in ("softmax", "exp")

    def probabilities(self, output: torch.Tensor) -> torch.Tensor:
        """The probabilities of the classes; the output itself where it is no score."""
        if self.likelihood == "softmax":
            return output.softmax(self.axis)
        return {"exp": torch.exp, "sigmoid": torch.sigmoid}.get(self.likelihood, torch.clone)(output)

    def chosen(self, output: torch.Tensor) -> torch.Tensor | None:
        """The number of the likeliest class of each sample; None where there are no classes."""
        if self.several:
            return output.argmax(self.axis)
        if self.likelihood:
            return (self.probabilities(output) >= 0.5).long()
        return None


def meanings(training: ir.Training, classes: Mapping[str, tuple[str, ...]]) -> dict[str, Meaning]:
    """What the losses say about the outputs that they are given as they are."""
    found: dict[str, Meaning] = {}
    for update in training.updates:
        graph = update.loss
        sources = {
            value: source for value, source in zip(graph.inputs, training.names, strict=True) if value is not None
        }
        made = {value: node for node in graph.nodes for value in ir.flat(node.outputs)}
        for node in graph.nodes:
            cls = registry.find("function", node.function) if isinstance(node, ir.Op) else None
            if isinstance(node, ir.Op) and cls is not None and issubclass(cls, Function) and cls.likelihood:
                scores, target = (_source(each, sources, made, direct=i == 0) for i, each in enumerate(node.inputs[:2]))
                if scores is not None and target is not None and (scores[0], target[0]) == ("model", "data"):
                    kind = graph.values[next(ir.refs(node.inputs[0]))].type
                    axis = cls(**node.attributes).class_axis(kind) if issubclass(cls, ClassLoss) else 0
                    field = target[1]
                    found[scores[1]] = Meaning(cls.likelihood, axis, field, _names(field, classes))
    return found


def _names(field: str, classes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if field in classes:
        return classes[field]
    # Of two classes, data sets give `target` besides: the label as a float.
    label = classes.get("label", ()) if field == "target" else ()
    return label if len(label) == 2 else ()


def _source(
    operand: Any, sources: Mapping[Any, tuple[str, str]], made: Mapping[int, ir.Node], *, direct: bool
) -> tuple[str, str] | None:
    """Where an operand comes from, as it is (or behind operations on nothing else)."""
    while isinstance(operand, ir.Ref):
        if operand.id in sources:
            return sources[operand.id]
        node = made.get(operand.id)
        behind = [] if node is None or direct or not isinstance(node, ir.Op) else [*ir.refs(tuple(node.inputs))]
        if len(behind) != 1:
            return None
        operand = ir.Ref(behind[0])
    return None


# --- as columns of a table -------------------------------------------------------------------------------------------


def columns(outputs: Mapping[str, torch.Tensor], meanings: Mapping[str, Meaning]) -> list[Column] | None:
    """A column for each class or number of a sample; None where there would be too many."""
    found: list[Column] = []
    for name, output in outputs.items():
        meaning = meanings.get(name, Meaning())
        flat = output.reshape(len(output), -1)
        if flat.shape[1] + len(found) > _MOST_COLUMNS:
            return None
        if meaning.several and output.ndim == 2:
            found += _of_classes(name, output, meaning)
        elif meaning.likelihood and flat.shape[1] == 1 and not meaning.several:
            found += _of_two(name, flat[:, 0], meaning)
        else:
            values = meaning.probabilities(output).reshape(len(output), -1).double().numpy()
            found += [(title, values[:, i].tolist()) for i, title in enumerate(_titles(name, output.shape[1:]))]
    return _apart(found)


def _of_classes(name: str, output: torch.Tensor, meaning: Meaning) -> list[Column]:
    chosen, shares = meaning.chosen(output), meaning.probabilities(output).double()
    assert chosen is not None
    count = output.shape[1]
    names: Sequence[Any] = meaning.classes if len(meaning.classes) == count else range(count)
    answers = (meaning.field or name, [names[i] for i in chosen.tolist()])
    return [answers, *((f"p({names[i]})", shares[:, i].tolist()) for i in range(count))]


def _of_two(name: str, output: torch.Tensor, meaning: Meaning) -> list[Column]:
    chosen, share = meaning.chosen(output), meaning.probabilities(output).double().tolist()
    assert chosen is not None
    names: Sequence[Any] = meaning.classes if len(meaning.classes) == 2 else (0, 1)
    return [(meaning.field or name, [names[i] for i in chosen.tolist()]), (f"p({names[1]})", share)]


def _titles(name: str, shape: Sequence[int]) -> Iterator[str]:
    """`y`, or `y.0`, `y.1`, ... (`y.0.1` with two dimensions)."""
    if all(size == 1 for size in shape):
        yield name
        return
    for index in np.ndindex(*shape):
        yield ".".join((name, *map(str, index)))


def _apart(found: list[Column]) -> list[Column]:
    """The columns with names of their own."""
    seen: dict[str, int] = {}
    result = []
    for title, values in found:
        seen[title] = seen.get(title, 0) + 1
        result.append((title if seen[title] == 1 else f"{title}.{seen[title]}", values))
    return result
