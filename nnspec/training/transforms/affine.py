"""Images turned, moved, stretched and sheared, each by its own random amounts."""

from __future__ import annotations

from math import radians
from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import drawn_between, image_sizes
from nnspec.types import TensorType

if TYPE_CHECKING:
    import torch

_DEGREES = "bounds of the angle in degrees; one number for minus to plus"


def _range(value: float | tuple[float, ...], name: str) -> tuple[float, float]:
    if not isinstance(value, tuple):
        value = (-value, value)
    if len(value) != 2 or value[0] > value[1]:
        raise SettingError(f"`{name}` is one number from 0 on, or two in order", at=name)
    return value[0], value[1]


class RandomRotation(Transform):
    """Each image turned by an angle of its own; beyond its border is `fill`.

    As `torchvision.transforms.RandomRotation`.
    """

    random = True

    degrees: float | tuple[float, ...] = arg(doc=_DEGREES)
    interpolation: Literal["nearest", "bilinear"] = arg("nearest", doc="how values between pixels are found")
    center: tuple[float, float] | None = arg(
        None, doc="what it is turned around, (x, y); none: the middle", keyword=True
    )
    fill: float = arg(0.0, doc="the value of what was outside", keyword=True)

    def check(self) -> None:
        _range(self.degrees, "degrees")

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomRotation", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        angle = drawn_between(generator, *_range(self.degrees, "degrees"), len(x))
        still = angle * 0
        matrix = inverse_matrix(-angle, still, still, still + 1, still, still, _offset(self.center, x))
        return moved(x, matrix, self.interpolation, self.fill)


class RandomAffine(Transform):
    """Each image turned, moved, resized and sheared by amounts of its own. As `torchvision.transforms.RandomAffine`."""

    random = True

    degrees: float | tuple[float, ...] = arg(doc=_DEGREES)
    translate: tuple[float, float] | None = arg(
        None, doc="the most that it is moved, as shares of width and height", ge=0, le=1
    )
    scale: tuple[float, float] | None = arg(None, doc="bounds of the factor of its size", gt=0)
    shear: float | tuple[float, ...] | None = arg(
        None, doc="bounds of the shear in degrees: along x; or along x and along y, four numbers"
    )
    interpolation: Literal["nearest", "bilinear"] = arg("nearest", doc="how values between pixels are found")
    fill: float = arg(0.0, doc="the value of what was outside")
    center: tuple[float, float] | None = arg(None, doc="what it is turned around, (x, y); none: the middle")

    def check(self) -> None:
        _range(self.degrees, "degrees")
        self._shears()
        if self.scale is not None:
            _range(self.scale, "scale")

    def infer(self, type_: TensorType) -> TensorType:
        image_sizes("RandomAffine", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        count, (height, width) = len(x), x.shape[2:]
        angle = drawn_between(generator, *_range(self.degrees, "degrees"), count)
        far_x, far_y = self.translate or (0.0, 0.0)
        dx = drawn_between(generator, -far_x * width, far_x * width, count).round()
        dy = drawn_between(generator, -far_y * height, far_y * height, count).round()
        scale = drawn_between(generator, *(self.scale or (1.0, 1.0)), count)
        shear_x, shear_y = (drawn_between(generator, *bounds, count) for bounds in self._shears())
        matrix = inverse_matrix(angle, dx, dy, scale, shear_x, shear_y, _offset(self.center, x))
        return moved(x, matrix, self.interpolation, self.fill)

    def _shears(self) -> tuple[tuple[float, float], tuple[float, float]]:
        if isinstance(self.shear, tuple) and len(self.shear) == 4:
            return _range(self.shear[:2], "shear"), _range(self.shear[2:], "shear")
        return _range(self.shear or 0.0, "shear"), (0.0, 0.0)


def _offset(center: tuple[float, float] | None, x: torch.Tensor) -> tuple[float, float]:
    """The centre as seen from the middle of the image."""
    if center is None:
        return 0.0, 0.0
    return center[0] - x.shape[3] * 0.5, center[1] - x.shape[2] * 0.5


def inverse_matrix(
    angle: torch.Tensor,
    dx: torch.Tensor,
    dy: torch.Tensor,
    scale: torch.Tensor,
    shear_x: torch.Tensor,
    shear_y: torch.Tensor,
    center: tuple[float, float],
) -> torch.Tensor:
    """From places in the result to places in the image, [batch, 2, 3]: angles in degrees, distances in pixels.

    The image is sheared, turned and resized around the centre, then moved: the matrix is that of all this, inverted.
    """
    import torch

    turn, along, across = (each * radians(1) for each in (angle, shear_x, shear_y))
    a = (turn - across).cos() / across.cos()
    b = -a * along.tan() - turn.sin()
    c = (turn - across).sin() / across.cos()
    d = -c * along.tan() + turn.cos()
    linear = torch.stack([d, -b, -c, a], dim=1).reshape(-1, 2, 2) / scale[:, None, None]
    middle = torch.tensor(center, dtype=angle.dtype)
    shift = (linear @ (-middle - torch.stack([dx, dy], dim=1))[..., None])[..., 0] + middle
    return torch.cat([linear, shift[..., None]], dim=2)


def moved(x: torch.Tensor, matrix: torch.Tensor, mode: str, fill: float) -> torch.Tensor:
    """Each image seen through its own matrix."""
    import torch

    height, width = x.shape[2:]
    matrix = matrix.to(x.device, x.dtype)
    across = torch.arange(width, device=x.device, dtype=x.dtype) - width * 0.5 + 0.5
    down = torch.arange(height, device=x.device, dtype=x.dtype) - height * 0.5 + 0.5
    ones = torch.ones(height, width, device=x.device, dtype=x.dtype)
    places = torch.stack([across.expand(height, width), down[:, None].expand(height, width), ones], dim=2)
    half = torch.tensor([0.5 * width, 0.5 * height], device=x.device, dtype=x.dtype)
    grid = (places.reshape(1, -1, 3) @ (matrix.mT / half)).reshape(-1, height, width, 2)
    seen = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)  # a last channel for what lies inside
    seen = torch.nn.functional.grid_sample(seen, grid, mode=mode, padding_mode="zeros", align_corners=False)
    picture, inside = seen[:, :-1], seen[:, -1:]
    if mode == "nearest":
        return torch.where(inside < 0.5, fill, picture)
    return picture * inside + (1.0 - inside) * fill
