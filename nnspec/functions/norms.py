"""Lengths of vectors, and what is measured by them."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axes, axis, broadcast, result_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_float
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, is_float


class norm(Function):
    """The length of vectors along some dimensions, or of all elements as one: [N, D] to [N] for `dim=1`.

    Source: `torch.norm`.
    """

    p: float | Literal["fro"] = arg(
        2.0, doc='the power: 2 (or "fro") for the root of the sum of squares, 1 for the sum, inf for the largest'
    )
    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to measure along; all of them when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")

    examples = (
        Example("norm(x, dim=-1)", x="float[N, 8]"),
        Example("norm(x, 1, dim=(1, 2), keepdim=true)", x="float[N, T, 8]"),
        Example("norm(x)", x="float[N, 8]"),
        Example("norm(x, inf, 1)", x="float[N, 8]"),
        Example("norm(x, 0, dim=-1)", x="float[]"),
        Example("norm(x, 3, dim=0)", x="float64[5, N]"),
        Example('norm(x, "fro", (1, 2))', x="float[N, 3, 4]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        gone = axes(self, x, self.dim)
        dims: list[Size] = []
        for i, size in enumerate(x.dims):
            dims += [1] if i in gone and self.keepdim else [] if i in gone else [size]
        return x.with_dims(*dims)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        p = (options.pop("p"),) if options.get("p", "fro") != "fro" else ()
        options.pop("p", None)
        if "dim" not in options and "keepdim" in options:
            options = {"dim": None} | options
        return call("torch.linalg.vector_norm", *inputs, *p, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        p = 2.0 if isinstance(self.p, str) else self.p
        return length(g, x, p, _gone(self, kind, self.dim), kind.dtype, keepdims=self.keepdim)


def _gone(function: Function, x: TensorType, dim: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """The dimensions to measure along: a scalar has none, whatever torch lets one say."""
    return axes(function, x, dim) if x.rank else ()


def length(g: OnnxGraph, x: str, p: float, gone: tuple[int, ...], dtype: str, *, keepdims: bool = True) -> str:
    """The p-norm of a value along dimensions."""
    if not gone:
        size = g.node("Abs", x)
        return str(g.node("Sign", size) if p == 0 else size)
    if p == 2:
        return reduce(g, "ReduceL2", x, gone, keepdims=keepdims)
    size = g.node("Abs", x)
    if p in (inf, -inf):
        return reduce(g, "ReduceMax" if p > 0 else "ReduceMin", size, gone, keepdims=keepdims)
    if p == 0:
        return reduce(g, "ReduceSum", g.node("Sign", size), gone, keepdims=keepdims)
    if p == 1:
        return reduce(g, "ReduceSum", size, gone, keepdims=keepdims)
    powers = reduce(g, "ReduceSum", g.node("Pow", size, g.constant(p, dtype)), gone, keepdims=keepdims)
    return str(g.node("Pow", powers, g.constant(1 / p, dtype)))


class normalize(Function):
    """Vectors along `dim` divided by their length, which makes it 1: the shape stays.

    Source: `torch.nn.functional.normalize`.
    """

    namespace = "F"

    p: float = arg(2.0, doc="the power of the length, as in `norm`")
    dim: int | tuple[int, ...] = arg(1, doc="the dimension that the vectors lie along")
    eps: float = arg(1e-12, ge=0, doc="the smallest length to divide by")

    examples = (
        Example("normalize(x)", x="float[N, 8]"),
        Example("normalize(x, dim=-1)", x="float[N, T, 8]"),
        Example("normalize(x, 1.0, (1, 2))", x="float[N, 3, 4]"),
        Example("normalize(x, dim=0)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        axes(self, x, self.dim)
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        root = length(g, x, self.p, _gone(self, kind, self.dim), kind.dtype)
        return g.node("Div", x, g.node("Max", root, g.constant(self.eps, kind.dtype)))


class cosine_similarity(Function):
    """The cosine of the angle between vectors along `dim`: [N, D] and [N, D] to [N]; both broadcast.

    Source: `torch.nn.functional.cosine_similarity`.
    """

    namespace = "F"

    dim: int = arg(1, doc="the dimension that the vectors lie along")
    eps: float = arg(1e-8, ge=0, doc="the smallest length to divide by")

    examples = (
        Example("cosine_similarity(x, y)", x="float[N, 8]", y="float[N, 8]"),
        Example("cosine_similarity(x, y, dim=-1)", x="float[N, 1, 8]", y="float[N, T, 8]"),
        Example("cosine_similarity(x, y, dim=0)", x="float[]", y="float[]"),
    )

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType) -> TensorType:
        dtype = result_type(expect_float(self, x1), expect_float(self, x2, 1))
        whole = TensorType(dtype, broadcast(rules, x1, x2))
        gone = axis(self, whole, self.dim)
        return whole.with_dims(*whole.dims[:gone], *whole.dims[gone + 1 :])

    def onnx(self, g: OnnxGraph, x1: str, x2: str) -> Any:
        kinds = [g.type(x1), g.type(x2)]
        dtype = result_type(*kinds)
        assert is_float(dtype)
        rank = max(1, *(kind.rank for kind in kinds))
        gone = self.dim % rank - rank
        # A size of 1 is repeated along the other's vectors before torch measures their length.
        sizes = [kind.dims[gone] if -gone <= kind.rank else 1 for kind in kinds]
        whole = sizes[0] if sizes[0] != 1 else sizes[1]
        units = []
        for x, kind, size in zip((x1, x2), kinds, sizes, strict=True):
            y = g.cast(x, dtype)
            root = length(g, y, 2, (gone,) if -gone <= kind.rank else (), dtype)
            if size != whole:
                root = g.node("Mul", root, g.node("Sqrt", g.cast(g.size(whole), dtype)))
            units.append(g.node("Div", y, g.node("Max", root, g.constant(self.eps, dtype))))
        product = g.node("Mul", *units)
        return reduce(g, "ReduceSum", product, [gone], keepdims=False) if any(kind.rank for kind in kinds) else product
