"""Fourier transforms along several dimensions: fft2, rfftn and their like."""

from __future__ import annotations

from typing import Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.functions._fourier import Along, Fourier
from nnspec.functions._operands import axes
from nnspec.layer import Example, ShapeError
from nnspec.types import TensorType


class _Several(Fourier):
    """A transform along several dimensions: of half of the frequencies, or of a real signal, in the last one named."""

    s: Size | tuple[Size, ...] | None = arg(
        None, doc="how long the signal is in each: cut or filled with zeros to that; -1 leaves it as it is"
    )
    dim: int | tuple[int, ...] | None = arg(
        None, doc="the dimensions that are transformed; without it the last ones, as many as `s` has, or all"
    )
    norm: Literal["backward", "ortho", "forward"] | None = arg(
        None, doc='which way divides by the number of elements: the inverse ("backward"), the other ("forward"), both'
    )

    def along(self, x: TensorType) -> list[Along]:
        name = type(self).__name__
        sizes = self.s if isinstance(self.s, tuple) or self.s is None else (self.s,)
        dim = self.dim
        if dim is None and sizes is not None:
            dim = tuple(range(-len(sizes), 0))
        found = () if dim == () or (not x.rank and dim is None) else axes(self, x, dim)
        if (not x.rank and found) or (self.form != "complex" and not found):
            raise ShapeError(f"`{name}` needs a dimension, but its input is {x}", code="NNS402", input=0)
        if sizes is not None and len(sizes) != len(found):
            message = f"`{name}` needs a size for each dimension, but there are {len(sizes)} for {len(found)}"
            raise ShapeError(message, code="NNS402", at="s")
        given = [None if size == -1 else size for size in sizes or [-1] * len(found)]
        return self.measured(x, found, given)


class _Plane(_Several):
    """The same, along the last two dimensions if nothing else is said."""

    dim: int | tuple[int, ...] = arg((-2, -1), doc="the dimensions that are transformed")


class fft2(_Plane):
    """The frequencies of images or matrices: float[N, C, H, W] to complex64[N, C, H, W].

    Source: `torch.fft.fft2`.
    """

    examples = (
        Example("real(fft2(x))", x="float[N, T, 8]"),
        Example('view_as_real(fft2(x, s=(5, -1), dim=(1, 2), norm="ortho"))', x="float[N, H, W, 3]"),
    )


class ifft2(_Plane):
    """The images with these frequencies: what `fft2` does, taken back.

    Source: `torch.fft.ifft2`.
    """

    inverse = True

    examples = (
        Example("real(ifft2(fft2(x)))", x="float[N, 3, H, W]"),
        Example("view_as_real(ifft2(x))", x="float[N, H, 5]"),
    )


class rfft2(_Plane):
    """The frequencies of real images, half of them in each row: float[N, H, W] to complex64[N, H, W // 2 + 1].

    Source: `torch.fft.rfft2`.
    """

    form = "half"

    examples = (
        Example('view_as_real(rfft2(x, norm="ortho"))', x="float[N, 3, H, W]"),
        Example("abs(rfft2(x, (4, 6), dim=(1, 2)))", x="float[N, H, W, 3]"),
    )


class irfft2(_Plane):
    """The real images of such a half of their frequencies: complex64[N, H, F] to float[N, H, 2 * F - 2].

    Of an odd width the sizes must be said: `irfft2(x, s=(H, W))`. Source: `torch.fft.irfft2`.
    """

    inverse, form = True, "real"

    examples = (
        Example("irfft2(rfft2(x), s=(H, W))", x="float[N, 3, H, W]"),
        Example("irfft2(view_as_complex(x), dim=(2, 1))", x="float[N, 5, W, 2]"),
    )


class hfft2(_Plane):
    """The real frequencies of images that mirror themselves in the last dimension: `irfft2`, but forwards.

    Source: `torch.fft.hfft2`.
    """

    form = "real"

    examples = (
        Example('hfft2(view_as_complex(x), s=(3, 5), norm="forward")', x="float[N, H, W, 2]"),
        Example("hfft2(view_as_complex(x))", x="float[N, 3, 4, 2]"),
    )


class ihfft2(_Plane):
    """What mirrors itself in the last dimension and has these real frequencies: `rfft2`, but inverse.

    Source: `torch.fft.ihfft2`.
    """

    inverse, form, marks = True, "half", True

    examples = (
        Example("view_as_real(ihfft2(x))", x="float[N, H, W]"),
        Example('view_as_real(ihfft2(x, s=(4, 6), norm="ortho"))', x="float[N, 3, W]"),
    )


class fftn(_Several):
    """The frequencies along some dimensions, or all.

    Source: `torch.fft.fftn`.
    """

    examples = (
        Example("view_as_real(fftn(x, dim=(1, 2, 3)))", x="float[N, T, H, 5]"),
        Example("view_as_real(fftn(x))", x="float[]"),
    )


class ifftn(_Several):
    """What has these frequencies along some dimensions, or all.

    Source: `torch.fft.ifftn`.
    """

    inverse = True

    examples = (
        Example('view_as_real(ifftn(view_as_complex(x), s=(4, T), norm="ortho"))', x="float[N, T, 3, 2]"),
        Example("view_as_real(ifftn(x, dim=(1, 2)))", x="float[N, H, W]"),
    )


class rfftn(_Several):
    """The frequencies of what is real along some dimensions, or all; half of them in the last one that is named.

    Source: `torch.fft.rfftn`.
    """

    form = "half"

    examples = (
        Example("view_as_real(rfftn(x))", x="float[N, T]"),
        Example("view_as_real(rfftn(x, dim=(3, 1)))", x="float[N, T, 3, W]"),
    )


class irfftn(_Several):
    """What is real and has these frequencies, of which the last dimension that is named holds the first half.

    Source: `torch.fft.irfftn`.
    """

    inverse, form = True, "real"

    examples = (
        Example("irfftn(rfftn(x), s=(N, T))", x="float[N, T]"),
        Example("irfftn(view_as_complex(x), dim=(1, 2))", x="float[N, T, 5, 2]"),
    )


class hfftn(_Several):
    """The real frequencies of what mirrors itself in the last dimension that is named: `irfftn`, but forwards.

    Source: `torch.fft.hfftn`.
    """

    form = "real"

    examples = (
        Example("hfftn(view_as_complex(x), s=(4, 5))", x="float[N, T, 3, 2]"),
        Example("hfftn(view_as_complex(x), dim=(0, 2))", x="float[N, T, 3, 2]"),
    )


class ihfftn(_Several):
    """What mirrors itself in the last dimension that is named, of real frequencies: `rfftn`, but inverse.

    Source: `torch.fft.ihfftn`.
    """

    inverse, form, marks = True, "half", True

    examples = (
        Example('abs(ihfftn(x, dim=(0, 1), norm="ortho"))', x="float[N, T, 2]"),
        Example("view_as_real(ihfftn(x))", x="float[N, T]"),
    )
