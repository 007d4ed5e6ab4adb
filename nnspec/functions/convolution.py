"""Convolutions whose kernels are tensors; the rules are those of the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nnspec.arguments import Field
from nnspec.dims import Size, show
from nnspec.functions._layer_form import with_weights
from nnspec.functions._operands import same_type, shape_text
from nnspec.layer import Code, Example, Function, Layer, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import counted, expect_float, expect_rank, expect_tensor
from nnspec.layers._window import BATCHED, UNBATCHED
from nnspec.layers.conv import Conv1d, Conv2d, Conv3d
from nnspec.layers.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nnspec.types import Operand, TensorType


def _fields(layer: type[Layer], *names: str) -> Mapping[str, Field]:
    """Some of a layer's arguments, in torch's order for functions."""
    return {name: layer.fields[name] for name in names}


class _Convolution(Function):
    """A convolution of x with a kernel; the `layer` that owns such a kernel has the rules."""

    namespace = "F"
    layer: ClassVar[type[Layer]]
    rank: ClassVar[int]
    turned: ClassVar[bool] = False
    """Whether the kernel has the input's channels first."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "layer" in cls.__dict__:  # In what it says it calls itself by the function's name.
            cls.layer = type(cls.__name__, (cls.layer,), {})

    def infer(self, rules: Rules, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        expect_rank(self, expect_float(self, x), BATCHED[self.rank], UNBATCHED[self.rank])
        weight = self._kernel(rules, weight)
        same_type(self, [x, weight] if bias is None else [x, weight, expect_tensor(self, bias, 2)])
        arguments = self._arguments(weight)
        channels, mine = x.dims[-self.rank - 1], arguments["in_channels"]
        rules.require_equal(
            channels,
            mine,
            f"`{type(self).__name__}` with a kernel {shape_text(weight.dims)} takes {show(mine)} channels, "
            f"but its input is {x}",
            label=counted(channels, "channel"),
        )
        if bias is not None:
            self._check_bias(rules, bias, arguments["out_channels"])
        return self._layer(weight).infer(rules, x)  # type: ignore[no-any-return] # one tensor

    def _kernel(self, rules: Rules, operand: TensorType) -> TensorType:
        """The kernel, whose sizes are numbers."""
        name, layout = type(self).__name__, UNBATCHED[self.rank].removeprefix("C, ")
        weight = expect_tensor(self, operand, 1)
        first = "in, out / groups" if self.turned else "out, in / groups"
        if weight.rank != self.rank + 2:
            raise ShapeError(
                f"the kernel of `{name}` has {self.rank + 2} dimensions, [{first}, {layout}], but it is {weight}",
                code="NNS402",
                label=f"has {weight.rank} dimension{'' if weight.rank == 1 else 's'}",
                input=1,
            )
        weight = weight.with_dims(*map(rules.simplify, weight.dims))
        if not all(isinstance(size, int) for size in weight.dims):
            raise ShapeError(
                f"the kernel of `{name}` must be of fixed sizes, but it is {weight}", code="NNS405", input=1
            )
        return weight

    def _check_bias(self, rules: Rules, bias: TensorType, channels: int) -> None:
        message = f"the bias of `{type(self).__name__}` must be [{channels}], not {shape_text(bias.dims)}"
        if bias.rank != 1:
            raise ShapeError(message, code="NNS402", input=2)
        rules.require_equal(bias.dims[0], channels, message, input=2)

    def _arguments(self, weight: TensorType) -> dict[str, Any]:
        """What the kernel says of the layer's arguments."""
        first, second, *kernel = weight.dims
        groups = self.__dict__["groups"]
        many, few = ("in_channels", "out_channels") if self.turned else ("out_channels", "in_channels")
        return {many: first, few: second * groups, "kernel_size": tuple(kernel)}

    def _layer(self, weight: TensorType, *, bias: bool = False) -> Layer:
        return self.layer(**self._arguments(weight), **self.__dict__, bias=bias)

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        weight = inputs[1]
        assert isinstance(weight, TensorType)
        return self._layer(weight).macs(inputs[:1], output)

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        return self._layer(inputs[1]).derivation(inputs[:1], output)

    def torch(self, *inputs: Any) -> Code:
        return call(f"F.{type(self).__name__}", *inputs, **self.options())

    def onnx(self, g: OnnxGraph, x: str, weight: str, bias: str | None = None) -> Any:
        given = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return self._layer(g.type(weight), bias=bias is not None).onnx(with_weights(g, given), x)


class conv1d(_Convolution):
    """A convolution over one dimension with a kernel [out, in / groups, L]: [N, C, L] or [C, L].

    Source: `torch.nn.functional.conv1d`.
    """

    rank = 1
    layer = Conv1d
    fields = _fields(Conv1d, "stride", "padding", "dilation", "groups")

    examples = (
        Example("conv1d(x, w)", x="float[N, 4, 16]", w="float[8, 4, 3]"),
        Example("conv1d(x, w, b, 2, 2, groups=2)", x="float[N, 4, L]", w="float[6, 2, 5]", b="float[6]"),
        Example('conv1d(x, w, padding="same", dilation=2)', x="float[4, L]", w="float[6, 4, 4]"),
    )


class conv2d(_Convolution):
    """A convolution over two dimensions with a kernel [out, in / groups, H, W]: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.conv2d`.
    """

    rank = 2
    layer = Conv2d
    fields = _fields(Conv2d, "stride", "padding", "dilation", "groups")

    examples = (
        Example("conv2d(x, w)", x="float[N, 3, H, W]", w="float[8, 3, 3, 3]"),
        Example("conv2d(x, w, b, (2, 1), padding=(1, 2))", x="float[N, 3, H, W]", w="float[4, 3, 3, 5]", b="float[4]"),
        Example("conv2d(x, w, dilation=2, padding=2, groups=3)", x="float[3, H, W]", w="float[6, 1, 3, 3]"),
        Example('conv2d(x, w, padding="valid")', x="float[N, 2, 5, 5]", w="float[1, 2, 2, 2]"),
    )


class conv3d(_Convolution):
    """A convolution over three dimensions with a kernel [out, in / groups, D, H, W]: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.conv3d`.
    """

    rank = 3
    layer = Conv3d
    fields = _fields(Conv3d, "stride", "padding", "dilation", "groups")

    examples = (
        Example("conv3d(x, w, padding=1)", x="float[N, 2, D, H, W]", w="float[4, 2, 3, 3, 3]"),
        Example("conv3d(x, w, b, stride=2)", x="float[1, 4, 4, 4]", w="float[2, 1, 2, 2, 2]", b="float[2]"),
        Example("conv3d(x, w, groups=2)", x="float[N, 4, D, 5, 6]", w="float[6, 2, 3, 3, 1]"),
    )


class conv_transpose1d(_Convolution):
    """A transposed convolution, which enlarges, with a kernel [in, out / groups, L]: [N, C, L] or [C, L].

    Source: `torch.nn.functional.conv_transpose1d`.
    """

    rank = 1
    turned = True
    layer = ConvTranspose1d
    fields = _fields(ConvTranspose1d, "stride", "padding", "output_padding", "groups", "dilation")

    examples = (
        Example("conv_transpose1d(x, w, stride=2)", x="float[N, 6, L]", w="float[6, 4, 2]"),
        Example("conv_transpose1d(x, w, b, 2, 1, 1)", x="float[N, 6, L]", w="float[6, 4, 3]", b="float[4]"),
    )


class conv_transpose2d(_Convolution):
    """A transposed convolution, which enlarges, with a kernel [in, out / groups, H, W]: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.conv_transpose2d`.
    """

    rank = 2
    turned = True
    layer = ConvTranspose2d
    fields = _fields(ConvTranspose2d, "stride", "padding", "output_padding", "groups", "dilation")

    examples = (
        Example("conv_transpose2d(x, w, stride=2)", x="float[N, 6, H, W]", w="float[6, 4, 2, 2]"),
        Example(
            "conv_transpose2d(x, w, b, (2, 3), (1, 0), (0, 2))",
            x="float[N, 4, H, W]",
            w="float[4, 6, 3, 5]",
            b="float[6]",
        ),
        Example("conv_transpose2d(x, w, dilation=2, groups=3)", x="float[3, H, W]", w="float[3, 1, 3, 3]"),
    )


class conv_transpose3d(_Convolution):
    """A transposed convolution, which enlarges, with a kernel [in, out / groups, D, H, W]: [N, C, D, H, W].

    Source: `torch.nn.functional.conv_transpose3d`.
    """

    rank = 3
    turned = True
    layer = ConvTranspose3d
    fields = _fields(ConvTranspose3d, "stride", "padding", "output_padding", "groups", "dilation")

    examples = (
        Example("conv_transpose3d(x, w, stride=2)", x="float[N, 2, D, H, W]", w="float[2, 4, 2, 2, 2]"),
        Example("conv_transpose3d(x, w, b)", x="float[3, 2, 3, 2]", w="float[3, 2, 2, 2, 2]", b="float[2]"),
    )
