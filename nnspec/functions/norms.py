"""Lengths of vectors, and what is measured by them."""

from __future__ import annotations

from math import inf
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.functions._operands import axes, axis, broadcast, result_type
from nnspec.functions._reduction import extreme, left
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, Unsupported, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import DType, TensorType, is_float, promote, show_dtype


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
        return x.with_dims(*left(x, axes(self, x, self.dim), self.keepdim))

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
        return str(g.cast(g.cast(x, "bool"), dtype) if p == 0 else g.node("Abs", x))
    if p == 2:
        return reduce(g, "ReduceL2", x, gone, keepdims=keepdims)
    if p == 0:
        return reduce(g, "ReduceSum", g.cast(g.cast(x, "bool"), dtype), gone, keepdims=keepdims)
    size = g.node("Abs", x)
    if p in (inf, -inf):
        return extreme(g, "ReduceMax" if p > 0 else "ReduceMin", size, gone, dtype, keepdims=keepdims)
    if p == 1:
        return reduce(g, "ReduceSum", size, gone, keepdims=keepdims)
    powers = reduce(g, "ReduceSum", g.node("Pow", size, g.constant(p, dtype)), gone, keepdims=keepdims)
    return str(g.node("Pow", powers, g.constant(1 / p, dtype)))


class vector_norm(Function):
    """The length of vectors along some dimensions, or of all elements as one: `norm`, with a type to compute in.

    Source: `torch.linalg.vector_norm`.
    """

    namespace = "torch.linalg"

    ord: float = arg(2.0, doc="the power: 2 for the root of the sum of squares, 1 for the sum, inf for the largest")
    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to measure along; all of them when left out")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")
    dtype: DType | None = arg(None, doc="convert to this type before, which may not be a smaller one", keyword=True)

    examples = (
        Example("vector_norm(x)", x="float[N, 8]"),
        Example("vector_norm(x, 1, (0, 2), keepdim=true)", x="float[N, T, 3]"),
        Example("vector_norm(x, -inf, dim=1, dtype=float64)", x="float[N, 3]"),
        Example("vector_norm(x, 0, 0)", x="float[]"),
        Example("vector_norm(x, 3, keepdim=true)", x="float[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        return x.with_dtype(_wider(self, x, self.dtype)).with_dims(*left(x, axes(self, x, self.dim), self.keepdim))

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        power = (options.pop("ord"),) if "ord" in options else ()
        return call("torch.linalg.vector_norm", *inputs, *power, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype = self.dtype or kind.dtype
        return length(g, g.cast(x, dtype), self.ord, _gone(self, kind, self.dim), dtype, keepdims=self.keepdim)


def _wider(function: Function, x: TensorType, dtype: str | None) -> str:
    """The type to compute in."""
    if dtype is None or (is_float(dtype) and promote(x.dtype, dtype) == dtype):
        return dtype or x.dtype
    raise ShapeError(
        f"`{type(function).__name__}` cannot compute {x} in {show_dtype(dtype)}, which would lose digits",
        code="NNS406",
        label="a smaller type",
        at="dtype",
    )


class matrix_norm(Function):
    """The norm of matrices in two dimensions: [N, A, B] to [N].

    Source: `torch.linalg.matrix_norm`.
    """

    namespace = "torch.linalg"

    ord: float | Literal["fro", "nuc"] = arg(
        "fro",
        doc='"fro" for the root of the sum of squares, inf or 1 for the largest sum of a row or a column (-inf or -1 '
        'for the smallest), 2 or -2 for the largest or smallest singular value, "nuc" for the sum of these',
    )
    dim: tuple[int, int] = arg((-2, -1), doc="the rows and the columns")
    keepdim: bool = arg(False, doc="keep the reduced dimensions, with size 1")
    dtype: DType | None = arg(None, doc="convert to this type before, which may not be a smaller one", keyword=True)

    examples = (
        Example("matrix_norm(x)", x="float[N, 3, 4]"),
        Example("matrix_norm(x, 1, (0, -1))", x="float[3, N, T]"),
        Example("matrix_norm(x, -inf, keepdim=true)", x="float[T, 4]"),
        Example('matrix_norm(x, "nuc", dtype=float64)', x="float[N, 3, 4]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        if x.rank < 2:
            raise ShapeError(
                f"`matrix_norm` needs matrices, but its input is {x}",
                code="NNS402",
                label="needs two dimensions",
                input=0,
            )
        if not isinstance(self.ord, str) and abs(self.ord) not in (1, 2, inf):
            raise ShapeError(
                f"matrices have no norm of order {self.ord:g}",
                code="NNS304",
                label='one of "fro", "nuc", 1, 2, inf and their opposites',
                at="ord",
                helps=("`vector_norm(x, p, dim=(-2, -1))` takes all elements as one vector",),
            )
        dtype = _wider(self, x, self.dtype)
        if self._singular() and dtype not in ("float32", "float64"):
            raise ShapeError(
                f"singular values need float or float64, but the input is {x}",
                code="NNS406",
                label="too few digits",
                input=0,
            )
        return x.with_dtype(dtype).with_dims(*left(x, axes(self, x, self.dim), self.keepdim))

    def _singular(self) -> bool:
        """Whether it is made of singular values."""
        return self.ord == "nuc" or self.ord in (2, -2)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        order = (options.pop("ord"),) if "ord" in options else ()
        return call("torch.linalg.matrix_norm", *inputs, *order, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if self._singular():
            raise Unsupported(
                f"`matrix_norm({self.ord!r})` is made of singular values, which ONNX has no operator for; the nearest "
                'is `matrix_norm("fro")`, the root of the sum of their squares'
            )
        kind = g.type(x)
        dtype = self.dtype or kind.dtype
        rows, columns = axes(self, kind, self.dim)
        y = g.cast(x, dtype)
        if isinstance(self.ord, str):
            return reduce(g, "ReduceL2", y, (rows, columns), keepdims=self.keepdim)
        first, second = (rows, columns) if abs(self.ord) == 1 else (columns, rows)
        sums = reduce(g, "ReduceSum", g.node("Abs", y), [first])
        y = extreme(g, "ReduceMax" if self.ord > 0 else "ReduceMin", sums, [second], dtype, keepdims=True)
        return y if self.keepdim else g.node("Squeeze", y, g.constant([rows, columns]))


class dist(Function):
    """The length of the difference of two tensors, which are broadcast: a single number.

    Source: `torch.dist`.
    """

    p: float = arg(2.0, doc="the power of the length, as in `norm`")

    examples = (
        Example("dist(x, y)", x="float[N, 8]", y="float[N, 8]"),
        Example("dist(x, y, 1)", x="float[N, 8]", y="int[8]"),
        Example("dist(x, y, p=inf)", x="float[N, 8]", y="float64[]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        dtype = result_type(expect_tensor(self, x), expect_tensor(self, other, 1))
        if not is_float(dtype):
            raise ShapeError(
                f"`dist` needs floats, but its inputs are {x} and {other}",
                code="NNS406",
                label="neither is of floats",
                input=0,
            )
        if "bool" in (x.dtype, other.dtype):
            raise ShapeError(
                "`dist` cannot subtract bools", code="NNS406", label="bools", helps=("convert them: `to(x, float)`",)
            )
        broadcast(rules, x, other)
        return TensorType(dtype, ())

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        kinds = [g.type(x), g.type(other)]
        dtype = result_type(*kinds)
        gap = g.node("Sub", g.cast(x, dtype), g.cast(other, dtype))
        rank = max(kind.rank for kind in kinds)
        return length(g, gap, self.p, tuple(range(rank)), dtype, keepdims=False)


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
        dtype = promote(expect_float(self, x1).dtype, expect_float(self, x2, 1).dtype)
        whole = TensorType(dtype, broadcast(rules, x1, x2))
        gone = axis(self, whole, self.dim)
        return whole.with_dims(*whole.dims[:gone], *whole.dims[gone + 1 :])

    def onnx(self, g: OnnxGraph, x1: str, x2: str) -> Any:
        kinds = [g.type(x1), g.type(x2)]
        dtype = promote(kinds[0].dtype, kinds[1].dtype)
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
