"""A model for inference that does to its inputs what a run did to its data: the constants become buffers of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from nnspec import ir
from nnspec.passes import inference
from nnspec.training.runs.listing import RunError
from nnspec.training.runs.preparation import Preparation
from nnspec.training.transform import Affine
from nnspec.types import TensorType

Weights = dict[str, torch.Tensor]


class _Graph:
    """A graph that gets nodes in front of those that it has."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.values = list(graph.values)
        self.nodes: list[ir.Node] = []

    def value(self, type_: TensorType) -> int:
        """A new value."""
        self.values.append(ir.Value(type_))
        return len(self.values) - 1

    def op(self, function: str, inputs: tuple[Any, ...], type_: TensorType, **attributes: Any) -> int:
        """What a function gives."""
        result = self.value(type_)
        self.nodes.append(ir.Op(function, inputs, attributes, (result,)))
        return result

    def read(self, name: str, type_: TensorType) -> int:
        """A buffer of the model."""
        result = self.value(type_)
        self.nodes.append(ir.Read(name, (result,)))
        return result

    def cast(self, value: int, dtype: str) -> int:
        """The value in another element type."""
        type_ = self.values[value].type
        return (
            value if type_.dtype == dtype else self.op("to", (ir.Ref(value),), replace(type_, dtype=dtype), dtype=dtype)
        )

    def finish(self, renamed: dict[int, tuple[int, int]]) -> ir.Graph:
        """The whole: inputs that were there come from what was made of the new ones (old: new, result)."""
        inputs = tuple(renamed[i][0] if i in renamed else i for i in self.graph.inputs)
        results = {old: result for old, (_, result) in renamed.items()}
        nodes = tuple(_with_outputs(node, {new: old for old, new in results.items()}) for node in self.nodes)
        return ir.Graph(inputs, tuple(self.values), (*nodes, *self.graph.nodes), self.graph.outputs)


def _with_outputs(node: ir.Node, renamed: dict[int, int]) -> ir.Node:
    """The node that makes the last value makes the one that the graph knew as its input."""
    return replace(node, outputs=tuple(renamed.get(value, value) for value in node.outputs))


def embed(program: ir.Program, preparation: Preparation) -> tuple[ir.Program, Weights]:
    """The main entry for inference, with the preparation in front, and the weights that it has besides its own.

    Inputs are then as the data is stored: bytes of pictures, columns as they are in a file. Raises `RunError` for what
    is more than numbers that are taken off and divided by.
    """
    training = program.training
    if training is None or training.models:
        raise RunError("only a run of one model has a preparation that can become a part of it")
    steps = {name: _steps(field, preparation) for name, field in training.inputs.items()}
    weights: Weights = {}
    found = inference.run(program).program
    entry = found.main
    root = found.modules[entry.module]
    taken = {member.name for member in root.members}
    members: list[ir.Member] = []
    buffers: dict[tuple[str, int, str], str] = {}
    methods = list(found.methods)
    for number in dict.fromkeys(form.methods["infer"] for form in entry.choices):
        method = methods[number]
        graph, renamed = _Graph(method.graph), {}
        for name, value in zip(method.input_names, method.graph.inputs, strict=True):
            affine, stored, divisor = steps.get(name, ([], "", None))
            if value is None or not (affine or divisor):
                continue
            type_ = graph.values[value].type
            first = graph.value(replace(type_, dtype=stored if divisor else type_.dtype))
            graph.values[first] = replace(graph.values[first], hint=graph.values[value].hint)
            at = graph.cast(first, type_.dtype)
            if divisor:
                at = graph.op("div", (ir.Ref(at), divisor), type_)
            for place, each in enumerate(affine):
                wide = replace(type_, dtype=each.dtype)
                at = graph.cast(at, each.dtype)
                for function, what, numbers in (("sub", "mean", each.mean), ("div", "deviation", each.deviation)):
                    key = (name, place, what)
                    if key not in buffers:
                        buffers[key] = _free(f"{name}_{what}", taken)
                        weights[buffers[key]] = _constant(numbers, wide)
                        members.append(_buffer(buffers[key], weights[buffers[key]], each.dtype))
                    own = graph.read(buffers[key], _type(weights[buffers[key]], each.dtype))
                    at = graph.op(function, (ir.Ref(at), ir.Ref(own)), wide)
                at = graph.cast(at, type_.dtype)
            renamed[value] = (first, at)
        methods[number] = replace(method, graph=graph.finish(renamed))
    modules = list(found.modules)
    modules[entry.module] = replace(root, members=(*root.members, *members))
    return replace(found, modules=tuple(modules), methods=tuple(methods)), weights


def _steps(field: str, preparation: Preparation) -> tuple[list[Affine], str, float | None]:
    """What is done to a field, and the element type that it is stored in."""
    pipeline = preparation.pipelines[field]
    steps = []
    for transform, state in zip(pipeline.transforms, pipeline.states, strict=True):
        try:
            affine = transform.affine(state)
        except (KeyError, TypeError, ValueError):
            raise RunError(f"the numbers of `{type(transform).__name__}` for `{field}` are damaged") from None
        if affine is None:
            raise RunError(
                f"`{type(transform).__name__}` of `{field}` cannot become a part of the model",
                helps=("`nnspec predict` does it; without --with-preprocessing the model takes what comes of it",),
            )
        steps.append(affine)
    return steps, preparation.stored[field][0], pipeline.divisor


def _constant(numbers: Any, type_: TensorType) -> torch.Tensor:
    """Numbers that meet dimension 1 of a batch."""
    tensor = torch.as_tensor(numbers, dtype=getattr(torch, type_.dtype))
    if tensor.ndim and tensor.numel() > 1 and (type_.rank < 2 or type_.dims[1] != tensor.numel()):
        raise RunError(f"there are numbers for {tensor.numel():,} columns, and the model takes {type_}")
    return tensor.reshape(-1, *(1,) * (type_.rank - 2)) if tensor.ndim and type_.rank > 1 else tensor.reshape(())


def _type(tensor: torch.Tensor, dtype: str) -> TensorType:
    return TensorType(dtype, tuple(tensor.shape))


def _buffer(name: str, tensor: torch.Tensor, dtype: str) -> ir.Member:
    """A buffer that starts as ones; what it holds comes with the weights."""
    type_ = _type(tensor, dtype)
    ones = ir.Op("ones", (), {"size": tuple(tensor.shape), "dtype": dtype}, (0,))
    graph = ir.Graph((), (ir.Value(type_),), (ones,), (ir.Ref(0),))
    return ir.Member(name, "buffer", "bound", None, None, type_, None, graph)


def _free(name: str, taken: set[str]) -> str:
    """The name, or one like it that is free."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name
