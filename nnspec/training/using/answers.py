"""What a model's outputs mean: classes with their probabilities where the loss says so, and otherwise numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nnspec import ir, registry
from nnspec.functions._losses import Loss
from nnspec.functions.classification import ClassLoss
from nnspec.layer import Function
from nnspec.training.feeding.pipeline import Pipelines
from nnspec.training.runs.listing import RunError
from nnspec.training.transform import Affine
from nnspec.training.transforms.values import along_channels

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
    scaled: tuple[Affine, ...] = ()
    """What was done to the field's numbers, which the output stands for."""

    def in_own_units(self, output: torch.Tensor) -> torch.Tensor:
        """The output in the numbers that the field has where it is stored."""
        if not self.scaled:
            return output
        numbers = output.double()
        for each in reversed(self.scaled):
            mean, deviation = (torch.as_tensor(v, dtype=numbers.dtype) for v in (each.mean, each.deviation))
            numbers = numbers * along_channels(deviation, numbers) + along_channels(mean, numbers)
        return numbers.to(output.dtype)

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


def meanings(training: ir.Training, classes: Mapping[str, tuple[str, ...]], pipelines: Pipelines) -> dict[str, Meaning]:
    """What the losses say about the outputs that they are given as they are."""
    found: dict[str, Meaning] = {}
    compared: dict[str, set[str]] = {}
    """The fields that outputs are compared with as they are."""
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
            elif isinstance(node, ir.Op) and cls is not None and issubclass(cls, Loss) and cls.in_units:
                ends = dict(filter(None, (_source(each, sources, made, direct=True) for each in node.inputs[:2])))
                if ends.keys() == {"model", "data"}:
                    compared.setdefault(ends["model"], set()).add(ends["data"])
    for output, fields in compared.items():
        if output not in found and len(fields) == 1:
            field = next(iter(fields))
            found[output] = Meaning(field=field, scaled=_scaled(field, pipelines))
    return found


def _scaled(field: str, pipelines: Pipelines) -> tuple[Affine, ...]:
    """What was done to a field, if all of it can be undone."""
    pipeline = pipelines.get(field)
    if pipeline is None:
        return ()
    try:
        steps = [each.affine(state) for each, state in zip(pipeline.transforms, pipeline.states, strict=True)]
    except (KeyError, TypeError, ValueError):
        raise RunError(f"the numbers of what is done to `{field}` are damaged") from None
    found = tuple(step for step in steps if step is not None)
    return found if len(found) == len(steps) else ()


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
