"""Normalisation of each channel of each sample, and across neighbouring channels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg, inferred
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_float, expect_rank, expect_weight_type, volume
from nnspec.layers._lowering import batched
from nnspec.layers._window import BATCHED, UNBATCHED
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _InstanceNorm(Layer):
    """What instance normalisations share."""

    rank: ClassVar[int]

    num_features: int = inferred(axis=0)
    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")
    momentum: float = arg(0.1, ge=0, le=1, doc="share of a new batch in the running values")
    affine: bool = arg(False, doc="learn a scale and an offset for each channel")
    track_running_stats: bool = arg(False, doc="keep running mean and variance for inference")
    bias: bool = arg(True, doc="learn an offset, where a scale is learned", keyword=True)

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect = expect_weight_type if self.affine or self.track_running_stats else expect_float
        expect(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        rules.require_at_least(
            volume(x.dims[-self.rank :]),
            2,
            f"`{type(self).__name__}` needs at least 2 places in each channel, but its input is {x}",
            code="NNS403",
            label="the variance of one number says nothing",
            input=0,
        )
        return x

    def learns_statistics(self) -> bool:
        return self.track_running_stats

    def weights(self) -> dict[str, Weight]:
        each = (self.num_features,)
        weights: dict[str, Weight] = {}
        if self.affine:
            weights["weight"] = Weight(each)
        if self.affine and self.bias:
            weights["bias"] = Weight(each)
        if self.track_running_stats:
            weights["running_mean"] = Weight(each, trained=False)
            weights["running_var"] = Weight(each, trained=False)
            weights["num_batches_tracked"] = Weight((), "int64", trained=False)
        return weights

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0]
        each = x.type.with_dims(self.num_features * prod(x.dims[: -self.rank - 1]))
        repeated = [each, each] if self.affine else []
        running = [each, each] if self.track_running_stats else []
        by_batch = m.training or not self.track_running_stats
        kept = repeated + ([each, each] if by_batch else running)
        return m.op(m.output, x, extra=kept, scratch=running if by_batch else ())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        y, unbatched = batched(g, x, self.rank + 2)
        dtype = g.type(x).dtype
        scale = g.weight("weight") if self.affine else g.constant([1.0] * self.num_features, dtype)
        offset = g.weight("bias") if self.affine and self.bias else g.constant([0.0] * self.num_features, dtype)
        if not self.track_running_stats:
            return unbatched(g.node("InstanceNormalization", y, scale, offset, epsilon=self.eps))
        mean, variance = g.weight("running_mean"), g.weight("running_var")
        return unbatched(g.node("BatchNormalization", y, scale, offset, mean, variance, epsilon=self.eps))


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample: [N, C, L] or [C, L].

    Source: `torch.nn.InstanceNorm1d`; Ulyanov, Vedaldi and Lempitsky, Instance normalization (arXiv:1607.08022).
    """

    rank = 1
    num_features: int = inferred(axis=-2)

    examples = (
        Example("InstanceNorm1d", x="float[N, 4, 6]"),
        Example("InstanceNorm1d(affine=true, track_running_stats=true)", x="float[N, 4, L]"),
        Example("InstanceNorm1d(1e-3)", x="float[4, L]"),
        Example("InstanceNorm1d(affine=true, bias=false)", x="float[N, 4, 6]"),
    )


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.InstanceNorm2d`; Ulyanov, Vedaldi and Lempitsky, Instance normalization (arXiv:1607.08022).
    """

    rank = 2
    num_features: int = inferred(axis=-3)

    examples = (
        Example("InstanceNorm2d", x="float[N, 4, H, W]"),
        Example("InstanceNorm2d(affine=true)", x="float[N, 4, 5, 6]"),
        Example("InstanceNorm2d(track_running_stats=true)", x="float[4, 3, W]"),
    )


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each sample: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.InstanceNorm3d`; Ulyanov, Vedaldi and Lempitsky, Instance normalization (arXiv:1607.08022).
    """

    rank = 3
    num_features: int = inferred(axis=-4)

    examples = (
        Example("InstanceNorm3d", x="float[N, 4, 3, H, W]"),
        Example("InstanceNorm3d(affine=true)", x="float[4, 3, 3, 3]"),
    )


class LocalResponseNorm(Layer):
    """Divides by what stands in the same place of `size` neighbouring channels: [N, C, ...].

    Source: `torch.nn.LocalResponseNorm`; Krizhevsky, Sutskever and Hinton, ImageNet classification with deep
    convolutional neural networks (2012).
    """

    size: int = arg(ge=1, doc="how many channels count, the own one in the middle")
    alpha: float = arg(1e-4, doc="factor of their mean square")
    beta: float = arg(0.75, doc="power of the divisor")
    k: float = arg(1.0, doc="added to the mean square")

    examples = (
        Example("LocalResponseNorm(5, k=2.0)", x="float[N, 8, H, W]"),
        Example("LocalResponseNorm(2, alpha=0.1)", x="float[N, 5, H, W]"),
        Example("LocalResponseNorm(size=3, beta=0.5)", x="float[N, 4, L]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_float(self, inputs[0])
        if x.rank < 3:
            raise ShapeError(
                f"`LocalResponseNorm` needs at least 3 dimensions, [N, C, L], but its input is {x}",
                code="NNS402",
                input=0,
            )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0]
        square = m.op(x.type, x)
        padded = m.op(x.type.with_dims(x.dims[0], 1, x.dims[1] + self.size - 1, prod(x.dims[2:])), square, keeps=())
        m.free(square)
        mean = m.op(x.type, padded)
        scaled = m.op(x.type, mean, keeps=())
        shifted = m.op(x.type, scaled, keeps=())
        m.free(mean, scaled)
        return m.op(m.output, x, m.op(x.type, shifted))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        # LRN is of images only, centres even windows otherwise, and evaluators disagree on where its window ends.
        square = g.node("Unsqueeze", g.node("Mul", x, x), g.constant([1]))
        rows = g.node("Reshape", square, g.constant([0, 0, 0, -1]))
        pads = [0, 0, self.size // 2, 0, 0, 0, (self.size - 1) // 2, 0]
        mean = g.node("AveragePool", g.node("Pad", rows, g.constant(pads)), kernel_shape=[self.size, 1])
        mean = g.node("Reshape", g.node("Squeeze", mean, g.constant([1])), g.shape(kind.dims))
        divisor = g.node("Mul", mean, g.constant(self.alpha, kind.dtype))
        divisor = g.node("Add", divisor, g.constant(self.k, kind.dtype))
        return g.node("Div", x, g.node("Pow", divisor, g.constant(self.beta, kind.dtype)))
