"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnspec.arguments import arg, inferred
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layer_inference import Absorbing, rescaled
from nnspec.layers._expect import expect_divisor, expect_rank, expect_weight_type, volume
from nnspec.layers._lowering import batched, pad
from nnspec.layers._window import AXES, BATCHED, UNBATCHED, Window, count_windows, derive_windows, each
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Part
    from nnspec.layer_memory import Tape

_PACKED = '''
class PackedConv2d(nn.Conv2d):
    """A convolution for inference: on a CPU its weight is put into oneDNN's own order once, and not in every call.

    Other weights are noticed, and changed ones unless the change went through `weight.data`.
    """

    packed = None

    def forward(self, x):
        weight, packed = self.weight, self.packed
        if not self.can_pack(x, weight):
            return super().forward(x)
        options = (self.padding, self.stride, self.dilation, self.groups)
        if packed is None or packed[0].data_ptr() != weight.data_ptr() or packed[1] != weight._version:
            # The weight is kept, so that no other one can come to lie at its address.
            source = (weight.detach(), weight._version)
            packed = (*source, torch.ops.mkldnn._reorder_convolution_weight(source[0], *options, x.shape))
            self.packed = packed
        return torch.ops.mkldnn._convolution_pointwise(x, packed[2], self.bias, *options, "none", [], "")

    @staticmethod
    def can_pack(x, weight):
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
            return False
        if not torch.backends.mkldnn.is_available() or not torch.backends.mkldnn.enabled:
            return False
        if x.requires_grad or weight.requires_grad or weight.is_inference():
            return False
        # Neither `torch.func` nor gradients that flow forwards know these operators.
        if torch._C._functorch.peek_interpreter_stack() is not None or torch.autograd.forward_ad._current_level >= 0:
            return False
        plain = x.is_cpu and weight.is_cpu and x.dtype == weight.dtype == torch.float32
        # On a single pixel it is a plain product, for which packing does not pay.
        return plain and x.dim() == 4 and x.shape[2] * x.shape[3] > 1

    def _apply(self, *args, **kwargs):
        self.packed = None
        return super()._apply(*args, **kwargs)

    def __getstate__(self):
        return {**self.__dict__, "packed": None}
'''


class _Conv(Layer):
    """What convolutions over one, two and three dimensions share."""

    rank: ClassVar[int]

    in_channels: int = inferred(axis=0)
    out_channels: int = arg(ge=1, doc="number of channels of the output")
    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the kernel")
    stride: int | tuple[int, ...] = arg(1, ge=1, doc="step of the kernel")
    padding: int | tuple[int, ...] | Literal["same", "valid"] = arg(0, ge=0, doc="what is added at both ends")
    dilation: int | tuple[int, ...] = arg(1, ge=1, doc="spacing of the kernel's elements")
    groups: int = arg(1, ge=1, doc="number of groups of channels that do not mix")
    bias: bool = arg(True, doc="add a learned offset to each channel")
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = arg("zeros", doc="what is padded with")

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_weight_type(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        expect_divisor(self, "in_channels", self.in_channels, "groups", self.groups, at="groups")
        expect_divisor(self, "out_channels", self.out_channels, "groups", self.groups, at="groups")
        if self.padding == "same" and set(each(self.stride, self.rank)) != {1}:
            stride = self.stride if isinstance(self.stride, int) else list(self.stride)
            raise ShapeError(
                f'`{type(self).__name__}(padding="same")` needs stride 1, not {stride}',
                code="NNS304",
                at="stride",
                helps=("give the padding as a number",),
            )
        sizes = []
        for axis, size, window in zip(AXES[self.rank], x.dims[-self.rank :], self._windows(), strict=True):
            if self.padding_mode in ("reflect", "circular"):
                self._require_source(rules, axis, size, window)
            sizes.append(size if self.padding == "same" else count_windows(rules, axis, size, window))
        return x.with_dims(*x.dims[: -self.rank - 1], self.out_channels, *sizes)

    def _windows(self) -> list[Window]:
        rank = self.rank
        kernels, strides, dilations = each(self.kernel_size, rank), each(self.stride, rank), each(self.dilation, rank)
        windows = []
        for i, (kernel, stride, dilation) in enumerate(zip(kernels, strides, dilations, strict=True)):
            if isinstance(self.padding, str):
                total = dilation * (kernel - 1) if self.padding == "same" else 0
                windows.append(Window(kernel, stride, dilation, total // 2, total - total // 2))
            else:
                amount = each(self.padding, rank)[i]
                windows.append(Window(kernel, stride, dilation, amount, amount))
        return windows

    def _require_source(self, rules: Rules, axis: str, size: Size, window: Window) -> None:
        """Reflected and circular padding are made of the input, so there must be enough of it."""
        padding = max(window.before, window.after)
        need = padding + 1 if self.padding_mode == "reflect" and padding else padding
        rules.require_at_least(
            size,
            need,
            f'padding {padding} with padding_mode="{self.padding_mode}" does not fit an input of {axis} {show(size)}',
            code="NNS403",
            label=f"needs a {axis} of at least {need}",
            at="padding",
        )

    def weights(self) -> dict[str, Weight]:
        kernel = each(self.kernel_size, self.rank)
        weights = {"weight": Weight((self.out_channels, self.in_channels // self.groups, *kernel))}
        if self.bias:
            weights["bias"] = Weight((self.out_channels,))
        return weights

    def absorbing(self, rank: int) -> Absorbing | None:
        # Of a result without a batch dimension, dimension 1 is none of channels.
        return Absorbing(self.replace(bias=True), self._absorbed) if rank == self.rank + 2 else None

    def _absorbed(self, part: Part, scale: np.ndarray, offset: np.ndarray) -> dict[str, np.ndarray]:
        bias = scale * part("bias") + offset if self.bias else offset
        return {"weight": rescaled(part("weight"), scale, 0), "bias": bias}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        return volume(output.dims) * (self.in_channels // self.groups) * volume(each(self.kernel_size, self.rank))

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x = inputs[0]
        if self.padding_mode != "zeros":
            windows = zip(x.dims[-self.rank :], self._windows(), strict=True)
            sizes = (size + window.before + window.after for size, window in windows)
            padded = x.type.with_dims(*x.dims[: -self.rank], *sizes)
            x = m.op(padded, x, keeps=() if self.padding_mode == "circular" else [x])
        return m.op(m.output, x)

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        return derive_windows(inputs[0], output, self._windows())

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        x, unbatched = batched(g, x, self.rank + 2)
        windows = self._windows()
        before, after = [w.before for w in windows], [w.after for w in windows]
        if self.padding_mode != "zeros" and any(before + after):
            x = pad(g, x, before, after, self.padding_mode)
            before = after = [0] * self.rank
        y = g.node(
            "Conv",
            x,
            g.weight("weight"),
            g.weight("bias") if self.bias else None,
            kernel_shape=[w.kernel for w in windows],
            strides=[w.stride for w in windows],
            dilations=[w.dilation for w in windows],
            pads=before + after,
            group=self.groups,
        )
        return unbatched(y)


class Conv1d(_Conv):
    """A convolution over one dimension: [N, C, L] or [C, L].

    Source: `torch.nn.Conv1d`.
    """

    rank = 1
    in_channels: int = inferred(axis=-2)
    kernel_size: int | tuple[int] = arg(ge=1, doc="size of the kernel")
    stride: int | tuple[int] = arg(1, ge=1, doc="step of the kernel")
    padding: int | tuple[int] | Literal["same", "valid"] = arg(0, ge=0, doc="what is added at both ends")
    dilation: int | tuple[int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("Conv1d(8, 3)", x="float[N, 4, 16]"),
        Example("Conv1d(6, 5, stride=2, padding=2, groups=2, bias=false)", x="float[N, 4, L]"),
        Example('Conv1d(6, 4, padding="same", dilation=2)', x="float[N, 4, L]"),
        Example('Conv1d(3, 3, padding=1, padding_mode="circular")', x="float[N, 2, L]"),
        Example("Conv1d(3, 3, padding=1)", x="float[2, L]"),
    )


class Conv2d(_Conv):
    """A convolution over two dimensions: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.Conv2d`; Dumoulin and Visin, A guide to convolution arithmetic for deep learning
    (arXiv:1603.07285).
    """

    rank = 2
    channels_last = True
    in_channels: int = inferred(axis=-3)
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the kernel: one number, or height and width")
    stride: int | tuple[int, int] = arg(1, ge=1, doc="step of the kernel")
    padding: int | tuple[int, int] | Literal["same", "valid"] = arg(0, ge=0, doc="what is added on every side")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("Conv2d(8, 3)", x="float[N, 3, 16, 16]"),
        Example("Conv2d(16, 7, stride=2, padding=3, bias=false)", x="float[N, 3, H, W]"),
        Example("Conv2d(4, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 1))", x="float[N, 3, H, W]"),
        Example("Conv2d(6, 3, padding=2, dilation=2, groups=3)", x="float[N, 3, H, W]"),
        Example('Conv2d(4, (5, 3), padding="same")', x="float[N, 3, H, W]"),
        Example('Conv2d(4, 1, padding="valid")', x="float[N, 3, H, W]"),
        Example('Conv2d(4, 3, padding=(1, 2), padding_mode="circular")', x="float[N, 3, H, W]"),
        Example('Conv2d(4, 3, padding=1, padding_mode="reflect")', x="float[N, 3, H, W]"),
        Example('Conv2d(4, 3, padding=1, padding_mode="replicate")', x="float[N, 3, H, W]"),
        Example("Conv2d(4, 3, padding=1, in_channels=3)", x="float[3, H, W]"),
    )

    def packed(self) -> str:
        return _PACKED if self.padding_mode == "zeros" and not isinstance(self.padding, str) else ""


class Conv3d(_Conv):
    """A convolution over three dimensions: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.Conv3d`.
    """

    rank = 3
    in_channels: int = inferred(axis=-4)
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the kernel: one number, or one for each dimension")
    stride: int | tuple[int, int, int] = arg(1, ge=1, doc="step of the kernel")
    padding: int | tuple[int, int, int] | Literal["same", "valid"] = arg(0, ge=0, doc="what is added on every side")
    dilation: int | tuple[int, int, int] = arg(1, ge=1, doc="spacing of the kernel's elements")

    examples = (
        Example("Conv3d(4, 3, padding=1)", x="float[N, 2, D, H, W]"),
        Example("Conv3d(4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1), groups=2)", x="float[N, 2, D, H, W]"),
        Example('Conv3d(2, 3, padding="same", padding_mode="replicate", bias=false)', x="float[N, 1, D, H, W]"),
        Example("Conv3d(2, 2)", x="float[1, 4, 4, 4]"),
    )
