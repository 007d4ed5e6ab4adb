"""Pieces of ONNX lowerings that several layers need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.dims import Dim, Size
from nnspec.layer import OnnxGraph

_END = 2**63 - 1
_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def batched(g: OnnxGraph, x: str, rank: int) -> tuple[str, Callable[[str], str]]:
    """The input with a batch dimension, which ONNX always wants, and what takes it away from the result again."""
    if g.type(x).rank == rank:
        return x, lambda y: y
    first = g.constant([0])
    return str(g.node("Unsqueeze", x, first)), lambda y: str(g.node("Squeeze", y, first))


def pad(g: OnnxGraph, x: str, before: Sequence[Size], after: Sequence[Size], mode: str, value: Any = None) -> str:
    """Pad [N, C, ...] in its last dimensions, in one of torch's modes; `value` names a constant for mode `zeros`."""
    return pad_last(g, x, len(before) + 2, before, after, mode, value)


def pad_last(
    g: OnnxGraph, x: str, rank: int, before: Sequence[Size], after: Sequence[Size], mode: str, value: Any = None
) -> str:
    """Pad as many of the last dimensions of a value as there are amounts, none of them negative."""
    if mode == "circular" and g.opset < 19:
        for axis, amounts in enumerate(zip(before, after, strict=True), -len(before)):
            x = _wrap(g, x, axis, *amounts)
        return x
    lead = [0] * (rank - len(before))
    pads = g.shape([*lead, *before, *lead, *after])
    return str(g.node("Pad", x, pads, value, mode=_MODES[mode]))


def _wrap(g: OnnxGraph, x: str, axis: int, before: Size, after: Size) -> str:
    """Pad one dimension with its own other end, for operator sets whose Pad cannot."""
    parts = [x]
    if isinstance(before, Dim):  # A slice from -0 on would be the whole.
        size = g.node("Gather", g.node("Shape", x), g.constant([axis]))
        start = g.node("Sub", size, g.shape([before]))
        parts.insert(0, g.node("Slice", x, start, g.constant([_END]), g.constant([axis])))
    elif before:
        parts.insert(0, g.node("Slice", x, g.constant([-before]), g.constant([_END]), g.constant([axis])))
    if after != 0:
        parts.append(g.node("Slice", x, g.constant([0]), g.shape([after]), g.constant([axis])))
    return str(g.node("Concat", *parts, axis=axis)) if len(parts) > 1 else x


def reduce(g: OnnxGraph, op: str, x: str, axes: Sequence[int], *, keepdims: bool = True) -> str:
    """A Reduce operator over some axes, or over all where none are given.

    The axes became an input in operator set 18 (ReduceSum's in 13).
    """
    if g.opset < 18 and op != "ReduceSum":
        given: dict[str, Any] = {"axes": list(axes)} if axes else {}
        return str(g.node(op, x, **given, keepdims=int(keepdims)))
    return str(g.node(op, x, g.constant(list(axes)), keepdims=int(keepdims)))
