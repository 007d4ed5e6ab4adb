"""Tensors made of nothing: arange, zeros, ones, full. They are made where the tensors of their model are."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._operands import expect_fits
from nnspec.layer import Code, Example, Function, OnnxGraph, Ref, Rules, ShapeError, call, torch_dtype
from nnspec.types import DType, TensorType, is_int

DEVICE = Ref("DEVICE")
"""Where a tensor is made; the emitter puts the device of the method's first tensor in its place."""

_MOST_ELEMENTS = 2**31


class arange(Function):
    """Numbers at equal distances, from `start` up to but not including `end`: int[N] for sizes, float[N] with a float.

    One argument is the end. Source: `torch.arange`.
    """

    start: Size | float | None = arg(None, doc="the first number; 0 when left out")
    end: Size | float | None = arg(None, doc="the numbers stay below it")
    step: Size | float = arg(1, doc="the distance between neighbours")
    dtype: DType | None = arg(None, doc="int for whole numbers and float for others, when left out", keyword=True)

    examples = (
        Example("arange(5)"),
        Example("arange(T)", x="float[T]"),
        Example("arange(0, 2 * T, 2)", x="float[T]"),
        Example("arange(1, T + 1, dtype=float)", x="float[T]"),
        Example("arange(0.5, 3)"),
        Example("arange(7, 0, -2)"),
        Example("arange(T, 0, -1)", x="float[T]"),
        Example("arange(end=4, dtype=int32)"),
    )

    def infer(self, rules: Rules) -> TensorType:
        start, end, step = self._range()
        dtype = self._dtype()
        if isinstance(start, float) or isinstance(end, float) or isinstance(step, float):
            return TensorType(dtype, (self._count(start, end, step),))
        if step == 0:
            raise ShapeError("the step of `arange` is zero", code="NNS411", at="step", label="may not be zero")
        if rules.at_least(-1, step) is True:
            start, end, step = end, start, -step
        else:
            rules.require_at_least(
                step, 1, f"the step of `arange` must be at least 1, not {show(step)}", code="NNS411", at="step"
            )
        rules.require_at_least(
            end,
            start,
            f"`{self._text()}` ends before it starts",
            code="NNS411",
            label="its end lies on the wrong side of its start",
        )
        return TensorType(dtype, checked_sizes(self, rules, (rules.simplify((end - start + step - 1) // step),)))

    def _range(self) -> tuple[Any, Any, Any]:
        if self.end is None:
            if self.start is None:
                raise ShapeError("`arange` needs its end", code="NNS405", helps=("write `arange(10)`",))
            return 0, self.start, self.step
        return self.start or 0, self.end, self.step

    def _dtype(self) -> str:
        return self.dtype or ("float32" if any(isinstance(v, float) for v in self._range()) else "int64")

    def _text(self) -> str:
        given = [str(v) for v in (self.start, self.end) if v is not None]
        step = [] if self.step == 1 else [str(self.step) if len(given) == 2 else f"step={self.step}"]
        return f"arange({', '.join(given + step)})"

    def _count(self, start: Any, end: Any, step: Any) -> int:
        if any(isinstance(v, Dim) for v in (start, end, step)):
            raise ShapeError(
                f"`{self._text()}` mixes a symbol with numbers that are not whole",
                code="NNS405",
                helps=("scale the whole numbers: `arange(T) * 0.5`",),
            )
        if step == 0 or not all(map(isfinite, (start, end, step))):
            raise ShapeError(f"`{self._text()}` has no end", code="NNS411")
        wrong_side = (end - start) * step < 0
        if self.dtype == "int64":
            # torch drops what stands behind the points first, for this type alone.
            start, end, step = int(start), int(end), int(step)
            if step == 0:
                raise ShapeError(f"the step of `{self._text()}` is zero as a whole number", code="NNS411", at="step")
        turns = (end - start) / step
        count: int = ceil(turns) if isfinite(turns) else _MOST_ELEMENTS + 1
        if wrong_side or count > _MOST_ELEMENTS:
            why = "ends before it starts" if wrong_side else f"has more than {_MOST_ELEMENTS:,} elements"
            raise ShapeError(f"`{self._text()}` {why}", code="NNS411")
        return count

    def torch(self, *inputs: Any) -> Code:
        start, end, step = self._range()
        last = () if step == 1 and not isinstance(step, float) else (step,)
        first = () if start == 0 and not isinstance(start, float) and not last else (start,)
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call("torch.arange", *first, end, *last, **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        start, end, step = self._range()
        dtype = self._dtype()
        if any(isinstance(v, float) for v in (start, end, step)):
            # Run-times would add up the steps of floats, errors and all.
            import numpy as np

            if is_int(dtype):
                start, step = int(start), int(step)
            return g.constant(start + step * np.arange(self._count(*self._range())), dtype)
        y = g.node("Range", g.size(start), g.size(end), g.size(step))
        return y if dtype == "int64" else g.cast(y, dtype)


class _Filled(Function):
    """A tensor of one number everywhere, of a given shape."""

    order = ("*size",)

    size: tuple[Size, ...] | tuple[tuple[Size, ...]] = arg(doc="the sizes, one by one or in a list")
    dtype: DType | None = arg(None, doc="the element type, float when left out", keyword=True)

    number: int = 0

    def infer(self, rules: Rules) -> TensorType:
        return TensorType(self.dtype or "float32", checked_sizes(self, rules, self._sizes()))

    def _sizes(self) -> tuple[Size, ...]:
        first: Any = self.size[0] if self.size else None
        return first if isinstance(first, tuple) else self.size

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call(f"torch.{type(self).__name__}", *(self._sizes() or ((),)), **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        return g.node("Expand", g.constant(self.number, self.dtype or "float32"), g.shape(self._sizes()))


class zeros(_Filled):
    """Zeros, of a given shape: `zeros(N, D)` is float[N, D].

    Source: `torch.zeros`.
    """

    examples = (
        Example("zeros(N, 3)", x="float[N]"),
        Example("zeros([2, N], dtype=int)", x="float[N]"),
        Example("zeros(4, dtype=bool)"),
    )


class ones(_Filled):
    """Ones, of a given shape: `ones(N, D)` is float[N, D].

    Source: `torch.ones`.
    """

    number = 1

    examples = (
        Example("ones(T, T, dtype=bool)", x="float[T]"),
        Example("ones((2, 3))"),
        Example("ones(N // 2, N)", x="float[N]"),
    )


class full(Function):
    """One number everywhere, in a given shape: `full((N, D), 0.5)` is float[N, D]; its type is that of the number.

    Source: `torch.full`.
    """

    size: tuple[Size, ...] = arg(doc="the sizes")
    fill_value: bool | Size | float = arg(doc="the number")
    dtype: DType | None = arg(None, doc="the element type, that of the number when left out", keyword=True)

    examples = (
        Example("full((N, 3), 0.5)", x="float[N]"),
        Example("full([N], T)", x="float[N, T]"),
        Example("full((2, T), -inf)", x="float[T]"),
        Example("full((3,), true)"),
        Example("full((3,), 2.0)"),
        Example("full((3,), 1, dtype=int8)"),
    )

    def infer(self, rules: Rules) -> TensorType:
        expect_fits(self, self._dtype(), self.fill_value, at="fill_value")
        return TensorType(self._dtype(), checked_sizes(self, rules, self.size))

    def _dtype(self) -> str:
        value = self.fill_value
        return self.dtype or ("bool" if isinstance(value, bool) else "float32" if isinstance(value, float) else "int64")

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call("torch.full", self.size, self.fill_value, **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        value, dtype = self.fill_value, self._dtype()
        return g.node("Expand", number(g, value, dtype), g.shape(self.size))


def number(g: OnnxGraph, value: bool | Size | float, dtype: str) -> str:
    """A number of an element type; below 0 it counts back from the end of uint8."""
    if isinstance(value, Dim):
        return g.cast(g.size(value), dtype)
    return g.constant(value % 256 if dtype == "uint8" and value < 0 else value, dtype)


def checked_sizes(function: Function, rules: Rules, sizes: tuple[Size, ...], *, at: str = "size") -> tuple[Size, ...]:
    """Sizes of a new tensor: none of them negative, and together no more than memory can hold."""
    elements = 1
    for size in sizes:
        rules.require_at_least(
            size,
            0,
            f"`{type(function).__name__}` cannot make a dimension of size {show(size)}",
            code="NNS411",
            at=at,
        )
        elements *= size if isinstance(size, int) else 1
    if elements > _MOST_ELEMENTS:
        raise ShapeError(
            f"`{type(function).__name__}` would make {elements:,} elements, more than {_MOST_ELEMENTS:,}",
            code="NNS411",
            at=at,
        )
    return sizes
