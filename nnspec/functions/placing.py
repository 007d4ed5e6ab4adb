"""Slices of a copy of a tensor replaced or added to, at the positions that vectors name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import show
from nnspec.functions._lowering import kind, tensor
from nnspec.functions._operands import axis, expect_broadcast, expect_dtype, expect_fits, shape_text
from nnspec.functions._positions import along, as_scalar, as_vector, expect_positions, joint, listed
from nnspec.functions._scattering import compute_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import Operand, Scalar, TensorType, is_float


class _Placed(Function):
    """What writing by a vector of positions shares: place k of `source` along `dim` goes to place `index[k]` of x."""

    order = ("x", "dim", "index", "source")
    only = ""

    dim: int = arg(doc="the dimension that positions are of")

    def infer(self, rules: Rules, x: TensorType, index: TensorType, source: TensorType) -> TensorType:
        x, at, index = self.places(x, index)
        source = expect_dtype(self, source, x.dtype, "source", 2)
        wanted = (*listed(x)[:at], listed(index)[0], *listed(x)[at + 1 :])
        message = f"`{type(self).__name__}` needs a source of shape {shape_text(wanted)}, but it is {source}"
        if len(listed(source)) != len(wanted):
            raise ShapeError(message, code="NNS402", input=2)
        for i, (size, other) in enumerate(zip(listed(source), wanted, strict=True)):
            label = f"{show(size)} should be {show(other)}"
            rules.require_equal(size, other, message, label=label, input=2, axis=i)
        return x

    def places(self, x: Any, index: Any) -> tuple[TensorType, int, TensorType]:
        """The tensor, its dimension, and the vector of positions (or one position)."""
        x = expect_tensor(self, x)
        index = expect_positions(self, index, only=self.only)
        if index.rank > 1:
            raise ShapeError(
                f"`{type(self).__name__}` needs a vector of positions, not {index}", code="NNS402", input=1
            )
        return x, axis(self, x, self.dim), index

    def torch(self, *inputs: Any) -> Code:
        x, *others = inputs
        options = self.options()
        return call(f"torch.{type(self).__name__}", x, options.pop("dim"), *others, **options)

    def placed(self, g: OnnxGraph, x: str, index: str, source: Any, how: str | None = None, scale: Any = 1) -> str:
        """The lowering; without `how` what was there is replaced. `scale` multiplies the source."""
        known, given = g.type(x), kind(g, source)
        at = axis(self, known, self.dim)
        dtype = compute_type(known.dtype, how)
        vector = as_vector(g, index, g.type(index).rank)
        to = along(g, vector, listed(known), at, listed(g.type(index))[0], dtype)
        updates = g.cast(tensor(g, source, known.dtype), dtype)
        if scale != 1:
            updates = g.node("Mul", updates, g.constant(scale, dtype))
        if not isinstance(given, TensorType) or not given.rank:
            updates = to.everywhere(updates)
        y = as_scalar(g, to.write(as_vector(g, g.cast(x, dtype), known.rank), updates, how), known.rank)
        return y if dtype == known.dtype else g.cast(y, known.dtype)


class index_add(_Placed):
    """x with the slices of `source`, times `alpha`, added in the places that a vector names: [N, 4] and int[K], [N, K].

    Source: `torch.index_add`.
    """

    alpha: int | float = arg(1, doc="what the source is multiplied by", keyword=True)

    examples = (
        Example("index_add(x, 1, i % 4, y)", x="float[N, 4]", i="int[K]", y="float[N, K]"),
        Example("index_add(x, 0, i % 3, y, alpha=2)", x="int[3, T]", i="int[2]", y="int[2, T]"),
        Example("index_add(x, -1, i % 5, y, alpha=-0.5)", x="float[N, T, 5]", i="int32[3]", y="float[N, T, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType, source: TensorType) -> TensorType:
        result = super().infer(rules, x, index, source)
        if x.rank != source.rank:
            raise ShapeError(f"`index_add` needs a source of the rank of {x}, not {source}", code="NNS402", input=2)
        if isinstance(self.alpha, float) and not is_float(x.dtype):
            raise ShapeError(
                f"`index_add` of {x} needs a whole number as `alpha`, not {self.alpha}",
                code="NNS406",
                at="alpha",
                helps=("convert x: `to(x, float)`",),
            )
        return result

    def onnx(self, g: OnnxGraph, x: str, index: str, source: str) -> Any:
        return self.placed(g, x, index, source, "sum", self.alpha)


class index_copy(_Placed):
    """x with its slices replaced by those of `source`, in the places that a vector names: [N, 4], int[K] and [N, K].

    Source: `torch.index_copy`.
    """

    only = "int64"

    examples = (
        Example("index_copy(x, 1, arange(3), y)", x="float[N, 4]", y="float[N, 3]"),
        Example("index_copy(x, dim=0, index=arange(K), source=y)", k="int[K]", x="int[K + 2, T]", y="int[K, T]"),
    )

    def onnx(self, g: OnnxGraph, x: str, index: str, source: str) -> Any:
        return self.placed(g, x, index, source)


class index_fill(_Placed):
    """x with one number in all the places along `dim` that a vector names.

    Source: `torch.index_fill`.
    """

    order = ("x", "dim", "index", "value")
    scalars = ("value",)
    only = "int64"

    examples = (
        Example("index_fill(x, 1, i % 4, -1)", x="float[N, 4]", i="int[K]"),
        Example("index_fill(x, dim=-1, index=i % 3, value=y)", x="int[N, T, 3]", i="int[2]", y="int[]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType, value: Operand) -> TensorType:
        x, _, index = self.places(x, index)
        if isinstance(value, Scalar):
            expect_fits(self, x.dtype, value.value, input=2)
        elif expect_tensor(self, value, 2).rank:
            raise ShapeError(
                f"`index_fill` needs one number to fill in, not {value}",
                code="NNS402",
                input=2,
                helps=("`index_copy` takes them from a tensor",),
            )
        return x

    def onnx(self, g: OnnxGraph, x: str, index: str, value: Any) -> Any:
        return self.placed(g, x, index, value)


class index_put(Function):
    """x with other values at the places that tensors of positions name, as in `x[i, j] = values`.

    `indices` are picked together, one for each of the first dimensions of x; `values` broadcast to what they pick.
    With `accumulate` they are added to what is there. Source: `torch.index_put`.
    """

    sequences = ("indices",)

    accumulate: bool = arg(False, doc="add to what is there; without, of several for one place any may win")

    examples = (
        Example("index_put(x, [i % 3], y, accumulate=true)", x="float[3, T]", i="int[K]", y="float[K, T]"),
        Example("index_put(x, [arange(3), arange(3)], y)", x="int[3, 3, T]", y="int[T]"),
        Example("index_put(x, [i % 3, j % 4], y, true)", x="float[3, 4]", i="int[N, 1]", j="int[T]", y="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType, indices: Any, values: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if not isinstance(indices, tuple) or not 1 <= len(indices) <= x.rank:
            raise ShapeError(
                f"`index_put` needs a list of tensors of positions, one for each of the first dimensions of {x}",
                code="NNS402",
                input=1,
                helps=("write `index_put(x, [i, j], values)`",),
            )
        for index in indices:
            expect_positions(self, index)
        values = expect_dtype(self, values, x.dtype, "values", 2)
        picked = (*rules.broadcast(*(i.dims for i in indices)), *x.dims[len(indices) :])
        message = f"`index_put` picks {shape_text(picked)}, to which {values} does not broadcast"
        expect_broadcast(rules, values.dims, picked, message, input=2)
        return x

    def torch(self, *inputs: Any) -> Code:
        return call("torch.index_put", *inputs, **self.options())

    def onnx(self, g: OnnxGraph, x: str, indices: Sequence[str], values: str) -> Any:
        known, how = g.type(x), "sum" if self.accumulate else None
        dtype = compute_type(known.dtype, how)
        shape = joint([g.type(i).dims for i in indices])
        whole = g.shape(shape)
        last = g.constant([-1])
        columns = [g.node("Unsqueeze", g.node("Expand", g.cast(i, "int64"), whole), last) for i in indices]
        where = g.node("Concat", *columns, axis=-1)
        updates = g.node("Expand", g.cast(values, dtype), g.shape((*shape, *known.dims[len(indices) :])))
        y = g.node("ScatterND", g.cast(x, dtype), where, updates, reduction="add" if self.accumulate else None)
        return y if dtype == known.dtype else g.cast(y, known.dtype)


class masked_scatter(Function):
    """x with the elements of `source`, in order, where the mask is true; x and mask broadcast.

    Source: `torch.masked_scatter`.
    """

    examples = (
        Example("masked_scatter(x, m, y)", x="float[N, 3]", m="bool[N, 3]", y="float[N, 3]"),
        Example("masked_scatter(x, x > 0, y)", x="int[T]", y="int[2, T]"),
        Example("masked_scatter(x, m, x)", x="float[N, 1, 3]", m="bool[3]"),
    )

    def infer(self, rules: Rules, x: TensorType, mask: TensorType, source: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        mask = expect_dtype(self, mask, "bool", "mask", 1)
        expect_dtype(self, source, x.dtype, "source", 2)
        return x.with_dims(*rules.broadcast(x.dims, mask.dims))

    def onnx(self, g: OnnxGraph, x: str, mask: str, source: str) -> Any:
        known = g.type(x)
        dims = joint([known.dims, g.type(mask).dims])
        chosen = g.node("Expand", mask, g.shape(dims))
        flat = g.node("Reshape", g.cast(chosen, "int64"), g.constant([-1]))
        # How many were chosen before each: its place in the source, where it is chosen itself.
        before = g.node("CumSum", flat, g.constant(0), exclusive=1)
        last = g.node("Sub", g.size(volume(g.type(source).dims)), g.constant(1))
        place = g.node("Reshape", g.node("Min", before, last), g.shape(dims))
        dtype = compute_type(known.dtype, None)
        found = g.node("Gather", g.node("Reshape", g.cast(source, dtype), g.constant([-1])), place)
        y = g.node("Where", chosen, found, g.cast(x, dtype))
        return y if dtype == known.dtype else g.cast(y, known.dtype)
