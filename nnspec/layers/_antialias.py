"""Resizing with filters that widen as images shrink, as torch's `antialias=True` has them: two products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.dims import Size
from nnspec.layer import OnnxGraph
from nnspec.layers._lowering import reduce

_BEND = -0.5
"""Of the cubic filter; without antialiasing torch has another one."""


def smoothed(
    g: OnnxGraph, x: str, sizes: Sequence[tuple[Size, Size]], factors: Sequence[float | None], mode: str, aligned: bool
) -> str:
    """[N, C, H, W] resized from sizes to others, or by factors. Runtimes widen their filters in other ways."""
    own = g.type(x).dtype
    dtype = "float64" if own == "float64" else "float32"
    x = g.cast(x, dtype)
    for axis, (before, after), factor in reversed(list(zip((-2, -1), sizes, factors, strict=True))):
        if before == after and factor in (None, 1):
            continue
        shares = _shares(g, _step(g, before, after, factor, aligned, dtype), before, after, mode, dtype)
        x = g.node("MatMul", x, g.node("Transpose", shares, perm=[1, 0])) if axis == -1 else g.node("MatMul", shares, x)
    return x if own == dtype else g.cast(x, own)


def _step(g: OnnxGraph, before: Size, after: Size, factor: float | None, aligned: bool, dtype: str) -> str:
    """How far apart in the input the places of two neighbours of the output lie."""
    if factor is not None and not aligned:
        return g.constant(1 / factor, dtype)
    less = 1 if aligned else 0
    parts = [g.cast(g.size(size - less), dtype) for size in (before, after)]
    # One place alone lies at the front.
    parts[1] = g.node("Max", parts[1], g.constant(1.0, dtype)) if aligned else parts[1]
    step = g.node("Div", *parts)
    if not aligned:
        return str(step)
    alone = g.node("Equal", g.size(after), g.constant(1))
    return str(g.node("Where", alone, g.constant(0.0, dtype), step))


def _shares(g: OnnxGraph, step: str, before: Size, after: Size, mode: str, dtype: str) -> str:
    """[after, before]: how much each place of the input gives to each of the output."""
    zero, one, half = g.constant(0), g.constant(1), g.constant(0.5, dtype)
    new, old = (
        g.node("Add", g.cast(g.node("Range", zero, g.size(size), one), dtype), half) for size in (after, before)
    )
    centre = g.node("Unsqueeze", g.node("Mul", new, step), g.constant([1]))
    width = g.node("Max", step, g.constant(1.0, dtype))
    distance = g.node("Abs", g.node("Div", g.node("Sub", old, centre), width))
    weights = _cubic(g, distance, dtype) if mode == "bicubic" else _linear(g, distance, dtype)
    return str(g.node("Div", weights, reduce(g, "ReduceSum", weights, [1])))


def _linear(g: OnnxGraph, distance: str, dtype: str) -> str:
    return str(g.node("Relu", g.node("Sub", g.constant(1.0, dtype), distance)))


def _cubic(g: OnnxGraph, distance: str, dtype: str) -> str:
    near = _polynomial(g, distance, (_BEND + 2, -(_BEND + 3), 0.0, 1.0), dtype)
    far = _polynomial(g, distance, (_BEND, -5 * _BEND, 8 * _BEND, -4 * _BEND), dtype)
    outside = g.node("Less", distance, g.constant(2.0, dtype))
    far = g.node("Where", outside, far, g.constant(0.0, dtype))
    return str(g.node("Where", g.node("Less", distance, g.constant(1.0, dtype)), near, far))


def _polynomial(g: OnnxGraph, x: str, coefficients: Sequence[float], dtype: str) -> str:
    total = g.constant(coefficients[0], dtype)
    for coefficient in coefficients[1:]:
        total = g.node("Add", g.node("Mul", total, x), g.constant(coefficient, dtype))
    return total
