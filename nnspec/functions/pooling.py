"""Pools as functions."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.functions._layer_form import LayerForm, in_order
from nnspec.layer import Example
from nnspec.layers.adaptive_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from nnspec.layers.fractional_pool import FractionalMaxPool2d, FractionalMaxPool3d
from nnspec.layers.lp_pool import LPPool1d, LPPool2d, LPPool3d
from nnspec.layers.pool import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d


class max_pool1d(LayerForm):
    """The maximum over windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.functional.max_pool1d`.
    """

    layer = MaxPool1d
    fields = in_order(MaxPool1d, "ceil_mode", "return_indices")

    examples = (
        Example("max_pool1d(x, 2)", x="float[N, 3, 8]"),
        Example("max_pool1d(x, 3, stride=2, padding=1)", x="float[N, 3, L]"),
        Example("max_pool1d(x, 2, return_indices=true)", x="float[N, 3, L]"),
    )


class max_pool2d(LayerForm):
    """The maximum over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.max_pool2d`.
    """

    layer = MaxPool2d
    fields = in_order(MaxPool2d, "ceil_mode", "return_indices")

    examples = (
        Example("max_pool2d(x, 2)", x="float[N, 3, 8, 8]"),
        Example("max_pool2d(x, 3, stride=2, padding=1)", x="float[N, 3, H, W]"),
        Example("max_pool2d(x, (3, 2), 2, ceil_mode=true)", x="float[3, H, W]"),
        Example("max_pool2d(x, (3, 2), return_indices=true)", x="float[N, 3, H, W]"),
    )


class max_pool3d(LayerForm):
    """The maximum over windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.max_pool3d`.
    """

    layer = MaxPool3d
    fields = in_order(MaxPool3d, "ceil_mode", "return_indices")

    examples = (
        Example("max_pool3d(x, 2)", x="float[N, 3, 4, 8, 8]"),
        Example("max_pool3d(x, 3, stride=2, padding=1)", x="float[2, D, H, W]"),
        Example("max_pool3d(x, 2, return_indices=true)", x="float[N, 2, D, H, W]"),
    )


class avg_pool1d(LayerForm):
    """The mean over windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.functional.avg_pool1d`.
    """

    layer = AvgPool1d
    fields = AvgPool1d.fields

    examples = (
        Example("avg_pool1d(x, 2)", x="float[N, 3, 8]"),
        Example("avg_pool1d(x, 3, stride=1, padding=1)", x="float[N, 3, L]"),
    )


class avg_pool2d(LayerForm):
    """The mean over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.avg_pool2d`.
    """

    layer = AvgPool2d
    fields = AvgPool2d.fields

    examples = (
        Example("avg_pool2d(x, 2)", x="float[N, 3, 8, 8]"),
        Example("avg_pool2d(x, kernel_size=3, stride=1, padding=1)", x="float[N, 3, H, W]"),
        Example("avg_pool2d(x, 2, divisor_override=3)", x="float[3, H, W]"),
    )


class avg_pool3d(LayerForm):
    """The mean over windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.avg_pool3d`.
    """

    layer = AvgPool3d
    fields = AvgPool3d.fields

    examples = (
        Example("avg_pool3d(x, 2)", x="float[N, 3, 4, 8, 8]"),
        Example("avg_pool3d(x, 3, stride=2, padding=1)", x="float[2, D, H, W]"),
    )


class adaptive_avg_pool1d(LayerForm):
    """The mean over as many windows as the output has places: [N, C, L] or [C, L].

    Source: `torch.nn.functional.adaptive_avg_pool1d`.
    """

    layer = AdaptiveAvgPool1d
    fields = AdaptiveAvgPool1d.fields

    examples = (
        Example("adaptive_avg_pool1d(x, 1)", x="float[N, 3, L]"),
        Example("adaptive_avg_pool1d(x, 2)", x="float[3, L]"),
    )


class adaptive_avg_pool2d(LayerForm):
    """The mean over as many windows as the output has places: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.adaptive_avg_pool2d`.
    """

    layer = AdaptiveAvgPool2d
    fields = AdaptiveAvgPool2d.fields

    examples = (
        Example("adaptive_avg_pool2d(x, 1)", x="float[N, 3, H, W]"),
        Example("adaptive_avg_pool2d(x, (none, 3))", x="float[3, H, W]"),
    )


class adaptive_avg_pool3d(LayerForm):
    """The mean over as many windows as the output has places: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.adaptive_avg_pool3d`.
    """

    layer = AdaptiveAvgPool3d
    fields = AdaptiveAvgPool3d.fields

    examples = (
        Example("adaptive_avg_pool3d(x, 1)", x="float[N, 3, D, H, W]"),
        Example("adaptive_avg_pool3d(x, (2, none, 3))", x="float[3, D, H, W]"),
    )


class adaptive_max_pool1d(LayerForm):
    """The maximum over as many windows as the output has places: [N, C, L] or [C, L].

    Source: `torch.nn.functional.adaptive_max_pool1d`.
    """

    layer = AdaptiveMaxPool1d
    fields = AdaptiveMaxPool1d.fields

    examples = (
        Example("adaptive_max_pool1d(x, 1)", x="float[N, 3, L]"),
        Example("adaptive_max_pool1d(x, 2)", x="float[3, L]"),
        Example("adaptive_max_pool1d(x, 2, return_indices=true)", x="float[N, 3, L]"),
    )


class adaptive_max_pool2d(LayerForm):
    """The maximum over as many windows as the output has places: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.adaptive_max_pool2d`.
    """

    layer = AdaptiveMaxPool2d
    fields = AdaptiveMaxPool2d.fields

    examples = (
        Example("adaptive_max_pool2d(x, 1)", x="float[N, 3, H, W]"),
        Example("adaptive_max_pool2d(x, (none, 3))", x="float[3, H, W]"),
        Example("adaptive_max_pool2d(x, 2, return_indices=true)", x="float[N, 3, H, W]"),
    )


class adaptive_max_pool3d(LayerForm):
    """The maximum over as many windows as the output has places: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.adaptive_max_pool3d`.
    """

    layer = AdaptiveMaxPool3d
    fields = AdaptiveMaxPool3d.fields

    examples = (
        Example("adaptive_max_pool3d(x, 1)", x="float[N, 3, D, H, W]"),
        Example("adaptive_max_pool3d(x, (2, none, 3))", x="float[3, D, H, W]"),
        Example("adaptive_max_pool3d(x, 2, return_indices=true)", x="float[N, 3, D, H, W]"),
    )


class lp_pool1d(LayerForm):
    """The p-norm of windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.functional.lp_pool1d`.
    """

    layer = LPPool1d
    fields = LPPool1d.fields

    examples = (
        Example("lp_pool1d(x, 2, 2)", x="float[N, 3, L]"),
        Example("lp_pool1d(x, 1, 3, stride=2, ceil_mode=true)", x="float[3, 7]"),
    )


class lp_pool2d(LayerForm):
    """The p-norm of windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.lp_pool2d`.
    """

    layer = LPPool2d
    fields = LPPool2d.fields

    examples = (
        Example("lp_pool2d(x, 2, 2)", x="float[N, 3, H, W]"),
        Example("lp_pool2d(x, 2.0, (3, 2), stride=(2, 1))", x="float[3, 6, 5]"),
    )


class lp_pool3d(LayerForm):
    """The p-norm of windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.lp_pool3d`.
    """

    layer = LPPool3d
    fields = LPPool3d.fields

    examples = (
        Example("lp_pool3d(x, 2, 2)", x="float[N, 3, D, 4, 5]"),
        Example("lp_pool3d(x, 2, (1, 2, 2), 2)", x="float[2, 3, 4, 4]"),
    )


class _FractionalMaxPool(LayerForm):
    draws = True
    rank: ClassVar[int]

    def options(self) -> dict[str, Any]:
        """As elsewhere, but for a ratio: unlike its layer, torch's function takes no number for all dimensions."""
        options = super().options()
        ratio = options.get("output_ratio")
        return options | {"output_ratio": (ratio,) * self.rank} if isinstance(ratio, float) else options


class fractional_max_pool2d(_FractionalMaxPool):
    """The maximum over windows that lie at random: [N, C, H, W] or [C, H, W]; drawn anew at each call.

    Source: `torch.nn.functional.fractional_max_pool2d`; Graham, Fractional max-pooling (arXiv:1412.6071).
    """

    rank = 2
    layer = FractionalMaxPool2d
    fields = FractionalMaxPool2d.fields

    examples = (
        Example("fractional_max_pool2d(x, 2, (3, 4))", x="float[N, 3, H, W]", onnx=False),
        Example("fractional_max_pool2d(x, 2, output_ratio=0.5, return_indices=true)", x="float[3, H, 6]", onnx=False),
    )


class fractional_max_pool3d(_FractionalMaxPool):
    """The maximum over windows that lie at random: [N, C, D, H, W] or [C, D, H, W]; drawn anew at each call.

    Source: `torch.nn.functional.fractional_max_pool3d`; Graham, Fractional max-pooling (arXiv:1412.6071).
    """

    rank = 3
    layer = FractionalMaxPool3d
    fields = FractionalMaxPool3d.fields

    examples = (
        Example("fractional_max_pool3d(x, 2, output_size=3)", x="float[N, 3, D, H, W]", onnx=False),
        Example("fractional_max_pool3d(x, (1, 2, 2), output_ratio=0.5)", x="float[2, D, 6, 6]", onnx=False),
    )
