"""Smooth activations made of exponentials, and gates, as functions."""

from __future__ import annotations

from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Example
from nnspec.layers.gating import GLU
from nnspec.layers.smooth import CELU, SELU, LogSigmoid, Mish, Softsign, Tanhshrink


class mish(LayerForm):
    """`x * tanh(softplus(x))`.

    Source: `torch.nn.functional.mish`; Misra (arXiv:1908.08681).
    """

    layer = Mish

    examples = (
        Example("mish(x)", x="float[N, 8]"),
        Example("mish(x)", x="float[N, T, 8]"),
    )


class softsign(LayerForm):
    """`x / (1 + abs(x))`.

    Source: `torch.nn.functional.softsign`.
    """

    layer = Softsign

    examples = (
        Example("softsign(x)", x="float[N, 8]"),
        Example("softsign(x)", x="float[N, T, 8]"),
    )


class logsigmoid(LayerForm):
    """The logarithm of `sigmoid`, worked out without losing small numbers.

    Source: `torch.nn.functional.logsigmoid`.
    """

    layer = LogSigmoid

    examples = (
        Example("logsigmoid(x)", x="float[N, 8]"),
        Example("logsigmoid(x)", x="float[N, T, 8]"),
    )


class tanhshrink(LayerForm):
    """`x - tanh(x)`.

    Source: `torch.nn.functional.tanhshrink`.
    """

    layer = Tanhshrink

    examples = (
        Example("tanhshrink(x)", x="float[N, 8]"),
        Example("tanhshrink(x)", x="float[N, T, 8]"),
    )


class celu(LayerForm):
    """`x` where it is positive, `alpha * (exp(x / alpha) - 1)` elsewhere.

    Source: `torch.nn.functional.celu`; Barron (arXiv:1704.07483).
    """

    layer = CELU
    fields = CELU.fields

    examples = (
        Example("celu(x)", x="float[N, 8]"),
        Example("celu(x, alpha=0.5)", x="float[N, T, 8]"),
    )


class selu(LayerForm):
    """A scaled `elu` that keeps mean and variance of its input near 0 and 1.

    Source: `torch.nn.functional.selu`; Klambauer et al. (arXiv:1706.02515).
    """

    layer = SELU

    examples = (
        Example("selu(x)", x="float[N, 8]"),
        Example("selu(x)", x="float[N, T, 8]"),
    )


class glu(LayerForm):
    """One half along `dim` times the sigmoid of the other: [..., 2 D] to [..., D].

    Source: `torch.nn.functional.glu`; Dauphin et al. (arXiv:1612.08083).
    """

    layer = GLU
    fields = GLU.fields

    examples = (
        Example("glu(x)", x="float[N, 8]"),
        Example("glu(x, dim=1)", x="float[N, 6, T]"),
        Example("glu(x, 1)", t="float[T]", x="float[N, 2 * T]"),
    )
