"""Random rectangles of images: cut out and resized, or erased."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import (
    drawn_below,
    drawn_between,
    image_sizes,
    pair,
    per_sample,
    resized,
    some,
)
from nnspec.types import TensorType

if TYPE_CHECKING:
    import torch

_TRIES = 10
"""How often a rectangle is drawn that does not fit, as torchvision does."""


class _Boxes(NamedTuple):
    """A rectangle in each image."""

    top: torch.Tensor
    left: torch.Tensor
    height: torch.Tensor
    width: torch.Tensor


def _check_ranges(scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    for name, (low, high) in (("scale", scale), ("ratio", ratio)):
        if low > high or (name == "ratio" and low <= 0):
            raise SettingError(f"({low}, {high}) is no range of shares", at=name)


def _drawn_sizes(
    generator: torch.Generator | None,
    count: int,
    area: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The longer and the shorter side, by the ratio, of some rectangles for each of `count` images."""
    areas = drawn_between(generator, *scale, count, _TRIES) * area
    ratios = drawn_between(generator, log(ratio[0]), log(ratio[1]), count, _TRIES).exp()
    return (areas * ratios).sqrt().round().long(), (areas / ratios).sqrt().round().long()


def _first(sizes: torch.Tensor, fits: torch.Tensor, otherwise: int) -> torch.Tensor:
    """The first of each row that fits."""
    import torch

    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    return torch.where(fits.any(1), sizes.gather(1, first)[:, 0], otherwise)


class RandomResizedCrop(Transform):
    """A piece of each image, of any size and form within bounds, resized.

    As `torchvision.transforms.RandomResizedCrop` on tensors.
    """

    random = True

    size: int | tuple[int, int] = arg(doc="height and width, one number for both", ge=1, le=65_536)
    scale: tuple[float, float] = arg((0.08, 1.0), doc="bounds of the share of the image's area", gt=0)
    ratio: tuple[float, float] = arg((3 / 4, 4 / 3), doc="bounds of width divided by height", gt=0)
    interpolation: Literal["bilinear", "bicubic"] = arg("bilinear", doc="how values between pixels are found")
    antialias: bool = arg(True, doc="average over what becomes one pixel")

    def check(self) -> None:
        _check_ranges(self.scale, self.ratio)

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomResizedCrop", type_)
        return resized(type_, *pair(self.size))

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        height, width = x.shape[2:]
        box = self._boxes(len(x), height, width, generator)
        rows = self._shares(box.top, box.height, height, pair(self.size)[0]).to(x.device, x.dtype)
        columns = self._shares(box.left, box.width, width, pair(self.size)[1]).to(x.device, x.dtype)
        return rows[:, None] @ (x @ columns[:, None].mT)

    def _boxes(self, count: int, height: int, width: int, generator: torch.Generator | None) -> _Boxes:
        wide, high = _drawn_sizes(generator, count, height * width, self.scale, self.ratio)
        fits = (wide > 0) & (wide <= width) & (high > 0) & (high <= height)
        whole_height, whole_width = self._otherwise(height, width)
        high, wide = _first(high, fits, whole_height), _first(wide, fits, whole_width)
        top, left = drawn_below(generator, height - high + 1), drawn_below(generator, width - wide + 1)
        any_fits = fits.any(1)
        return _Boxes(top.where(any_fits, (height - high) // 2), left.where(any_fits, (width - wide) // 2), high, wide)

    def _otherwise(self, height: int, width: int) -> tuple[int, int]:
        """The piece in the middle that is taken when no other was found."""
        low, high = self.ratio
        if width / height < low:
            return round(width / low), width
        if width / height > high:
            return height, round(height * high)
        return height, width

    def _shares(self, start: torch.Tensor, length: torch.Tensor, size: int, wanted: int) -> torch.Tensor:
        """How much of each pixel of a row goes into each new one: [batch, wanted, size], as torch's kernels have it."""
        import torch

        scale = (length / wanted)[:, None]
        wider = scale.clamp(min=1.0) if self.antialias else torch.ones_like(scale)
        reach = wider * (2 if self.interpolation == "bicubic" else 1)
        centre = (torch.arange(wanted) + 0.5) * scale
        at = torch.arange(size) - start[:, None]
        if self.antialias:
            first, last = (centre - reach + 0.5).long().clamp(min=0), (centre + reach + 0.5).long()
            inside = (at[:, None] >= first[..., None]) & (at[:, None] < last.minimum(length[:, None])[..., None])
            shares = self._filter((at[:, None] + 0.5 - centre[..., None]) / wider[..., None]) * inside
            return shares / shares.sum(2, keepdim=True)
        return self._interpolating(centre - 0.5, at, length)

    def _interpolating(self, place: torch.Tensor, at: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        """Without averaging: two or four pixels around a place; beyond the border is the border."""
        import torch

        if self.interpolation == "bilinear":
            place = place.clamp(min=0)
        base = place.floor()
        shares = torch.zeros(*place.shape, at.shape[1])
        for step in (0, 1) if self.interpolation == "bilinear" else (-1, 0, 1, 2):
            pixel = (base + step).clamp(min=0).minimum((length - 1)[:, None])
            hit = at[:, None] == pixel[..., None]
            shares += hit * self._filter(base + step - place, sharp=True)[..., None]
        return shares

    def _filter(self, distance: torch.Tensor, sharp: bool = False) -> torch.Tensor:
        """The weight of a pixel at a distance; torch's cubic is sharper where it does not average."""
        d = distance.abs()
        if self.interpolation == "bilinear":
            return (1 - d).clamp(min=0)
        a = -0.75 if sharp else -0.5
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return near.where(d < 1, far * (d < 2))


class RandomErasing(Transform):
    """A rectangle of some images filled with a value, or with noise. As `torchvision.transforms.RandomErasing`."""

    random = True

    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)
    scale: tuple[float, float] = arg((0.02, 0.33), doc="bounds of the share of the image's area", ge=0, le=1)
    ratio: tuple[float, float] = arg((0.3, 3.3), doc="bounds of height divided by width", gt=0)
    value: float | tuple[float, ...] | Literal["random"] = arg(0.0, doc="one number, one a channel, or normal noise")

    def check(self) -> None:
        _check_ranges(self.scale, self.ratio)

    def infer(self, type_: TensorType) -> TensorType:
        channels = image_sizes("RandomErasing", type_)[0]
        if isinstance(self.value, tuple) and len(self.value) not in (1, channels):
            raise SettingError(
                f"{len(self.value)} numbers are given, and the images have {channels} channels", at="value"
            )
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        erased = some(x, self.p, generator)
        if self.value == "random":
            filling = torch.randn(x.shape, generator=generator).to(x.device, x.dtype)
        else:
            filling = torch.as_tensor(self.value, dtype=x.dtype, device=x.device).reshape(-1, 1, 1)
        rows, columns = x.shape[2:]
        box, found = self._boxes(len(x), rows, columns, generator)
        row, column = torch.arange(rows, device=x.device)[:, None], torch.arange(columns, device=x.device)
        top, left, height, width = (per_sample(each, x) for each in box)
        inside = (row >= top) & (row < top + height) & (column >= left) & (column < left + width)
        return torch.where(inside & erased & per_sample(found, x), filling, x)

    def _boxes(
        self, count: int, height: int, width: int, generator: torch.Generator | None
    ) -> tuple[_Boxes, torch.Tensor]:
        high, wide = _drawn_sizes(generator, count, height * width, self.scale, self.ratio)
        fits = (high < height) & (wide < width)
        high, wide = _first(high, fits, 0), _first(wide, fits, 0)
        top, left = drawn_below(generator, height - high + 1), drawn_below(generator, width - wide + 1)
        return _Boxes(top, left, high, wide), fits.any(1)
