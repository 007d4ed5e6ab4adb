"""Resizing of places, and places made of channels, as functions."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Example, Function, OnnxGraph, Rules
from nnspec.layers import _resize
from nnspec.layers.upsample import ChannelShuffle, PixelShuffle, PixelUnshuffle
from nnspec.types import TensorType


class interpolate(Function):
    """Resizes the places of [N, C, L], [N, C, H, W] or [N, C, D, H, W] to a size, or by a factor.

    Source: `torch.nn.functional.interpolate`.
    """

    namespace = "F"

    keeps = ()

    size: Size | tuple[Size, ...] | None = arg(None, doc="the new size, or one for each dimension of places")
    scale_factor: float | tuple[float, ...] | None = arg(None, gt=0, doc="what the sizes are multiplied by instead")
    mode: Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "area", "nearest-exact"] = arg(
        "nearest", doc="how new places are filled; the linear ones are for 1, 2 and 3 dimensions of places"
    )
    align_corners: bool | None = arg(None, doc="whether the corners of both grids lie on each other; none: false")
    recompute_scale_factor: bool | None = arg(None, doc="go by the sizes that the factors lead to; none: false")
    antialias: bool = arg(False, doc="look at all places that a new one stands for: bilinear and bicubic")

    examples = (
        Example("interpolate(x, scale_factor=2)", x="float[N, 3, H, W]"),
        Example(
            'interpolate(x, size=[H, W], mode="bilinear", align_corners=false)', x="float[N, 3, 4, 5]", y="float[H, W]"
        ),
        Example('interpolate(x, (5, 7), mode="bilinear", align_corners=true)', x="float[N, 3, H, W]"),
        Example("interpolate(x, size=(H, 7))", x="float[N, 3, 4, 5]", y="float[H]"),
        Example('interpolate(x, scale_factor=0.5, mode="bilinear")', x="float[N, 3, 4, 6]"),
        Example('interpolate(x, 2 * L, mode="linear")', x="float[N, 3, L]"),
        Example('interpolate(x, size=(3, 8), mode="bicubic", align_corners=false)', x="float[N, 3, H, W]"),
        Example('interpolate(x, size=5, mode="nearest-exact")', x="float[N, 2, D, H, W]"),
        Example('interpolate(x, scale_factor=1.5, mode="linear", recompute_scale_factor=true)', x="float[N, 2, L]"),
        Example('interpolate(x, size=(H, 3), mode="area")', x="float[N, 2, 5, W]", y="float[H]"),
        Example('interpolate(x, scale_factor=0.5, mode="area")', x="float[N, 2, 8, 7]"),
        Example('interpolate(x, (3, 2), mode="bilinear", antialias=true)', x="float[N, 2, H, W]"),
        Example('interpolate(x, scale_factor=0.5, mode="bicubic", antialias=true)', x="float[N, 2, H, 8]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _resize.infer(self, rules, self._resize(), _resize.check(self, self._resize(), x))

    def _resize(self) -> _resize.Resize:
        return _resize.Resize(
            self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor, self.antialias
        )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return _resize.lower(g, self, self._resize(), x)


class pixel_shuffle(LayerForm):
    """Makes places of channels: [..., r * r * C, H, W] to [..., C, r * H, r * W] for `upscale_factor=r`.

    Source: `torch.nn.functional.pixel_shuffle`; Shi et al. (arXiv:1609.05158).
    """

    layer = PixelShuffle
    fields = PixelShuffle.fields

    examples = (
        Example("pixel_shuffle(x, 2)", x="float[N, 8, H, W]"),
        Example("pixel_shuffle(x, upscale_factor=2)", x="float[4, H, W]"),
    )


class pixel_unshuffle(LayerForm):
    """Makes channels of places: [..., C, r * H, r * W] to [..., r * r * C, H, W] for `downscale_factor=r`.

    Source: `torch.nn.functional.pixel_unshuffle`.
    """

    layer = PixelUnshuffle
    fields = PixelUnshuffle.fields

    examples = (
        Example("pixel_unshuffle(x, 2)", x="float[N, 3, 4, 6]"),
        Example("pixel_unshuffle(x, 2)", h="float[H]", w="float[W]", x="float[N, 3, 2 * H, 2 * W]"),
    )


class channel_shuffle(LayerForm):
    """Takes channels from `groups` groups in turn: [N, C, ...], the shape stays.

    Source: `torch.nn.functional.channel_shuffle`; Zhang et al., ShuffleNet (arXiv:1707.01083).
    """

    namespace = "torch"
    layer = ChannelShuffle
    fields = ChannelShuffle.fields

    examples = (
        Example("channel_shuffle(x, 2)", x="float[N, 6, H, W]"),
        Example("channel_shuffle(x, groups=3)", x="float[N, 6, L]"),
    )
