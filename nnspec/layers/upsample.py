"""Layers that enlarge: by resizing, and by making places of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Code, Example, Layer, OnnxGraph, Rules, ShapeError, call
from nnspec.layers import _resize
from nnspec.layers._expect import expect_rank, expect_tensor, quotient_text
from nnspec.types import TensorType


class Upsample(Layer):
    """Resizes the places of [N, C, L], [N, C, H, W] or [N, C, D, H, W] to a size, or by a factor.

    Source: `torch.nn.Upsample`.
    """

    keeps = ()

    size: int | tuple[int, ...] | None = arg(None, ge=1, doc="the new size, or one for each dimension of places")
    scale_factor: float | tuple[float, ...] | None = arg(None, gt=0, doc="what the sizes are multiplied by instead")
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"] = arg(
        "nearest", doc="how new places are filled; the linear ones are for 1, 2 and 3 dimensions of places"
    )
    align_corners: bool | None = arg(None, doc="whether the corners of both grids lie on each other; none: false")
    recompute_scale_factor: bool | None = arg(None, doc="go by the sizes that the factors lead to; none: false")

    examples = (
        Example("Upsample(scale_factor=2)", x="float[N, 3, H, W]"),
        Example('Upsample(scale_factor=2, mode="bilinear")', x="float[N, 3, H, W]"),
        Example('Upsample(size=(5, 7), mode="bilinear", align_corners=true)', x="float[N, 3, H, W]"),
        Example('Upsample(9, mode="linear")', x="float[N, 3, L]"),
        Example('Upsample(scale_factor=(1.5, 2), mode="bicubic")', x="float[N, 2, H, W]"),
        Example('Upsample(scale_factor=2, mode="trilinear")', x="float[N, 2, D, H, W]"),
        Example("Upsample((3, 4, 5))", x="float[N, 2, D, H, W]"),
        Example("Upsample(scale_factor=1.75, recompute_scale_factor=true)", x="float[N, 2, L]"),
        Example('Upsample((3, 4), mode="area")', x="float[N, 2, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        _resize.check(self, self._resize(), inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _resize.infer(self, rules, self._resize(), x)

    def _resize(self) -> _resize.Resize:
        return _resize.Resize(self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def torch(self) -> Code:
        return call("nn.Upsample", **dict(self.given()))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return _resize.lower(g, self, self._resize(), x)


class UpsamplingNearest2d(Layer):
    """Resizes images to a size or by a factor, each place a copy of the nearest: [N, C, H, W].

    Source: `torch.nn.UpsamplingNearest2d`.
    """

    keeps = ()

    size: int | tuple[int, int] | None = arg(None, ge=1, doc="the new size: one number, or height and width")
    scale_factor: float | tuple[float, float] | None = arg(None, gt=0, doc="what the sizes are multiplied by instead")

    examples = (
        Example("UpsamplingNearest2d(scale_factor=2)", x="float[N, 3, H, W]"),
        Example("UpsamplingNearest2d((5, 3))", x="float[N, 3, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], "N, C, H, W")
        _resize.check(self, self._resize(), inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _resize.infer(self, rules, self._resize(), x)

    def _resize(self) -> _resize.Resize:
        return _resize.Resize(self.size, self.scale_factor, "nearest", None)

    def torch(self) -> Code:
        return call("nn.UpsamplingNearest2d", **dict(self.given()))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return _resize.lower(g, self, self._resize(), x)


class UpsamplingBilinear2d(UpsamplingNearest2d):
    """Resizes images to a size or by a factor, between the places by a line, corners on corners: [N, C, H, W].

    Source: `torch.nn.UpsamplingBilinear2d`.
    """

    examples = (
        Example("UpsamplingBilinear2d(scale_factor=2)", x="float[N, 3, H, W]"),
        Example("UpsamplingBilinear2d((5, 3))", x="float[N, 3, H, W]"),
    )

    def _resize(self) -> _resize.Resize:
        return _resize.Resize(self.size, self.scale_factor, "bilinear", True)

    def torch(self) -> Code:
        return call("nn.UpsamplingBilinear2d", **dict(self.given()))


class PixelShuffle(Layer):
    """Makes places of channels: [..., r * r * C, H, W] to [..., C, r * H, r * W] for `upscale_factor=r`.

    Source: `torch.nn.PixelShuffle`; Shi et al., Real-time single image super-resolution (arXiv:1609.05158).
    """

    keeps = ()

    upscale_factor: int = arg(ge=1, doc="how many times wider and higher the result is")

    examples = (
        Example("PixelShuffle(2)", x="float[N, 8, H, W]"),
        Example("PixelShuffle(3)", x="int[9, H, W]"),
        Example("PixelShuffle(1)", x="float[N, C, H, W]"),
        Example("PixelShuffle(2)", x="float[N, T, 4, H, W]"),
    )

    def accept(self, *inputs: Any) -> None:
        _expect_image(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        r = self.upscale_factor
        channels = rules.exact(
            x.dims[-3],
            r * r,
            f"`{type(self).__name__}({r})` needs a multiple of {r * r} channels, but its input is {x}",
            code="NNS404",
            label=f"{quotient_text(x.dims[-3], r * r)} must be whole",
            at="upscale_factor",
        )
        return x.with_dims(*x.dims[:-3], channels, x.dims[-2] * r, x.dims[-1] * r)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        r, dims = self.upscale_factor, g.type(x).dims
        rank = len(dims)
        apart = [*dims[:-3], dims[-3] // (r * r), r, r, *dims[-2:]]
        after = [*dims[:-3], dims[-3] // (r * r), dims[-2] * r, dims[-1] * r]
        c, h, w = rank - 3, rank, rank + 1
        order = [*range(rank - 3), c, h, c + 1, w, c + 2]
        return _moved(g, x, apart, order, after)


class PixelUnshuffle(Layer):
    """Makes channels of places: [..., C, r * H, r * W] to [..., r * r * C, H, W] for `downscale_factor=r`.

    Source: `torch.nn.PixelUnshuffle`.
    """

    keeps = ()

    downscale_factor: int = arg(ge=1, doc="how many times narrower and lower the result is")

    examples = (
        Example("PixelUnshuffle(2)", x="float[N, 3, 4, 6]"),
        Example("PixelUnshuffle(3)", x="int[2, 3, 9]"),
        Example("PixelUnshuffle(2)", x="float[N, T, C, 2, 4]"),
    )

    def accept(self, *inputs: Any) -> None:
        _expect_image(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        r = self.downscale_factor
        sizes = [
            rules.exact(
                size,
                r,
                f"`{type(self).__name__}({r})` needs a {axis} that is a multiple of {r}, not {show(size)}",
                code="NNS404",
                label=f"{quotient_text(size, r)} must be whole",
                at="downscale_factor",
            )
            for axis, size in zip(("height", "width"), x.dims[-2:], strict=True)
        ]
        return x.with_dims(*x.dims[:-3], x.dims[-3] * r * r, *sizes)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        r, dims = self.downscale_factor, g.type(x).dims
        rank = len(dims)
        c = rank - 3
        height, width = dims[-2] // r, dims[-1] // r
        order = [*range(c), c, c + 2, c + 4, c + 1, c + 3]
        return _moved(g, x, [*dims[:-2], height, r, width, r], order, [*dims[:-3], dims[-3] * r * r, height, width])


class ChannelShuffle(Layer):
    """Takes channels from `groups` groups in turn, so that grouped convolutions mix: [N, C, ...], the shape stays.

    Source: `torch.nn.ChannelShuffle`; Zhang et al., ShuffleNet (arXiv:1707.01083).
    """

    keeps = ()

    groups: int = arg(ge=1, doc="how many groups the channels fall into")

    examples = (
        Example("ChannelShuffle(2)", x="float[N, 6, H, W]"),
        Example("ChannelShuffle(3)", x="float[N, 6, L]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_tensor(self, inputs[0])
        if x.rank < 3:
            raise ShapeError(
                f"`{type(self).__name__}` needs at least 3 dimensions, [N, C, L], but its input is {x}",
                code="NNS402",
                input=0,
            )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        rules.exact(
            x.dims[1],
            self.groups,
            f"`{type(self).__name__}({self.groups})` needs a multiple of {self.groups} channels, but its input is {x}",
            code="NNS404",
            label=f"{quotient_text(x.dims[1], self.groups)} must be whole",
            at="groups",
        )
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dims = g.type(x).dims
        apart = [dims[0], self.groups, dims[1] // self.groups, *dims[2:]]
        return _moved(g, x, apart, [0, 2, 1, *range(3, len(apart))], dims)


def _expect_image(layer: Layer, operand: Any) -> None:
    """Channels and places, behind any number of dimensions."""
    x = expect_tensor(layer, operand)
    if x.rank < 3:
        raise ShapeError(
            f"`{type(layer).__name__}` needs at least 3 dimensions, [..., C, H, W], but its input is {x}",
            code="NNS402",
            input=0,
        )


def _moved(g: OnnxGraph, x: str, apart: Sequence[Size], order: list[int], after: Sequence[Size]) -> str:
    """Dimensions taken apart, put in another order, and joined again."""
    y = g.node("Transpose", g.node("Reshape", x, g.shape(apart)), perm=order)
    return str(g.node("Reshape", y, g.shape(after)))
