"""Tensors joined as rows, columns, layers or blocks, vectors among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.dims import Size
from nnspec.functions._lowering import reshaped, wide
from nnspec.functions._operands import expect_tensors, result_type
from nnspec.functions.joining import cat
from nnspec.layer import Example, Function, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


def _expect_list(function: Function, tensors: Any) -> tuple[TensorType, ...]:
    name = type(function).__name__
    if not isinstance(tensors, tuple) or not tensors:
        what = "this list is empty" if tensors == () else "this is none"
        raise ShapeError(
            f"`{name}` needs a list of tensors, and {what}", code="NNS402", input=0, helps=(f"write `{name}([a, b])`",)
        )
    expect_tensors(function, tensors)
    return tensors


class _Stacked(Function):
    """What joins tensors after each has got the dimensions that it lacks."""

    sequences = ("tensors",)

    least: ClassVar[tuple[int, ...]]
    """For each rank that is too small, how many new dimensions stand in front; the others behind."""

    def infer(self, rules: Rules, tensors: tuple[TensorType, ...]) -> TensorType:
        tensors = _expect_list(self, tensors)
        grown = tuple(x.with_dims(*self._dims(x)) for x in tensors)
        try:
            return cat(self._along(grown[0])).infer(rules, grown)
        except ShapeError as fault:
            message = fault.message.replace("`cat`", f"`{type(self).__name__}`")
            helps = () if fault.at else fault.helps
            raise ShapeError(
                message, code=fault.code, label=fault.label, helps=helps, fact=fault.fact, sizes=fault.sizes
            ) from None

    def _dims(self, x: TensorType) -> tuple[Size, ...]:
        if x.rank >= len(self.least):
            return x.dims
        front = self.least[x.rank]
        return (*[1] * front, *x.dims, *[1] * (len(self.least) - x.rank - front))

    def _along(self, x: TensorType) -> int:
        """The dimension to join along. Abstract: each of them says it."""
        raise NotImplementedError

    def onnx(self, g: OnnxGraph, tensors: Sequence[str]) -> Any:
        kinds = [g.type(x) for x in tensors]
        # A number that has become a vector counts as one when types are promoted.
        grown = [kind.with_dims(*self._dims(kind)) for kind in kinds]
        dtype = result_type(*grown)
        parts = []
        for x, kind in zip(tensors, kinds, strict=True):
            dims = self._dims(kind)
            lacking = len(dims) - kind.rank
            front = self.least[kind.rank] if lacking else 0
            new = [*range(front), *range(front + kind.rank, len(dims))]
            part = g.node("Unsqueeze", x, g.constant(new)) if new else x
            parts.append(g.cast(part, dtype) if kind.dtype != dtype else part)
        along = self._along(grown[0])
        return g.node("Concat", *parts, axis=along) if len(parts) > 1 else parts[0]


class hstack(_Stacked):
    """Tensors side by side, along dimension 1, vectors end to end: [N, 3] and [N, 5] to [N, 8].

    Source: `torch.hstack`.
    """

    least = (0,)

    examples = (
        Example("hstack([a, b])", a="float[N, 3]", b="float[N, 5]"),
        Example("hstack([a, b])", a="float[T]", b="int[S]"),
        Example("hstack([a, b, a])", a="float[]", b="float[]"),
    )

    def _along(self, x: TensorType) -> int:
        return 0 if x.rank == 1 else 1


class vstack(_Stacked):
    """Tensors on top of each other, along dimension 0, vectors as rows: [3] and [N, 3] to [N + 1, 3].

    Source: `torch.vstack`.
    """

    least = (0, 1)

    examples = (
        Example("vstack([a, b])", a="float[3]", b="float[N, 3]"),
        Example("vstack([a, b])", a="int[T]", b="int8[T]"),
    )

    def _along(self, x: TensorType) -> int:
        return 0


class dstack(_Stacked):
    """Tensors behind each other, along dimension 2, to which matrices are one layer: two [H, W] to [H, W, 2].

    Source: `torch.dstack`.
    """

    least = (0, 1, 0)

    examples = (
        Example("dstack([a, b])", a="float[H, W]", b="float[H, W]"),
        Example("dstack([a, b])", a="int[T]", b="float[T]"),
        Example("dstack([a, b])", a="float[N, T, 2, 4]", b="float[N, T, 3, 4]"),
    )

    def _along(self, x: TensorType) -> int:
        return 2


class column_stack(_Stacked):
    """Tensors side by side, along dimension 1, vectors as columns: [N] and [N, 3] to [N, 4].

    Source: `torch.column_stack`.
    """

    least = (0, 0)

    examples = (
        Example("column_stack([a, b])", a="float[N]", b="float[N, 3]"),
        Example("column_stack([a, b, a])", a="int[T]", b="int[T]"),
    )

    def _along(self, x: TensorType) -> int:
        return 1


class block_diag(Function):
    """A matrix with others along its diagonal, zeros elsewhere: [2, 3] and [H, W] to [H + 2, W + 3].

    Vectors count as rows. Source: `torch.block_diag`.
    """

    examples = (
        Example("block_diag(x, y)", x="float[2, 3]", y="float[H, W]"),
        Example("block_diag(x, y, x)", x="int[T]", y="float[]"),
        Example("block_diag(x)", x="bool[T]"),
    )

    def infer(self, rules: Rules, *tensors: TensorType) -> TensorType:
        if not tensors:
            raise ShapeError("`block_diag` needs tensors", code="NNS402")
        rows: Size = 0
        columns: Size = 0
        for position, operand in enumerate(tensors):
            x = expect_tensor(self, operand, position)
            if x.rank > 2:
                raise ShapeError(f"`block_diag` needs matrices, but one is {x}", code="NNS402", input=position)
            height, width = self._block(x)
            rows, columns = rows + height, columns + width
        return TensorType(result_type(*tensors), (rules.simplify(rows), rules.simplify(columns)))

    def _block(self, x: TensorType) -> tuple[Size, Size]:
        return (x.dims[0] if x.rank == 2 else 1, x.dims[-1] if x.rank else 1)

    def onnx(self, g: OnnxGraph, *tensors: str) -> Any:
        kinds = [g.type(x) for x in tensors]
        blocks = [self._block(kind) for kind in kinds]
        dtype = result_type(*kinds)
        compute = "int32" if dtype == "bool" else wide(dtype)
        left: Size = 0
        whole: Size = 0
        for _, width in blocks:
            whole = whole + width
        bands = []
        for x, kind, (height, width) in zip(tensors, kinds, blocks, strict=True):
            block = reshaped(g, g.cast(g.cast(x, dtype), compute), kind.dims, (height, width))
            pads = [0, left, 0, whole - left - width]
            bands.append(block if pads == [0, 0, 0, 0] else g.node("Pad", block, g.shape(pads)))
            left = left + width
        y = g.node("Concat", *bands, axis=0) if len(bands) > 1 else bands[0]
        return y if compute == dtype else g.cast(y, dtype)
