"""Random zeros while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Dropout(Layer):
    """What all forms share: nothing happens in inference."""

    p: float = arg(0.5, ge=0, le=1, doc="probability of a zero")

    def accept(self, *inputs: Any) -> None:
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int:
        return 0

    def memory(self, m: Tape, *inputs: Any) -> Any:
        if not m.training or not self.p:
            return inputs[0]
        return m.op(m.output, *inputs, keeps=(), extra=[self.mask(inputs[0].type)])

    def mask(self, x: TensorType) -> TensorType:
        """What a CPU draws: a number for each element, or for each channel."""
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class Dropout(_Dropout):
    """Zeroes elements with probability `p` while training, and scales the others by `1 / (1 - p)`: any shape.

    Source: `torch.nn.Dropout`; Hinton et al., Improving neural networks by preventing co-adaptation (arXiv:1207.0580).
    """

    examples = (
        Example("Dropout", x="float[N, 8]"),
        Example("Dropout(0.1)", x="float[N, T, 8]"),
        Example("Dropout(p=0)", x="float16[N]"),
    )


class Dropout1d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, L] or [C, L].

    Source: `torch.nn.Dropout1d`; Tompson et al. (arXiv:1411.4280).
    """

    examples = (
        Example("Dropout1d", x="float[N, 4, L]"),
        Example("Dropout1d(0.1)", x="float[4, L]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C, L", "C, L")

    def mask(self, x: TensorType) -> TensorType:
        return channel_mask(x, 1)


class Dropout2d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, H, W].

    Unlike torch it refuses three dimensions, of which torch says itself that it cannot tell what they are.
    Source: `torch.nn.Dropout2d`; Tompson et al. (arXiv:1411.4280).
    """

    examples = (
        Example("Dropout2d", x="float[N, 4, H, W]"),
        Example("Dropout2d(0.1)", x="float[N, 4, 5, 5]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C, H, W")

    def mask(self, x: TensorType) -> TensorType:
        return channel_mask(x, 2)


class Dropout3d(_Dropout):
    """Zeroes whole channels with probability `p` while training: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.Dropout3d`; Tompson et al. (arXiv:1411.4280).
    """

    examples = (
        Example("Dropout3d", x="float[N, 4, D, H, W]"),
        Example("Dropout3d(0.1)", x="float[4, 3, 3, 3]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, expect_float(self, inputs[0]), "N, C, D, H, W", "C, D, H, W")

    def mask(self, x: TensorType) -> TensorType:
        return channel_mask(x, 3)


class AlphaDropout(_Dropout):
    """Sets elements to the lowest value of `SELU` with probability `p` while training, keeping mean and variance.

    Source: `torch.nn.AlphaDropout`; Klambauer et al., Self-normalizing neural networks (arXiv:1706.02515).
    """

    examples = (
        Example("AlphaDropout", x="float[N, 8]"),
        Example("AlphaDropout(0.1)", x="float[N, T, 8]"),
    )


class FeatureAlphaDropout(_Dropout):
    """Sets whole channels to the lowest value of `SELU` with probability `p` while training: [N, C, ...].

    Source: `torch.nn.FeatureAlphaDropout`; Klambauer et al., Self-normalizing neural networks (arXiv:1706.02515).
    """

    examples = (
        Example("FeatureAlphaDropout", x="float[N, 4, H, W]"),
        Example("FeatureAlphaDropout(0.1)", x="float[N, 8]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_float(self, inputs[0])
        if x.rank < 2:
            message = f"`{type(self).__name__}` needs at least 2 dimensions, [N, C, ...], but its input is {x}"
            raise ShapeError(message, code="NNS402", input=0)


def channel_mask(x: TensorType, rank: int) -> TensorType:
    """A number for each channel of each sample; torch takes what has three dimensions for a batch in any case."""
    lead = 1 if x.rank <= rank + 1 and x.rank != 3 else 2
    return x.with_dims(*x.dims[:lead], *[1] * (x.rank - lead))
