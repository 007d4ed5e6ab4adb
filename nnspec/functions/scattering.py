"""Elements written into a copy of a tensor, each at a position that another tensor holds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.functions._lowering import kind, tensor
from nnspec.functions._operands import axis, expect_dtype, expect_fits
from nnspec.functions._positions import as_scalar, as_vector, expect_positions, listed
from nnspec.functions._scattering import Scatter, compute_type, cut
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import Operand, Scalar, TensorType


class _Scattered(Function):
    """What scattering shares: `index` says for each element of `src` where it goes along `dim`, and has the rank of x.

    It may be smaller than both; along `dim` it may be longer than x.
    """

    order: ClassVar[tuple[str, ...]] = ("x", "dim", "index", "src")

    dim: int = arg(doc="the dimension that positions are of")

    def infer(self, rules: Rules, x: TensorType, index: TensorType, src: Operand) -> TensorType:
        x = expect_tensor(self, x)
        at = axis(self, x, self.dim)
        index = expect_positions(self, index)
        self._ranks(index, x, "positions of the rank of", 1)
        others = [(x, i) for i in range(len(listed(x))) if i != at]
        if isinstance(src, Scalar):
            expect_fits(self, x.dtype, src.value, input=2)
        else:
            src = expect_dtype(self, src, x.dtype, "src", 2)
            self._ranks(src, index, "elements of the rank of", 2)
            others += [(src, i) for i in range(len(listed(index)))]
        for other, i in others:
            message = f"`{type(self).__name__}` has more positions than {other} is long in dimension {i}: {index}"
            rules.require_at_least(listed(other)[i], listed(index)[i], message, input=1, axis=i)
        return x

    def _ranks(self, operand: TensorType, other: TensorType, what: str, input: int) -> None:
        if len(listed(operand)) != len(listed(other)):
            message = f"`{type(self).__name__}` needs {what} {other}, but they are {operand}"
            raise ShapeError(message, code="NNS402", input=input)

    def torch(self, *inputs: Any) -> Code:
        x, *others = inputs
        options = self.options()
        return call(f"torch.{type(self).__name__}", x, options.pop("dim"), *others, **options)

    def written(self, g: OnnxGraph, x: str, index: str, src: Any, how: str | None, *, include_self: bool = True) -> str:
        """The lowering; `how` is a reduction as `scatter_reduce` calls them, or None where elements are replaced."""
        known, positions, given = g.type(x), g.type(index), kind(g, src)
        dtype = compute_type(known.dtype, how)
        y, index = as_vector(g, g.cast(x, dtype), known.rank), as_vector(g, index, positions.rank)
        wanted = listed(positions)
        to = Scatter(g, index, axis(self, known, self.dim), listed(known), wanted, dtype)
        if isinstance(given, TensorType):
            updates = cut(g, as_vector(g, g.cast(src, dtype), given.rank), listed(given), wanted)
        else:
            updates = to.everywhere(g.cast(tensor(g, src, known.dtype), dtype))
        if not include_self and how is not None:
            y = to.emptied(y, how)
        meant = how == "mean"
        y = to.mean(y, updates, known.dtype, include_self) if meant else to.write(y, updates, how)
        y = as_scalar(g, y, known.rank)
        return y if dtype == known.dtype else g.cast(y, known.dtype)


class scatter(_Scattered):
    """x with elements of `src` (or a number) in the places that `index` names along `dim`: the inverse of `gather`.

    For `dim=1` element [i, j] of `src` goes to [i, index[i, j]]. With `reduce` it is added to what is there, or
    multiplied; without, of several for one place any may win. Source: `torch.scatter`.
    """

    order = ("x", "dim", "index", "src")
    scalars = ("src",)

    reduce: Literal["add", "multiply"] | None = arg(
        None, doc="what becomes of an element and the one there; the new one stands alone when left out", keyword=True
    )

    examples = (
        Example("scatter(x, 1, argsort(y, 1), y)", x="float[N, 5]", y="float[N, 5]"),
        Example("scatter(x, dim=-1, index=i % 4, src=1)", x="int[N, 4]", i="int[N, 1]"),
        Example('scatter(x, 0, i % 3, y, reduce="add")', x="float[3, 5]", i="int[T, 4]", y="float[T, 5]"),
        Example('scatter(x, 1, i % 3, 0.5, reduce="multiply")', x="float[N, 3]", i="int[N, T]"),
    )

    def torch(self, *inputs: Any) -> Code:
        x, index, src = inputs
        if self.reduce is not None and isinstance(src, str):
            # torch has both, and warns of this one.
            return call("torch.scatter_reduce", x, self.dim, index, src, _SAME[self.reduce])
        return super().torch(*inputs)

    def onnx(self, g: OnnxGraph, x: str, index: str, src: Any) -> Any:
        return self.written(g, x, index, src, None if self.reduce is None else _SAME[self.reduce])


_SAME = {"add": "sum", "multiply": "prod"}
"""The reductions of `scatter` in the words of `scatter_reduce`."""


class scatter_add(_Scattered):
    """x with elements of `src` added in the places that `index` names along `dim`.

    Source: `torch.scatter_add`.
    """

    examples = (
        Example("scatter_add(x, 0, i % 3, y)", x="float[3, 5]", i="int[T, 5]", y="float[T, 5]"),
        Example("scatter_add(x, dim=-1, index=i % 4, src=y)", x="int[N, 4]", i="int[N, 2]", y="int[N, 3]"),
    )

    def onnx(self, g: OnnxGraph, x: str, index: str, src: str) -> Any:
        return self.written(g, x, index, src, "sum")


class scatter_reduce(_Scattered):
    """x with elements of `src` reduced into the places that `index` names along `dim`: their sum, product, mean, ...

    Without `include_self`, what x has in such a place does not count. Source: `torch.scatter_reduce`.
    """

    order = ("x", "dim", "index", "src", "reduce")

    reduce: Literal["sum", "prod", "mean", "amax", "amin"] = arg(doc="what becomes of all elements of a place")
    include_self: bool = arg(True, doc="count the element of x in each place as well", keyword=True)

    examples = (
        Example('scatter_reduce(x, 1, i % 4, y, "mean")', x="float[N, 4]", i="int[N, T]", y="float[N, T]"),
        Example(
            'scatter_reduce(x, 0, i % 3, y, "amax", include_self=false)',
            x="float[3, 5]",
            i="int[T, 4]",
            y="float[T, 4]",
        ),
        Example('scatter_reduce(x, -1, i % 2, y, reduce="amin")', x="int[N, 2]", i="int[N, 5]", y="int[N, 5]"),
        Example('scatter_reduce(x, 0, i % 2, y, "prod", include_self=false)', x="float[3]", i="int[T]", y="float[T]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType, src: Operand) -> TensorType:
        result = super().infer(rules, x, index, expect_tensor(self, src, 2))
        if self.reduce == "mean" and x.dtype == "bool":
            raise ShapeError(f"`scatter_reduce` cannot take the mean of bools: {x}", code="NNS406", input=0)
        return result

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.include_self else {"include_self": False}
        x, *others = inputs
        return call("torch.scatter_reduce", x, self.dim, *others, self.reduce, **options)

    def onnx(self, g: OnnxGraph, x: str, index: str, src: str) -> Any:
        return self.written(g, x, index, src, self.reduce, include_self=self.include_self)
