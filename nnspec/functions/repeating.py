"""Tensors that are repeated whole, element by element, or along dimensions of size 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import reshaped, wide
from nnspec.functions._operands import axis, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, method
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class tile(Function):
    """The whole tensor repeated along its dimensions, counted from the last: [N, 3] to [2 * N, 12] for `(2, 4)`.

    Source: `torch.tile`.
    """

    keeps = ()

    dims: tuple[Size, ...] = arg(doc="how often along each dimension; more than there are make new ones in front")

    examples = (
        Example("tile(x, (2, 3))", x="float[N, 4]"),
        Example("tile(x, [3])", x="int[N, 2]"),
        Example("tile(x, (2, 1, 3))", x="float[N, 4]"),
        Example("tile(x, (N, 1))", x="bool[3]", y="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        counts, sizes = self._aligned(x)
        for count in counts:
            rules.require_at_least(count, 1, f"`tile` repeats at least once, not {show(count)} times", at="dims")
        return x.with_dims(*(rules.simplify(volume((n, d))) for n, d in zip(counts, sizes, strict=True)))

    def _aligned(self, x: TensorType) -> tuple[list[Size], list[Size]]:
        """Counts and sizes of one length: 1 where one is lacking in front."""
        rank = max(len(self.dims), x.rank)
        counts: list[Size] = [*[1] * (rank - len(self.dims)), *self.dims]
        sizes: list[Size] = [*[1] * (rank - x.rank), *x.dims]
        return counts, sizes

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        counts, sizes = self._aligned(kind)
        compute = "int32" if kind.dtype == "bool" else wide(kind.dtype)
        y = reshaped(g, g.cast(x, compute), kind.dims, sizes)
        if any(count != 1 for count in counts):
            y = g.node("Tile", y, g.shape(counts))
        return y if compute == kind.dtype else g.cast(y, kind.dtype)


class repeat_interleave(Function):
    """Each element repeated in its place along `dim`: [1, 2] to [1, 1, 2, 2], so [N, T] to [N, 2 * T] for `(2, dim=1)`.

    Without `dim` the elements of the flattened tensor are repeated. Source: `torch.repeat_interleave`.
    """

    keeps = ()

    repeats: Size = arg(doc="how often each element is repeated")
    dim: int | None = arg(None, doc="the dimension; the flattened tensor when left out")

    examples = (
        Example("repeat_interleave(x, 2, dim=1)", x="float[N, 3, T]"),
        Example("repeat_interleave(x, 3)", x="int[N, 2]"),
        Example("repeat_interleave(x, 4, -1)", x="bool[N, 2]"),
        Example("repeat_interleave(x, N, dim=0)", x="float[1, 3]", y="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        why = f"`repeat_interleave` repeats at least once, not {show(self.repeats)} times"
        rules.require_at_least(self.repeats, 1, why, at="repeats")
        if self.dim is None:
            return x.with_dims(rules.simplify(volume((*x.dims, self.repeats))))
        if not x.rank:
            raise ShapeError("`repeat_interleave` needs a dimension to repeat along, and its input has none")
        at = axis(self, x, self.dim)
        dims = list(x.dims)
        dims[at] = rules.simplify(volume((dims[at], self.repeats)))
        return x.with_dims(*dims)

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dim is None else {"dim": self.dim}
        return call("torch.repeat_interleave", inputs[0], self.repeats, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dims = kind.dims
        at = 0
        if self.dim is None:
            x, dims = g.node("Reshape", x, g.constant([-1])), (volume(kind.dims),)
        else:
            at = axis(self, kind, self.dim)
        y = g.node("Unsqueeze", x, g.constant([at + 1]))
        counts: list[Size] = [1] * (len(dims) + 1)
        counts[at + 1] = self.repeats
        y = g.node("Expand", y, g.shape(counts))
        after = [*dims[:at], volume((dims[at], self.repeats)), *dims[at + 1 :]]
        return reshaped(g, y, [*dims[: at + 1], self.repeats, *dims[at + 1 :]], after)


class expand(Function):
    """Dimensions of size 1 repeated to another size, and new ones in front: [1, 3] to [N, 3] for `(N, -1)`.

    Source: `torch.Tensor.expand`.
    """

    of_complex = "parts"

    sizes: tuple[Size, ...] = arg(doc="the new sizes; -1 keeps one")

    examples = (
        Example("expand(x, (N, -1))", x="float[1, 3]", y="float[N]"),
        Example("expand(x, [2, N, 3])", x="int[N, 1]"),
        Example("expand(x, (T, T))", x="float[T, 1]"),
        Example("expand(x, (4,))", x="bool[]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        new = len(self.sizes) - x.rank
        if new < 0 or -1 in self.sizes[:new]:
            why = "it has fewer dimensions" if new < 0 else "-1 keeps a size, and a new dimension has none"
            raise ShapeError(f"{self._cannot(x)}: {why}", code="NNS402", label=why, at="sizes")
        dims = list(self.sizes)
        for i, (old, size) in enumerate(zip(x.dims, self.sizes[new:], strict=True), new):
            if size == -1:
                dims[i] = old
            elif old != 1:
                rules.require_equal(
                    old,
                    size,
                    f"{self._cannot(x)}: {show(old)} is not 1 in dimension {i - new}",
                    code="NNS407",
                    label=f"{show(old)} cannot become {show(size)}",
                    at="sizes",
                )
        for size in dims:
            rules.require_at_least(size, 0, f"{self._cannot(x)}: {show(size)} is no size", code="NNS407", at="sizes")
        return x.with_dims(*dims)

    def _cannot(self, x: TensorType) -> str:
        return f"`expand` cannot make {shape_text(self.sizes)} of {x}"

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.expand(inputs[0], m.output.dims)

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int | None:
        return 0 if output == inputs[0] else None

    def torch(self, *inputs: Any) -> Code:
        return method("expand", *inputs, *(self.sizes or ((),)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        # Expand broadcasts both ways, so that 1 keeps a size.
        return g.node("Expand", x, g.shape([1 if s == -1 else s for s in self.sizes])) if self.sizes else x
