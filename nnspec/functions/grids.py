"""Tables of numbers and pairs: indices of triangles, products and combinations of vectors, powers."""

from __future__ import annotations

import math
from itertools import combinations as choices
from itertools import combinations_with_replacement as repetitions
from itertools import pairwise
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, maximum, show
from nnspec.functions._operands import expect_numbers, same_type
from nnspec.functions._positions import as_vector, listed
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.functions.cumulative import cumprod
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, torch_dtype
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import DType, TensorType, is_float

_MOST_ELEMENTS = 2**22
_MOST_SYMBOLIC = 4
"""How many of a number of elements that is known at run time are combined: a mask of that rank is made."""


class _TriangleIndices(Function):
    """Where the elements of a triangle stand: rows, then columns, in two rows."""

    row: Size = arg(doc="how many rows")
    col: Size = arg(doc="how many columns")
    offset: int = arg(0, doc="how far right of the main diagonal the border stands")
    dtype: DType = arg("int64", doc="the element type: int or int32", keyword=True)

    lower: ClassVar[bool]

    def infer(self, rules: Rules) -> TensorType:
        if self.dtype not in ("int64", "int32"):
            raise ShapeError(f"`{type(self).__name__}` gives int or int32, not {self.dtype}", code="NNS406", at="dtype")
        for at, word, size in (("row", "rows", self.row), ("col", "columns", self.col)):
            message = f"`{type(self).__name__}` cannot have {show(size)} {word}"
            rules.require_at_least(size, 0, message, code="NNS411", at=at)
        count = rules.simplify(self._count())
        return TensorType(self.dtype, checked_sizes(self, rules, (2, count), at="row"))

    def _count(self) -> Size:
        """How many elements the triangle has: row i of the lower one has i + offset + 1 of them, within bounds."""
        first = self.offset + 1 if self.lower else self.offset
        left = _sum_to(self.row + first - 1) - _sum_to(first - 1)
        left = left - _sum_to(self.row + first - 1 - self.col) + _sum_to(first - 1 - self.col)
        return left if self.lower else self.row * self.col - left

    def torch(self, *inputs: Any) -> Code:
        options = {"offset": self.offset} if self.offset else {}
        dtype = {} if self.dtype == "int64" else {"dtype": torch_dtype(self.dtype)}
        return call(f"torch.{type(self).__name__}", self.row, self.col, **options, **dtype, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        row = g.node("Range", g.constant(0), g.size(self.row), g.constant(1))
        column = g.node("Range", g.constant(0), g.size(self.col), g.constant(1))
        border = g.node("Unsqueeze", g.node("Add", row, g.constant(self.offset)), g.constant([1]))
        inside = g.node("LessOrEqual" if self.lower else "GreaterOrEqual", column, border)
        y = g.node("NonZero", inside)
        return y if self.dtype == "int64" else g.cast(y, self.dtype)


def _sum_to(last: Size) -> Size:
    """1 + 2 + ... + last; 0 where that is negative."""
    last = maximum(last, 0)
    return (last * (last + 1)) // 2


class tril_indices(_TriangleIndices):
    """Rows and columns of the elements of a lower triangle, row by row: int[2, n].

    Source: `torch.tril_indices`.
    """

    lower = True

    examples = (
        Example("tril_indices(3, 4)"),
        Example("tril_indices(T, T, offset=-1)", x="float[T]"),
        Example("tril_indices(H, W, 2, dtype=int32)", x="float[H, W]"),
    )


class triu_indices(_TriangleIndices):
    """Rows and columns of the elements of an upper triangle, row by row: int[2, n].

    Source: `torch.triu_indices`.
    """

    lower = False

    examples = (
        Example("triu_indices(4, 3, -1)"),
        Example("triu_indices(T, T, 1)", x="float[T]"),
        Example("triu_indices(H, 5)", x="float[H]"),
    )


class cartesian_prod(Function):
    """All ways to take one element of each vector, as rows, the last changing first: [n] and [m] to [n * m, 2].

    One vector alone stays what it is. Source: `torch.cartesian_prod`.
    """

    examples = (
        Example("cartesian_prod(x, y)", x="float[N]", y="float[3]"),
        Example("cartesian_prod(x, y, x)", x="int[2]", y="int[T]"),
        Example("cartesian_prod(x)", x="bool[N]"),
    )

    def infer(self, rules: Rules, *tensors: TensorType) -> TensorType:
        if not tensors:
            raise ShapeError("`cartesian_prod` needs vectors", code="NNS402")
        for position, operand in enumerate(tensors):
            if expect_tensor(self, operand, position).rank != 1:
                raise ShapeError(f"`cartesian_prod` needs vectors, not {operand}", code="NNS402", input=position)
        dtype = same_type(self, tensors)
        if len(tensors) == 1:
            return tensors[0]
        return TensorType(dtype, (rules.simplify(volume(x.dims[0] for x in tensors)), len(tensors)))

    def onnx(self, g: OnnxGraph, *tensors: str) -> Any:
        if len(tensors) == 1:
            return tensors[0]
        count = len(tensors)
        whole = g.shape([g.type(x).dims[0] for x in tensors])
        columns = []
        for position, x in enumerate(tensors):
            others = [i for i in range(count) if i != position]
            grid = g.node("Expand", g.node("Unsqueeze", x, g.constant(others)), whole)
            columns.append(g.node("Reshape", grid, g.constant([-1, 1])))
        return g.node("Concat", *columns, axis=1)


class combinations(Function):
    """All ways to choose `r` elements of a vector, as rows, in order: [n] to [n * (n - 1) / 2, 2].

    Source: `torch.combinations`.
    """

    r: int = arg(2, ge=1, doc="how many to choose")
    with_replacement: bool = arg(False, doc="an element may be chosen more than once")

    examples = (
        Example("combinations(x)", x="float[5]"),
        Example("combinations(x)", x="int[N]"),
        Example("combinations(x, 3, with_replacement=true)", x="float[N]"),
        Example("combinations(x, r=1)", x="bool[4]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.rank != 1:
            raise ShapeError(f"`combinations` needs a vector, but its input is {x}", code="NNS402", input=0)
        size = x.dims[0]
        if isinstance(size, Dim) and self.r > _MOST_SYMBOLIC:
            raise ShapeError(
                f"`combinations` chooses at most {_MOST_SYMBOLIC} of `{show(size)}` elements, not {self.r}",
                code="NNS405",
                at="r",
                helps=("give the vector a fixed size",),
            )
        count = rules.simplify(self._count(size))
        if isinstance(count, int) and count * self.r > _MOST_ELEMENTS:
            message = f"`combinations` would make {count:,} rows of {self.r}: more than {_MOST_ELEMENTS:,} elements"
            raise ShapeError(message, code="NNS411", at="r")
        return x.with_dims(count, self.r)

    def _count(self, size: Size) -> Size:
        if isinstance(size, int):
            return math.comb(size + self.r - 1 if self.with_replacement else size, self.r)
        product: Size = 1
        for i in range(self.r):
            product = product * (size + i if self.with_replacement else size - i)
        return product // math.factorial(self.r)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        size = g.type(x).dims[0]
        if isinstance(size, int):
            rows = list((repetitions if self.with_replacement else choices)(range(size), self.r))
            if not rows:
                return g.node(
                    "Reshape", g.node("Slice", x, *(g.constant([0]),) * 2), g.constant([0, self.r]), allowzero=1
                )
            return g.node("Gather", x, g.constant(rows))
        return g.node("Gather", x, g.node("Transpose", g.node("NonZero", self._mask(g, size)), perm=[1, 0]))

    def _mask(self, g: OnnxGraph, size: Size) -> str:
        """True where positions rise from one dimension to the next."""
        place = g.node("Range", g.constant(0), g.size(size), g.constant(1))
        ways = [g.node("Reshape", place, g.constant([-1, *[1] * (self.r - 1 - i)])) for i in range(self.r)]
        if self.r == 1:
            return str(g.node("GreaterOrEqual", place, g.constant(0)))
        op = "LessOrEqual" if self.with_replacement else "Less"
        mask, *others = (g.node(op, a, b) for a, b in pairwise(ways))
        for other in others:
            mask = g.node("And", mask, other)
        return str(mask)


class vander(Function):
    """The powers of the elements of vectors, from 0 up: [n] to [n, N]. Integers become int.

    Source: `torch.linalg.vander`.
    """

    namespace = "torch.linalg"

    N: Size | None = arg(None, doc="how many powers, two at least; as many as elements when left out", keyword=True)

    examples = (
        Example("vander(x)", x="float[3]"),
        Example("vander(x, N=4)", x="float[N, T]"),
        Example("vander(x, N=5)", x="int8[T]"),
        Example("vander(x, N=T + 1)", x="float[2]", t="float[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_numbers(self, x)
        if x.dtype in ("float16", "bfloat16"):
            raise ShapeError(f"`vander` takes float, float64 and integers, not {x}", code="NNS406", input=0)
        powers = self._powers(x)
        message = f"`vander` gives two powers at least, not {show(powers)}"
        rules.require_at_least(powers, 2, message, code="NNS411", at="N")
        return TensorType(self._type(x), (*listed(x), powers))

    def _powers(self, x: TensorType) -> Size:
        return listed(x)[-1] if self.N is None else self.N

    def _type(self, x: TensorType) -> str:
        return x.dtype if is_float(x.dtype) else "int64"

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype, powers, rank = self._type(kind), self._powers(kind), len(listed(kind))
        column = g.node("Unsqueeze", as_vector(g, g.cast(x, dtype), kind.rank), g.constant([rank]))
        place = g.node("Range", g.constant(0), g.size(powers), g.constant(1))
        factors = g.node("Where", g.node("Equal", place, g.constant(0)), g.constant(1, dtype), column)
        return cumprod(dim=rank, dtype=None).along(g, factors, rank + 1, powers, dtype)
