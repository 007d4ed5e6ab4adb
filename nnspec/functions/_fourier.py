"""What Fourier transforms share: which dimensions they go along, their sizes, and how ONNX computes them.

ONNX Runtime's DFT is inexact in float32 where a length is no power of two, and its inverse in float64 as well. So all
is worked out in float64 by DFTs that go forwards: the inverse is the conjugate of what they make of the conjugate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from nnspec.dims import Size, show
from nnspec.functions._complex import conjugate
from nnspec.functions._operands import as_float
from nnspec.layer import Code, Function, OnnxGraph, Ref, Rules, ShapeError, method
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import TensorType, is_complex, real_part, show_dtype, with_imaginary

_EXACT = "complex128"

Form = Literal["complex", "half", "real"]


class Along(NamedTuple):
    """A dimension that is transformed: how long the signal is there, and whether it is cut or filled up to that."""

    axis: int
    size: Size
    cut: bool


class Fourier(Function):
    """A discrete Fourier transform."""

    namespace = "torch.fft"
    of_complex = "own"

    inverse: ClassVar[bool] = False
    """Whether the waves turn the other way."""
    form: ClassVar[Form] = "complex"
    """What comes out: all frequencies, the first half of those of a real signal, or a real signal of such a half."""

    marks: ClassVar[bool] = False
    """Whether torch may only mark what it gives as a conjugate, which some functions do not take."""

    def torch(self, *inputs: Any) -> Code | Ref:
        return method("resolve_conj", super().torch(*inputs)) if self.marks else super().torch(*inputs)

    def along(self, x: TensorType) -> list[Along]:
        """The dimensions, in the order of the arguments. Abstract: it depends on the arguments."""
        raise NotImplementedError

    def measured(self, x: TensorType, found: Sequence[int], given: Sequence[Size | None]) -> list[Along]:
        """Dimensions with their sizes. Half of the frequencies stand in the last one for a signal twice as long."""
        along = [Along(at, x.dims[at] if n is None else n, n is not None) for at, n in zip(found, given, strict=True)]
        if self.form == "real":
            last = along.pop()
            along.append(Along(last.axis, last.size if last.cut else 2 * (last.size - 1), True))
        return along

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = self._numbers(x)
        dims = list(x.dims)
        along = self.along(x)
        for at in along:
            self._check_size(rules, x, at)
            dims[at.axis] = at.size
        if self.form == "half":
            dims[along[-1].axis] = along[-1].size // 2 + 1
        dtype = with_imaginary(as_float(x.dtype))
        return TensorType(real_part(dtype) if self.form == "real" else dtype, tuple(dims))

    def _numbers(self, operand: Any) -> TensorType:
        x = expect_tensor(self, operand)
        if x.dtype in ("float16", "bfloat16"):
            wanted, help_ = "float32 or float64", "convert it: `to(x, float)`"
        elif self.form == "half" and is_complex(x.dtype):
            wanted, help_ = "a real signal", "a complex one has all frequencies: `fft`"
        else:
            return x
        message = f"`{type(self).__name__}` needs {wanted}, but its input is {x}"
        raise ShapeError(message, code="NNS406", label=f"is of type {show_dtype(x.dtype)}", input=0, helps=(help_,))

    def _check_size(self, rules: Rules, x: TensorType, at: Along) -> None:
        name, here = type(self).__name__, x.dims[at.axis]
        if self.form == "real" and at.size == 2 * (here - 1):
            message = f"`{name}` makes 2 * (n - 1) numbers of n, and so none of {show(here)}: its input is {x}"
            rules.require_at_least(here, 2, message, code="NNS403", input=0)
        else:
            message = f"`{name}` goes along one number at least, not {show(at.size)}"
            rules.require_at_least(at.size, 1, message, code="NNS411", at="n" if "n" in self.fields else "s")

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        along = self.along(kind)
        y = _exact(g, x)
        if self.inverse and is_complex(kind.dtype):
            y = conjugate(g, y, _EXACT)
        if self.form == "half":
            y = dft(g, y, along[-1], half=True)
            y = real_where_alone(g, y, kind, along[-1]) if len(along) == 1 else y
        for at in along if self.form == "complex" else along[:-1]:
            y = dft(g, y, at)
        if self.form == "real":
            y = of_half(g, y, kind, along[-1])
        else:
            y = _complex(g, y, kind) if not along else y
            y = conjugate(g, y, _EXACT) if self.inverse else y
        return g.cast(self._divided(g, y, along), real_part(as_float(kind.dtype)))

    def _divided(self, g: OnnxGraph, y: str, along: Sequence[Along]) -> str:
        """By the number of elements, its root, or not at all."""
        norm = self.__dict__["norm"] or "backward"
        if norm == ("forward" if self.inverse else "backward") or not along:
            return y
        count = g.cast(g.size(volume([at.size for at in along])), "float64")
        return str(g.node("Div", y, g.node("Sqrt", count) if norm == "ortho" else count))


def _exact(g: OnnxGraph, x: str) -> str:
    """A value in float64, with a last dimension for its parts, of which real numbers have one."""
    y = g.cast(x, "float64")
    return y if is_complex(g.type(x).dtype) else str(g.node("Unsqueeze", y, g.constant([-1])))


def _complex(g: OnnxGraph, x: str, kind: TensorType) -> str:
    """The same with both parts."""
    return x if is_complex(kind.dtype) else str(g.node("Pad", x, g.constant([0] * (2 * kind.rank + 1) + [1])))


def dft(g: OnnxGraph, x: str, at: Along, *, half: bool = False) -> str:
    """The transform forwards along a dimension, of values with parts in their last one."""
    length = g.size(at.size) if at.cut else None
    if g.opset < 20:
        return str(g.node("DFT", x, length, axis=at.axis, onesided=int(half)))
    return str(g.node("DFT", x, length, g.constant(at.axis), onesided=int(half)))


def of_half(g: OnnxGraph, x: str, kind: TensorType, at: Along) -> str:
    """The real signal whose frequencies' first half this is: all others stand for two, of opposite directions."""
    size = kind.dims[at.axis]
    alone = _alone(g, size, kind.rank - at.axis, at.size)
    y = g.node("Mul", x, g.node("Where", alone, g.constant(1.0, "float64"), g.constant(2.0, "float64")))
    if not (isinstance(size, int) and isinstance(at.size, int) and size <= at.size // 2 + 1):
        y = g.node("Slice", y, g.constant([0]), g.shape([at.size // 2 + 1]), g.constant([at.axis]))
    return str(g.node("Gather", dft(g, y, at), g.constant(0), axis=-1))


def _alone(g: OnnxGraph, count: Size, behind: int, size: Size) -> str:
    """Which of the first frequencies of a real signal stand for themselves: 0 and the middle. [count, 1, ..., 1]."""
    trailing = g.constant(list(range(1, behind + 1)))
    if isinstance(count, int) and isinstance(size, int):
        return str(g.node("Unsqueeze", g.constant([2 * k in (0, size) for k in range(count)], "bool"), trailing))
    place = g.node("Range", g.constant(0), g.size(count), g.constant(1))
    middle = g.node("Equal", g.node("Mul", place, g.constant(2)), g.size(size))
    return str(g.node("Unsqueeze", g.node("Or", g.node("Equal", place, g.constant(0)), middle), trailing))


def real_where_alone(g: OnnxGraph, x: str, kind: TensorType, at: Along, dtype: str = "float64") -> str:
    """The half spectrum with imaginary parts of 0 where they are that: with digits lost, angles would turn over."""
    alone = _alone(g, at.size // 2 + 1, kind.rank - at.axis, at.size)
    return str(g.node("Where", g.node("And", alone, g.constant([False, True], "bool")), g.constant(0.0, dtype), x))
