"""Checks a scan of a program: its body takes what the node hands it, and gives states of the same types again."""

from __future__ import annotations

from typing import Any

from nnspec import ir
from nnspec.dims import Size
from nnspec.facts import Facts
from nnspec.types import TensorType
from nnspec.verify_library import NotValid


def scan_results(facts: Facts, node: ir.Scan, operands: tuple[Any, ...]) -> tuple[TensorType, ...] | TensorType:
    """The types of what a scan gives, when its inputs have these types."""
    body = node.body
    if not node.sequences or not node.states or node.yields < 0:
        raise NotValid("it has sequences and states, and gives all of these")
    if len(body.inputs) != len(operands) or len(body.outputs) != len(node.outputs):
        raise NotValid("its body takes and gives another number of values")
    if not all(isinstance(value, int) for value in body.inputs) or not all(isinstance(o, ir.Ref) for o in body.outputs):
        raise NotValid("its body takes and gives tensors")
    lengths: list[Size] = []
    for number, (value, given) in enumerate(zip(body.inputs, operands, strict=True)):
        if not isinstance(given, TensorType):
            raise NotValid("it takes tensors")
        wanted = _part(node.axis, given, lengths) if number < len(node.sequences) else given
        if not same_type(facts, body.values[value].type, wanted):
            raise NotValid(f"its body takes {body.values[value].type}, not {wanted}")
    if not facts.at_least(lengths[0], 1) or not all(facts.equal(lengths[0], other) for other in lengths[1:]):
        raise NotValid("its sequences do not have one length of at least 1")
    types = [body.values[output.id].type for output in body.outputs]
    states = operands[len(node.sequences) : len(node.sequences) + len(node.states)]
    for before, after in zip(states, types[node.yields :], strict=True):
        if not same_type(facts, before, after):
            raise NotValid(f"a state is {before} before a step and {after} after it")
    found = (*(_stacked(node.axis, kind, lengths[0]) for kind in types[: node.yields]), *states)
    return found if len(found) > 1 else found[0]


def same_type(facts: Facts, a: Any, b: Any) -> bool:
    """Whether two types are proved to be one."""
    if not isinstance(a, TensorType) or not isinstance(b, TensorType):
        return False
    dims = zip(a.dims, b.dims, strict=False)
    return a.dtype == b.dtype and a.rank == b.rank and all(facts.equal(x, y) for x, y in dims)


def _part(axis: int, kind: TensorType, lengths: list[Size]) -> TensorType:
    if not -kind.rank <= axis < kind.rank:
        raise NotValid(f"{kind} has no dimension {axis}")
    dims = list(kind.dims)
    lengths.append(dims.pop(axis))
    return kind.with_dims(*dims)


def _stacked(axis: int, kind: TensorType, length: Size) -> TensorType:
    rank = kind.rank + 1
    if not -rank <= axis < rank:
        raise NotValid(f"{kind} cannot be stacked along dimension {axis}")
    dims = list(kind.dims)
    dims.insert(axis % rank, length)
    return kind.with_dims(*dims)
