"""A dimension taken apart: into a number of pieces, or at given places."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._operands import axis
from nnspec.functions.indexing import sliced
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType

_MOST_PIECES = 10_000


class _Apart(Function):
    """What taking a dimension apart shares. A tuple holds the places where a new piece begins."""

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, ...]:
        x = expect_tensor(self, x)
        at = self.axis(x)
        given = self.where()
        if isinstance(given, tuple):
            self._expect_inside(rules, x, at, given)
        elif not 1 <= given <= _MOST_PIECES:
            raise ShapeError(
                f"`{type(self).__name__}` makes from 1 to {_MOST_PIECES:,} pieces, not {given:,}",
                code="NNS404",
                at="indices_or_sections",
            )
        sizes = [rules.simplify(size) for size in self.sizes(x.dims[at])]
        return tuple(x.with_dims(*x.dims[:at], size, *x.dims[at + 1 :]) for size in sizes)

    def axis(self, x: TensorType) -> int:
        """The dimension that is taken apart. Abstract: each of them says it."""
        raise NotImplementedError

    def where(self) -> int | tuple[Size, ...]:
        """The number of pieces, or where new ones begin."""
        given: int | tuple[Size, ...] = self.__dict__["indices_or_sections"]
        return given

    def _expect_inside(self, rules: Rules, x: TensorType, at: int, cuts: tuple[Size, ...]) -> None:
        """Refuse places outside of the dimension, or out of order."""
        for cut in cuts:
            if isinstance(cut, Dim):
                message = f"the place {show(cut)} of `{type(self).__name__}` may not be negative"
                rules.require_at_least(cut, 0, message, code="NNS411", at="indices_or_sections")
        for start, stop in pairwise((None, *cuts, None)):
            sliced(rules, x, at, start, stop, None)

    def sizes(self, size: Size) -> list[Size]:
        """The sizes of the pieces; without a rest all are equal, else the first ones are larger by one."""
        given = self.where()
        if isinstance(given, int):
            return [(size + (given - 1 - i)) // given for i in range(given)]
        ends = [*(size + cut if isinstance(cut, int) and cut < 0 else cut for cut in given), size]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        at = self.axis(kind)
        sizes = self.sizes(kind.dims[at])
        return g.node("Split", x, g.shape(sizes), outputs=len(sizes), axis=at) if len(sizes) > 1 else x


class tensor_split(_Apart):
    """Pieces of a dimension, as a tuple: [N, 7] to [N, 3], [N, 2] and [N, 2] for `3, dim=1`.

    A tuple holds the places where a new piece begins; they lie in the dimension, in order.
    Source: `torch.tensor_split`.
    """

    indices_or_sections: int | tuple[Size, ...] = arg(doc="how many pieces, or where each but the first begins")
    dim: int = arg(0, doc="the dimension to take apart")

    examples = (
        Example("tensor_split(x, 3, dim=1)", x="float[N, 7]"),
        Example("tensor_split(x, 2, 1)", x="float[N, T]"),
        Example("tensor_split(x, (1, 4), dim=-1)", x="int[N, 6]"),
        Example("tensor_split(x, [T])", t="float[T]", x="float[2 * T, 3]"),
    )

    def axis(self, x: TensorType) -> int:
        if not x.rank:
            raise ShapeError("`tensor_split` cannot take apart a tensor without dimensions", code="NNS402", input=0)
        return axis(self, x, self.dim)

    def torch(self, *inputs: Any) -> Code:
        options = {"dim": self.dim} if self.dim else {}
        return call("torch.tensor_split", *inputs, self.indices_or_sections, **options)


class _Equal(_Apart):
    """Equal pieces of one certain dimension, or pieces that begin at given places."""

    indices_or_sections: int | tuple[Size, ...] = arg(
        doc="how many pieces of one size, or where each but the first begins"
    )

    along: ClassVar[tuple[int, ...]]
    """The dimension for each rank, from 1 on; the last also for all above."""

    def axis(self, x: TensorType) -> int:
        name, least = type(self).__name__, self.along.count(-1) + 1
        if x.rank < least:
            dimensions = "a dimension" if least == 1 else f"{least} dimensions"
            raise ShapeError(f"`{name}` needs at least {dimensions}, but its input is {x}", code="NNS402", input=0)
        return self.along[min(x.rank, len(self.along)) - 1]

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, ...]:
        x, given = expect_tensor(self, x), self.where()
        if isinstance(given, int) and given > 0:
            size = rules.simplify(x.dims[self.axis(x)])
            why = f"cannot make {given} equal pieces of a dimension of size {show(size)}"
            rules.exact(size, given, f"`{type(self).__name__}` {why}", code="NNS404", at="indices_or_sections")
        return super().infer(rules, x)

    def sizes(self, size: Size) -> list[Size]:
        given = self.where()
        if isinstance(given, int) and isinstance(size, Dim):
            return [size // given] * given
        return super().sizes(size)

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *inputs, self.indices_or_sections)


class hsplit(_Equal):
    """Pieces of dimension 1 (of a vector: 0), as a tuple: [N, 6] to three of [N, 2] for 3.

    Source: `torch.hsplit`.
    """

    along = (0, 1)

    examples = (
        Example("hsplit(x, 3)", x="float[N, 6]"),
        Example("hsplit(x, (1, 3))", x="int[5]"),
        Example("hsplit(x, 2)", t="float[T]", x="float[N, 2 * T, 3]"),
    )


class vsplit(_Equal):
    """Pieces of dimension 0, as a tuple: [6, N] to three of [2, N] for 3.

    Source: `torch.vsplit`.
    """

    along = (-1, 0)

    examples = (
        Example("vsplit(x, 3)", x="float[6, N]"),
        Example("vsplit(x, [2])", x="int[5, T]"),
    )


class dsplit(_Equal):
    """Pieces of dimension 2, as a tuple: [N, T, 6] to three of [N, T, 2] for 3.

    Source: `torch.dsplit`.
    """

    along = (-1, -1, 2)

    examples = (
        Example("dsplit(x, 3)", x="float[N, T, 6]"),
        Example("dsplit(x, [1])", x="bool[N, T, 3]"),
    )
