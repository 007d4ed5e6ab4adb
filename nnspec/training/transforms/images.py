"""Size, cut and orientation of images, by torchvision's names, arguments and defaults.

Each takes a batch of floats [batch, channels, height, width] at once; random ones draw for every image by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import (
    Interpolation,
    drawn_below,
    image_sizes,
    pair,
    resized,
    some,
)
from nnspec.types import TensorType

if TYPE_CHECKING:
    import torch

Mode = Literal["constant", "edge", "reflect", "symmetric"]

_SIZE = "height and width, one number for both"
_PADDING = "pixels on every side; (left and right, top and bottom); or (left, top, right, bottom)"
_PADDING_MODE = "what they are: `fill`, the border's, or the image's mirrored without or with the border"


class Resize(Transform):
    """Images of another size: `size` is (height, width), or the shorter side, and the other one by the same factor.

    As `torchvision.transforms.Resize` on tensors.
    """

    size: int | tuple[int, ...] = arg(doc="(height, width), or the length of the shorter side", ge=1, le=65_536)
    interpolation: Literal["nearest", "nearest-exact", "bilinear", "bicubic"] = arg(
        "bilinear", doc="how values between pixels are found"
    )
    max_size: int | None = arg(None, doc="the most that the longer side may get, if `size` is one number", ge=1)
    antialias: bool = arg(True, doc="average over what becomes one pixel (bilinear and bicubic)")

    def check(self) -> None:
        if isinstance(self.size, tuple) and len(self.size) not in (1, 2):
            raise SettingError("`size` is one number or two", at="size")
        if self.max_size is not None and (isinstance(self.size, tuple) or self.max_size <= self.size):
            raise SettingError("`max_size` goes with one number that is smaller", at="max_size")

    def infer(self, type_: TensorType) -> TensorType:
        _, height, width = image_sizes("Resize", type_)
        return resized(type_, *self._target(height, width))

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return interpolated(x, self._target(*x.shape[2:]), self.interpolation, self.antialias)

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.size, tuple) and len(self.size) == 2:
            return self.size[0], self.size[1]
        short = pair(self.size)[0]
        long = int(short * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (long, short) if width <= height else (short, long)


def interpolated(x: torch.Tensor, size: tuple[int, int], mode: Interpolation, antialias: bool) -> torch.Tensor:
    """Images resized as torchvision does it."""
    import torch

    if tuple(x.shape[2:]) == size:
        return x
    smooth = mode in ("bilinear", "bicubic")
    return torch.nn.functional.interpolate(
        x, size, mode=mode, align_corners=False if smooth else None, antialias=smooth and antialias
    )


class CenterCrop(Transform):
    """The middle of each image; a smaller one gets zeros around it. As `torchvision.transforms.CenterCrop`."""

    size: int | tuple[int, int] = arg(doc=_SIZE, ge=1, le=65_536)

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("CenterCrop", type_)
        return resized(type_, *pair(self.size))

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        height, width = pair(self.size)
        over_y, over_x = max(height - x.shape[2], 0), max(width - x.shape[3], 0)
        x = padded(x, (over_x // 2, over_y // 2, (over_x + 1) // 2, (over_y + 1) // 2), 0.0, "constant")
        top, left = round((x.shape[2] - height) / 2), round((x.shape[3] - width) / 2)
        return x[:, :, top : top + height, left : left + width]


class Pad(Transform):
    """More pixels around each image. As `torchvision.transforms.Pad`."""

    padding: int | tuple[int, ...] = arg(doc=_PADDING, ge=0, le=65_536)
    fill: float = arg(0.0, doc='the value of these pixels, if `padding_mode` is "constant"')
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = arg("constant", doc=_PADDING_MODE)

    def check(self) -> None:
        sides(self.padding)

    def infer(self, type_: TensorType) -> TensorType:
        _, height, width = image_sizes("Pad", type_)
        left, top, right, bottom = sides(self.padding)
        _check_mirror(self.padding_mode, (left, right), width)
        _check_mirror(self.padding_mode, (top, bottom), height)
        return resized(type_, height + top + bottom, width + left + right)

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return padded(x, sides(self.padding), self.fill, self.padding_mode)


def sides(padding: int | tuple[int, ...]) -> tuple[int, int, int, int]:
    """Pixels at the left, top, right and bottom."""
    if isinstance(padding, int):
        return padding, padding, padding, padding
    if len(padding) not in (1, 2, 4):
        raise SettingError("`padding` is one number, two or four", at="padding")
    if len(padding) == 4:
        return padding[0], padding[1], padding[2], padding[3]
    return padding[0], padding[-1], padding[0], padding[-1]


def _check_mirror(mode: Mode, pads: tuple[int, int], size: int) -> None:
    most = {"reflect": size - 1, "symmetric": size}.get(mode)
    if most is not None and max(pads) > most:
        raise SettingError(f"{max(pads)} pixels cannot be mirrored from {size}", at="padding")


def padded(x: torch.Tensor, by: tuple[int, int, int, int], fill: float, mode: Mode) -> torch.Tensor:
    """Images with pixels at the left, top, right and bottom."""
    import torch

    left, top, right, bottom = by
    if not any(by):
        return x
    if mode == "symmetric":
        rows, columns = (_mirrored(n, *pads) for n, pads in ((x.shape[2], (top, bottom)), (x.shape[3], (left, right))))
        return x[:, :, rows.to(x.device)[:, None], columns.to(x.device)]
    word = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}[mode]
    value = fill if mode == "constant" else None
    return torch.nn.functional.pad(x, (left, right, top, bottom), word, value)


def _mirrored(size: int, before: int, after: int) -> torch.Tensor:
    import torch

    at = torch.arange(-before, size + after)
    at = torch.where(at < 0, -at - 1, at)
    return torch.where(at >= size, 2 * size - 1 - at, at)


class RandomCrop(Transform):
    """A piece of each image, from anywhere, after padding. As `torchvision.transforms.RandomCrop`."""

    random = True

    size: int | tuple[int, int] = arg(doc=_SIZE, ge=1, le=65_536)
    padding: int | tuple[int, ...] | None = arg(None, doc=_PADDING, ge=0, le=65_536)
    pad_if_needed: bool = arg(False, doc="pad images that are smaller than the piece, on both sides")
    fill: float = arg(0.0, doc='the value of these pixels, if `padding_mode` is "constant"')
    padding_mode: Literal["constant", "edge", "reflect", "symmetric"] = arg("constant", doc=_PADDING_MODE)

    def check(self) -> None:
        sides(self.padding or 0)

    def infer(self, type_: TensorType) -> TensorType:
        _, height, width = image_sizes("RandomCrop", type_)
        height, width = self._padded_sizes(height, width)
        if height < pair(self.size)[0] or width < pair(self.size)[1]:
            wanted = " x ".join(map(str, pair(self.size)))
            raise SettingError(
                f"a piece of {wanted} does not fit into images of {height} x {width}",
                at="size",
                helps=("pad_if_needed=true pads them",),
            )
        return resized(type_, *pair(self.size))

    def _padded_sizes(self, height: int, width: int) -> tuple[int, int]:
        for left, top, right, bottom in self._steps(height, width):
            _check_mirror(self.padding_mode, (left, right), width)
            _check_mirror(self.padding_mode, (top, bottom), height)
            height, width = height + top + bottom, width + left + right
        return height, width

    def _steps(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """What is padded, one after the other."""
        left, top, right, bottom = sides(self.padding or 0)
        steps = [(left, top, right, bottom)]
        if self.pad_if_needed:
            wanted, wide = pair(self.size)
            over_x = max(wide - width - left - right, 0)
            steps.append((over_x, 0, over_x, 0))
            over_y = max(wanted - height - top - bottom, 0)
            steps.append((0, over_y, 0, over_y))
        return steps

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        for step in self._steps(*x.shape[2:]):
            x = padded(x, step, self.fill, self.padding_mode)
        height, width = pair(self.size)
        ends = torch.tensor([x.shape[2] - height + 1, x.shape[3] - width + 1]).expand(len(x), 2)
        top, left = drawn_below(generator, ends).unbind(1)
        return cut(x, top, left, height, width)


def cut(x: torch.Tensor, top: torch.Tensor, left: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The piece of each image that begins at its own place."""
    import torch

    pieces = x.unfold(2, height, 1).unfold(3, width, 1)  # a view: [batch, channels, tops, lefts, height, width]
    return pieces[torch.arange(len(x), device=x.device), :, top.to(x.device), left.to(x.device)]


class RandomHorizontalFlip(Transform):
    """Some images with left and right exchanged. As `torchvision.transforms.RandomHorizontalFlip`."""

    random = True

    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomHorizontalFlip", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return x.flip(-1).where(some(x, self.p, generator), x)


class RandomVerticalFlip(Transform):
    """Some images with top and bottom exchanged. As `torchvision.transforms.RandomVerticalFlip`."""

    random = True

    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomVerticalFlip", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return x.flip(-2).where(some(x, self.p, generator), x)
