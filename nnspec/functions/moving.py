"""The same elements in other places: roll, flip, movedim, swapaxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._lowering import END
from nnspec.functions._operands import axes, axis
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class roll(Function):
    """Elements shifted along dimensions, those that leave at one end coming back at the other: the shape stays.

    Without `dims` all elements are shifted in order. Source: `torch.roll`.
    """

    keeps = ()
    of_complex = "parts"

    shifts: Size | tuple[Size, ...] = arg(doc="how far, towards higher positions; one number, or one for each of dims")
    dims: int | tuple[int, ...] | None = arg(
        None, doc="the dimensions to shift along; all elements in order without it"
    )

    examples = (
        Example("roll(x, 1, 0)", x="float[N, 8]"),
        Example("roll(x, shifts=(-2, -3), dims=(1, 2))", x="float[N, 5, 7, 4]"),
        Example("roll(x, (3, -5), (1, 2))", x="int[N, H, W]"),
        Example("roll(x, -(T // 2), 1)", x="float[N, T]"),
        Example("roll(x, 2)", x="bool[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        shifts, dims = self._shifts(), self._dims(x)
        count = 1 if dims is None else len(dims)
        if len(shifts) != count or not shifts:
            there = f"there {'is' if len(shifts) == 1 else 'are'} {len(shifts) or 'none'}"
            there += f" for {count}" if shifts else ""
            message = f"`roll` needs a shift for each dimension, but {there}"
            raise ShapeError(message, code="NNS402", at="shifts")
        return x

    def _shifts(self) -> tuple[Size, ...]:
        return self.shifts if isinstance(self.shifts, tuple) else (self.shifts,)

    def _dims(self, x: TensorType) -> list[int] | None:
        if self.dims is None:
            return None
        if not x.rank:
            raise ShapeError("`roll` along a dimension needs one, and a scalar has none", code="NNS411", at="dims")
        given = self.dims if isinstance(self.dims, tuple) else (self.dims,)
        return [axis(self, x, d, "dims") for d in given]

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("torch.roll", *inputs, options.pop("shifts"), **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        if not kind.rank:
            return x
        dims = self._dims(kind)
        if dims is None:
            flat = self._shifted(g, g.node("Reshape", x, g.constant([-1])), 0, volume(kind.dims), self._shifts()[0])
            return g.node("Reshape", flat, g.shape(kind.dims))
        for at, shift in zip(dims, self._shifts(), strict=True):
            x = self._shifted(g, x, at, kind.dims[at], shift)
        return x

    def _shifted(self, g: OnnxGraph, x: str, at: int, size: Size, shift: Size) -> str:
        """Both parts, joined the other way round."""
        if isinstance(size, int) and isinstance(shift, int):
            start = g.constant([size - shift % max(size, 1)])
        else:
            start = g.node("Mod", g.node("Neg", g.shape([shift])), g.shape([size]))
        along = g.constant([at])
        tail = g.node("Slice", x, start, g.constant([END]), along)
        return str(g.node("Concat", tail, g.node("Slice", x, g.constant([0]), start, along), axis=at))


class flip(Function):
    """Dimensions turned round: the shape stays.

    Source: `torch.flip`.
    """

    of_complex = "parts"
    keeps = ()

    dims: tuple[int, ...] | int = arg(doc="the dimensions to turn round")

    examples = (
        Example("flip(x, (1,))", x="float[N, T, 8]"),
        Example("flip(x, [0, -1])", x="int[N, 3, W]"),
        Example("flip(x, 0)", x="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        self._dims(x)
        return x

    def _dims(self, x: TensorType) -> tuple[int, ...]:
        return () if self.dims == () else axes(self, x, self.dims, "dims")

    def torch(self, *inputs: Any) -> Code:
        return call("torch.flip", *inputs, self.dims if isinstance(self.dims, tuple) else (self.dims,))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dims = self._dims(g.type(x)) if g.type(x).rank else ()
        if not dims:
            return x
        back = [-1] * len(dims)
        return g.node(
            "Slice", x, g.constant(back), g.constant([-END] * len(dims)), g.constant(list(dims)), g.constant(back)
        )


class _Reordered(Function):
    """What orders of dimensions share."""

    of_complex = "parts"

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dims(*(x.dims[i] for i in self._order(x)))

    def _order(self, x: TensorType) -> list[int]:
        """For each dimension of the result which one of x it is. Abstract: `movedim` and `swapaxes` say it."""
        raise NotImplementedError

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.permute(inputs[0], self._order(inputs[0].type))

    def reorders(self, x: TensorType) -> Sequence[int]:
        return self._order(x)

    def torch(self, *inputs: Any) -> Code:
        return call(f"torch.{type(self).__name__}", *inputs, *(value for _, value in self.given()))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return g.node("Transpose", x, perm=self._order(kind)) if kind.rank else x


class movedim(_Reordered):
    """Dimensions moved to other places, the others keeping their order: [N, C, H, W] to [N, H, W, C] for `1, -1`.

    Source: `torch.movedim`.
    """

    source: int | tuple[int, ...] = arg(doc="the dimensions to move")
    destination: int | tuple[int, ...] = arg(doc="where each of them stands in the result")

    examples = (
        Example("movedim(x, 1, -1)", x="float[N, 3, H, W]"),
        Example("movedim(x, (0, 1), (1, 2))", x="int[N, T, 5]"),
    )

    def _order(self, x: TensorType) -> list[int]:
        source = axes(self, x, self.source, "source") if self.source != () else ()
        target = axes(self, x, self.destination, "destination") if self.destination != () else ()
        if isinstance(self.source, int) != isinstance(self.destination, int):
            message = "`movedim` takes two numbers or two lists of dimensions, not one of each"
            raise ShapeError(message, code="NNS402", at="destination")
        if len(source) != len(target):
            raise ShapeError(
                f"`movedim` needs as many places as dimensions, not {len(target)} for {len(source)}",
                code="NNS402",
                at="destination",
            )
        rest = iter([i for i in range(x.rank) if i not in source])
        return [source[target.index(i)] if i in target else next(rest) for i in range(x.rank)]


class swapaxes(_Reordered):
    """Two dimensions swapped, as by `transpose`: [N, T, D] to [N, D, T] for `1, 2`.

    Source: `torch.swapaxes`.
    """

    axis0: int = arg(doc="one dimension")
    axis1: int = arg(doc="the other")

    examples = (
        Example("swapaxes(x, 1, 2)", x="float[N, T, 8]"),
        Example("swapaxes(x, -2, -1)", x="int[N, 3, H, W]"),
    )

    def _order(self, x: TensorType) -> list[int]:
        a, b = axis(self, x, self.axis0, "axis0"), axis(self, x, self.axis1, "axis1")
        order = list(range(x.rank))
        if order:
            order[a], order[b] = b, a
        return order
