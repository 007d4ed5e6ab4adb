"""Random zeros while training, as functions: they follow the mode of the module that they are in."""

from __future__ import annotations

from typing import Any

from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Code, Example, Ref, call
from nnspec.layers.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout


class _Dropout(LayerForm):
    """What all forms share: torch's argument `training` is the module's own."""

    def torch(self, *inputs: Any) -> Code:
        p = tuple(value for name, value in self.given() if name == "p")
        return call(f"F.{type(self).__name__}", *inputs, *p, training=Ref("self.training"))


class dropout(_Dropout):
    """Zeroes elements with probability `p` while training, and scales the others by `1 / (1 - p)`: any shape.

    Source: `torch.nn.functional.dropout`.
    """

    layer = Dropout
    fields = Dropout.fields

    examples = (
        Example("dropout(x)", x="float[N, 8]"),
        Example("dropout(x, 0.1)", x="float[N, T, 8]"),
    )


class dropout1d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, L] or [C, L].

    Source: `torch.nn.functional.dropout1d`.
    """

    layer = Dropout1d
    fields = Dropout1d.fields

    examples = (
        Example("dropout1d(x)", x="float[N, 4, L]"),
        Example("dropout1d(x, p=0.1)", x="float[4, L]"),
    )


class dropout2d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, H, W].

    Source: `torch.nn.functional.dropout2d`.
    """

    layer = Dropout2d
    fields = Dropout2d.fields

    examples = (
        Example("dropout2d(x)", x="float[N, 4, H, W]"),
        Example("dropout2d(x, p=0.1)", x="float[N, 4, 5, 5]"),
    )


class dropout3d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.dropout3d`.
    """

    layer = Dropout3d
    fields = Dropout3d.fields

    examples = (
        Example("dropout3d(x)", x="float[N, 4, D, H, W]"),
        Example("dropout3d(x, p=0.1)", x="float[4, 3, 3, 3]"),
    )


class alpha_dropout(_Dropout):
    """Sets elements to the lowest value of `selu` with probability `p` while training.

    Source: `torch.nn.functional.alpha_dropout`.
    """

    layer = AlphaDropout
    fields = AlphaDropout.fields

    examples = (
        Example("alpha_dropout(x)", x="float[N, 8]"),
        Example("alpha_dropout(x, 0.1)", x="float[N, T, 8]"),
    )


class feature_alpha_dropout(_Dropout):
    """Sets whole channels to the lowest value of `selu` with probability `p` while training: [N, C, ...].

    Source: `torch.nn.functional.feature_alpha_dropout`.
    """

    layer = FeatureAlphaDropout
    fields = FeatureAlphaDropout.fields

    examples = (
        Example("feature_alpha_dropout(x)", x="float[N, 4, L]"),
        Example("feature_alpha_dropout(x, p=0.1)", x="float[N, 8]"),
    )
