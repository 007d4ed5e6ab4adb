"""Windows as columns, and columns put back as windows, as functions."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._layer_form import LayerForm
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, call
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.layers.fold import Unfold, folded, lower_fold
from nnspec.types import TensorType


class unfold(LayerForm):
    """Makes a column of each window, all channels of it one below the other: [N, C, H, W] to [N, C * kh * kw, L].

    Source: `torch.nn.functional.unfold`.
    """

    layer = Unfold
    fields = Unfold.fields

    examples = (
        Example("unfold(x, 2)", x="float[N, 3, H, W]"),
        Example("unfold(x, (2, 3), dilation=1, padding=1, stride=2)", x="float[3, H, W]"),
    )


class fold(Function):
    """Adds columns up to what `unfold` would have made them of: [N, C * kh * kw, L] to [N, C, H, W].

    Source: `torch.nn.functional.fold`.
    """

    namespace = "F"

    output_size: Size | tuple[Size, Size] = arg(doc="height and width of the output")
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    dilation: int | tuple[int, int] = arg(1, ge=1, doc="spacing of the window's elements")
    padding: int | tuple[int, int] = arg(0, ge=0, doc="what is cut off on every side, as `unfold` added it")
    stride: int | tuple[int, int] = arg(1, ge=1, doc="step of the window")

    examples = (
        Example("fold(x, (4, 5), 2)", x="float[N, 12, 12]"),
        Example("fold(unfold(x, 2), [H, W], 2)", x="float[N, 3, H, W]"),
        Example("fold(x, 6, (2, 3), padding=1, stride=2)", x="float[12, 12]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_rank(self, expect_float(self, x), "N, C * K, L", "C * K, L")
        return folded(self, rules, x, self._sizes())

    def _sizes(self) -> tuple[Size, ...]:
        return self.output_size if isinstance(self.output_size, tuple) else (self.output_size,) * 2

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        required = [options.pop(name) for name in ("output_size", "kernel_size")]
        return call("F.fold", *inputs, *required, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return lower_fold(g, self, x, self._sizes())
