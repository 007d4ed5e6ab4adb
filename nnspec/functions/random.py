"""Random draws: from the uniform and the normal distribution, and coins. They are drawn anew at every call."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._operands import axis
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, torch_dtype
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import DType, TensorType, is_float, show_dtype


class _Drawn(Function):
    """Random floats of a given shape; `op` is what draws them in ONNX, in the likeness of a tensor."""

    order = ("*size",)
    draws = True
    op: ClassVar[str]

    size: tuple[Size, ...] | tuple[tuple[Size, ...]] = arg(doc="the sizes, one by one or in a list")
    dtype: DType | None = arg(None, doc="the element type, float when left out", keyword=True)

    def infer(self, rules: Rules) -> TensorType:
        dtype = self.dtype or "float32"
        _expect_float(self, dtype)
        return TensorType(dtype, checked_sizes(self, rules, self._sizes()))

    def _sizes(self) -> tuple[Size, ...]:
        first: Any = self.size[0] if self.size else None
        return first if isinstance(first, tuple) else self.size

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call(f"torch.{type(self).__name__}", *(self._sizes() or ((),)), **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        return draw(g, self.op, g.shape(self._sizes()), self.dtype or "float32")


class rand(_Drawn):
    """Random numbers from 0 up to but not including 1, of a given shape: `rand(N, D)` is float[N, D].

    Source: `torch.rand`.
    """

    op = "RandomUniformLike"

    examples = (
        Example("rand(N, 3)", x="float[N]"),
        Example("rand([2, N], dtype=float64)", x="float[N]"),
        Example("rand(4)"),
    )


class randn(_Drawn):
    """Random numbers from the normal distribution, of a given shape: `randn(N, D)` is float[N, D].

    Source: `torch.randn`.
    """

    op = "RandomNormalLike"

    examples = (
        Example("randn(N, T // 2 + 1)", x="float[N, T]"),
        Example("randn((2, 3), dtype=float16)"),
    )


class _DrawnLike(Function):
    """Random floats in the shape of another tensor."""

    draws = True
    op: ClassVar[str]

    dtype: DType | None = arg(None, doc="the element type, that of x when left out", keyword=True)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        _expect_float(self, self.dtype or x.dtype)
        return x.with_dtype(self.dtype or x.dtype)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return draw(g, self.op, g.shape(kind.dims), self.dtype or kind.dtype)


class rand_like(_DrawnLike):
    """Random numbers from 0 up to but not including 1, in the shape and type of x.

    Source: `torch.rand_like`.
    """

    op = "RandomUniformLike"

    examples = (
        Example("rand_like(x)", x="float[N, 8]"),
        Example("rand_like(x, dtype=float)", x="int[N, T]"),
    )


class randn_like(_DrawnLike):
    """Random numbers from the normal distribution, in the shape and type of x.

    Source: `torch.randn_like`.
    """

    op = "RandomNormalLike"

    examples = (
        Example("randn_like(x)", x="float[N, 8]"),
        Example("randn_like(x, dtype=float)", x="bool[N]"),
    )


class gumbel_softmax(Function):
    """A draw of one class from those whose scores lie along `dim`: a softmax of `(x + noise) / tau`, the shape stays.

    With `hard` it is 1 for the class that is drawn and 0 for the others, while gradients flow as through the softmax.
    Source: `torch.nn.functional.gumbel_softmax`; Jang, Gu and Poole (arXiv:1611.01144).
    """

    namespace = "F"
    draws = True
    order = ("logits", "tau", "hard")

    tau: float = arg(1.0, gt=0, doc="the temperature: the lower, the nearer to one class alone")
    hard: bool = arg(False, doc="give one class alone")
    dim: int = arg(-1, doc="the dimension that the classes stand in", keyword=True)

    examples = (
        Example("gumbel_softmax(x)", x="float[N, 8]"),
        Example("gumbel_softmax(x, 0.5, hard=true, dim=1)", x="float[N, 4, T]"),
    )

    def infer(self, rules: Rules, logits: TensorType) -> TensorType:
        axis(self, expect_float(self, logits), self.dim)
        return logits

    def onnx(self, g: OnnxGraph, logits: str) -> Any:
        kind = g.type(logits)
        at = self.dim % max(kind.rank, 1)
        if not kind.rank:
            return g.node("Exp", g.node("Sub", logits, logits))
        # The logarithms of 0 and 1 have no use here.
        drawn = draw(g, "RandomUniformLike", g.shape(kind.dims), "float32")
        inside = g.node("Clip", drawn, g.constant(1e-30, "float32"), g.constant(1 - 2**-24, "float32"))
        noise = g.cast(g.node("Neg", g.node("Log", g.node("Neg", g.node("Log", inside)))), kind.dtype)
        scores = g.node("Div", g.node("Add", logits, noise), g.constant(self.tau, kind.dtype))
        if not self.hard:
            return g.node("Softmax", scores, axis=at)
        classes = g.node("Range", g.constant(0), g.size(kind.dims[at]), g.constant(1))
        column = g.node("Reshape", classes, g.constant([-1, *[1] * (kind.rank - 1 - at)]))
        return g.cast(g.node("Equal", g.node("ArgMax", scores, axis=at), column), kind.dtype)


class bernoulli(Function):
    """Ones and zeros: each element of x is the probability that a one is drawn.

    Source: `torch.bernoulli`.
    """

    draws = True

    examples = (
        Example("bernoulli(sigmoid(x))", x="float[N, 8]"),
        Example("bernoulli(full((N, 1, 1), 0.9))", x="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        _expect_float(self, x.dtype)
        return x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        drawn = draw(g, "RandomUniformLike", g.shape(kind.dims), "float32")
        return g.cast(g.node("Less", drawn, g.cast(x, "float32")), kind.dtype)


def draw(g: OnnxGraph, op: str, shape: str, dtype: str) -> Any:
    """Floats of a shape that may be known at run time only; of another type they are made by a cast."""
    return g.cast(g.node(op, g.node("ConstantOfShape", shape), dtype=_FLOAT), dtype)


_FLOAT = 1
"""ONNX's number for float32."""


def _expect_float(function: Function, dtype: str) -> None:
    if not is_float(dtype):
        name = type(function).__name__
        raise ShapeError(
            f"`{name}` draws floats, not {show_dtype(dtype)}",
            code="NNS406",
            helps=(f"say which: `{name}(..., dtype=float)`",) if "dtype" in type(function).fields else (),
        )
