"""Activations made of straight pieces, as functions."""

from __future__ import annotations

from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Example
from nnspec.layers.piecewise import Hardshrink, Hardsigmoid, Hardtanh, ReLU6, Softshrink, Threshold


class relu6(LayerForm):
    """`clamp(x, 0, 6)`.

    Source: `torch.nn.functional.relu6`.
    """

    layer = ReLU6

    examples = (
        Example("relu6(x)", x="float[N, 8]"),
        Example("relu6(x)", x="float[N, 8, H, W]"),
    )


class hardtanh(LayerForm):
    """`clamp(x, min_val, max_val)`.

    Source: `torch.nn.functional.hardtanh`.
    """

    layer = Hardtanh
    fields = Hardtanh.fields

    examples = (
        Example("hardtanh(x)", x="float[N, 8]"),
        Example("hardtanh(x, 0, max_val=20)", x="float[N, T, 8]"),
    )


class hardsigmoid(LayerForm):
    """`clamp(x + 3, 0, 6) / 6`, a cheap cousin of `sigmoid`.

    Source: `torch.nn.functional.hardsigmoid`.
    """

    layer = Hardsigmoid

    examples = (
        Example("hardsigmoid(x)", x="float[N, 8]"),
        Example("hardsigmoid(x)", x="float[N, T, 8]"),
    )


class hardshrink(LayerForm):
    """`x` where it is beyond `lambd` on either side, 0 between.

    Source: `torch.nn.functional.hardshrink`.
    """

    layer = Hardshrink
    fields = Hardshrink.fields

    examples = (
        Example("hardshrink(x)", x="float[N, 8]"),
        Example("hardshrink(x, 1)", x="float[N, T, 8]"),
    )


class softshrink(LayerForm):
    """`x` drawn towards 0 by `lambd`, and 0 where it is nearer than that.

    Source: `torch.nn.functional.softshrink`.
    """

    layer = Softshrink
    fields = Softshrink.fields

    examples = (
        Example("softshrink(x)", x="float[N, 8]"),
        Example("softshrink(x, lambd=1)", x="float[N, T, 8]"),
    )


class threshold(LayerForm):
    """`x` where it is above the threshold, `value` elsewhere.

    Source: `torch.nn.functional.threshold`.
    """

    layer = Threshold
    fields = Threshold.fields

    examples = (
        Example("threshold(x, 0.1, 20)", x="float[N, 8]"),
        Example("threshold(x, threshold=0, value=-1)", x="float[N, T, 8]"),
    )
