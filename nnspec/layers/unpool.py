"""Pools turned round: maxima are put back where `MaxPool` and `AdaptiveMaxPool` found them, with zeros around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Operation, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_rank, expect_sizes, expect_tensor, volume
from nnspec.layers._lowering import batched
from nnspec.layers._window import AXES, BATCHED, UNBATCHED, each
from nnspec.types import TensorType, show_dtype


class MaxUnpool:
    """What the layers and functions share: sizes, the rule, and the ONNX form."""

    __slots__ = ("columns", "operation", "rank")

    def __init__(self, operation: Operation, rank: int, kernel: Any, stride: Any, padding: Any) -> None:
        self.operation = operation
        self.rank = rank
        self.columns = tuple(each(c, rank) for c in (kernel, kernel if stride is None else stride, padding))

    def accept(self, operand: Any, places: Any) -> None:
        """Refuse what are no values with places of their own."""
        x = expect_float(self.operation, operand)
        expect_rank(self.operation, x, BATCHED[self.rank], UNBATCHED[self.rank])
        name = type(self.operation).__name__
        indices = expect_tensor(self.operation, places, 1)
        if indices.dtype != "int64" or indices.rank != x.rank:
            raise ShapeError(
                f"`{name}` needs an index of type int for each element of {x}, but the indices are {indices}",
                code="NNS406" if indices.rank == x.rank else "NNS402",
                label=f"is of type {show_dtype(indices.dtype)}" if indices.dtype != "int64" else "",
                input=1,
                helps=(f"`y, indices = x -> MaxPool{self.rank}d(2, return_indices=true)` gives both",),
            )

    def infer(
        self, rules: Rules, x: TensorType, indices: TensorType, wanted: Sequence[Size] | None, **at: Any
    ) -> TensorType:
        """The type of the result; `at` says where the wanted sizes were given."""
        name = type(self.operation).__name__
        for axis, (a, b) in enumerate(zip(x.dims, indices.dims, strict=True)):
            message = f"`{name}` needs an index for each element of {x}, but the indices are {indices}"
            rules.require_equal(a, b, message, label=f"{show(b)} in dimension {axis}", input=1)
        sizes = self.sizes(x)
        if wanted is None:
            for axis_name, size in zip(AXES[self.rank], sizes, strict=True):
                message = f"padding leaves nothing of the {axis_name} of {x}: it becomes {show(size)}"
                rules.require_at_least(size, 1, message, code="NNS403", at="padding")
        else:
            sizes = self._checked(rules, x, sizes, wanted, at)
        return x.with_dims(*x.dims[: -self.rank], *map(rules.simplify, sizes))

    def sizes(self, x: TensorType) -> list[Size]:
        """The least sizes that a pool would have made these of, in all dimensions of places."""
        rows = zip(x.dims[-self.rank :], *self.columns, strict=True)
        return [(size - 1) * stride - 2 * padding + kernel for size, kernel, stride, padding in rows]

    def _checked(
        self, rules: Rules, x: TensorType, sizes: list[Size], wanted: Sequence[Size], at: dict[str, Any]
    ) -> list[Size]:
        name = type(self.operation).__name__
        if len(wanted) not in (self.rank, self.rank + 2):
            message = f"`{name}` needs an output_size of {self.rank} numbers, not of {len(wanted)}"
            raise ShapeError(message, code="NNS402", **at)
        chosen = list(wanted[-self.rank :])
        for axis, want, size, stride in zip(AXES[self.rank], chosen, sizes, self.columns[1], strict=True):
            message = f"no pool makes {x} of a {axis} of {show(want)}"
            low, high = size - stride + 1, size + stride - 1
            label = f"must be from {show(low)} to {show(high)}" if stride > 1 else f"must be {show(size)}"
            rules.require_at_least(want, low, message, code="NNS411", label=label, **at)
            rules.require_at_least(high, want, message, code="NNS411", label=label, **at)
            rules.require_at_least(want, 1, message, code="NNS411", label="must be at least 1", **at)
        return chosen

    def lower(self, g: OnnxGraph, x: str, indices: str, wanted: Sequence[Size] | None) -> str:
        """Values scattered over planes of zeros."""
        kind = g.type(x)
        sizes = self.sizes(kind) if wanted is None else list(wanted[-self.rank :])
        y, unbatched = batched(g, x, self.rank + 2)
        places, _ = batched(g, indices, self.rank + 2)
        flat = g.constant([0, 0, -1])
        lead = kind.dims[: -self.rank] if kind.rank > self.rank + 1 else (1, kind.dims[0])
        zeros = g.node("Expand", g.constant(0.0, kind.dtype), g.shape([*lead, volume(sizes)]))
        rows = (g.node("Reshape", places, flat), g.node("Reshape", y, flat))
        filled = g.node("ScatterElements", zeros, *rows, axis=2)
        return unbatched(g.node("Reshape", filled, g.shape([*lead, *sizes])))


class _MaxUnpool(Layer):
    rank: ClassVar[int]
    scalars = ("output_size",)

    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the pool's window")
    stride: int | tuple[int, ...] | None = arg(None, ge=1, doc="step of the pool's window; none: the window's size")
    padding: int | tuple[int, ...] = arg(0, ge=0, doc="what the pool added on every side")

    def accept(self, *inputs: Any) -> None:
        self._unpool().accept(*inputs[:2])

    def infer(self, rules: Rules, x: TensorType, indices: TensorType, output_size: Any = None) -> TensorType:
        return self._unpool().infer(rules, x, indices, expect_sizes(self, output_size, 2), input=2)

    def _unpool(self) -> MaxUnpool:
        return MaxUnpool(self, self.rank, self.kernel_size, self.stride, self.padding)

    def onnx(self, g: OnnxGraph, x: str, indices: str, output_size: Any = None) -> Any:
        return self._unpool().lower(g, x, indices, output_size)


class MaxUnpool1d(_MaxUnpool):
    """Puts maxima back where `MaxPool1d(..., return_indices=true)` found them: [N, C, L] or [C, L].

    The length becomes `(L - 1) * stride - 2 * padding + kernel_size`; of those that the pool would have made this of,
    `output_size=[...]` flows in to name another one. Source: `torch.nn.MaxUnpool1d`.
    """

    rank = 1
    kernel_size: int | tuple[int] = arg(ge=1, doc="size of the pool's window")
    stride: int | tuple[int] | None = arg(None, ge=1, doc="step of the pool's window; none: the window's size")
    padding: int | tuple[int] = arg(0, ge=0, doc="what the pool added at both ends")

    examples = (
        Example("MaxUnpool1d(2)", x="float[N, 3, 1]", indices="int[N, 3, 1]"),
        Example("MaxUnpool1d(4, stride=3, padding=1)", x="float[3, 1]", indices="int[3, 1]"),
    )


class MaxUnpool2d(_MaxUnpool):
    """Puts maxima back where `MaxPool2d(..., return_indices=true)` found them: [N, C, H, W] or [C, H, W].

    Each size becomes `(size - 1) * stride - 2 * padding + kernel_size`; of those that the pool would have made this of,
    `(y, indices, output_size=[H, W]) -> MaxUnpool2d(2)` names another one.
    Source: `torch.nn.MaxUnpool2d`; Zeiler and Fergus (arXiv:1311.2901).
    """

    rank = 2
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the pool's window: one number, or height and width")
    stride: int | tuple[int, int] | None = arg(None, ge=1, doc="step of the pool's window; none: the window's size")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="what the pool added on every side")

    examples = (
        Example("MaxUnpool2d(2)", x="float[N, 3, 1, 1]", indices="int[N, 3, 1, 1]"),
        Example("MaxUnpool2d((2, 3), stride=(1, 2), padding=(0, 1))", x="float[C, 1, 1]", indices="int[C, 1, 1]"),
    )


class MaxUnpool3d(_MaxUnpool):
    """Puts maxima back where `MaxPool3d(..., return_indices=true)` found them: [N, C, D, H, W] or [C, D, H, W].

    Each size becomes `(size - 1) * stride - 2 * padding + kernel_size`; of those that the pool would have made this of,
    `output_size=[...]` flows in to name another one. Source: `torch.nn.MaxUnpool3d`.
    """

    rank = 3
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the pool's window: one number, or one for each")
    stride: int | tuple[int, int, int] | None = arg(
        None, ge=1, doc="step of the pool's window; none: the window's size"
    )
    padding: int | tuple[int, int, int] = arg(0, ge=0, doc="what the pool added on every side")

    examples = (
        Example("MaxUnpool3d(2)", x="float[N, 3, 1, 1, 1]", indices="int[N, 3, 1, 1, 1]"),
        Example("MaxUnpool3d((1, 2, 2), stride=2)", x="float[3, 1, 1, 1]", indices="int[3, 1, 1, 1]"),
    )
