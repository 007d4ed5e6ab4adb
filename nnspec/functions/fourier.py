"""Fourier transforms along one dimension: fft, rfft and their like."""

from __future__ import annotations

from typing import Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._fourier import Along, Fourier
from nnspec.functions._operands import axis
from nnspec.layer import Example, ShapeError
from nnspec.types import TensorType


class _Line(Fourier):
    """A transform along one dimension."""

    n: Size | None = arg(None, doc="how long the signal is: cut or filled with zeros to that; as it is when left out")
    dim: int = arg(-1, doc="the dimension that is transformed")
    norm: Literal["backward", "ortho", "forward"] | None = arg(
        None, doc='which way divides by n: the inverse ("backward") or the other ("forward"); "ortho": both by its root'
    )

    def along(self, x: TensorType) -> list[Along]:
        if not x.rank:
            raise ShapeError(f"`{type(self).__name__}` needs a dimension, but its input is {x}", code="NNS402", input=0)
        return self.measured(x, [axis(self, x, self.dim)], [self.n])


class fft(_Line):
    """The frequencies of a signal, real or complex: float[N, T] to complex64[N, T].

    Source: `torch.fft.fft`.
    """

    examples = (
        Example("view_as_real(fft(x))", x="float[N, T]"),
        Example('abs(fft(x, dim=1, norm="ortho"))', x="float[N, 6, 3]"),
        Example("view_as_real(fft(view_as_complex(x), 5))", x="float64[N, T, 2]"),
        Example("real(fft(x, n=T, dim=0))", x="int[7, T]"),
    )


class ifft(_Line):
    """The signal with these frequencies: what `fft` does, taken back.

    Source: `torch.fft.ifft`.
    """

    inverse, marks = True, True

    examples = (
        Example("real(ifft(fft(x)))", x="float[N, T]"),
        Example('view_as_real(ifft(view_as_complex(x), norm="forward"))', x="float[N, 7, 2]"),
        Example("imag(ifft(x, n=2 * T, dim=1))", x="float[N, T, 3]"),
    )


class rfft(_Line):
    """The frequencies of a real signal, from 0 to half of their number: float[N, T] to complex64[N, T // 2 + 1].

    Source: `torch.fft.rfft`.
    """

    form = "half"

    examples = (
        Example("view_as_real(rfft(x))", x="float[N, T]"),
        Example('abs(rfft(x, 400, norm="forward"))', x="float[N, 400]"),
        Example("view_as_real(rfft(x, n=9, dim=1))", x="float64[N, T, 3]"),
        Example("abs(rfft(x))", x="bool[T]"),
    )


class irfft(_Line):
    """The real signal whose frequencies from 0 to half of their number these are: complex64[F] to float[2 * F - 2].

    Of an odd signal the length must be said: `irfft(x, n=T)`. Source: `torch.fft.irfft`.
    """

    inverse, form = True, "real"

    examples = (
        Example("irfft(rfft(x), T)", x="float[N, T]"),
        Example("irfft(view_as_complex(x), dim=1)", x="float[N, 9, 3, 2]"),
        Example('irfft(x, n=5, norm="ortho")', x="float[N, T]"),
        Example("irfft(view_as_complex(x))", x="float64[F, 2]", assume="F >= 2"),
    )


class hfft(_Line):
    """The real frequencies of a signal that mirrors itself, of which the first half is given: `irfft`, but forwards.

    Source: `torch.fft.hfft`.
    """

    form = "real"

    examples = (
        Example("hfft(view_as_complex(x), n=7)", x="float[N, T, 2]"),
        Example('hfft(view_as_complex(x), dim=0, norm="ortho")', x="float[4, N, 2]"),
    )


class ihfft(_Line):
    """The first half of a signal that mirrors itself and has these real frequencies: `rfft`, but inverse.

    Source: `torch.fft.ihfft`.
    """

    inverse, form, marks = True, "half", True

    examples = (
        Example("view_as_real(ihfft(x))", x="float[N, T]"),
        Example('abs(ihfft(x, 6, dim=0, norm="ortho"))', x="float[N, 3]"),
    )
