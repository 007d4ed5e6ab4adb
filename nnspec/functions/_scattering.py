"""How elements are written, in ONNX, at positions along a dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.dims import Size
from nnspec.functions._lowering import wide
from nnspec.layer import OnnxGraph
from nnspec.layers._lowering import reduce
from nnspec.types import is_float

_REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
"""What ScatterElements calls them."""


def compute_type(dtype: str, how: str | None) -> str:
    """The type to scatter in: run-times reduce neither bools, nor halves, nor narrow integers."""
    if dtype == "bool":
        return "int32"
    return "float32" if how is not None and dtype in ("float16", "bfloat16") else wide(dtype)


def cut(g: OnnxGraph, x: str, dims: Sequence[Size], wanted: Sequence[Size]) -> str:
    """The corner of a value that has the wanted sizes."""
    axes = [i for i, (a, b) in enumerate(zip(dims, wanted, strict=True)) if a != b]
    if not axes:
        return x
    return str(g.node("Slice", x, g.constant([0] * len(axes)), g.shape([wanted[i] for i in axes]), g.constant(axes)))


class Scatter:
    """Writes into values of shape `dims`, along `axis`, where an index of shape `wanted` says.

    All values are of one element type, one that `compute_type` names.
    """

    def __init__(
        self, g: OnnxGraph, index: str, axis: int, dims: Sequence[Size], wanted: Sequence[Size], dtype: str
    ) -> None:
        self.g, self.index, self.axis, self.dtype = g, index, axis, dtype
        self.dims, self.wanted = tuple(dims), tuple(wanted)

    def constant(self, number: Any) -> str:
        """One number, of the element type."""
        return self.g.constant(number, self.dtype)

    def everywhere(self, number: str) -> str:
        """One number for each position of the index."""
        return str(self.g.node("Expand", number, self.g.shape(self.wanted)))

    def write(self, x: str, src: str, how: str | None = None) -> str:
        """x with the elements of `src`, a value of shape `wanted`, in their places; or reduced into what is there."""
        if how in ("amax", "amin") and self.g.opset < 18:
            return self._extreme(x, src, how)
        reduction = None if how is None else _REDUCTIONS[how]
        return str(self.g.node("ScatterElements", x, self.index, src, axis=self.axis, reduction=reduction))

    def emptied(self, x: str, how: str) -> str:
        """x with the number that a reduction starts from in all places that will be written to."""
        return self.write(x, self.everywhere(self.constant(self._start(how))))

    def mean(self, x: str, src: str, dtype: str, include_self: bool) -> str:
        """The means of what meets in each place; integers are rounded down. `dtype` is the type to add up in."""
        g, one = self.g, self.constant(1)
        before = g.node("Expand", self.constant(int(include_self)), g.shape(self.dims))
        count = g.node("Max", self.write(before, self.everywhere(one), "sum"), one)
        total = self.write(x, src, "sum")
        if is_float(dtype):
            return str(g.node("Div", total, count))
        total = g.cast(g.cast(total, dtype), self.dtype)
        return str(g.node("Div", g.node("Sub", total, g.node("Mod", total, count)), count))

    def _start(self, how: str) -> Any:
        if how in ("sum", "mean"):
            return 0
        if how == "prod":
            return 1
        if is_float(self.dtype):
            return float("-inf") if how == "amax" else float("inf")
        bits = int(self.dtype.removeprefix("int")) - 1
        return -(2**bits) if how == "amax" else 2**bits - 1

    def _extreme(self, x: str, src: str, how: str) -> str:
        """For operator sets whose ScatterElements knows no extremes: each place is compared with all of the index."""
        g, rank = self.g, len(self.dims)
        op, join = ("ReduceMax", "Max") if how == "amax" else ("ReduceMin", "Min")
        nothing = self.constant(self._start(how))
        places = g.node("Range", g.constant(0), g.size(self.dims[self.axis]), g.constant(1))
        column = g.node("Reshape", places, g.constant([-1, *[1] * (rank - self.axis)]))
        at = g.constant([self.axis])
        meant = g.node("Equal", g.node("Unsqueeze", g.cast(self.index, "int64"), at), column)
        chosen = g.node("Where", meant, g.node("Unsqueeze", src, at), nothing)
        found = reduce(g, op, chosen, [self.axis + 1], keepdims=False)
        pairs = enumerate(zip(self.dims, self.wanted, strict=True))
        lacking: list[Size] = [0 if i == self.axis else size - have for i, (size, have) in pairs]
        if any(size != 0 for size in lacking):
            found = str(g.node("Pad", found, g.shape([*[0] * rank, *lacking]), nothing))
        return str(g.node(join, x, found))
