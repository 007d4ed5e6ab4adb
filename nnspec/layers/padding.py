"""Layers that put something around their input: a number, or copies of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Operation, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_rank, expect_tensor
from nnspec.layers._lowering import pad_last
from nnspec.layers._window import BATCHED, UNBATCHED
from nnspec.types import TensorType, is_float

Amounts = Sequence[tuple[Size, Size]]
"""What is added in front of and behind each of the last dimensions, in their order."""


def padded(operation: Operation, rules: Rules, x: TensorType, amounts: Amounts, mode: str, at: str) -> TensorType:
    """The type with these amounts around it; refuses what there is not enough input for."""
    sizes = []
    first = x.rank - len(amounts)
    for axis, (size, pair) in enumerate(zip(x.dims[first:], amounts, strict=True), first):
        # What is taken off is cut first.
        left = size + sum(amount for amount in pair if isinstance(amount, int) and amount < 0)
        if left != size:
            # torch cuts before it puts on: down to nothing, unless that is what it would copy from.
            copies = mode != "constant"
            what = "all of" if copies else "more than there is of"
            message = f"`{type(operation).__name__}` takes off {what} dimension {axis} of {x}"
            message += ": nothing is left to copy" if copies else ""
            rules.require_at_least(left, int(copies), message, code="NNS403", at=at)
        for amount in pair:
            if mode != "constant":
                _require_source(operation, rules, x, axis, left, amount, mode, at)
        after = rules.simplify(size + pair[0] + pair[1])
        if any(isinstance(amount, int) and amount < 0 for amount in pair):
            message = (
                f"`{type(operation).__name__}` leaves nothing of dimension {axis} of {x}: it becomes {show(after)}"
            )
            rules.require_at_least(after, 1, message, code="NNS403", at=at)
        sizes.append(after)
    return x.with_dims(*x.dims[:first], *sizes)


def _require_source(
    operation: Operation, rules: Rules, x: TensorType, axis: int, size: Size, amount: Size, mode: str, at: str
) -> None:
    """Reflected and circular padding are made of the input, so there must be enough of it."""
    name = type(operation).__name__
    if mode == "replicate" or (isinstance(amount, int) and amount < 0):
        return
    rules.require_at_least(
        size,
        amount + 1 if mode == "reflect" else amount,
        f"`{name}` cannot put {show(amount)} of {show(size)} elements around dimension {axis} of {x}",
        code="NNS403",
        label=f"needs more than {show(amount)}" if mode == "reflect" else f"needs at least {show(amount)}",
        at=at,
    )


def lower_padding(g: OnnxGraph, x: str, amounts: Amounts, mode: str, value: float = 0) -> str:
    """The ONNX form; what is taken off is cut first."""
    kind = g.type(x)
    rank, count = kind.rank, len(amounts)
    for axis, (size, pair) in enumerate(zip(kind.dims[rank - count :], amounts, strict=True), rank - count):
        start, end = (-a if isinstance(a, int) and a < 0 else 0 for a in pair)
        if start or end:
            x = str(g.node("Slice", x, g.constant([start]), g.shape([size - end]), g.constant([axis])))
    before, after = (
        [0 if isinstance(a, int) and a < 0 else a for a in column] for column in zip(*amounts, strict=True)
    )
    if not any(amount != 0 for amount in (*before, *after)):
        return x
    if mode != "constant":
        return pad_last(g, x, rank, before, after, mode)
    # Runtimes pad few of the types.
    compute = kind.dtype if is_float(kind.dtype) or kind.dtype == "int64" else "int64"
    filler = g.constant(value if is_float(compute) else int(value), compute)
    y = pad_last(g, g.cast(x, compute), rank, before, after, "zeros", filler)
    return y if compute == kind.dtype else g.cast(y, kind.dtype)


class _Pad(Layer):
    """What these share: amounts from the last dimension to the first, as torch has them."""

    rank: ClassVar[int]
    mode: ClassVar[str]

    padding: int | tuple[int, ...] = arg(doc="what is put on: one number, or two for each dimension, the last first")

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return padded(self, rules, x, self._amounts(), self.mode, "padding")

    def _amounts(self) -> list[tuple[int, int]]:
        given = (self.padding,) * (2 * self.rank) if isinstance(self.padding, int) else self.padding
        return list(zip(given[::2], given[1::2], strict=True))[::-1]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return lower_padding(g, x, self._amounts(), self.mode, self.__dict__.get("value", 0))


class _ConstantPad(_Pad):
    mode = "constant"

    keeps = ()

    def accept(self, *inputs: Any) -> None:
        x = expect_tensor(self, inputs[0])
        expect_rank(self, x, BATCHED[self.rank], UNBATCHED[self.rank])
        value = self.__dict__.get("value", 0)
        if not is_float(x.dtype) and value != int(value):
            raise ShapeError(f"`{type(self).__name__}` cannot put {value} around {x}", code="NNS406", at="value")


class ZeroPad1d(_ConstantPad):
    """Puts zeros on both ends: [N, C, L] or [C, L]; negative amounts take off.

    Source: `torch.nn.ZeroPad1d`.
    """

    rank = 1
    padding: int | tuple[int, int] = arg(doc="what is put on: one number, or in front, behind")

    examples = (
        Example("ZeroPad1d(1)", x="float[N, 3, L]"),
        Example("ZeroPad1d((2, 1))", x="float[3, 6]"),
        Example("ZeroPad1d((-1, 2))", x="float[3, 6]"),
    )


class ZeroPad2d(_ConstantPad):
    """Puts zeros on every side: [N, C, H, W] or [C, H, W]; negative amounts take off.

    Source: `torch.nn.ZeroPad2d`.
    """

    rank = 2
    padding: int | tuple[int, int, int, int] = arg(doc="what is put on: one number, or left, right, above, below")

    examples = (
        Example("ZeroPad2d(1)", x="float[N, 3, H, W]"),
        Example("ZeroPad2d((1, 2, 0, 1))", x="float[3, 5, 6]"),
        Example("ZeroPad2d((-1, 2, 0, -1))", x="float[3, 5, 6]"),
    )


class ZeroPad3d(_ConstantPad):
    """Puts zeros on every side: [N, C, D, H, W] or [C, D, H, W]; negative amounts take off.

    Source: `torch.nn.ZeroPad3d`.
    """

    rank = 3
    padding: int | tuple[int, int, int, int, int, int] = arg(
        doc="what is put on: one number, or left, right, above, below, in front, behind"
    )

    examples = (
        Example("ZeroPad3d(1)", x="float[N, 2, D, H, W]"),
        Example("ZeroPad3d((1, 2, 0, 1, 1, 0))", x="float[2, 4, 5, 6]"),
        Example("ZeroPad3d((-1, 2, 0, -1, 0, 0))", x="float[2, 4, 5, 6]"),
    )


class ConstantPad1d(_ConstantPad):
    """Puts a number on both ends: [N, C, L] or [C, L]; negative amounts take off.

    Source: `torch.nn.ConstantPad1d`.
    """

    rank = 1
    padding: int | tuple[int, int] = arg(doc="what is put on: one number, or in front, behind")
    value: float = arg(doc="the number")

    examples = (
        Example("ConstantPad1d(1, 0.5)", x="float[N, 3, L]"),
        Example("ConstantPad1d((2, 1), value=-2)", x="float[3, 6]"),
        Example("ConstantPad1d((-1, 2), 1)", x="int[3, 6]"),
    )


class ConstantPad2d(_ConstantPad):
    """Puts a number on every side: [N, C, H, W] or [C, H, W]; negative amounts take off.

    Source: `torch.nn.ConstantPad2d`.
    """

    rank = 2
    padding: int | tuple[int, int, int, int] = arg(doc="what is put on: one number, or left, right, above, below")
    value: float = arg(doc="the number")

    examples = (
        Example("ConstantPad2d(1, 0.5)", x="float[N, 3, H, W]"),
        Example("ConstantPad2d((1, 2, 0, 1), value=-2)", x="float[3, 5, 6]"),
        Example("ConstantPad2d((-1, 2, 0, -1), 1)", x="int[3, 5, 6]"),
    )


class ConstantPad3d(_ConstantPad):
    """Puts a number on every side: [N, C, D, H, W] or [C, D, H, W]; negative amounts take off.

    Source: `torch.nn.ConstantPad3d`.
    """

    rank = 3
    padding: int | tuple[int, int, int, int, int, int] = arg(
        doc="what is put on: one number, or left, right, above, below, in front, behind"
    )
    value: float = arg(doc="the number")

    examples = (
        Example("ConstantPad3d(1, 0.5)", x="float[N, 2, D, H, W]"),
        Example("ConstantPad3d((1, 2, 0, 1, 1, 0), value=-2)", x="float[2, 4, 5, 6]"),
        Example("ConstantPad3d((-1, 2, 0, -1, 0, 0), 1)", x="int[2, 4, 5, 6]"),
    )


class ReflectionPad1d(_Pad):
    """Puts the input mirrored at its border on both ends: [N, C, L] or [C, L].

    Source: `torch.nn.ReflectionPad1d`.
    """

    rank = 1
    mode = "reflect"
    padding: int | tuple[int, int] = arg(ge=0, doc="what is put on: one number, or in front, behind")

    examples = (
        Example("ReflectionPad1d(1)", x="float[N, 3, L]"),
        Example("ReflectionPad1d((2, 1))", x="float[3, 6]"),
    )


class ReflectionPad2d(_Pad):
    """Puts the input mirrored at its border on every side: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.ReflectionPad2d`.
    """

    rank = 2
    mode = "reflect"
    padding: int | tuple[int, int, int, int] = arg(ge=0, doc="what is put on: one number, or left, right, above, below")

    examples = (
        Example("ReflectionPad2d(1)", x="float[N, 3, H, W]"),
        Example("ReflectionPad2d((1, 2, 0, 1))", x="float[3, 5, 6]"),
    )


class ReflectionPad3d(_Pad):
    """Puts the input mirrored at its border on every side: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.ReflectionPad3d`.
    """

    rank = 3
    mode = "reflect"
    padding: int | tuple[int, int, int, int, int, int] = arg(
        ge=0, doc="what is put on: one number, or left, right, above, below, in front, behind"
    )

    examples = (
        Example("ReflectionPad3d(1)", x="float[N, 2, D, H, W]"),
        Example("ReflectionPad3d((1, 2, 0, 1, 1, 0))", x="float[2, 4, 5, 6]"),
    )


class ReplicationPad1d(_Pad):
    """Puts copies of the border on both ends: [N, C, L] or [C, L].

    Source: `torch.nn.ReplicationPad1d`.
    """

    rank = 1
    mode = "replicate"
    padding: int | tuple[int, int] = arg(ge=0, doc="what is put on: one number, or in front, behind")

    examples = (
        Example("ReplicationPad1d(1)", x="float[N, 3, L]"),
        Example("ReplicationPad1d((2, 1))", x="float[3, 6]"),
    )


class ReplicationPad2d(_Pad):
    """Puts copies of the border on every side: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.ReplicationPad2d`.
    """

    rank = 2
    mode = "replicate"
    padding: int | tuple[int, int, int, int] = arg(ge=0, doc="what is put on: one number, or left, right, above, below")

    examples = (
        Example("ReplicationPad2d(1)", x="float[N, 3, H, W]"),
        Example("ReplicationPad2d((1, 2, 0, 1))", x="float[3, 5, 6]"),
    )


class ReplicationPad3d(_Pad):
    """Puts copies of the border on every side: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.ReplicationPad3d`.
    """

    rank = 3
    mode = "replicate"
    padding: int | tuple[int, int, int, int, int, int] = arg(
        ge=0, doc="what is put on: one number, or left, right, above, below, in front, behind"
    )

    examples = (
        Example("ReplicationPad3d(1)", x="float[N, 2, D, H, W]"),
        Example("ReplicationPad3d((1, 2, 0, 1, 1, 0))", x="float[2, 4, 5, 6]"),
    )


class CircularPad1d(_Pad):
    """Puts the other end of the input on both ends: [N, C, L] or [C, L].

    Source: `torch.nn.CircularPad1d`.
    """

    rank = 1
    mode = "circular"
    keeps = ()

    padding: int | tuple[int, int] = arg(ge=0, doc="what is put on: one number, or in front, behind")

    examples = (
        Example("CircularPad1d(1)", x="float[N, 3, L]"),
        Example("CircularPad1d((2, 1))", x="float[3, 6]"),
    )


class CircularPad2d(_Pad):
    """Puts the other end of the input on every side: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.CircularPad2d`.
    """

    rank = 2
    mode = "circular"
    keeps = ()

    padding: int | tuple[int, int, int, int] = arg(ge=0, doc="what is put on: one number, or left, right, above, below")

    examples = (
        Example("CircularPad2d(1)", x="float[N, 3, H, W]"),
        Example("CircularPad2d((1, 2, 0, 1))", x="float[3, 5, 6]"),
    )


class CircularPad3d(_Pad):
    """Puts the other end of the input on every side: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.CircularPad3d`.
    """

    rank = 3
    mode = "circular"
    keeps = ()

    padding: int | tuple[int, int, int, int, int, int] = arg(
        ge=0, doc="what is put on: one number, or left, right, above, below, in front, behind"
    )

    examples = (
        Example("CircularPad3d(1)", x="float[N, 2, D, H, W]"),
        Example("CircularPad3d((1, 2, 0, 1, 1, 0))", x="float[2, 4, 5, 6]"),
    )
