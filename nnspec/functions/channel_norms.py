"""Normalisations of each channel as functions: by statistics that are given, or by those of the input."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.functions._layer_form import LayerForm
from nnspec.functions._operands import same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_several, expect_tensor, volume
from nnspec.layers._lowering import reduce
from nnspec.layers.instance_norm import LocalResponseNorm
from nnspec.layers.norm import expect_positive_eps
from nnspec.types import TensorType


class _ChannelNorm(Function):
    """What both share: numbers for each channel, and a choice between two kinds of statistics."""

    namespace = "F"

    momentum: float = arg(
        0.1, doc="what torch moves running values by; a function keeps nothing, so that none is moved"
    )
    eps: float = arg(1e-5, ge=0, le=1, doc="added to the variance")

    def infer(
        self,
        rules: Rules,
        x: TensorType,
        running_mean: TensorType | None = None,
        running_var: TensorType | None = None,
        weight: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> TensorType:
        name = type(self).__name__
        if expect_float(self, x).rank < 2:
            raise ShapeError(f"`{name}` needs at least 2 dimensions, [N, C], but its input is {x}", code="NNS402")
        given = (running_mean, running_var, weight, bias)
        for position, (what, operand) in enumerate(zip(self.input_names()[1:], given, strict=True), 1):
            if operand is not None:
                self._check(rules, x, operand, what, position)
        if self.measures():
            self.expect_eps()
            expect_several(self, rules, x, volume(x.dims[axis] for axis in self.axes(x.rank)))
        if (running_mean is None) != (running_var is None) or not (self.measures() or running_mean):
            raise ShapeError(
                f"`{name}` needs both `running_mean` and `running_var`, or is asked for the input's own statistics",
                code="NNS302",
                helps=() if self.measures() else (f"write `{self.asking()}` for these",),
            )
        return x

    def measures(self) -> bool:
        """Whether the input's own statistics count. Abstract: each function calls it otherwise."""
        raise NotImplementedError

    def expect_eps(self) -> None:
        """Refuse an `eps` that torch refuses where it measures."""

    def asking(self) -> str:
        """How the author asks for that. Abstract."""
        raise NotImplementedError

    def _check(self, rules: Rules, x: TensorType, operand: TensorType, what: str, position: int) -> None:
        same_type(self, (x, expect_tensor(self, operand, position)))
        message = (
            f"the {what} of `{type(self).__name__}` must be {shape_text(x.dims[1:2])}, a number for each channel, "
            f"not {shape_text(operand.dims)}"
        )
        if operand.rank != 1:
            raise ShapeError(message, code="NNS402", input=position)
        rules.require_equal(operand.dims[0], x.dims[1], message, input=position)

    def axes(self, rank: int) -> list[int]:
        """The dimensions that are measured over. Abstract."""
        raise NotImplementedError

    def torch(self, *inputs: Any) -> Code:
        given = {n: x for n, x in zip(self.input_names()[1:], inputs[1:], strict=False) if x is not None}
        if self.measures():  # torch would change the running values, but a function keeps nothing.
            given = {n: x for n, x in given.items() if not n.startswith("running_")}
        options = {name: value for name, value in self.options().items() if name != "momentum"}
        return call(f"F.{type(self).__name__}", inputs[0], **given, **options)

    def onnx(
        self,
        g: OnnxGraph,
        x: str,
        running_mean: str | None = None,
        running_var: str | None = None,
        weight: str | None = None,
        bias: str | None = None,
    ) -> Any:
        if self.measures():
            return self.measured(g, x, weight, bias)
        scale, offset = weight or _repeated(g, x, 1.0), bias or _repeated(g, x, 0.0)
        return g.node("BatchNormalization", x, scale, offset, running_mean, running_var, epsilon=self.eps)

    def measured(self, g: OnnxGraph, x: str, weight: str | None, bias: str | None) -> Any:
        """Normalised by the input's own statistics."""
        kind = g.type(x)
        axes, spread = self.axes(kind.rank), g.constant([-1, *[1] * (kind.rank - 2)])
        centred = g.node("Sub", x, reduce(g, "ReduceMean", x, axes))
        variance = reduce(g, "ReduceMean", g.node("Mul", centred, centred), axes)
        y = g.node("Div", centred, g.node("Sqrt", g.node("Add", variance, g.constant(self.eps, kind.dtype))))
        if weight is not None:
            y = g.node("Mul", y, g.node("Reshape", weight, spread))
        return y if bias is None else g.node("Add", y, g.node("Reshape", bias, spread))


def _repeated(g: OnnxGraph, x: str, number: float) -> str:
    """One number for each channel."""
    kind = g.type(x)
    channels = kind.dims[1]
    if isinstance(channels, int):
        return g.constant([number] * channels, kind.dtype)
    return str(g.node("Expand", g.constant([number], kind.dtype), g.shape([channels])))


class batch_norm(_ChannelNorm):
    """Normalises each channel of [N, C, ...] by a mean and a variance that are given, then scales and shifts it.

    With `training=true` they are those of the batch, in inference too; running values that are given are left as they
    are, since a function keeps nothing (`BatchNorm2d` and its like do). Source: `torch.nn.functional.batch_norm`.
    """

    order = ("x", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")

    training: bool = arg(False, doc="use the mean and the variance of the batch")

    examples = (
        Example("batch_norm(x, m, exp(v))", x="float[N, 4]", m="float[4]", v="float[4]"),
        Example(
            "batch_norm(x, m, exp(v), w, b, eps=1e-3)",
            x="float[N, C, H, W]",
            m="float[C]",
            v="float[C]",
            w="float[C]",
            b="float[C]",
        ),
        Example("batch_norm(x, training=true)", x="float[N, C, 3]"),
        Example("batch_norm(x, weight=w, training=true)", x="float[2, 4, L]", w="float[4]"),
    )

    def measures(self) -> bool:
        return self.training

    def expect_eps(self) -> None:
        expect_positive_eps(self)

    def asking(self) -> str:
        return "training=true"

    def axes(self, rank: int) -> list[int]:
        return [0, *range(2, rank)]

    def torch(self, *inputs: Any) -> Code:
        code = super().torch(*inputs)
        given = dict(code.kwargs)
        running = (given.pop("running_mean", None), given.pop("running_var", None))
        return call(code.name, *code.args, *running, **given)


class instance_norm(_ChannelNorm):
    """Normalises each channel of each sample of [N, C, L, ...], then scales and shifts the channels.

    With `use_input_stats=false` it does so by a mean and a variance that are given, and which are never changed.
    Source: `torch.nn.functional.instance_norm`; Ulyanov, Vedaldi and Lempitsky (arXiv:1607.08022).
    """

    order = ("x", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps")

    use_input_stats: bool = arg(True, doc="use the mean and the variance of the sample")

    examples = (
        Example("instance_norm(x)", x="float[N, C, 3]"),
        Example("instance_norm(x, weight=w, bias=b, eps=1e-3)", x="float[N, 4, 2, W]", w="float[4]", b="float[4]"),
        Example(
            "instance_norm(x, m, exp(v), use_input_stats=false)", x="float[N, 4, H, W]", m="float[4]", v="float[4]"
        ),
    )

    def measures(self) -> bool:
        return self.use_input_stats

    def asking(self) -> str:
        return "use_input_stats=true"

    def axes(self, rank: int) -> list[int]:
        return [*range(2, rank)]

    def measured(self, g: OnnxGraph, x: str, weight: str | None, bias: str | None) -> Any:
        if g.type(x).dtype == "float64":  # ONNX Runtime has no kernel for it.
            return super().measured(g, x, weight, bias)
        scale, offset = weight or _repeated(g, x, 1.0), bias or _repeated(g, x, 0.0)
        return g.node("InstanceNormalization", x, scale, offset, epsilon=self.eps)


class local_response_norm(LayerForm):
    """Divides by what stands in the same place of `size` neighbouring channels: [N, C, L, ...].

    Source: `torch.nn.functional.local_response_norm`.
    """

    layer = LocalResponseNorm
    fields = LocalResponseNorm.fields

    examples = (
        Example("local_response_norm(x, 5, k=2.0)", x="float[N, 8, H, W]"),
        Example("local_response_norm(x, size=2, alpha=0.1)", x="float[N, 5, L]"),
    )
