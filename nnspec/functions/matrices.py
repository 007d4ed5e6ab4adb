"""Products of matrices and vectors of certain ranks, and their sums with another tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import computed, narrowed, tensor, wide
from nnspec.functions._operands import expect_broadcast, expect_numbers, result_type, same_type, shape_text
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import Operand, TensorType, is_float, show_dtype

_WORDS = ("a number", "a vector", "a matrix", "a batch of matrices")


def expect_rank(function: Function, operand: Any, rank: int, input: int) -> TensorType:
    """The operand, which must be of numbers and have so many dimensions."""
    x = expect_numbers(function, operand, input)
    if x.rank != rank:
        raise ShapeError(
            f"`{type(function).__name__}` needs {_WORDS[rank]} here, but it is given {x}",
            code="NNS402",
            label=f"has {x.rank} dimension{'' if x.rank == 1 else 's'}",
            input=input,
            helps=("`@` multiplies vectors and matrices of any rank",),
        )
    return x


def multiplied(function: Function, rules: Rules, x: TensorType, y: TensorType) -> tuple[Size, ...]:
    """The dimensions of a product of matrices, of two batches of them, or of one with a vector."""
    message = f"`{type(function).__name__}` cannot multiply {shape_text(x.dims)} by {shape_text(y.dims)}"
    pairs = [(x.dims[-1], y.dims[-2 if y.rank > 1 else -1])]
    pairs += [(x.dims[0], y.dims[0])] if x.rank == 3 else []
    for a, b in pairs:
        rules.require_equal(a, b, message, label=f"{show(a)} and {show(b)} should be the same")
    return (*x.dims[:-1], *(y.dims[-1:] if y.rank > 1 else ()))


class _Product(Function):
    """A product of two operands, each of one rank."""

    ranks: ClassVar[tuple[int, int]]

    def product(self, rules: Rules, x: Any, y: Any, first: int) -> TensorType:
        """The type of the product of the operands number `first` and the next."""
        x, y = expect_rank(self, x, self.ranks[0], first), expect_rank(self, y, self.ranks[1], first + 1)
        dtype = same_type(self, (x, y))
        return TensorType(dtype, multiplied(self, rules, x, y))

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x, y = inputs[-2:]
        assert isinstance(x, TensorType)
        assert isinstance(y, TensorType)
        return volume(x.dims) * (y.dims[-1] if y.rank > 1 else 1)


class mm(_Product):
    """The product of two matrices: [n, k] and [k, m] to [n, m].

    Source: `torch.mm`.
    """

    ranks = (2, 2)

    examples = (
        Example("mm(x, y)", x="float[N, 3]", y="float[3, T]"),
        Example("mm(x, y)", x="int[N, T]", y="int[T, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType, mat2: TensorType) -> TensorType:
        return self.product(rules, x, mat2, 0)

    def onnx(self, g: OnnxGraph, x: str, mat2: str) -> Any:
        return computed(g, "MatMul", (x, mat2), g.type(x).dtype)


class mv(_Product):
    """The product of a matrix and a vector: [n, k] and [k] to [n].

    Source: `torch.mv`.
    """

    ranks = (2, 1)

    examples = (
        Example("mv(x, y)", x="float[N, 3]", y="float[3]", macs=6),
        Example("mv(x, y)", x="int8[3, T]", y="int8[T]", macs=6),
    )

    def infer(self, rules: Rules, x: TensorType, vec: TensorType) -> TensorType:
        return self.product(rules, x, vec, 0)

    def onnx(self, g: OnnxGraph, x: str, vec: str) -> Any:
        return computed(g, "MatMul", (x, vec), g.type(x).dtype)


class dot(_Product):
    """The sum of the products of two vectors' elements: [k] and [k] to one number.

    Source: `torch.dot`.
    """

    ranks = (1, 1)

    examples = (
        Example("dot(x, y)", x="float[T]", y="float[T]", macs=2),
        Example("dot(x, x)", x="int32[3]", macs=3),
    )

    def infer(self, rules: Rules, x: TensorType, tensor: TensorType) -> TensorType:
        return self.product(rules, x, tensor, 0)

    def onnx(self, g: OnnxGraph, x: str, tensor: str) -> Any:
        return computed(g, "MatMul", (x, tensor), g.type(x).dtype)


class inner(Function):
    """Sums of products along the last dimensions of both: [N, k] and [M, k] to [N, M]; a number multiplies.

    Source: `torch.inner`.
    """

    examples = (
        Example("inner(x, y)", x="float[N, 3]", y="float[T, 3]"),
        Example("inner(x, y)", x="float[2, N, 3]", y="float[3]", macs=12),
        Example("inner(x, y)", x="float[3]", y="float[N, 2, 3]", macs=12),
        Example("inner(x, y)", x="int[N]", y="int[]", macs=0),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        if expect_tensor(self, x).rank and expect_tensor(self, other, 1).rank:
            x, other = expect_numbers(self, x), expect_numbers(self, other, 1)
            dtype = same_type(self, (x, other))
            a, b = x.dims[-1], other.dims[-1]
            message = f"`inner` cannot multiply {shape_text(x.dims)} by {shape_text(other.dims)}"
            rules.require_equal(a, b, message, label=f"{show(a)} and {show(b)} should be the same")
            return TensorType(dtype, (*x.dims[:-1], *other.dims[:-1]))
        return TensorType(result_type(x, other), x.dims or other.dims)

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x, other = inputs
        assert isinstance(x, TensorType)
        assert isinstance(other, TensorType)
        return volume((*x.dims, *other.dims[:-1])) if x.rank and other.rank else 0

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        left, right = g.type(x), g.type(other)
        dtype = result_type(left, right)
        if not left.rank or not right.rank:
            return computed(g, "And" if dtype == "bool" else "Mul", (x, other), dtype)
        if right.rank == 1:
            return computed(g, "MatMul", (x, other), dtype)
        columns = tensor(g, other, dtype)
        if right.rank > 2:
            columns = g.node("Reshape", columns, g.shape([volume(right.dims[:-1]), right.dims[-1]]))
        y = g.node("MatMul", tensor(g, x, dtype), g.node("Transpose", columns, perm=[1, 0]))
        if right.rank > 2:
            y = g.node("Reshape", y, g.shape((*left.dims[:-1], *right.dims[:-1])))
        return narrowed(g, y, dtype)


class _AddedProduct(_Product):
    """`beta * x + alpha * product`, where x broadcasts to the product's shape."""

    beta: int | float = arg(1, doc="what the first tensor is multiplied by; 0 leaves it out altogether", keyword=True)
    alpha: int | float = arg(1, doc="what the product is multiplied by", keyword=True)

    batches_summed: ClassVar[bool] = False

    def added(self, rules: Rules, x: Any, left: Any, right: Any) -> TensorType:
        """The shape rule of all of them."""
        x = expect_tensor(self, x)
        y = self.product(rules, left, right, 1)
        y = y.with_dims(*y.dims[1:]) if self.batches_summed else y
        same_type(self, (x, y))
        expect_scales(self, y.dtype)
        expect_addend(self, rules, x, y.dims)
        return y

    def lowered(self, g: OnnxGraph, x: str, left: str, right: str) -> str:
        """The lowering of all of them."""
        dtype = g.type(x).dtype
        y = g.node("MatMul", tensor(g, left, dtype), tensor(g, right, dtype))
        if self.batches_summed:
            y = g.node("ReduceSum", y, g.constant([0]), keepdims=0)
        return narrowed(g, self.combined(g, x, y, dtype), dtype)

    def combined(self, g: OnnxGraph, x: str, y: str, dtype: str) -> str:
        """The weighted sum, in the type to compute in."""
        return weighted_sum(g, tensor(g, x, dtype), y, self.beta, self.alpha, wide(dtype))


def expect_scales(function: Function, dtype: str) -> None:
    """Refuse factors with a point for integers."""
    for name in ("beta", "alpha"):
        value = function.__dict__[name]
        if isinstance(value, float) and not is_float(dtype):
            result = f"`{type(function).__name__}` of type {show_dtype(dtype)}"
            raise ShapeError(f"{result} needs a whole number as `{name}`, not {value}", code="NNS406", at=name)


def expect_addend(function: Function, rules: Rules, x: TensorType, dims: Sequence[Size]) -> None:
    """Refuse a first tensor that does not broadcast to the shape of the product."""
    product = f"a product of shape {shape_text(dims)}"
    message = f"`{type(function).__name__}` adds to {product}, to which {x} does not broadcast"
    expect_broadcast(rules, x.dims, dims, message, input=0)


def weighted_sum(g: OnnxGraph, x: str, y: str, beta: float, alpha: float, dtype: str) -> str:
    """`beta * x + alpha * y`; a factor of 0 in front of x leaves it out, whatever it holds."""
    if alpha != 1:
        y = g.node("Mul", y, g.constant(alpha, dtype))
    if beta == 0:
        return y
    if beta != 1:
        x = g.node("Mul", x, g.constant(beta, dtype))
    return str(g.node("Add", x, y))


class addmm(_AddedProduct):
    """`beta * x + alpha * (mat1 @ mat2)`: [n, k] and [k, m] to [n, m], to which x broadcasts.

    Source: `torch.addmm`.
    """

    ranks = (2, 2)

    examples = (
        Example("addmm(b, x, w)", b="float[5]", x="float[N, 3]", w="float[3, 5]"),
        Example("addmm(x, y, z, beta=0.5, alpha=-2)", x="float[N, T]", y="float[N, 3]", z="float[3, T]"),
        Example("addmm(x, y, z, alpha=2)", x="int[]", y="int[N, 3]", z="int[3, T]"),
    )

    def infer(self, rules: Rules, x: TensorType, mat1: TensorType, mat2: TensorType) -> TensorType:
        return self.added(rules, x, mat1, mat2)

    def onnx(self, g: OnnxGraph, x: str, mat1: str, mat2: str) -> Any:
        return self.lowered(g, x, mat1, mat2)


class addmv(_AddedProduct):
    """`beta * x + alpha * (mat @ vec)`: [n, k] and [k] to [n], to which x broadcasts.

    Source: `torch.addmv`.
    """

    ranks = (2, 1)

    examples = (
        Example("addmv(x, y, z)", x="float[N]", y="float[N, 3]", z="float[3]", macs=6),
        Example("addmv(x, y, z, beta=0, alpha=0.5)", x="float[]", y="float[3, T]", z="float[T]", macs=6),
    )

    def infer(self, rules: Rules, x: TensorType, mat: TensorType, vec: TensorType) -> TensorType:
        return self.added(rules, x, mat, vec)

    def onnx(self, g: OnnxGraph, x: str, mat: str, vec: str) -> Any:
        return self.lowered(g, x, mat, vec)


class baddbmm(_AddedProduct):
    """`beta * x + alpha * (batch1 @ batch2)`: [B, n, k] and [B, k, m] to [B, n, m], to which x broadcasts.

    Source: `torch.baddbmm`.
    """

    ranks = (3, 3)

    examples = (
        Example("baddbmm(x, y, z)", x="float[N, T, S]", y="float[N, T, 3]", z="float[N, 3, S]"),
        Example("baddbmm(x, y, z, beta=2, alpha=0.25)", x="float[S]", y="float[N, T, 3]", z="float[N, 3, S]"),
    )

    def infer(self, rules: Rules, x: TensorType, batch1: TensorType, batch2: TensorType) -> TensorType:
        return self.added(rules, x, batch1, batch2)

    def onnx(self, g: OnnxGraph, x: str, batch1: str, batch2: str) -> Any:
        return self.lowered(g, x, batch1, batch2)


class addbmm(_AddedProduct):
    """`beta * x + alpha * sum(batch1 @ batch2)`: [B, n, k] and [B, k, m] to [n, m], the sum of all products.

    Source: `torch.addbmm`.
    """

    ranks = (3, 3)
    batches_summed = True

    examples = (
        Example("addbmm(x, y, z)", x="float[T, 5]", y="float[N, T, 3]", z="float[N, 3, 5]", macs=60),
        Example("addbmm(x, y, z, beta=3)", x="int[1]", y="int[N, 2, 3]", z="int[N, 3, T]", macs=24),
    )

    def infer(self, rules: Rules, x: TensorType, batch1: TensorType, batch2: TensorType) -> TensorType:
        return self.added(rules, x, batch1, batch2)

    def onnx(self, g: OnnxGraph, x: str, batch1: str, batch2: str) -> Any:
        return self.lowered(g, x, batch1, batch2)


class addr(Function):
    """`beta * x + alpha * outer(vec1, vec2)`: [n] and [m] to [n, m], to which x broadcasts.

    Source: `torch.addr`.
    """

    beta: int | float = arg(1, doc="what the first tensor is multiplied by; 0 leaves it out altogether", keyword=True)
    alpha: int | float = arg(1, doc="what the product is multiplied by", keyword=True)

    examples = (
        Example("addr(x, y, z)", x="float[N, T]", y="float[N]", z="float[T]"),
        Example("addr(x, y, z, beta=-1, alpha=2)", x="int[T]", y="int[N]", z="float[T]"),
        Example("addr(x, y, z)", x="bool[1, T]", y="bool[N]", z="bool[T]"),
    )

    def infer(self, rules: Rules, x: TensorType, vec1: TensorType, vec2: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        for position, operand in ((1, vec1), (2, vec2)):
            if expect_tensor(self, operand, position).rank != 1:
                raise ShapeError(f"`addr` needs vectors, but one is {operand}", code="NNS402", input=position)
        dtype = result_type(x, vec1, vec2)
        expect_scales(self, dtype)
        dims = (*vec1.dims, *vec2.dims)
        expect_addend(self, rules, x, dims)
        return TensorType(dtype, dims)

    def onnx(self, g: OnnxGraph, x: str, vec1: str, vec2: str) -> Any:
        dtype = result_type(*map(g.type, (x, vec1, vec2)))
        compute = "int32" if dtype == "bool" else wide(dtype)
        beta, alpha = (bool(v) if dtype == "bool" else v for v in (self.beta, self.alpha))
        x, vec1, vec2 = (g.cast(g.cast(v, dtype), compute) for v in (x, vec1, vec2))
        product = g.node("Mul", g.node("Unsqueeze", vec1, g.constant([1])), vec2)
        y = weighted_sum(g, x, product, beta, alpha, compute)
        return y if compute == dtype else g.cast(y, dtype)
