"""Tensors made in the likeness of others, and grids made of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import expect_fits
from nnspec.functions._positions import as_vector, listed
from nnspec.functions.creation import DEVICE, checked_sizes, number
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, torch_dtype
from nnspec.layers._expect import expect_tensor
from nnspec.types import DType, TensorType


class _Like(Function):
    """One number everywhere, in the shape of another tensor."""

    keeps = ()

    dtype: DType | None = arg(None, doc="the element type, that of x when left out", keyword=True)

    number: int = 0

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype(self.dtype or x.dtype)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return g.node("Expand", g.constant(self.number, self.dtype or kind.dtype), g.shape(kind.dims))


class zeros_like(_Like):
    """Zeros, in the shape and type of x.

    Source: `torch.zeros_like`.
    """

    examples = (
        Example("zeros_like(x)", x="float[N, 8]"),
        Example("zeros_like(x, dtype=int)", x="bool[N]"),
    )


class ones_like(_Like):
    """Ones, in the shape and type of x.

    Source: `torch.ones_like`.
    """

    number = 1

    examples = (
        Example("ones_like(x)", x="int[N, T]"),
        Example("ones_like(x, dtype=bool)", x="float[N]"),
    )


class full_like(Function):
    """One number everywhere, in the shape and type of x.

    Source: `torch.full_like`.
    """

    keeps = ()

    fill_value: bool | Size | float = arg(doc="the number")
    dtype: DType | None = arg(None, doc="the element type, that of x when left out", keyword=True)

    examples = (
        Example("full_like(x, 0.5)", x="float[N, 8]"),
        Example("full_like(x, T, dtype=int)", x="float[N, T]"),
        Example("full_like(x, true)", x="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        expect_fits(self, self.dtype or x.dtype, self.fill_value, at="fill_value")
        return x.with_dtype(self.dtype or x.dtype)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("torch.full_like", *inputs, options.pop("fill_value"), **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind, value = g.type(x), self.fill_value
        dtype = self.dtype or kind.dtype
        return g.node("Expand", number(g, value, dtype), g.shape(kind.dims))


class eye(Function):
    """Ones on the diagonal, zeros elsewhere: [n, n], or [n, m].

    Source: `torch.eye`.
    """

    n: Size = arg(doc="how many rows")
    m: Size | None = arg(None, doc="how many columns; as many when left out")
    dtype: DType | None = arg(None, doc="the element type, float when left out", keyword=True)

    examples = (
        Example("eye(3)"),
        Example("eye(T, dtype=bool)", x="float[T]"),
        Example("eye(T, m=4)", x="float[T]"),
    )

    def infer(self, rules: Rules) -> TensorType:
        return TensorType(self.dtype or "float32", checked_sizes(self, rules, self._sizes(), at="n"))

    def _sizes(self) -> tuple[Size, Size]:
        return (self.n, self.n if self.m is None else self.m)

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call("torch.eye", self.n, *(() if self.m is None else (self.m,)), **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        rows, columns = (g.node("Range", g.constant(0), g.size(s), g.constant(1)) for s in self._sizes())
        same = g.node("Equal", g.node("Unsqueeze", rows, g.constant([1])), columns)
        return same if self.dtype == "bool" else g.cast(same, self.dtype or "float32")


class meshgrid(Function):
    """A grid of vectors: for [H] and [W] a pair of [H, W], each repeating its vector along the other dimension.

    Source: `torch.meshgrid`, with `indexing="ij"` where nothing is said.
    """

    order = ("*tensors",)

    indexing: Literal["ij", "xy"] = arg("ij", doc="rows first, or with the first two dimensions swapped", keyword=True)

    examples = (
        Example("meshgrid(x, y)", x="float[H]", y="float[W]"),
        Example('meshgrid(x, y, indexing="xy")', x="float[H]", y="float[W]"),
        Example("meshgrid(x, y, z)", x="int[3]", y="int[T]", z="int[2]"),
        Example("meshgrid(x, y)", x="float[]", y="float[W]"),
        Example("meshgrid(x)", x="float[W]"),
    )

    def infer(self, rules: Rules, *tensors: TensorType) -> tuple[TensorType, ...]:
        if not tensors:
            raise ShapeError("`meshgrid` needs vectors", code="NNS402")
        for position, x in enumerate(tensors):
            if expect_tensor(self, x, position).rank > 1 or x.dtype != tensors[0].dtype:
                wrong = f"`meshgrid` needs vectors of one type, but they are {', '.join(map(str, tensors))}"
                raise ShapeError(wrong, code="NNS402" if x.rank > 1 else "NNS406", input=position)
        dims = self._order([listed(x)[0] for x in tensors])
        return tuple(x.with_dims(*dims) for x in tensors)

    def _order(self, items: Sequence[Any]) -> list[Any]:
        return [items[1], items[0], *items[2:]] if self.indexing == "xy" and len(items) > 1 else list(items)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.meshgrid", *inputs, indexing=self.indexing)

    def onnx(self, g: OnnxGraph, *tensors: str) -> Any:
        whole = g.shape(self._order([listed(g.type(x))[0] for x in tensors]))
        places = self._order(range(len(tensors)))
        grids = []
        for position, x in enumerate(tensors):
            others = [i for i, place in enumerate(places) if place != position]
            vector = as_vector(g, x, g.type(x).rank)
            column = g.node("Unsqueeze", vector, g.constant(others)) if others else vector
            grids.append(g.node("Expand", column, whole))
        return tuple(grids)
