"""Sampling images and volumes at any places: grids of places, and what lies there."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._operands import same_type
from nnspec.functions._volumes import Sampling
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_rank
from nnspec.types import TensorType

_MODES = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic"}
"""What modes are called from operator set 20 on."""


class _Grid(Function):
    namespace = "F"

    align_corners: bool | None

    def options(self) -> dict[str, Any]:
        """As elsewhere, but that torch warns of a default."""
        return super().options() | {"align_corners": bool(self.align_corners)}


class grid_sample(_Grid):
    """What lies at the places of a grid: [N, C, H, W] and [N, h, w, 2] to [N, C, h, w]; volumes as well.

    A place is (x, y), or (x, y, z) in a volume, from -1 at one end to 1 at the other.
    Source: `torch.nn.functional.grid_sample`; Jaderberg et al. (arXiv:1506.02025).
    """

    mode: Literal["bilinear", "nearest", "bicubic"] = arg("bilinear", doc="how what lies between elements is filled")
    padding_mode: Literal["zeros", "border", "reflection"] = arg("zeros", doc="what lies outside")
    align_corners: bool | None = arg(None, doc="-1 and 1 are the middles of the outermost elements; none: their edges")

    examples = (
        Example("grid_sample(x, g)", x="float[N, 3, H, W]", g="float[N, S, T, 2]"),
        Example(
            'grid_sample(x, tanh(g), "nearest", padding_mode="border", align_corners=true)',
            x="float[N, 3, 4, 5]",
            g="float[N, 2, T, 2]",
        ),
        Example(
            'grid_sample(x, g, mode="bicubic", padding_mode="reflection")', x="float[2, 3, H, W]", g="float[2, 3, 3, 2]"
        ),
        Example("grid_sample(x, g, align_corners=true)", x="float[N, 2, D, H, W]", g="float[N, 2, 3, 4, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType, grid: TensorType) -> TensorType:
        x = expect_rank(self, expect_float(self, x), "N, C, H, W", "N, C, D, H, W")
        grid = expect_float(self, grid, 1)
        same_type(self, (x, grid))
        if grid.rank != x.rank:
            wanted = "[N, h, w, 2]" if x.rank == 4 else "[N, d, h, w, 3]"
            message = f"`grid_sample` needs places {wanted} for {x}, but they are {grid}"
            raise ShapeError(message, code="NNS402", input=1)
        if x.rank == 5 and self.mode == "bicubic":
            message = f"`grid_sample` has no bicubic volumes, and {x} is one"
            raise ShapeError(message, code="NNS304", at="mode", helps=('say `mode="bilinear"`',))
        rules.require_equal(
            grid.dims[-1],
            x.rank - 2,
            f"a place in {x} has {x.rank - 2} numbers, but those of `grid_sample` are {grid}",
            label=f"the last dimension must be {x.rank - 2}",
            input=1,
            axis=-1,
        )
        rules.require_equal(
            grid.dims[0],
            x.dims[0],
            f"`grid_sample` needs a grid for each sample of {x}, but they are {grid}",
            label=f"{show(grid.dims[0])} and {show(x.dims[0])} should be the same",
            input=1,
            axis=0,
        )
        return x.with_dims(*x.dims[:2], *grid.dims[1:-1])

    def onnx(self, g: OnnxGraph, x: str, grid: str) -> Any:
        kind = g.type(x)
        corners = bool(self.align_corners)
        if g.opset < 20 and kind.rank == 5:
            sampling = Sampling(g, x, grid, outside=self.padding_mode, corners=corners)
            y = sampling.nearest() if self.mode == "nearest" else sampling.linear()
            return y if sampling.dtype == kind.dtype else g.cast(y, kind.dtype)
        # Runtimes sample few types.
        wide = "float64" if kind.dtype == "float64" and g.opset >= 20 else "float32"
        y = g.node(
            "GridSample",
            g.cast(x, wide),
            g.cast(grid, wide),
            mode=self.mode if g.opset < 20 else _MODES[self.mode],
            padding_mode=self.padding_mode,
            align_corners=int(corners),
        )
        return y if wide == kind.dtype else g.cast(y, kind.dtype)


class affine_grid(_Grid):
    """The places that affine maps send a regular grid to, for `grid_sample`: [N, 2, 3] to [N, H, W, 2].

    `size` is that of the images to be sampled, [N, C, H, W]; for volumes, [N, C, D, H, W], maps are [N, 3, 4] and
    places have three numbers. Source: `torch.nn.functional.affine_grid`; Jaderberg et al. (arXiv:1506.02025).
    """

    size: tuple[Size, ...] = arg(doc="the sizes of the images, [N, C, H, W], or of the volumes")
    align_corners: bool | None = arg(None, doc="-1 and 1 are the middles of the outermost elements; none: their edges")

    examples = (
        Example("affine_grid(m, [N, 3, 4, 5])", m="float[N, 2, 3]"),
        Example("affine_grid(m, (N, 1, H + 1, 4), align_corners=true)", m="float[N, 2, 3]", x="float[N, H]"),
        Example("affine_grid(m, [N, 1, 2, H, 1])", m="float[N, 3, 4]", x="float[H]"),
    )

    def infer(self, rules: Rules, theta: TensorType) -> TensorType:
        theta = expect_rank(self, expect_float(self, theta), "N, 2, 3")
        places = self.size[2:]
        if len(places) not in (2, 3):
            message = f"`affine_grid` needs a size of 4 numbers, [N, C, H, W], or of 5, not of {len(self.size)}"
            raise ShapeError(message, code="NNS402", at="size")
        rank = len(places)
        for axis, wanted in enumerate((self.size[0], rank, rank + 1)):
            rules.require_equal(
                theta.dims[axis],
                wanted,
                f"`affine_grid` needs maps [{show(self.size[0])}, {rank}, {rank + 1}] for this size, not {theta}",
                label=f"dimension {axis} must be {show(wanted)}",
                input=0,
                axis=axis,
            )
        for size in self.size[1:]:
            message = f"`affine_grid` needs sizes of at least 1, not {show(size)}"
            rules.require_at_least(size, 1, message, code="NNS411", at="size")
        return theta.with_dims(theta.dims[0], *map(rules.simplify, places), rank)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("F.affine_grid", *inputs, options.pop("size"), **options)

    def onnx(self, g: OnnxGraph, theta: str) -> Any:
        """The map's last column, plus its others times where the grid lies in each dimension, the last one first."""
        dtype, places = g.type(theta).dtype, self.size[2:]
        rank = len(places)
        between = g.constant(list(range(1, rank + 1)))

        def column(number: int) -> str:
            return str(g.node("Unsqueeze", g.node("Gather", theta, g.constant(number), axis=2), between))

        total = column(rank)
        for number in range(rank):
            axis = rank - number
            others = g.constant([i for i in range(rank + 2) if i != axis])
            lies = g.node("Unsqueeze", self._lies(g, places[axis - 1], dtype), others)
            total = g.node("Add", total, g.node("Mul", column(number), lies))
        whole = g.shape([g.type(theta).dims[0], *places, rank])
        return g.node("Expand", total, whole)

    def _lies(self, g: OnnxGraph, size: Size, dtype: str) -> str:
        """From -1 to 1, the middles of `size` elements: (2 i - (size - 1)) / size, or / (size - 1)."""
        numbers = g.node("Mul", g.node("Range", g.constant(0), g.size(size), g.constant(1)), g.constant(2))
        ahead = g.cast(g.node("Sub", numbers, g.size(size - 1)), dtype)
        parts = g.node("Max", g.size(size - 1), g.constant(1)) if self.align_corners else g.size(size)
        return str(g.node("Div", ahead, g.cast(parts, dtype)))
