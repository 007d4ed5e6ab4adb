"""Layers that only change a shape, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_axis, expect_tensor, volume
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class Identity(Layer):
    """Gives its input back, whatever it is.

    Source: `torch.nn.Identity`.
    """

    examples = (
        Example("Identity", x="float[N, 3]"),
        Example("Identity", x="int[T]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_tensor(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return x

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int:
        return 0

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return inputs[0]

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class Flatten(Layer):
    """Makes one dimension of those from `start_dim` to `end_dim`: [N, ...] to [N, D] by default.

    Source: `torch.nn.Flatten`.
    """

    reshapes = True

    start_dim: int = arg(1, doc="first dimension of those that become one")
    end_dim: int = arg(-1, doc="last dimension of those that become one")

    examples = (
        Example("Flatten", x="float[N, 3, 4, 5]"),
        Example("Flatten(0, 1)", x="float[N, T, 8]"),
        Example("Flatten(1, 2)", x="int[N, H, W, 5]"),
        Example("Flatten(start_dim=-2)", x="float64[N, 3, T]"),
        Example("Flatten(0)", x="float[N]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_tensor(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        if x.rank == 0 and self.start_dim in (0, -1) and self.end_dim in (0, -1):
            return x.with_dims(1)
        start, end = self._range(x)
        if start > end:
            raise ShapeError(
                f"`Flatten` cannot go from dimension {start} back to dimension {end} of {x}",
                code="NNS411",
                at="end_dim",
            )
        return x.with_dims(*x.dims[:start], rules.simplify(volume(x.dims[start : end + 1])), *x.dims[end + 1 :])

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        start, end = self._range(inputs[0])
        sizes = inputs[0].dims[start : end + 1]
        plain = len(sizes) < 2 or not all(isinstance(size, int) for size in sizes)
        return "" if plain else f"{' * '.join(map(str, sizes))} = {output.dims[start]}"

    def _range(self, x: TensorType) -> tuple[int, int]:
        return expect_axis(self, x, "start_dim", self.start_dim), expect_axis(self, x, "end_dim", self.end_dim)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        if kind.rank == 0:
            return g.node("Reshape", x, g.constant([1]))
        start, end = self._range(kind)
        if start == end:
            return x
        rest = kind.dims[end + 1 :]
        if all(isinstance(size, int) for size in rest):
            return g.node("Reshape", x, g.constant([*[0] * start, -1, *rest]))
        return g.node("Reshape", x, g.shape([*kind.dims[:start], volume(kind.dims[start : end + 1]), *rest]))


class Unflatten(Layer):
    """Makes several dimensions of one: [..., D, ...] to [..., A, B, ...] where `A * B` is `D`.

    Source: `torch.nn.Unflatten`.
    """

    reshapes = True

    dim: int = arg(doc="the dimension that becomes several")
    unflattened_size: tuple[int, ...] = arg(doc="the sizes that it becomes; one of them may be -1, to be worked out")

    examples = (
        Example("Unflatten(1, (3, 4))", x="float[N, 12]"),
        Example("Unflatten(-1, (2, -1))", x="float[N, T, 8]"),
        Example("Unflatten(0, (-1, 3))", x="int[12, 2]"),
        Example("Unflatten(1, (2, 3, 1))", x="float[N, 6, T]"),
    )

    def accept(self, *inputs: Any) -> None:
        expect_tensor(self, inputs[0])

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        axis = expect_axis(self, x, "dim", self.dim)
        sizes, size = self.unflattened_size, x.dims[axis]
        shape = f"({', '.join(map(str, sizes))})"
        if not sizes or sizes.count(-1) > 1 or any(s < 1 and s != -1 for s in sizes):
            raise ShapeError(
                f"unflattened_size {shape} must hold sizes of at least 1, and -1 at most once",
                code="NNS408",
                at="unflattened_size",
            )
        known = volume(s for s in sizes if s != -1)
        message = f"a dimension of {show(size)} cannot become {shape}"
        label = f"dimension {axis} of {x} is {show(size)}"
        error = {"code": "NNS408", "at": "unflattened_size", "label": label}
        if -1 in sizes:
            rest = rules.exact(size, known, f"{message}: {known} does not divide it", **error)
            parts = tuple(rest if s == -1 else s for s in sizes)
        else:
            rules.require_equal(size, known, f"{message}, which holds {known}", **error)
            parts = sizes
        return x.with_dims(*x.dims[:axis], *parts, *x.dims[axis + 1 :])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        axis = expect_axis(self, kind, "dim", self.dim)
        rest = kind.dims[axis + 1 :]
        symbolic = sum(not isinstance(size, int) for size in rest)
        if symbolic == 0:
            return g.node("Reshape", x, g.constant([*[0] * axis, *self.unflattened_size, *rest]))
        if symbolic == 1 and -1 not in self.unflattened_size:
            tail = [size if isinstance(size, int) else -1 for size in rest]
            return g.node("Reshape", x, g.constant([*[0] * axis, *self.unflattened_size, *tail]))
        known = volume(s for s in self.unflattened_size if s != -1)
        parts = [kind.dims[axis] // known if s == -1 else s for s in self.unflattened_size]
        return g.node("Reshape", x, g.shape([*kind.dims[:axis], *parts, *rest]))
