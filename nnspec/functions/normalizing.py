"""Normalisations as functions, whose scales and offsets are tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_divisor, expect_float, expect_several, volume
from nnspec.layers.norm import filled, grouped_norm, remember_root_mean_square, root_mean_square_norm
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Normalization(Function):
    """What these share: one argument that says over what, then the tensors to scale and shift by."""

    namespace = "F"
    over: ClassVar[str]

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        given = {n: t for n, t in zip(self.input_names()[1:], inputs[1:], strict=False) if t is not None}
        return call(f"F.{type(self).__name__}", inputs[0], options.pop(self.over), **given, **options)


class _Trailing(_Normalization):
    """What normalisations over the last dimensions share."""

    over = "normalized_shape"

    normalized_shape: tuple[Size, ...] = arg(doc="the sizes of the dimensions that are normalised over, the last ones")

    def checked(self, rules: Rules, x: TensorType, **scales: TensorType | None) -> TensorType:
        """The input, whose last dimensions must be those that are said, and of one type with its scales."""
        name, count = type(self).__name__, len(self.normalized_shape)
        expect_float(self, x)
        if not 0 < count <= x.rank:
            raise ShapeError(
                f"`{name}` cannot normalise over {shape_text(self.normalized_shape)}, for its input is {x}",
                code="NNS402",
                at="normalized_shape",
            )
        for position, (what, tensor) in enumerate([("input", x), *scales.items()]):
            if tensor is None:
                continue
            if tensor.dtype != x.dtype or (what != "input" and tensor.rank != count):
                raise ShapeError(
                    f"the {what} of `{name}` must be {x.with_dims(*self.normalized_shape)}, not {tensor}",
                    code="NNS406" if tensor.dtype != x.dtype else "NNS402",
                    input=position,
                )
            for size, wanted in zip(tensor.dims[-count:], self.normalized_shape, strict=True):
                rules.require_equal(
                    size,
                    wanted,
                    f"the {what} of `{name}`, {tensor}, must end in {shape_text(self.normalized_shape)}",
                    at="normalized_shape",
                    input=position,
                )
        return x


class layer_norm(_Trailing):
    """Normalises over the last dimensions, and scales by tensors where they are given: [..., D].

    Source: `torch.nn.functional.layer_norm`; Ba, Kiros and Hinton (arXiv:1607.06450).
    """

    order = ("x", "normalized_shape", "weight", "bias", "eps")

    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")

    examples = (
        Example("layer_norm(x, (8,))", x="float[N, T, 8]"),
        Example("layer_norm(x, [3, 4], eps=1e-6)", x="float[N, 3, 4]"),
        Example("layer_norm(x, (8,), w, b)", x="float[N, 8]", w="float[8]", b="float[8]"),
        Example("layer_norm(x, (8,), weight=w)", x="float[N, 8]", w="float[8]"),
        Example("layer_norm(x, (T, 8))", x="float[N, T, 8]"),
    )

    def infer(
        self, rules: Rules, x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None
    ) -> TensorType:
        return self.checked(rules, x, weight=weight, bias=bias)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0].type
        each = x.with_dims(*x.dims[: x.rank - len(self.normalized_shape)])
        return m.op(m.output, *inputs, extra=[each, each])

    def onnx(self, g: OnnxGraph, x: str, weight: str | None = None, bias: str | None = None) -> Any:
        shape, dtype = self.normalized_shape, g.type(x).dtype
        scale = weight or filled(g, 1.0, shape, dtype)
        offset = bias or filled(g, 0.0, shape, dtype)
        return g.node("LayerNormalization", x, scale, offset, axis=-len(shape), epsilon=self.eps)


class rms_norm(_Trailing):
    """Divides by the root of the mean square over the last dimensions, and scales by a tensor where it is given.

    Source: `torch.nn.functional.rms_norm`; Zhang and Sennrich (arXiv:1910.07467).
    """

    order = ("x", "normalized_shape", "weight", "eps")

    eps: float | None = arg(None, ge=0, le=1, doc="added to the mean square; none: the smallest that the type can tell")

    examples = (
        Example("rms_norm(x, (8,))", x="float[N, T, 8]"),
        Example("rms_norm(x, (8,), w, 1e-6)", x="float[N, 8]", w="float[8]"),
        Example("rms_norm(x, (N, T), w)", x="float[N, T]", w="float[N, T]"),
    )

    def infer(self, rules: Rules, x: TensorType, weight: TensorType | None = None) -> TensorType:
        return self.checked(rules, x, weight=weight)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        y = remember_root_mean_square(m, inputs[0], len(self.normalized_shape))
        weight = inputs[1] if len(inputs) > 1 else None
        return y if weight is None else m.op(m.output, y, weight)

    def onnx(self, g: OnnxGraph, x: str, weight: str | None = None) -> Any:
        return root_mean_square_norm(g, x, len(self.normalized_shape), weight, self.eps)


class group_norm(_Normalization):
    """Normalises over groups of channels and their places, and scales each channel where that is given: [N, C, ...].

    Source: `torch.nn.functional.group_norm`; Wu and He (arXiv:1803.08494).
    """

    order = ("x", "num_groups", "weight", "bias", "eps")
    over = "num_groups"

    num_groups: int = arg(ge=1, doc="how many groups the channels fall into")
    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")

    examples = (
        Example("group_norm(x, 2)", x="float[N, 6, H, W]"),
        Example("group_norm(x, 3, w, b, 1e-3)", x="float[N, 6, L]", w="float[6]", b="float[6]"),
        Example("group_norm(x, 1, bias=b)", x="float[N, 4]", b="float[4]"),
    )

    def infer(
        self, rules: Rules, x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None
    ) -> TensorType:
        expect_float(self, x)
        if x.rank < 2:
            raise ShapeError(f"`group_norm` needs at least 2 dimensions, [N, C], but its input is {x}", code="NNS402")
        channels = self._channels(rules, x)
        expect_divisor(self, "the number of channels", channels, "num_groups", self.num_groups, at="num_groups")
        expect_several(self, rules, x, volume((x.dims[0], channels // self.num_groups, *x.dims[2:])))
        for position, (what, tensor) in enumerate((("weight", weight), ("bias", bias)), 1):
            if tensor is None:
                continue
            message = f"the {what} of `group_norm` must be {x.with_dims(x.dims[1])}, not {tensor}"
            if tensor.dtype != x.dtype or tensor.rank != 1:
                code = "NNS402" if tensor.dtype == x.dtype else "NNS406"
                raise ShapeError(message, code=code, input=position)
            rules.require_equal(tensor.dims[0], x.dims[1], message, input=position)
        return x

    def _channels(self, rules: Rules, x: TensorType) -> int:
        channels = rules.simplify(x.dims[1])
        if not isinstance(channels, int):
            raise ShapeError(
                f"`group_norm` must know the number of channels, but its input is {x}", code="NNS405", input=0
            )
        return channels

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0].type
        each = x.with_dims(x.dims[0], self.num_groups)
        return m.op(m.output, *inputs, extra=[each, each])

    def onnx(self, g: OnnxGraph, x: str, weight: str | None = None, bias: str | None = None) -> Any:
        kind = g.type(x)
        shape: Sequence[int] = [kind.dims[1]] if isinstance(kind.dims[1], int) else []
        scale = weight or filled(g, 1.0, shape, kind.dtype)
        return grouped_norm(g, x, self.num_groups, scale, bias or filled(g, 0.0, shape, kind.dtype), self.eps)
