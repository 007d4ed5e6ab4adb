"""Pools turned round, as functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nnspec.arguments import Field, arg
from nnspec.dims import Size
from nnspec.layer import Code, Example, Function, Layer, OnnxGraph, Rules, call
from nnspec.layers.unpool import MaxUnpool, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from nnspec.types import TensorType


class _MaxUnpool(Function):
    """What these share: unlike the layers they take `output_size` as an argument."""

    namespace = "F"
    rank: ClassVar[int]

    output_size: tuple[Size, ...] | None = arg(None, doc="the sizes that the pool was given; none: the least")

    def infer(self, rules: Rules, x: TensorType, indices: TensorType) -> TensorType:
        unpool = self._unpool()
        unpool.accept(x, indices)
        return unpool.infer(rules, x, indices, self.output_size, at="output_size")

    def _unpool(self) -> MaxUnpool:
        return MaxUnpool(self, self.rank, *(self.__dict__[name] for name in ("kernel_size", "stride", "padding")))

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call(f"F.{type(self).__name__}", *inputs, options.pop("kernel_size"), **options)

    def onnx(self, g: OnnxGraph, x: str, indices: str) -> Any:
        return self._unpool().lower(g, x, indices, self.output_size)


def with_size(layer: type[Layer]) -> Mapping[str, Field]:
    """The arguments of a layer, and the size that flows into it."""
    return {**layer.fields, **_MaxUnpool.fields}


class max_unpool1d(_MaxUnpool):
    """Puts maxima back where `max_pool1d(..., return_indices=true)` found them: [N, C, L] or [C, L].

    Source: `torch.nn.functional.max_unpool1d`.
    """

    rank = 1
    fields = with_size(MaxUnpool1d)

    examples = (
        Example("max_unpool1d(max_pool1d(x, 2), max_pool1d(x, 2, return_indices=true)[1], 2)", x="float[N, 3, 6]"),
        Example("max_unpool1d(x, zeros_like(x, dtype=int), 3, 2, 1, output_size=[2])", x="float[N, 1]"),
    )


class max_unpool2d(_MaxUnpool):
    """Puts maxima back where `max_pool2d(..., return_indices=true)` found them: [N, C, H, W] or [C, H, W].

    Source: `torch.nn.functional.max_unpool2d`; Zeiler and Fergus (arXiv:1311.2901).
    """

    rank = 2
    fields = with_size(MaxUnpool2d)

    examples = (
        Example("max_unpool2d(max_pool2d(x, 2), max_pool2d(x, 2, return_indices=true)[1], 2)", x="float[N, 3, 4, 6]"),
        Example(
            "max_unpool2d(max_pool2d(x, 2), max_pool2d(x, 2, return_indices=true)[1], 2, output_size=[H, W])",
            x="float[N, 3, H, W]",
        ),
    )


class max_unpool3d(_MaxUnpool):
    """Puts maxima back where `max_pool3d(..., return_indices=true)` found them: [N, C, D, H, W] or [C, D, H, W].

    Source: `torch.nn.functional.max_unpool3d`.
    """

    rank = 3
    fields = with_size(MaxUnpool3d)

    examples = (
        Example("max_unpool3d(max_pool3d(x, 2), max_pool3d(x, 2, return_indices=true)[1], 2)", x="float[2, 2, 4, 2]"),
        Example("max_unpool3d(x, zeros_like(x, dtype=int), (1, 2, 2))", x="float[N, 2, 1, 1, 1]"),
    )
