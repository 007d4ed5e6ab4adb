"""Parts of a tensor by position, and by tensors of positions, under torch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._operands import axis
from nnspec.functions._positions import as_scalar, as_vector, expect_positions, listed
from nnspec.functions._scattering import cut
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType, show_dtype

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape

_MOST_PIECES = 10_000


def _expect_dimensions(function: Function, operand: Any, dim: int) -> tuple[TensorType, int]:
    """The tensor, and the dimension that is meant of those that it has."""
    x = expect_tensor(function, operand)
    if not x.rank:
        raise ShapeError(f"`{type(function).__name__}` needs a tensor with dimensions", code="NNS402", input=0)
    return x, axis(function, x, dim)


class narrow(Function):
    """A stretch of a dimension: [N, T] to [N, 3] for `dim=1, start=2, length=3`.

    Source: `torch.narrow`.
    """

    of_complex = "parts"

    dim: int = arg(doc="the dimension to take from")
    start: Size = arg(doc="where the stretch begins; from the end when negative")
    length: Size = arg(doc="how long it is")

    examples = (
        Example("narrow(x, 1, 2, 3)", x="float[N, 8]"),
        Example("narrow(x, -1, 1, T - 1)", x="int[N, T]"),
        Example("narrow(x, 0, -2, 2)", x="bool[5, N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x, at = _expect_dimensions(self, x, self.dim)
        start, message = self._start(x), f"`narrow` does not find {self._text()} in dimension {at} of {x}"
        for least, what, place in ((start, 0, "start"), (self.length, 0, "length")):
            rules.require_at_least(least, what, message, code="NNS411", at=place)
        rules.require_at_least(x.dims[at], start + self.length, message, code="NNS411", at="length")
        return x.with_dims(*x.dims[:at], rules.simplify(self.length), *x.dims[at + 1 :])

    def _text(self) -> str:
        return f"{show(self.length)} elements from {show(self.start)} on"

    def _start(self, x: TensorType) -> Size:
        start = self.start
        return x.dims[self.dim] + start if isinstance(start, int) and start < 0 else start

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.view(inputs[0], m.output.dims, inputs[0].strides, passes=False)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.narrow", *inputs, self.dim, self.start, self.length)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        start = self._start(g.type(x))
        return g.node("Slice", x, g.shape([start]), g.shape([start + self.length]), g.constant([self.dim]))


class select(Function):
    """One position of a dimension, which goes: [N, T, D] to [N, D] for `dim=1`; the same as `x[:, index]`.

    Source: `torch.select`.
    """

    of_complex = "parts"

    dim: int = arg(doc="the dimension to take from")
    index: int = arg(doc="the position; from the end when negative")

    examples = (
        Example("select(x, 1, 0)", x="float[N, T, 8]"),
        Example("select(x, dim=-1, index=-2)", x="int[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x, at = _expect_dimensions(self, x, self.dim)
        rules.require_at_least(
            x.dims[at],
            self.index + 1 if self.index >= 0 else -self.index,
            f"`select` does not find position {self.index} in dimension {at} of {x}",
            code="NNS411",
            at="index",
        )
        return x.with_dims(*x.dims[:at], *x.dims[at + 1 :])

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x, at = inputs[0], self.dim % len(inputs[0].dims)
        return m.view(x, m.output.dims, (*x.strides[:at], *x.strides[at + 1 :]), passes=False)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.select", *inputs, self.dim, self.index)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Gather", x, g.constant(self.index), axis=self.dim)


class unbind(Function):
    """All positions of a dimension, as a tuple: [3, N, D] to three of [N, D].

    Source: `torch.unbind`.
    """

    of_complex = "parts"

    dim: int = arg(0, doc="the dimension to take apart")

    examples = (
        Example("unbind(x)", x="float[3, N, 8]"),
        Example("unbind(x, dim=-1)", x="int[N, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, ...]:
        x, at = _expect_dimensions(self, x, self.dim)
        count = rules.simplify(x.dims[at])
        if isinstance(count, Dim) or count > _MOST_PIECES:
            raise ShapeError(
                f"`unbind` would make `{show(count)}` pieces of {x}: their number must be known",
                code="NNS405",
                at="dim",
                helps=("give the dimension a fixed size",),
            )
        return (x.with_dims(*x.dims[:at], *x.dims[at + 1 :]),) * count

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.pieces(inputs[0], self.dim % len(inputs[0].dims), m.output)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        count = kind.dims[self.dim]
        assert isinstance(count, int)
        pieces = tuple(g.node("Gather", x, g.constant(i), axis=self.dim) for i in range(count))
        return pieces if len(pieces) != 1 else pieces[0]


class index_select(Function):
    """The positions of a dimension that a vector names, in its order: [N, T] and int[K] to [N, K] for `dim=1`.

    Source: `torch.index_select`.
    """

    of_complex = "parts"

    order = ("x", "dim", "index")

    keeps = ("index",)

    dim: int = arg(doc="the dimension to take from")

    examples = (
        Example("index_select(x, 1, i % 4)", x="float[N, 4]", i="int[K]"),
        Example("index_select(x, dim=0, index=i % 3)", x="int[3, T]", i="int[2]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        at = axis(self, x, self.dim)
        index = expect_positions(self, index)
        if index.rank > 1:
            raise ShapeError(f"`index_select` needs a vector of positions, not {index}", code="NNS402", input=1)
        count = listed(index)[0]
        if not x.rank:
            message = f"`index_select` takes one element of a tensor without dimensions, not {show(count)}"
            rules.require_equal(count, 1, message, input=1)
            return x
        return x.with_dims(*x.dims[:at], count, *x.dims[at + 1 :])

    def torch(self, *inputs: Any) -> Code:
        x, index = inputs
        return call("torch.index_select", x, self.dim, index)

    def onnx(self, g: OnnxGraph, x: str, index: str) -> Any:
        if not g.type(x).rank:
            return x
        return g.node("Gather", x, as_vector(g, index, g.type(index).rank), axis=self.dim)


class gather(Function):
    """For each position of `index` the element that it names along `dim`: [N, C] and int[N, K] to [N, K] for `dim=1`.

    The other dimensions of `index` are no larger than those of x. Source: `torch.gather`.
    """

    order = ("x", "dim", "index")

    dim: int = arg(doc="the dimension that positions are of")

    examples = (
        Example("gather(x, 1, i % 4)", x="float[N, 4]", i="int[N, K]"),
        Example("gather(x, dim=-1, index=i % 3)", x="int[N, T, 3]", i="int[N, T, 1]"),
        Example("gather(x, 0, i % 3)", x="float[3, 5]", i="int[2, 4]"),
    )

    def infer(self, rules: Rules, x: TensorType, index: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        at = axis(self, x, self.dim)
        index = expect_positions(self, index)
        if len(listed(index)) != len(listed(x)):
            raise ShapeError(
                f"`gather` needs positions of the rank of {x}, but they are {index}", code="NNS402", input=1
            )
        for i, (size, most) in enumerate(zip(listed(index), listed(x), strict=True)):
            if i != at:
                rules.require_at_least(
                    most, size, f"`gather` has more positions than {x} in dimension {i}: {index}", input=1, axis=i
                )
        return x.with_dims(*index.dims)

    def torch(self, *inputs: Any) -> Code:
        x, index = inputs
        return call("torch.gather", x, self.dim, index)

    def onnx(self, g: OnnxGraph, x: str, index: str) -> Any:
        kind, wanted = g.type(x), g.type(index)
        at = axis(self, kind, self.dim)
        dims, sizes = listed(kind), listed(wanted)
        x, index = as_vector(g, x, kind.rank), as_vector(g, index, wanted.rank)
        # GatherElements wants the other dimensions equal.
        x = cut(g, x, dims, [dims[at] if i == at else size for i, size in enumerate(sizes)])
        return as_scalar(g, g.node("GatherElements", x, index, axis=at), wanted.rank)


class one_hot(Function):
    """For each number a vector of zeros with a one in its place: int[N] to int[N, C] for `num_classes=C`.

    Source: `torch.nn.functional.one_hot`.
    """

    namespace = "F"

    num_classes: Size = arg(doc="how many places there are")

    examples = (
        Example("one_hot(i % 5, 5)", i="int[N, T]"),
        Example("one_hot(i % C, num_classes=C)", i="int[N]", c="float[C]"),
        Example("one_hot(i % 4, 4)", i="int[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if x.dtype != "int64":
            raise ShapeError(
                f"`one_hot` needs numbers of type int, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}",
                input=0,
                helps=("convert it: `to(x, int)`",),
            )
        message = f"`one_hot` needs at least one class, not {show(self.num_classes)}"
        rules.require_at_least(self.num_classes, 1, message, code="NNS411", at="num_classes")
        return x.with_dims(*x.dims, self.num_classes)

    def torch(self, *inputs: Any) -> Code:
        return call("F.one_hot", *inputs, self.num_classes)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        rank = g.type(x).rank
        y = g.node("OneHot", as_vector(g, x, rank), g.size(self.num_classes), g.constant([0, 1]), axis=-1)
        return y if rank else g.node("Squeeze", y, g.constant([0]))
