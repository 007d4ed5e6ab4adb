"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg, inferred
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layer_inference import Absorbing
from nnspec.layers._expect import expect_divisor, expect_rank, expect_sizes, expect_weight_type, volume
from nnspec.layers._lowering import batched, pad
from nnspec.layers._window import AXES, BATCHED, UNBATCHED, each
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Part


class _ConvTranspose(Layer):
    """What transposed convolutions over one, two and three dimensions share."""

    rank: ClassVar[int]
    scalars = ("output_size",)

    in_channels: int = inferred(axis=0)
    out_channels: int = arg(ge=1, doc="number of channels of the output")
    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the kernel")
    stride: int | tuple[int, ...] = arg(1, ge=1, doc="how far apart the input's elements are put")
    padding: int | tuple[int, ...] = arg(0, ge=0, doc="what is cut off on every side")
    output_padding: int | tuple[int, ...] = arg(0, ge=0, doc="what is added behind the output")
    groups: int = arg(1, ge=1, doc="number of groups of channels that do not mix")
    bias: bool = arg(True, doc="add a learned offset to each channel")
    dilation: int | tuple[int, ...] = arg(1, ge=1, doc="spacing of the kernel's elements")

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_weight_type(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType, output_size: Any = None) -> TensorType:
        expect_divisor(self, "in_channels", self.in_channels, "groups", self.groups, at="groups")
        expect_divisor(self, "out_channels", self.out_channels, "groups", self.groups, at="groups")
        wanted = expect_sizes(self, output_size, 1)
        sizes = self._sizes(rules, x) if wanted is None else self._checked(rules, x, wanted)
        return x.with_dims(*x.dims[: -self.rank - 1], self.out_channels, *map(rules.simplify, sizes))

    def _sizes(self, rules: Rules, x: TensorType) -> list[Size]:
        """The sizes of the output where none are asked for."""
        sizes = []
        columns = (self.stride, self.padding, self.dilation, self.output_padding)
        rows = zip(AXES[self.rank], x.dims[-self.rank :], self._least(x), *self._each(*columns), strict=True)
        for axis, size, least, stride, padding, dilation, extra in rows:
            if extra >= max(stride, dilation):
                raise ShapeError(
                    f"output_padding {extra} must be smaller than stride {stride} or dilation {dilation}",
                    code="NNS304",
                    at="output_padding",
                )
            result = least + extra
            rules.require_at_least(
                result,
                1,
                f"padding {padding} leaves nothing of an input of {axis} {show(size)}: the output has {show(result)}",
                code="NNS403",
                at="padding",
            )
            sizes.append(result)
        return sizes

    def _each(self, *columns: Any) -> list[tuple[int, ...]]:
        return [each(column, self.rank) for column in columns]

    def _least(self, x: TensorType) -> list[Size]:
        """The sizes of the output where nothing is added behind it."""
        columns = self._each(self.kernel_size, self.stride, self.padding, self.dilation)
        return [
            (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for size, kernel, stride, padding, dilation in zip(x.dims[-self.rank :], *columns, strict=True)
        ]

    def _checked(self, rules: Rules, x: TensorType, wanted: Sequence[Size]) -> list[Size]:
        """The sizes that are asked for: there are as many to choose from as the stride has elements."""
        name = type(self).__name__
        if len(wanted) not in (self.rank, x.rank):
            message = f"`{name}` needs an output_size of {self.rank} numbers, not of {len(wanted)}"
            raise ShapeError(message, code="NNS402", input=1)
        chosen = list(wanted[-self.rank :])
        columns = (x.dims[-self.rank :], chosen, self._least(x), *self._each(self.stride))
        for axis, size, want, least, stride in zip(AXES[self.rank], *columns, strict=True):
            message = f"`{name}` with stride {stride} makes no {axis} of {show(want)} from one of {show(size)}"
            span = f"from {show(least)} to {show(least + stride - 1)}" if stride > 1 else show(least)
            for larger, smaller in ((want, least), (least + stride - 1, want), (want, 1)):
                rules.require_at_least(larger, smaller, message, code="NNS411", label=f"must be {span}", input=1)
        return chosen

    def weights(self) -> dict[str, Weight]:
        kernel = each(self.kernel_size, self.rank)
        weights = {"weight": Weight((self.in_channels, self.out_channels // self.groups, *kernel))}
        if self.bias:
            weights["bias"] = Weight((self.out_channels,))
        return weights

    def absorbing(self, rank: int) -> Absorbing | None:
        return Absorbing(self.replace(bias=True), self._absorbed) if rank == self.rank + 2 else None

    def _absorbed(self, part: Part, scale: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
        weight = part("weight")
        # The output's channels are counted within each group: [groups, in, out, ...].
        grouped = weight.reshape(self.groups, -1, *weight.shape[1:]).astype("float64")
        scales = scale.reshape(self.groups, 1, -1, *[1] * self.rank)
        bias = scale * part("bias") + offset if self.bias else offset
        return {"weight": (grouped * scales).reshape(weight.shape), "bias": bias}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        (x, *_) = inputs
        assert isinstance(x, TensorType)
        return volume(x.dims) * (self.out_channels // self.groups) * volume(each(self.kernel_size, self.rank))

    def onnx(self, g: OnnxGraph, x: str, output_size: tuple[Size, ...] | None = None) -> Any:
        if output_size is None:
            return self._lower(g, x, each(self.output_padding, self.rank))
        wanted = output_size[-self.rank :]
        extra = [want - least for want, least in zip(wanted, self._least(g.type(x)), strict=True)]
        numbers = [size for size in extra if isinstance(size, int)]
        if len(numbers) == self.rank:
            return self._lower(g, x, numbers)
        # All that a stride can add, less what is too much.
        y = self._lower(g, x, [stride - 1 for stride in each(self.stride, self.rank)])
        axes = list(range(-self.rank, 0))
        return g.node("Slice", y, g.constant([0] * self.rank), g.shape(wanted), g.constant(axes))

    def _lower(self, g: OnnxGraph, x: str, extra: Sequence[int]) -> str:
        """The layer with this output padding."""
        x, unbatched = batched(g, x, self.rank + 2)
        strides, before = (each(column, self.rank) for column in (self.stride, self.padding))
        # Runtimes take an output padding below the stride only; a larger one is less cut off at the end, or zeros.
        inside = [e if e < s else 0 for e, s in zip(extra, strides, strict=True)]
        left = [p - e + i for p, e, i in zip(before, extra, inside, strict=True)]
        behind = [max(0, -n) for n in left]
        bias = g.weight("bias") if self.bias else None
        y = g.node(
            "ConvTranspose",
            x,
            g.weight("weight"),
            None if any(behind) else bias,
            kernel_shape=list(each(self.kernel_size, self.rank)),
            strides=list(strides),
            dilations=list(each(self.dilation, self.rank)),
            pads=[*before, *(max(0, n) for n in left)],
            output_padding=inside,
            group=self.groups,
        )
        if any(behind):
            y = pad(g, y, [0] * self.rank, behind, "zeros")
            y = g.node("Add", y, g.node("Reshape", bias, g.constant([-1, *[1] * self.rank]))) if bias else y
        return unbatched(y)


class ConvTranspose1d(_ConvTranspose):
    """A transposed convolution, the gradient of `Conv1d`, which enlarges: [N, C, L] or [C, L].

    The length becomes `(L - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`.
    Of those that the stride leaves open, `(x, output_size=[L]) -> ConvTranspose1d(...)` names one.
    Source: `torch.nn.ConvTranspose1d`; Dumoulin and Visin (arXiv:1603.07285).
    """

    rank = 1
    in_channels: int = inferred(axis=-2)
    kernel_size: int | tuple[int] = arg(ge=1, doc="size of the kernel")
    stride: int | tuple[int] = arg(1, ge=1, doc="how far apart the input's elements are put")
    padding: int | tuple[int] = arg(0, ge=0, doc="what is cut off at both ends")
    output_padding: int | tuple[int] = arg(0, ge=0, doc="what is added behind the output")
    dilation: int | tuple[int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("ConvTranspose1d(4, 2, stride=2)", x="float[N, 6, L]"),
        Example("ConvTranspose1d(4, 3, stride=2, padding=1, output_padding=1, bias=false)", x="float[N, 6, L]"),
        Example("ConvTranspose1d(2, 3, dilation=2)", x="float[3, L]"),
    )


class ConvTranspose2d(_ConvTranspose):
    """A transposed convolution, the gradient of `Conv2d`, which enlarges: [N, C, H, W] or [C, H, W].

    Each dimension becomes `(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`.
    Of those that the stride leaves open, `(x, output_size=[H, W]) -> ConvTranspose2d(...)` names one.
    Source: `torch.nn.ConvTranspose2d`; Dumoulin and Visin (arXiv:1603.07285).
    """

    rank = 2
    in_channels: int = inferred(axis=-3)
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the kernel: one number, or height and width")
    stride: int | tuple[int, int] = arg(1, ge=1, doc="how far apart the input's elements are put")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="what is cut off on every side")
    output_padding: int | tuple[int, int] = arg(0, ge=0, doc="what is added below and on the right of the output")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("ConvTranspose2d(4, 2, stride=2)", x="float[N, 6, H, W]"),
        Example("ConvTranspose2d(4, 3, stride=2, padding=1, output_padding=1)", x="float[N, 6, H, W]"),
        Example("ConvTranspose2d(6, (3, 5), (2, 3), (1, 0), (0, 2), bias=false)", x="float[N, 4, H, W]"),
        Example("ConvTranspose2d(2, 3, dilation=2, padding=1, output_padding=1)", x="float[N, 3, 5, 5]"),
        Example("ConvTranspose2d(2, 3, padding=1)", x="float[3, H, W]"),
    )


class ConvTranspose3d(_ConvTranspose):
    """A transposed convolution, the gradient of `Conv3d`, which enlarges: [N, C, D, H, W] or [C, D, H, W].

    Each dimension becomes `(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`.
    Of those that the stride leaves open, `(x, output_size=[D, H, W]) -> ConvTranspose3d(...)` names one.
    Source: `torch.nn.ConvTranspose3d`; Dumoulin and Visin (arXiv:1603.07285).
    """

    rank = 3
    in_channels: int = inferred(axis=-4)
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the kernel: one number, or one for each dimension")
    stride: int | tuple[int, int, int] = arg(1, ge=1, doc="how far apart the input's elements are put")
    padding: int | tuple[int, int, int] = arg(0, ge=0, doc="what is cut off on every side")
    output_padding: int | tuple[int, int, int] = arg(0, ge=0, doc="what is added behind the output")
    dilation: int | tuple[int, int, int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("ConvTranspose3d(4, 2, stride=2)", x="float[N, 2, D, H, W]"),
        Example("ConvTranspose3d(2, (1, 2, 3), padding=(0, 0, 1), bias=false)", x="float[N, 2, D, H, W]"),
        Example("ConvTranspose3d(2, 2)", x="float[3, 2, 3, 2]"),
    )
