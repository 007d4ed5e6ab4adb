"""Complex numbers: made of two real ones, taken apart, and what they have that real ones lack."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

from nnspec.dims import show
from nnspec.functions._complex import apart, conjugate, joined, paired
from nnspec.functions._elementwise import Real
from nnspec.functions._lowering import choose
from nnspec.functions._operands import broadcast, same_type
from nnspec.functions.pairs import atan2
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, index
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import TensorType, is_complex, real_part, show_dtype, with_imaginary


def expect_parts(function: Function, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be of a type that complex numbers can be made of."""
    x = expect_float(function, operand, input)
    if x.dtype not in ("float32", "float64"):
        raise ShapeError(
            f"`{type(function).__name__}` makes complex numbers of float32 or float64, but its input is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=("convert it: `to(x, float)`",),
        )
    return x


def expect_complex(function: Function, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be complex."""
    x = expect_tensor(function, operand, input)
    if not is_complex(x.dtype):
        raise ShapeError(
            f"`{type(function).__name__}` needs complex numbers, but its input is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=("`complex(real, imag)` and `view_as_complex(x)` make complex numbers",),
        )
    return x


class _OfTwo(Function):
    """Complex numbers of two real ones, broadcast."""

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        pair = [expect_parts(self, each, position) for position, each in enumerate((x, other))]
        return TensorType(with_imaginary(same_type(self, pair)), broadcast(rules, *pair))


class complex(_OfTwo):
    """Complex numbers, from their real and their imaginary parts, broadcast.

    They live inside a model: `view_as_real`, `real` and `abs` make real numbers of them again.
    Source: `torch.complex`.
    """

    examples = (
        Example("view_as_real(complex(x, y))", x="float[N, 8]", y="float[N, 1]"),
        Example("abs(complex(x, y))", x="float64[T]", y="float64[T]"),
    )

    def infer(self, rules: Rules, real: TensorType, imag: TensorType) -> TensorType:
        return super().infer(rules, real, imag)

    def onnx(self, g: OnnxGraph, real: str, imag: str) -> Any:
        return paired(g, real, imag)


class polar(_OfTwo):
    """Complex numbers, from their absolute values and their angles, broadcast: `abs * (cos(angle) + i sin(angle))`.

    Source: `torch.polar`.
    """

    examples = (
        Example("view_as_real(polar(x, y))", x="float[N, 8]", y="float[8]"),
        Example("real(polar(ones_like(x), x))", x="float[T]"),
    )

    def infer(self, rules: Rules, abs: TensorType, angle: TensorType) -> TensorType:
        return super().infer(rules, abs, angle)

    def onnx(self, g: OnnxGraph, abs: str, angle: str) -> Any:
        return joined(g, *(g.node("Mul", abs, g.node(wave, angle)) for wave in ("Cos", "Sin")))


class view_as_complex(Function):
    """Complex numbers, from real and imaginary parts side by side: float[..., 2] to complex64[...].

    Source: `torch.view_as_complex`.
    """

    examples = (
        Example("view_as_real(view_as_complex(x))", x="float[N, T, 2]"),
        Example("abs(view_as_complex(transpose(x, 0, 1)))", x="float64[2, N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_parts(self, x)
        message = f"`view_as_complex` needs a last dimension of size 2, but its input is {x}"
        if not x.rank:
            raise ShapeError(message, code="NNS402", input=0)
        rules.require_equal(x.dims[-1], 2, message, label=f"{show(x.dims[-1])} in the last dimension", input=0)
        return TensorType(with_imaginary(x.dtype), x.dims[:-1])

    def torch(self, *inputs: Any) -> Code:
        # torch's own function refuses what does not lie in memory as it needs it.
        return call("torch.complex", *(index(inputs[0], ..., part) for part in (0, 1)))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class view_as_real(Function):
    """Real and imaginary parts side by side in a new last dimension: complex64[...] to float[..., 2].

    Source: `torch.view_as_real`.
    """

    keeps = ()
    of_complex = "own"

    examples = (
        Example("view_as_real(rfft(x))", x="float[N, T]"),
        Example("view_as_real(fft(x, dim=0))", x="float64[N, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_complex(self, x)
        return TensorType(real_part(x.dtype), (*x.dims, 2))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class real(Function):
    """The real parts of complex numbers, in the same shape; real ones stay what they are.

    Source: `torch.real`.
    """

    keeps = ()
    of_complex = "own"

    examples = (
        Example("real(fft2(x))", x="float[N, T, 8]"),
        Example("real(x)", x="int[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        return x.with_dtype(real_part(x.dtype))

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int | None:
        return 0 if output == inputs[0] else None

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return apart(g, x, kind.dtype).real if is_complex(kind.dtype) else x


class imag(Function):
    """The imaginary parts of complex numbers, in the same shape.

    Source: `torch.imag`.
    """

    keeps = ()
    of_complex = "own"

    examples = (
        Example("imag(fft(x))", x="float[N, 8]"),
        Example("imag(view_as_complex(x))", x="float[N, T, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_complex(self, x)
        return x.with_dtype(real_part(x.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return apart(g, x, g.type(x).dtype).imaginary


class conj(Function):
    """Complex numbers with the opposite imaginary parts, in the same shape; real ones stay what they are.

    Source: `torch.conj_physical`.
    """

    keeps = ()
    of_complex = "own"

    examples = (
        Example("view_as_real(conj(fft(x)))", x="float[N, 8]"),
        Example("conj(x)", x="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def torch(self, *inputs: Any) -> Code:
        # `torch.conj` only marks its result, which some functions do not take.
        return call("torch.conj_physical", *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return conjugate(g, x, kind.dtype) if is_complex(kind.dtype) else x


class angle(Real):
    """The angle of complex numbers, from -pi to pi; of real ones 0, or pi where they are negative.

    Source: `torch.angle`.
    """

    of_complex = "own"

    examples = (
        Example("angle(rfft(x))", x="float[N, 8]"),
        Example("angle(x)", x="float[N, T]"),
        Example("angle(x)", x="int[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = super().infer(rules, x)
        return x.with_dtype(real_part(x.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        dtype = g.type(x).dtype
        if not is_complex(dtype):
            return super().onnx(g, x)
        width, height = apart(g, x, dtype)
        return atan2().lowered(g, height, width, real_part(dtype))

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        turned = choose(g, g.node("Less", x, g.constant(0, dtype)), pi, 0.0, dtype)
        return str(g.node("Where", g.node("IsNaN", x), x, turned))
