"""What transforms have in common: what images are, and random numbers for each sample."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from nnspec.training.fault import SettingError
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    import torch

_MOST = 1 << 28
"""Numbers of a sample: a gigabyte."""

Interpolation = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]


def image_sizes(name: str, type_: TensorType) -> tuple[int, int, int]:
    """Channels, height and width of a field that holds images, or a fault."""
    sizes = [dim for dim in type_.dims[1:] if isinstance(dim, int)]
    if len(sizes) != 3 or type_.rank != 4 or not is_float(type_.dtype):
        raise SettingError(
            f"`{name}` is for images, float[batch, channels, height, width], and the field is {type_}",
            helps=("ToDtype(float32, scale=true) before it makes floats of bytes",) if type_.dtype == "uint8" else (),
        )
    return sizes[0], sizes[1], sizes[2]


def resized(type_: TensorType, *sizes: int) -> TensorType:
    """The type of images of another height and width (and channels before these)."""
    return bounded(TensorType(type_.dtype, (*type_.dims[: type_.rank - len(sizes)], *sizes)))


def bounded(type_: TensorType) -> TensorType:
    """The type, if a sample of it is no larger than any that is meant."""
    count = prod(dim for dim in type_.dims[1:] if isinstance(dim, int))
    if count > _MOST:
        raise SettingError(f"each sample would have {count:,} numbers; {_MOST:,} is the limit")
    return type_


def pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Height and width that one number, or two, say."""
    if isinstance(size, int):
        return size, size
    return size[0], size[-1]


def drawn(generator: torch.Generator | None, *shape: int) -> torch.Tensor:
    """Numbers from 0 to 1, on the CPU."""
    import torch

    return torch.rand(shape, generator=generator, dtype=torch.float64)


def drawn_between(generator: torch.Generator | None, low: float, high: float, *shape: int) -> torch.Tensor:
    """Numbers between two bounds."""
    return drawn(generator, *shape) * (high - low) + low


def drawn_below(generator: torch.Generator | None, ends: torch.Tensor) -> torch.Tensor:
    """A whole number from 0 up to, and without, each of these."""
    import torch

    return (torch.rand(ends.shape, generator=generator, dtype=torch.float64) * ends).long().clamp_(max=ends - 1)


def some(x: torch.Tensor, p: float, generator: torch.Generator | None) -> torch.Tensor:
    """Which samples of a batch are meant, each with probability p: [batch, 1, 1, ...]."""
    return per_sample(drawn(generator, len(x)) < p, x)


def per_sample(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A number for each sample, so that it meets a batch."""
    on_device = values.to(x.device, x.dtype if values.is_floating_point() else values.dtype)
    return on_device.reshape(-1, *(1,) * (x.ndim - 1))
