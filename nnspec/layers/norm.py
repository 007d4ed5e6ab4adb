"""Normalisation over a batch, over dimensions, over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg, inferred
from nnspec.dims import Dim, Size
from nnspec.layer import Code, Example, Layer, OnnxGraph, Operation, Rules, ShapeError, Weight, call
from nnspec.layers._expect import (
    expect_divisor,
    expect_float,
    expect_rank,
    expect_several,
    expect_tensor,
    expect_weight_type,
    volume,
)
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from nnspec.layer_inference import Affine, Part
    from nnspec.layer_memory import Stored, Tape


class _BatchNorm(Layer):
    """What batch normalisations share."""

    num_features: int = inferred(axis=1)
    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")
    momentum: float | None = arg(0.1, ge=0, le=1, doc="share of a new batch in the running values; none: plain average")
    affine: bool = arg(True, doc="learn a scale and an offset for each channel")
    track_running_stats: bool = arg(True, doc="keep running mean and variance for inference")
    bias: bool = arg(True, doc="learn an offset, where a scale is learned", keyword=True)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if not self.track_running_stats:
            expect_positive_eps(self)
            expect_several(self, rules, x, volume(x.dims[:1] + x.dims[2:]))
        return x

    def learns_statistics(self) -> bool:
        return True

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

    def as_affine(self) -> Affine | None:
        return self._affine if self.track_running_stats else None

    def _affine(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = part("running_mean").astype("float64"), part("running_var").astype("float64")
        scale = (variance + self.eps) ** -0.5
        if not self.affine:
            return scale, -mean * scale
        scale = scale * part("weight")
        return scale, (part("bias") if self.bias else 0) - mean * scale

    def memory(self, m: Tape, *inputs: Any) -> Any:
        by_batch = m.training or not self.track_running_stats
        each = TensorType("float32", (self.num_features,))
        return m.op(m.output, *inputs, extra=[each, each] if by_batch else ())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        if not self.track_running_stats:
            return self._by_batch(g, x)
        scale = g.weight("weight") if self.affine else g.constant([1.0] * self.num_features, "float32")
        offset = g.weight("bias") if self.affine and self.bias else g.constant([0.0] * self.num_features, "float32")
        mean, variance = g.weight("running_mean"), g.weight("running_var")
        return g.node("BatchNormalization", x, scale, offset, mean, variance, epsilon=self.eps)

    def _by_batch(self, g: OnnxGraph, x: str) -> str:
        """Without running values, the batch's own are used in inference too."""
        kind = g.type(x)
        axes = [i for i in range(kind.rank) if i != 1]
        centred = g.node("Sub", x, reduce(g, "ReduceMean", x, axes))
        variance = reduce(g, "ReduceMean", g.node("Mul", centred, centred), axes)
        deviation = g.node("Sqrt", g.node("Add", variance, g.constant(self.eps, kind.dtype)))
        y = g.node("Div", centred, deviation)
        if not self.affine:
            return str(y)
        spread = g.constant([-1, *[1] * (kind.rank - 2)])
        y = g.node("Mul", y, g.node("Reshape", g.weight("weight"), spread))
        return str(g.node("Add", y, g.node("Reshape", g.weight("bias"), spread)) if self.bias else y)


def expect_positive_eps(operation: Operation) -> None:
    """Refuse to divide by the deviation of a batch, which may be 0."""
    if operation.__dict__["eps"] == 0:
        message = f"`{type(operation).__name__}` divides by the deviation of the batch, which may be 0"
        raise ShapeError(message, code="NNS304", label="must be positive", at="eps")


class BatchNorm1d(_BatchNorm):
    """Normalises each channel over the batch: [N, C] or [N, C, L].

    Source: `torch.nn.BatchNorm1d`; Ioffe and Szegedy, Batch normalization (arXiv:1502.03167).
    """

    examples = (
        Example("BatchNorm1d", x="float[N, 8]"),
        Example("BatchNorm1d(1e-3, momentum=none)", x="float[N, 4, L]"),
        Example("BatchNorm1d(affine=false)", x="float[3, 4, 5]"),
        Example("BatchNorm1d(track_running_stats=false)", x="float[4, 6]"),
        Example("BatchNorm1d(bias=false)", x="float[N, 8]"),
        Example("BatchNorm1d(track_running_stats=false, bias=false)", x="float[4, 6]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], "N, C", "N, C, L")
        expect_weight_type(self, inputs[0])


class BatchNorm2d(_BatchNorm):
    """Normalises each channel over the batch and the places: [N, C, H, W].

    Source: `torch.nn.BatchNorm2d`; Ioffe and Szegedy, Batch normalization (arXiv:1502.03167).
    """

    examples = (
        Example("BatchNorm2d", x="float[N, 8, H, W]"),
        Example("BatchNorm2d(eps=1e-3, momentum=0.01)", x="float[N, 4, 5, 6]"),
        Example("BatchNorm2d(affine=false)", x="float[N, 4, H, W]"),
        Example("BatchNorm2d(track_running_stats=false)", x="float[N, 4, 3, 3]"),
        Example("BatchNorm2d(affine=false, track_running_stats=false)", x="float[N, 4, 3, 3]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], "N, C, H, W")
        expect_weight_type(self, inputs[0])


class BatchNorm3d(_BatchNorm):
    """Normalises each channel over the batch and the places: [N, C, D, H, W].

    Source: `torch.nn.BatchNorm3d`; Ioffe and Szegedy, Batch normalization (arXiv:1502.03167).
    """

    examples = (
        Example("BatchNorm3d", x="float[N, 4, D, H, W]"),
        Example("BatchNorm3d(1e-3, affine=false)", x="float[N, 2, 3, 3, 3]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], "N, C, D, H, W")
        expect_weight_type(self, inputs[0])


class _Trailing(Layer):
    """What normalisations over the last dimensions share."""

    normalized_shape: int | tuple[int, ...] = inferred(doc="inferred as the last dimension; a tuple for several")

    def accept(self, *inputs: Any) -> None:
        if self.__dict__["elementwise_affine"]:
            expect_weight_type(self, inputs[0])
        else:
            expect_float(self, inputs[0])

    def complete(self, rules: Rules, *inputs: Any) -> Self:
        self.accept(*inputs)
        given = self.normalized_shape
        if not isinstance(given, tuple):
            return self.replace(normalized_shape=self._size(rules, "normalized_shape", inputs[0], -1, given))
        x = expect_tensor(self, inputs[0])
        if not given or len(given) > x.rank:
            raise ShapeError(
                f"normalized_shape {given} needs at least {max(1, len(given))} dimensions, but the input is {x}",
                code="NNS402",
                at="normalized_shape",
            )
        for axis, size in enumerate(given, -len(given)):
            self._size(rules, "normalized_shape", x, axis, size)
        return self

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def _shape(self) -> tuple[int, ...]:
        shape = self.normalized_shape
        return shape if isinstance(shape, tuple) else (shape,)


class LayerNorm(_Trailing):
    """Normalises over the last dimension, or over as many as `normalized_shape` has: [..., D].

    Source: `torch.nn.LayerNorm`; Ba, Kiros and Hinton, Layer normalization (arXiv:1607.06450).
    """

    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")
    elementwise_affine: bool = arg(True, doc="learn a scale (and an offset) for each element")
    bias: bool = arg(True, doc="learn an offset, where a scale is learned")

    examples = (
        Example("LayerNorm", x="float[N, T, 16]"),
        Example("LayerNorm(eps=1e-6, bias=false)", x="float[N, 16]"),
        Example("LayerNorm(normalized_shape=(3, 4))", x="float[N, 3, 4]"),
        Example("LayerNorm(elementwise_affine=false)", x="float[N, 3, 4]"),
        Example("LayerNorm", x="float[8]"),
    )

    def weights(self) -> dict[str, Weight]:
        if not self.elementwise_affine:
            return {}
        weights = {"weight": Weight(self._shape())}
        return weights | {"bias": Weight(self._shape())} if self.bias else weights

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0].type
        each = x.with_dims(*x.dims[: x.rank - len(self._shape())])
        return m.op(m.output, *inputs, extra=[each, each])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        shape, dtype = self._shape(), g.type(x).dtype
        scale = g.weight("weight") if self.elementwise_affine else filled(g, 1.0, shape, dtype)
        # The offset is optional in ONNX, but ONNX Runtime 1.31 crashes on a model without it.
        offset = g.weight("bias") if self.elementwise_affine and self.bias else filled(g, 0.0, shape, dtype)
        return g.node("LayerNormalization", x, scale, offset, axis=-len(shape), epsilon=self.eps)


class RMSNorm(_Trailing):
    """Divides by the root of the mean square over the last dimension, or over those of `normalized_shape`: [..., D].

    Source: `torch.nn.RMSNorm`; Zhang and Sennrich, Root mean square layer normalization (arXiv:1910.07467).
    """

    eps: float | None = arg(None, ge=0, le=1, doc="added to the mean square; none: the smallest that the type can tell")
    elementwise_affine: bool = arg(True, doc="learn a scale for each element")

    examples = (
        Example("RMSNorm", x="float[N, T, 16]"),
        Example("RMSNorm(eps=1e-6)", x="float[N, 16]"),
        Example("RMSNorm(normalized_shape=(3, 4), eps=1e-5)", x="float[N, 3, 4]"),
        Example("RMSNorm(elementwise_affine=false)", x="float[N, 3, 4]"),
        Example("RMSNorm", x="float[8]"),
    )

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight(self._shape())} if self.elementwise_affine else {}

    def memory(self, m: Tape, *inputs: Any) -> Any:
        y = remember_root_mean_square(m, inputs[0], len(self._shape()))
        return m.op(m.output, y) if self.elementwise_affine else y

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        scale = g.weight("weight") if self.elementwise_affine else None
        return root_mean_square_norm(g, x, len(self._shape()), scale, self.eps)


def remember_root_mean_square(m: Tape, x: Stored, count: int) -> Any:
    """What torch runs on a CPU: the square, its mean over the last dimensions, one over the root, the product."""
    each = x.type.with_dims(*x.dims[: len(x.dims) - count], *[1] * count)
    square = m.op(x.type, x)
    mean = m.op(each, square, keeps=())
    m.free(square)
    inverse = m.op(each, mean, keeps=(), keeps_output=True)
    m.free(mean)
    return m.op(x.type, x, inverse)


def filled(g: OnnxGraph, value: float, shape: Sequence[Size], dtype: str) -> str:
    """One number everywhere: a constant, where the sizes are."""
    nested: Any = value
    for size in reversed(shape):
        if isinstance(size, Dim):
            return str(g.node("Expand", g.constant(value, dtype), g.shape(shape)))
        nested = [nested] * size
    return g.constant(nested, dtype)


_SMALLEST = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
"""What torch adds when it is told nothing: the distance from 1 to the next number."""


def root_mean_square_norm(g: OnnxGraph, x: str, count: int, scale: str | None, eps: float | None) -> str:
    """In elementary operators, since its own one is younger than many runtimes; torch computes in float32 as well."""
    dtype = g.type(x).dtype
    compute = "float64" if dtype == "float64" else "float32"
    y = g.cast(x, compute)
    square = reduce(g, "ReduceMean", g.node("Mul", y, y), list(range(-count, 0)))
    root = g.node("Sqrt", g.node("Add", square, g.constant(_SMALLEST[dtype] if eps is None else eps, compute)))
    y = g.node("Div", y, root)
    if scale is not None:
        y = g.node("Mul", y, g.cast(scale, compute))
    return str(y) if compute == dtype else g.cast(y, dtype)


class GroupNorm(Layer):
    """Normalises over groups of channels and their places: [N, C, ...].

    Source: `torch.nn.GroupNorm`; Wu and He, Group normalization (arXiv:1803.08494).
    """

    num_groups: int = arg(ge=1, doc="how many groups the channels fall into")
    num_channels: int = inferred(axis=1)
    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")
    affine: bool = arg(True, doc="learn a scale and an offset for each channel")
    bias: bool = arg(True, doc="learn an offset, where a scale is learned", keyword=True)

    examples = (
        Example("GroupNorm(2)", x="float[N, 6, H, W]"),
        Example("GroupNorm(2, bias=false)", x="float[N, 6, L]"),
        Example("GroupNorm(3, eps=1e-3)", x="float[N, 6, L]"),
        Example("GroupNorm(2, affine=false)", x="float[N, 6]"),
        Example("GroupNorm(1)", x="float[N, 4, 3, 2, 2]"),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_weight_type(self, inputs[0]) if self.affine else expect_float(self, inputs[0])
        if x.rank < 2:
            raise ShapeError(f"`GroupNorm` needs at least 2 dimensions, [N, C], but its input is {x}", code="NNS402")

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        expect_divisor(self, "num_channels", self.num_channels, "num_groups", self.num_groups, at="num_groups")
        expect_several(self, rules, x, volume((x.dims[0], self.num_channels // self.num_groups, *x.dims[2:])))
        return x

    def weights(self) -> dict[str, Weight]:
        names = ("weight", "bias") if self.bias else ("weight",)
        return {name: Weight((self.num_channels,)) for name in names} if self.affine else {}

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0].type
        each = x.with_dims(x.dims[0], self.num_groups)
        return m.op(m.output, *inputs, extra=[each, each])

    def torch(self) -> Code:
        options = {n: v for n, v in self.given() if n in ("eps", "affine", "bias")}
        return call("nn.GroupNorm", self.num_groups, self.num_channels, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        shape, dtype = (self.num_channels,), g.type(x).dtype
        scale = g.weight("weight") if self.affine else filled(g, 1.0, shape, dtype)
        offset = g.weight("bias") if self.affine and self.bias else filled(g, 0.0, shape, dtype)
        return grouped_norm(g, x, self.num_groups, scale, offset, self.eps, plain=not self.affine)


def grouped_norm(g: OnnxGraph, x: str, groups: int, scale: str, offset: str, eps: float, *, plain: bool = False) -> str:
    """GroupNormalization, and what it stands for in operator sets whose one scales groups; `plain`: no scale at all."""
    kind = g.type(x)
    if g.opset >= 21:
        return str(g.node("GroupNormalization", x, scale, offset, num_groups=groups, epsilon=eps))
    ones, zeros = filled(g, 1.0, (groups,), kind.dtype), filled(g, 0.0, (groups,), kind.dtype)
    rows = g.node("Reshape", x, g.constant([0, groups, -1]))
    rows = g.node("InstanceNormalization", rows, ones, zeros, epsilon=eps)
    y = g.node("Reshape", rows, g.shape(kind.dims))
    if plain:
        return str(y)
    spread = g.constant([-1, *[1] * (kind.rank - 2)])
    y = g.node("Mul", y, g.node("Reshape", scale, spread))
    return str(g.node("Add", y, g.node("Reshape", offset, spread)))
