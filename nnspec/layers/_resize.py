"""Resizing of [N, C, ...] along its places: the rule of sizes and the ONNX form, for layers and functions alike."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nnspec.dims import Dim, Size, show
from nnspec.layer import OnnxGraph, Operation, Rules, ShapeError
from nnspec.layers._antialias import smoothed
from nnspec.layers._expect import expect_float
from nnspec.layers._window import AXES, AXIS
from nnspec.layers.adaptive_pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d
from nnspec.types import TensorType

MODES = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,), "bicubic": (2,)}
MODES |= {"trilinear": (3,), "area": (1, 2, 3)}
"""How many dimensions of places each mode takes."""

_FINEST = 2**10
"""Factors with a larger denominator are rounded by torch in ways that no exact formula follows."""


@dataclass(frozen=True, slots=True)
class Resize:
    """The arguments of a resize."""

    size: Size | tuple[Size, ...] | None
    scale_factor: float | tuple[float, ...] | None
    mode: str
    align_corners: bool | None
    recompute_scale_factor: bool | None = None
    antialias: bool = False

    @property
    def aligned(self) -> bool:
        """Whether the corners of both grids lie on each other."""
        return bool(self.align_corners)

    @property
    def by_factor(self) -> bool:
        """Whether places are found by the factors, and not by the sizes that they lead to."""
        return self.scale_factor is not None and not self.recompute_scale_factor


def check(operation: Operation, resize: Resize, operand: Any) -> TensorType:
    """The operand, which must be resizable in this way."""
    name = type(operation).__name__
    x = expect_float(operation, operand)
    if x.rank not in (3, 4, 5) or x.rank - 2 not in MODES[resize.mode]:
        ranks = " or ".join(str(n + 2) for n in MODES[resize.mode])
        raise ShapeError(
            f'`{name}(mode="{resize.mode}")` needs {ranks} dimensions, [N, C, ...], but its input is {x}',
            code="NNS402",
            at="mode",
            input=0,
        )
    if (resize.size is None) == (resize.scale_factor is None):
        raise ShapeError(f"`{name}` needs either `size` or `scale_factor`", code="NNS405", at="scale_factor")
    if resize.recompute_scale_factor and resize.scale_factor is None:
        raise ShapeError(
            f"`{name}` has no factor to work out anew: its size is given", code="NNS304", at="recompute_scale_factor"
        )
    if resize.align_corners is not None and resize.mode.startswith(("nearest", "area")):
        raise ShapeError(
            f'`{name}(mode="{resize.mode}")` has no corners to align',
            code="NNS304",
            at="align_corners",
            helps=('leave `align_corners` out, or say `mode="bilinear"`',),
        )
    if resize.antialias and resize.mode not in ("bilinear", "bicubic"):
        raise ShapeError(
            f'`{name}(mode="{resize.mode}")` has no filter that `antialias` could widen',
            code="NNS304",
            at="antialias",
            helps=('say `mode="bilinear"` or `mode="bicubic"`',),
        )
    given = resize.size if resize.scale_factor is None else resize.scale_factor
    if isinstance(given, tuple) and len(given) != x.rank - 2:
        what = "size" if resize.scale_factor is None else "scale_factor"
        raise ShapeError(
            f"`{name}` needs {x.rank - 2} numbers for the places of {x}, and {what} has {len(given)}",
            code="NNS402",
            at=what,
        )
    return x


def infer(operation: Operation, rules: Rules, resize: Resize, x: TensorType) -> TensorType:
    """The type after the resize."""
    sizes = _sizes(operation, resize, x)
    for axis, size, old in zip(AXES[x.rank - 2], sizes, x.dims[2:], strict=True):
        rules.require_at_least(
            size,
            1,
            f"`{type(operation).__name__}` would leave nothing of a {axis} of {show(old)}: it becomes {show(size)}",
            code="NNS403",
            at="size" if resize.scale_factor is None else "scale_factor",
            axis=AXIS[axis],
        )
    if resize.antialias:
        rules.require_at_least(
            sizes[-1],
            2,
            f"`{type(operation).__name__}(antialias=true)` to a width of {show(sizes[-1])} would look at the first row "
            "alone in torch, which is a mistake of its own",
            code="NNS403",
            label="needs a width of at least 2",
            at="size" if resize.scale_factor is None else "scale_factor",
            axis=-1,
        )
    return x.with_dims(*x.dims[:2], *map(rules.simplify, sizes))


def _sizes(operation: Operation, resize: Resize, x: TensorType) -> tuple[Size, ...]:
    if resize.scale_factor is not None:
        factors = _factors(resize, x)
        return tuple(_scaled(operation, d, f) for d, f in zip(x.dims[2:], factors, strict=True))
    given = resize.size
    assert given is not None
    return given if isinstance(given, tuple) else (given,) * (x.rank - 2)


def _factors(resize: Resize, x: TensorType) -> tuple[float, ...]:
    given = resize.scale_factor
    assert given is not None
    return given if isinstance(given, tuple) else (given,) * (x.rank - 2)


def _scaled(operation: Operation, size: Size, factor: float) -> Size:
    if not isinstance(size, Dim):
        return int(size * factor)
    exact = Fraction(factor)
    if exact.denominator > _FINEST:
        raise ShapeError(
            f"`{type(operation).__name__}` cannot say what {show(size)} times {factor:g} rounds to",
            code="NNS405",
            label="no exact factor",
            at="scale_factor",
            helps=("give the sizes themselves: `size=[...]`",),
        )
    return size * exact.numerator // exact.denominator


def lower(g: OnnxGraph, operation: Operation, resize: Resize, x: str) -> str:
    """The resize of a value."""
    kind = g.type(x)
    before, after = kind.dims[2:], _sizes(operation, resize, kind)
    if resize.mode == "area":
        # The pool's own sizes are numbers, but its lowering takes any.
        pool: type[Any] = (AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d)[len(before) - 1]
        return str(pool(after).onnx(g, x))
    factors = _factors(resize, kind) if resize.by_factor else (None,) * len(before)
    if resize.mode.startswith("nearest"):
        for axis, (old, new, factor) in enumerate(zip(before, after, factors, strict=True), 2):
            # A factor counts even where it leaves the size as it is: torch goes by it, not by the sizes.
            if (old != new) if factor is None else (factor != 1):
                x = str(g.node("Gather", x, _nearest(g, resize.mode, old, new, factor), axis=axis))
        return x
    if resize.antialias:
        return smoothed(g, x, list(zip(before, after, strict=True)), factors, resize.mode, resize.aligned)
    flat = len(before) == 1
    if flat:  # Runtimes resize images and volumes.
        x = g.node("Unsqueeze", x, g.constant([2]))
    corners = "align_corners" if resize.aligned else "half_pixel"
    options: dict[str, Any] = {"mode": "cubic" if resize.mode == "bicubic" else "linear"}
    options["coordinate_transformation_mode"] = corners
    if resize.mode == "bicubic":
        options["cubic_coeff_a"] = -0.75
    if resize.aligned or not resize.by_factor:
        sizes = g.shape([*kind.dims[:2], *([1] if flat else []), *after])
        y = g.node("Resize", x, None, None, sizes, **options)
    else:
        scales = g.constant([1.0, 1.0, *([1.0] if flat else []), *factors], "float32")
        y = g.node("Resize", x, None, scales, **options)
    return str(g.node("Squeeze", y, g.constant([2]))) if flat else str(y)


def _nearest(g: OnnxGraph, mode: str, old: Size, new: Size, factor: float | None) -> str:
    """Which place each new one copies, in torch's own arithmetic: runtimes round quotients otherwise."""
    place = g.cast(g.node("Range", g.constant(0), g.size(new), g.constant(1)), "float32")
    if mode == "nearest-exact":
        place = g.node("Add", place, g.constant(0.5, "float32"))
    if factor is None:
        step = g.node("Div", g.cast(g.size(old), "float32"), g.cast(g.size(new), "float32"))
    else:
        step = g.constant(1 / factor, "float32")
    found = g.cast(g.node("Floor", g.node("Mul", place, step)), "int64")
    last = g.node("Sub", g.size(old), g.constant(1))
    return str(g.node("Min", found, last))
