"""Pools over windows that lie at random, so that sizes shrink by other factors than whole ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Unsupported
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.layers._window import AXES, AXIS, BATCHED, UNBATCHED, each
from nnspec.types import TensorType

_FINEST = 2**10
"""Ratios with a larger denominator are rounded by torch in ways that no exact formula follows."""


class _FractionalMaxPool(Layer):
    rank: ClassVar[int]
    spare: ClassVar[int] = 0
    """What torch wants of room beyond the windows."""
    draws = True

    kernel_size: int | tuple[int, ...] = arg(ge=1, doc="size of the window")
    output_size: int | tuple[int, ...] | None = arg(None, ge=1, doc="size of the output")
    output_ratio: float | tuple[float, ...] | None = arg(None, gt=0, lt=1, doc="what sizes are multiplied by instead")
    return_indices: bool = arg(False, doc="give the places of the maxima as well, for `MaxUnpool`: (y, indices)")

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], BATCHED[self.rank], UNBATCHED[self.rank])
        expect_float(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> Any:
        name = type(self).__name__
        if (self.output_size is None) == (self.output_ratio is None):
            raise ShapeError(f"`{name}` needs either `output_size` or `output_ratio`", code="NNS405", at="output_size")
        places, kernels = x.dims[-self.rank :], each(self.kernel_size, self.rank)
        sizes = self._sizes(places)
        for axis, size, kernel, out in zip(AXES[self.rank], places, kernels, sizes, strict=True):
            error = {"at": "output_ratio" if self.output_size is None else "output_size", "axis": AXIS[axis]}
            message = f"`{name}` would leave nothing of a {axis} of {show(size)}"
            rules.require_at_least(out, 1, message, code="NNS403", **error)
            rules.require_at_least(
                size,
                out + kernel - 1 + self.spare,
                f"{show(out)} windows of kernel {kernel} do not fit an input of {axis} {show(size)}",
                code="NNS403",
                label=f"needs a {axis} of at least {show(out + kernel - 1 + self.spare)}",
                **error,
            )
        y = x.with_dims(*x.dims[: -self.rank], *map(rules.simplify, sizes))
        return (y, y.with_dtype("int64")) if self.return_indices else y

    def _sizes(self, places: tuple[Size, ...]) -> tuple[Size, ...]:
        if self.output_size is not None:
            return each(self.output_size, self.rank)
        given = self.output_ratio
        ratios = given if isinstance(given, tuple) else (given,) * self.rank
        return tuple(self._scaled(size, ratio) for size, ratio in zip(places, ratios, strict=True) if ratio is not None)

    def _scaled(self, size: Size, ratio: float) -> Size:
        if not isinstance(size, Dim):
            return int(size * ratio)
        exact = Fraction(ratio)
        if exact.denominator > _FINEST:
            raise ShapeError(
                f"`{type(self).__name__}` cannot say what {show(size)} times {ratio:g} rounds to",
                code="NNS405",
                label="no exact ratio",
                at="output_ratio",
                helps=("give the size itself: `output_size=...`",),
            )
        return size * exact.numerator // exact.denominator

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        name = type(self).__name__
        raise Unsupported(
            f"`{name}` draws the places of its windows anew at every call, in inference too, and no pool of ONNX does; "
            f"the nearest are `AdaptiveMaxPool{self.rank}d` and `MaxPool{self.rank}d`"
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """The maximum over windows that lie at random: [N, C, H, W] or [C, H, W]; drawn anew at each call.

    Source: `torch.nn.FractionalMaxPool2d`; Graham, Fractional max-pooling (arXiv:1412.6071).
    """

    rank = 2
    kernel_size: int | tuple[int, int] = arg(ge=1, doc="size of the window: one number, or height and width")
    output_size: int | tuple[int, int] | None = arg(None, ge=1, doc="size of the output")
    output_ratio: float | tuple[float, float] | None = arg(
        None, gt=0, lt=1, doc="what the sizes are multiplied by instead"
    )

    examples = (
        Example("FractionalMaxPool2d(2, output_size=(3, 4))", x="float[N, 3, H, W]", onnx=False, macs=0),
        Example("FractionalMaxPool2d(3, output_ratio=0.5)", x="float[N, 3, H, W]", onnx=False, macs=0),
        Example("FractionalMaxPool2d(2, 3, return_indices=true)", x="float[3, 6, 6]", onnx=False, macs=0),
    )


class FractionalMaxPool3d(_FractionalMaxPool):
    """The maximum over windows that lie at random: [N, C, D, H, W] or [C, D, H, W]; drawn anew at each call.

    Source: `torch.nn.FractionalMaxPool3d`; Graham, Fractional max-pooling (arXiv:1412.6071).
    """

    rank = 3
    spare = 1
    kernel_size: int | tuple[int, int, int] = arg(ge=1, doc="size of the window: one number, or one for each dimension")
    output_size: int | tuple[int, int, int] | None = arg(None, ge=1, doc="size of the output")
    output_ratio: float | tuple[float, float, float] | None = arg(
        None, gt=0, lt=1, doc="what the sizes are multiplied by instead"
    )

    examples = (
        Example("FractionalMaxPool3d(2, output_size=3)", x="float[N, 3, D, H, W]", onnx=False, macs=0),
        Example(
            "FractionalMaxPool3d((1, 2, 3), output_ratio=(0.5, 0.5, 0.25))", x="float[2, D, 6, 12]", onnx=False, macs=0
        ),
    )
