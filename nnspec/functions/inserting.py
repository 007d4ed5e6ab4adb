"""Parts of a copy of a tensor replaced: what `select` or a slice would take, put back."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import END
from nnspec.functions._operands import axis, shape_text
from nnspec.functions._positions import along
from nnspec.functions._scattering import compute_type
from nnspec.functions.indexing import check_index, sliced
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


def _expect_part(function: Function, rules: Rules, src: TensorType, wanted: tuple[Size, ...]) -> None:
    """Refuse a part of another shape than that of its place."""
    message = f"`{type(function).__name__}` replaces a part of shape {shape_text(wanted)}, but is given {src}"
    if src.rank != len(wanted):
        raise ShapeError(message, code="NNS402", input=1)
    for i, (size, other) in enumerate(zip(src.dims, wanted, strict=True)):
        label = f"{show(size)} should be {show(other)}"
        rules.require_equal(size, other, message, label=label, input=1, axis=i)


def _inserted(g: OnnxGraph, x: str, src: str, at: int, places: str, count: Size, *, new: bool) -> str:
    """x with `src` in the places of a dimension that a vector names; with `new`, `src` lacks that dimension."""
    kind = g.type(x)
    dtype = compute_type(kind.dtype, None)
    part = g.cast(g.cast(src, kind.dtype), dtype)
    if new:
        part = g.node("Unsqueeze", part, g.constant([at]))
    y = along(g, places, kind.dims, at, count, dtype).write(g.cast(x, dtype), part)
    return y if dtype == kind.dtype else g.cast(y, kind.dtype)


class select_scatter(Function):
    """x with `src` in the place of `x[:, index]`, for `dim=1`: [N, T, D] and [N, D] to [N, T, D].

    Source: `torch.select_scatter`.
    """

    dim: int = arg(doc="the dimension that the position is of")
    index: Size = arg(doc="the position; from the end when negative")

    examples = (
        Example("select_scatter(x, y, 1, -1)", x="float[N, T, 8]", y="float[N, 8]"),
        Example("select_scatter(x, y, dim=0, index=1)", x="int[3, T]", y="int[T]"),
        Example("select_scatter(x, y, -1, T - 1)", x="bool[N, T]", y="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType, src: TensorType) -> TensorType:
        x, src = expect_tensor(self, x), expect_tensor(self, src, 1)
        if not x.rank:
            raise ShapeError("`select_scatter` needs a tensor with dimensions", code="NNS402", input=0)
        at = axis(self, x, self.dim)
        check_index(rules, x, at, self.index)
        _expect_part(self, rules, src, (*x.dims[:at], *x.dims[at + 1 :]))
        return x

    def torch(self, *inputs: Any) -> Code:
        return call("torch.select_scatter", *inputs, self.dim, self.index)

    def onnx(self, g: OnnxGraph, x: str, src: str) -> Any:
        at = axis(self, g.type(x), self.dim)
        return _inserted(g, x, src, at, g.shape([self.index]), 1, new=True)


class slice_scatter(Function):
    """x with `src` in the place of `x[:, start:end:step]`, for `dim=1`: [N, T] and [N, 3] to [N, T].

    As in an index, bounds must lie in the dimension. Source: `torch.slice_scatter`.
    """

    dim: int = arg(0, doc="the dimension that the slice is of")
    start: Size | None = arg(None, doc="where the slice begins; from the end when negative")
    end: Size | None = arg(None, doc="where it ends, itself not in it; the end of the dimension when left out")
    step: Size = arg(1, doc="the distance between two places")

    examples = (
        Example("slice_scatter(x, y, 1, 1, 4)", x="float[N, 6]", y="float[N, 3]"),
        Example("slice_scatter(x, y, start=-2)", x="int[5, T]", y="int[2, T]"),
        Example("slice_scatter(x, y, dim=-1, step=2)", x="float[N, T]", y="float[N, (T + 1) // 2]"),
        Example("slice_scatter(x, y, 1, 1, T)", t="float[T]", x="bool[N, T + 1]", y="bool[N, T - 1]", assume="T >= 2"),
    )

    def infer(self, rules: Rules, x: TensorType, src: TensorType) -> TensorType:
        x, src = expect_tensor(self, x), expect_tensor(self, src, 1)
        if not x.rank:
            raise ShapeError("`slice_scatter` needs a tensor with dimensions", code="NNS402", input=0)
        at = axis(self, x, self.dim)
        size = sliced(rules, x, at, self.start, self.end, self.step)
        _expect_part(self, rules, src, (*x.dims[:at], size, *x.dims[at + 1 :]))
        return x

    def onnx(self, g: OnnxGraph, x: str, src: str) -> Any:
        kind, part = g.type(x), g.type(src)
        at = axis(self, kind, self.dim)
        places = g.node("Range", g.constant(0), g.size(kind.dims[at]), g.constant(1))
        bounds = [[0 if self.start is None else self.start], [END if self.end is None else self.end]]
        places = g.node("Slice", places, *map(g.shape, bounds), g.constant([0]), g.shape([self.step]))
        return _inserted(g, x, src, at, places, part.dims[at], new=False)
