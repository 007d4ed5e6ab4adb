"""Another shape for the same elements: reshape, flatten, permute and their like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._lowering import reshaped
from nnspec.functions._operands import axes, axis, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, method
from nnspec.layers._expect import counted, expect_tensor, quotient_text, volume
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


def fill(
    function: Function, rules: Rules, dims: tuple[Size, ...], sizes: tuple[Size, ...], what: str, at: str
) -> tuple[Size, ...]:
    """The sizes with their -1 worked out; together they must hold as many elements as `dims`, those of `what`."""
    name = type(function).__name__
    message = f"`{name}` cannot make {shape_text(sizes)} of {what}"
    holes = sizes.count(-1)
    if any(isinstance(size, int) and size < -1 for size in sizes):
        raise ShapeError(f"{message}: a size cannot be negative", code="NNS408", at=at)
    if holes > 1:
        raise ShapeError(
            f"`{name}` can work out one size, but {shape_text(sizes)} has {holes} of -1",
            code="NNS408",
            label="more than one -1",
            at=at,
        )
    total, known = (rules.simplify(volume(each)) for each in _without_common(dims, sizes))
    if not holes:
        rules.require_equal(
            total,
            known,
            f"{message}: {show(volume(dims))} elements are not {show(volume(sizes))}",
            code="NNS408",
            label=f"{show(volume(sizes))} should be {show(volume(dims))}",
            at=at,
            helps=("let one size be worked out: -1",) if sizes else (),
        )
        return sizes
    if known == 0:
        raise ShapeError(f"{message}: there is no telling what -1 is when a size is 0", code="NNS408", at=at)
    text = quotient_text(total, known)
    size = rules.exact(
        total,
        known,
        f"{message}: {text} must be a whole number",
        code="NNS408",
        label=f"{text} must be whole",
        at=at,
    )
    return tuple(size if s == -1 else s for s in sizes)


def _without_common(dims: tuple[Size, ...], sizes: tuple[Size, ...]) -> tuple[list[Size], list[Size]]:
    """Both without what stands in both (and without -1): smaller products are easier to compare, and to read."""
    left, right = list(dims), []
    for size in sizes:
        if size != 0 and size in left:
            left.remove(size)
        elif size != -1:
            right.append(size)
    return left, right


class reshape(Function):
    """The same elements, in order, in another shape: [N, 12] to [N, 3, 4] for `(N, 3, 4)` or `(-1, 3, 4)`.

    Source: `torch.reshape`.
    """

    of_complex = "parts"
    reshapes = True

    shape: tuple[Size, ...] = arg(doc="the new sizes; one of them may be -1, to be worked out")

    examples = (
        Example("reshape(x, (N, 3, 4))", x="float[N, 12]"),
        Example("reshape(x, [-1, 8])", x="float[N, T, 8]"),
        Example("reshape(x, (N, T * 8))", x="float[N, T, 8]"),
        Example("reshape(x, (N, H * W, 3))", x="float[N, 3, H, W]"),
        Example("reshape(x, ())", x="int[1, 1]"),
        Example("reshape(x, (2, -1))", n="float[N]", x="float[2 * N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*fill(self, rules, x.dims, self.shape, str(x), "shape"))

    def torch(self, *inputs: Any) -> Code:
        return method("reshape", *inputs, *(self.shape or ((),)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return reshaped(g, x, g.type(x).dims, self.shape)


class flatten(Function):
    """One dimension of those from `start_dim` to `end_dim`: [N, 3, 4] to [N, 12] for `start_dim=1`.

    Source: `torch.flatten`.
    """

    of_complex = "parts"
    reshapes = True

    start_dim: int = arg(0, doc="first dimension of those that become one")
    end_dim: int = arg(-1, doc="last dimension of those that become one")

    examples = (
        Example("flatten(x, 1)", x="float[N, 3, 4, 5]"),
        Example("flatten(x)", x="int[N, T]"),
        Example("flatten(x, -3, -2)", x="float[N, H, W, 5]"),
        Example("flatten(x)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*map(rules.simplify, self._flat(x)))

    def _flat(self, x: TensorType) -> tuple[Size, ...]:
        start, end = axis(self, x, self.start_dim, "start_dim"), axis(self, x, self.end_dim, "end_dim")
        if not x.rank:
            return (1,)
        if start > end:
            raise ShapeError(
                f"`flatten` cannot go from dimension {start} back to dimension {end} of {x}",
                code="NNS411",
                at="end_dim" if self.end_dim != -1 else "start_dim",
            )
        return (*x.dims[:start], volume(x.dims[start : end + 1]), *x.dims[end + 1 :])

    def torch(self, *inputs: Any) -> Code:
        last = () if self.end_dim == -1 else (self.end_dim,)
        return method("flatten", *inputs, *((self.start_dim, *last) if self.start_dim or last else ()))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return reshaped(g, x, kind.dims, self._flat(kind))


class unflatten(Function):
    """Several dimensions of one: [N, 12] to [N, 3, 4] for `dim=1, sizes=(3, 4)`.

    Source: `torch.unflatten`.
    """

    of_complex = "parts"
    reshapes = True

    dim: int = arg(doc="the dimension that becomes several")
    sizes: tuple[Size, ...] = arg(doc="the sizes that it becomes; one of them may be -1, to be worked out")

    examples = (
        Example("unflatten(x, 1, (3, 4))", x="float[N, 12]"),
        Example("unflatten(x, -1, (2, -1))", t="float[T]", x="float[N, 2 * T]"),
        Example("unflatten(x, 0, (N, 2))", n="float[N]", x="int[N * 2, 5]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        at = self._axis(x)
        sizes = fill(self, rules, (x.dims[at],), self.sizes, f"dimension {at} of {x}", "sizes")
        return x.with_dims(*x.dims[:at], *sizes, *x.dims[at + 1 :])

    def _axis(self, x: TensorType) -> int:
        if not x.rank or not self.sizes:
            what = "a tensor with a dimension" if self.sizes else "a size at least"
            raise ShapeError(f"`unflatten` needs {what}", code="NNS402")
        return axis(self, x, self.dim)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.unflatten", *inputs, self.dim, self.sizes)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dims = g.type(x).dims
        at = self._axis(g.type(x))
        sizes = self.sizes
        if dims[:at] or dims[at + 1 :]:
            known = volume(size for size in sizes if size != -1)
            sizes = tuple(dims[at] // known if size == -1 else size for size in sizes)
        return reshaped(g, x, dims, (*dims[:at], *sizes, *dims[at + 1 :]))


class permute(Function):
    """The dimensions in another order: [N, C, H, W] to [N, H, W, C] for `(0, 2, 3, 1)`.

    Source: `torch.permute`.
    """

    of_complex = "parts"

    dims: tuple[int, ...] = arg(doc="for each dimension of the result, which one it was")

    examples = (
        Example("permute(x, (0, 2, 3, 1))", x="float[N, 3, H, W]"),
        Example("permute(x, [-1, 0])", x="int[N, T]"),
        Example("permute(x, ())", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*(x.dims[i] for i in self._order(x)))

    def _order(self, x: TensorType) -> tuple[int, ...]:
        order = axes(self, x, self.dims, "dims") if self.dims else ()
        if len(order) != x.rank:
            raise ShapeError(
                f"`permute` needs each dimension of {x} once, but {self.dims} has {len(order)} of {x.rank}",
                code="NNS402",
                at="dims",
                label=f"needs {counted(x.rank, 'dimension')}",
            )
        return order

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.permute(inputs[0], self._order(inputs[0].type))

    def reorders(self, x: TensorType) -> Sequence[int]:
        return self._order(x)

    def torch(self, *inputs: Any) -> Code:
        return method("permute", *inputs, *self.dims) if self.dims else method("permute", *inputs, ())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return g.node("Transpose", x, perm=list(self._order(kind))) if kind.rank else x


class transpose(Function):
    """Two dimensions swapped: [N, T, D] to [N, D, T] for `1, 2`.

    Source: `torch.transpose`.
    """

    of_complex = "parts"

    dim0: int = arg(doc="one dimension")
    dim1: int = arg(doc="the other")

    examples = (
        Example("transpose(x, 1, 2)", x="float[N, T, 8]"),
        Example("transpose(x, -2, -1)", x="int[N, 3, H, W]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*(x.dims[i] for i in self._order(x)))

    def _order(self, x: TensorType) -> list[int]:
        a, b = axis(self, x, self.dim0, "dim0"), axis(self, x, self.dim1, "dim1")
        order = list(range(x.rank))
        if order:
            order[a], order[b] = b, a
        return order

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.permute(inputs[0], self._order(inputs[0].type))

    def reorders(self, x: TensorType) -> Sequence[int]:
        return self._order(x)

    def torch(self, *inputs: Any) -> Code:
        return method("transpose", *inputs, self.dim0, self.dim1)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return g.node("Transpose", x, perm=self._order(kind)) if kind.rank else x


class unsqueeze(Function):
    """A new dimension of size 1 at place `dim`: [N, D] to [N, 1, D] for `dim=1`.

    Source: `torch.unsqueeze`.
    """

    of_complex = "parts"
    reshapes = True

    dim: int = arg(doc="where it stands in the result")

    examples = (
        Example("unsqueeze(x, 1)", x="float[N, 8]"),
        Example("unsqueeze(x, dim=-1)", x="int[N, T]"),
        Example("unsqueeze(x, 0)", x="float[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        at = axis(self, x, self.dim, extra=1)
        return x.with_dims(*x.dims[:at], 1, *x.dims[at:])

    def torch(self, *inputs: Any) -> Code:
        return method("unsqueeze", *inputs, self.dim)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Unsqueeze", x, g.constant([self.dim]))


class squeeze(Function):
    """Without the dimensions `dim` of size 1 (all such ones when left out): [N, 1, D] to [N, D] for `dim=1`.

    Unlike torch it refuses a dimension that is not known to be 1. Source: `torch.squeeze`.
    """

    of_complex = "parts"
    reshapes = True

    dim: int | tuple[int, ...] | None = arg(None, doc="the dimensions to leave out; all of size 1 without it")

    examples = (
        Example("squeeze(x, 1)", x="float[N, 1, 8]"),
        Example("squeeze(x, (0, -1))", x="int[1, T, 1]"),
        Example("squeeze(x)", x="float[3, 1, 8, 1]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        gone = self._gone(x)
        for i in gone:
            size = rules.simplify(x.dims[i])
            rules.require_equal(
                size,
                1,
                f"`squeeze` cannot leave out dimension {i} of {x}: its size {show(size)} must be 1",
                label=f"dimension {i} has size {show(size)}",
                at="dim",
            )
        return x.with_dims(*(d for i, d in enumerate(x.dims) if i not in gone))

    def _gone(self, x: TensorType) -> tuple[int, ...]:
        if self.dim is not None:
            return axes(self, x, self.dim) if x.rank and self.dim != () else ()
        unknown = next((d for d in x.dims if isinstance(d, Dim)), None)
        if unknown is not None:
            raise ShapeError(
                f"`squeeze` of {x} must be told which dimensions to leave out: `{show(unknown)}` may be 1",
                code="NNS405",
                helps=("say which: `squeeze(x, dim=...)`",),
            )
        return tuple(i for i, d in enumerate(x.dims) if d == 1)

    def torch(self, *inputs: Any) -> Code:
        return method("squeeze", *inputs, *(() if self.dim is None else (self.dim,)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        gone = self._gone(g.type(x))
        return g.node("Squeeze", x, g.constant(list(gone))) if gone else x
