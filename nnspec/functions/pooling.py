"""Pools as functions."""

from __future__ import annotations

from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Example
from nnspec.layers.adaptive_pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from nnspec.layers.pool import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d


class max_pool1d(LayerForm):
    """The maximum over windows of one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.functional.max_pool1d`.
    """

    layer = MaxPool1d
    fields = MaxPool1d.fields

    examples = (
        Example("max_pool1d(x, 2)", x="float[N, 3, 8]"),
        Example("max_pool1d(x, 3, stride=2, padding=1)", x="float[N, 3, L]"),
    )


class max_pool2d(LayerForm):
    """The maximum over windows of two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.max_pool2d`.
    """

    layer = MaxPool2d
    fields = MaxPool2d.fields

    examples = (
        Example("max_pool2d(x, 2)", x="float[N, 3, 8, 8]"),
        Example("max_pool2d(x, 3, stride=2, padding=1)", x="float[N, 3, H, W]"),
        Example("max_pool2d(x, (3, 2), 2, ceil_mode=true)", x="float[3, H, W]"),
    )


class max_pool3d(LayerForm):
    """The maximum over windows of three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.max_pool3d`.
    """

    layer = MaxPool3d
    fields = MaxPool3d.fields

    examples = (
        Example("max_pool3d(x, 2)", x="float[N, 3, 4, 8, 8]"),
        Example("max_pool3d(x, 3, stride=2, padding=1)", x="float[2, D, H, W]"),
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
    )
