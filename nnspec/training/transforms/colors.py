"""Colours and sharpness of images, by torchvision's names, arguments and defaults. Images are floats from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import (
    drawn,
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

_AMOUNT = "the most that the factor is away from 1, or its bounds"


def _check_colours(name: str, type_: TensorType, *, grey_too: bool = True) -> int:
    channels = image_sizes(name, type_)[0]
    if channels != 3 and not (grey_too and channels == 1):
        raise SettingError(f"`{name}` is for images of 3 channels{' or 1' * grey_too}, and these have {channels}")
    return channels


def grey(x: torch.Tensor) -> torch.Tensor:
    """One channel of light, weighed as the eye does."""
    red, green, blue = x.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114).unsqueeze(1)


def _blend(x: torch.Tensor, other: torch.Tensor | float, factor: torch.Tensor) -> torch.Tensor:
    return (factor * x + (1.0 - factor) * other).clamp(0, 1)


class Grayscale(Transform):
    """Images of 3 channels without their colours. As `torchvision.transforms.Grayscale`."""

    num_output_channels: int = arg(1, doc="1, or 3 that are equal", ge=1, le=3)

    def check(self) -> None:
        if self.num_output_channels == 2:
            raise SettingError("grey has 1 channel, or 3 that are equal", at="num_output_channels")

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("Grayscale", type_, grey_too=False)
        return resized(type_, self.num_output_channels, *image_sizes("Grayscale", type_)[1:])

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return grey(x).expand(-1, self.num_output_channels, -1, -1)


class RandomGrayscale(Transform):
    """Some images without their colours, in as many channels. As `torchvision.transforms.RandomGrayscale`."""

    random = True

    p: float = arg(0.1, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("RandomGrayscale", type_, grey_too=False)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return grey(x).where(some(x, self.p, generator), x)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue of each image changed, by factors and in an order of its own.

    As `torchvision.transforms.ColorJitter`. Saturation and hue leave grey images alone.
    """

    random = True

    brightness: float | tuple[float, float] = arg(0.0, doc=_AMOUNT, ge=0)
    contrast: float | tuple[float, float] = arg(0.0, doc=_AMOUNT, ge=0)
    saturation: float | tuple[float, float] = arg(0.0, doc=_AMOUNT, ge=0)
    hue: float | tuple[float, float] = arg(
        0.0, doc="the most that is added, of a circle of 1; or bounds", ge=-0.5, le=0.5
    )

    def check(self) -> None:
        for name in ("brightness", "contrast", "saturation", "hue"):
            low, high = self._bounds(name)
            if low > high:
                raise SettingError(f"({low}, {high}) are no bounds", at=name)

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("ColorJitter", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        changes = [(change, self._bounds(name)) for name, change in _CHANGES.items() if any(self._given(name))]
        factors = [drawn_between(generator, *bounds, len(x)) for _, bounds in changes]
        order = drawn(generator, len(x), max(len(changes), 1)).argsort(1)
        x = x.clone()
        for turn in range(len(changes)):
            for number, (change, _) in enumerate(changes):
                rows = (order[:, turn] == number).nonzero()[:, 0]
                picked = rows.to(x.device)
                part = x[picked]
                x[picked] = change(part, per_sample(factors[number][rows], part))
        return x

    def _given(self, name: str) -> tuple[float, float]:
        """How far the bounds are from changing nothing."""
        low, high = self._bounds(name)
        middle = 0.0 if name == "hue" else 1.0
        return low - middle, high - middle

    def _bounds(self, name: str) -> tuple[float, float]:
        value: float | tuple[float, float] = getattr(self, name)
        if isinstance(value, tuple):
            return value
        return (-value, value) if name == "hue" else (max(1.0 - value, 0.0), 1.0 + value)


def _contrast(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    light = grey(x) if x.shape[1] == 3 else x
    return _blend(x, light.mean((1, 2, 3), keepdim=True), factor)


def _saturation(x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return _blend(x, grey(x), factor) if x.shape[1] == 3 else x


def _hue(x: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Colours moved along their circle: to hue, saturation and value, and back."""
    import torch

    if x.shape[1] != 3:
        return x
    most, least = x.amax(1), x.amin(1)
    width = most - least
    flat = width == 0
    divisor = torch.where(flat, 1.0, width)
    from_red, from_green, from_blue = ((most - channel) / divisor for channel in x.unbind(1))
    red, green = x[:, 0] == most, x[:, 1] == most
    hue = torch.where(
        red, from_blue - from_green, torch.where(green, 2 + from_red - from_blue, 4 + from_green - from_red)
    )
    hue = (torch.where(flat, 0.0, hue) / 6 + 1) % 1
    hue = (hue + shift[:, :, 0, 0, None]) % 1
    # Each channel is the value, less its width where the hue is far from the channel's own.
    offset = torch.tensor([5.0, 3.0, 1.0], device=x.device, dtype=x.dtype).reshape(1, 3, 1, 1)
    place = (offset + hue[:, None] * 6) % 6
    return most[:, None] - width[:, None] * torch.minimum(place, 4 - place).clamp(0, 1)


_CHANGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "brightness": lambda x, factor: _blend(x, 0.0, factor),
    "contrast": _contrast,
    "saturation": _saturation,
    "hue": _hue,
}


class GaussianBlur(Transform):
    """Each image blurred by a bell whose width is drawn from bounds. As `torchvision.transforms.GaussianBlur`."""

    random = True

    kernel_size: int | tuple[int, int] = arg(doc="width and height of the bell's square, odd", ge=1, le=255)
    sigma: float | tuple[float, float] = arg((0.1, 2.0), doc="the bell's deviation in pixels, or its bounds", gt=0)

    def check(self) -> None:
        if any(size % 2 == 0 for size in pair(self.kernel_size)):
            raise SettingError("`kernel_size` must be odd, so that it has a middle", at="kernel_size")
        if isinstance(self.sigma, tuple) and self.sigma[0] > self.sigma[1]:
            raise SettingError(f"{self.sigma} are no bounds", at="sigma")

    def infer(self, type_: TensorType) -> TensorType:
        _, height, width = image_sizes("GaussianBlur", type_)
        across, down = pair(self.kernel_size)
        if across // 2 >= width or down // 2 >= height:
            raise SettingError(f"the bell reaches beyond images of {height} x {width}, mirrored", at="kernel_size")
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        low, high = self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)
        sigma = drawn_between(generator, low, high, len(x))
        across, down = pair(self.kernel_size)
        pads = (across // 2, across // 2, down // 2, down // 2)
        wide = torch.nn.functional.pad(x, pads, mode="reflect")
        rows = _weighed(wide, sigma, across, 3, x.shape[3])
        return _weighed(rows, sigma, down, 2, x.shape[2])


def _weighed(x: torch.Tensor, sigma: torch.Tensor, size: int, dim: int, length: int) -> torch.Tensor:
    """The sum of shifted images, by each sample's bell, along one dimension."""
    import torch

    reach = (size - 1) / (2 * 2**0.5)
    at = torch.linspace(-reach, reach, size, dtype=sigma.dtype)
    bells = (-((at / sigma[:, None]) ** 2)).softmax(1)
    total = x.narrow(dim, 0, length) * per_sample(bells[:, 0], x)
    for i in range(1, size):
        total.addcmul_(x.narrow(dim, i, length), per_sample(bells[:, i], x))
    return total


class RandomAdjustSharpness(Transform):
    """Some images sharper (or, below 1, softer). As `torchvision.transforms.RandomAdjustSharpness`."""

    random = True

    sharpness_factor: float = arg(doc="0 blurs, 1 changes nothing, 2 doubles what a blur would take away", ge=0)
    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomAdjustSharpness", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        if min(x.shape[2:]) <= 2:
            return x
        kernel = torch.ones(3, 3, device=x.device, dtype=x.dtype)
        kernel[1, 1] = 5
        blurred = x.clone()
        flat = x.reshape(-1, 1, *x.shape[2:])
        blurred[:, :, 1:-1, 1:-1] = torch.nn.functional.conv2d(flat, (kernel / kernel.sum())[None, None]).reshape(
            *x.shape[:2], x.shape[2] - 2, x.shape[3] - 2
        )
        sharper = (self.sharpness_factor * x + (1.0 - self.sharpness_factor) * blurred).clamp(0, 1)
        return sharper.where(some(x, self.p, generator), x)


class RandomAutocontrast(Transform):
    """Some images with each channel stretched to 0 to 1. As `torchvision.transforms.RandomAutocontrast`."""

    random = True

    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("RandomAutocontrast", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        least, most = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        flat = least == most
        stretched = ((x - least) / (most - least).where(~flat, least * 0 + 1)).clamp(0, 1)
        return stretched.where(some(x, self.p, generator) & ~flat, x)


class RandomInvert(Transform):
    """Some images as their negatives. As `torchvision.transforms.RandomInvert`."""

    random = True

    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("RandomInvert", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return (1 - x).where(some(x, self.p, generator), x)


class RandomSolarize(Transform):
    """Some images with their bright pixels inverted. As `torchvision.transforms.RandomSolarize`."""

    random = True

    threshold: float = arg(doc="pixels from here on are inverted", ge=0, le=1)
    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_colours("RandomSolarize", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return (1 - x).where(some(x, self.p, generator) & (x >= self.threshold), x)
