"""Transforms of numbers of any meaning: scale, type, and one-hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.training.fault import DataError, SettingError
from nnspec.training.transform import Affine, Transform
from nnspec.types import DType, TensorType, is_float, show_dtype

if TYPE_CHECKING:
    import torch


def need_floats(name: str, type_: TensorType) -> None:
    """Refuse a field that does not hold floats."""
    if not is_float(type_.dtype):
        raise SettingError(
            f"`{name}` is for floats, and the field holds {show_dtype(type_.dtype)}",
            helps=("ToDtype(float32, scale=true) before it makes floats from 0 to 1 of bytes",),
        )


def along_channels(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Numbers for each channel (dimension 1), so that they meet a batch."""
    return values.reshape(-1, *(1,) * (x.ndim - 2)) if x.ndim > 2 else values


class Normalize(Transform):
    """Takes `mean` off and divides by `std`: one number for all, or one for each channel (dimension 1).

    As `torchvision.transforms.Normalize`, with numbers that are known beforehand; `Standardize` measures them.
    """

    mean: float | tuple[float, ...] = arg(doc="what is taken off")
    std: float | tuple[float, ...] = arg(doc="what is divided by")

    def check(self) -> None:
        numbers = self.std if isinstance(self.std, tuple) else (self.std,)
        if not all(numbers) or not numbers:
            raise SettingError("a deviation of 0 cannot be divided by", at="std")

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("Normalize", type_)
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) > 1 and (type_.rank < 2 or type_.dims[1] != len(value)):
                has = f"{type_.dims[1]} channels" if type_.rank > 1 else "no channels"
                raise SettingError(f"{len(value)} numbers are given, and the field has {has}", at=name)
        return type_

    def affine(self, state: dict[str, Any]) -> Affine:
        return Affine(self.mean, self.std)

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        mean, std = (torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in (self.mean, self.std))
        return (x - along_channels(mean, x)) / along_channels(std, x)


class Standardize(Transform):
    """Brings each column or channel (dimension 1) to mean 0 and deviation 1, by the samples that are trained on.

    What does not vary is only shifted. The numbers are written into the run's directory, and used wherever its weights
    are. The deviation is that of all values (`correction=0`), as scikit-learn's `StandardScaler` has it.
    """

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("Standardize", type_)
        return type_

    def fit(self, x: torch.Tensor) -> dict[str, Any]:
        import torch

        dims = [i for i in range(x.ndim) if i != 1]
        deviation, mean = torch.std_mean(x.double(), dim=dims, correction=0)
        return {"mean": mean.tolist(), "deviation": torch.where(deviation > 0, deviation, 1.0).tolist()}

    def affine(self, state: dict[str, Any]) -> Affine:
        return _measured(state)

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return _shifted(x, state["mean"], state["deviation"])


class MinMaxScale(Transform):
    """Brings each column or channel (dimension 1) into `low` to `high`, by the samples that are trained on.

    What does not vary becomes `low`. Values outside of what was seen go beyond the bounds. As scikit-learn's
    `MinMaxScaler`.
    """

    low: float = arg(0.0, doc="what the smallest value becomes")
    high: float = arg(1.0, doc="what the largest value becomes")

    def check(self) -> None:
        if self.low >= self.high:
            raise SettingError(f"{self.low} is not below {self.high}", at="high")

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("MinMaxScale", type_)
        return type_

    def fit(self, x: torch.Tensor) -> dict[str, Any]:
        import torch

        dims = [i for i in range(x.ndim) if i != 1]
        least, most = x.double().amin(dims), x.double().amax(dims)
        width = torch.where(most > least, most - least, 1.0) / (self.high - self.low)
        return {"mean": (least - self.low * width).tolist(), "deviation": width.tolist()}

    def affine(self, state: dict[str, Any]) -> Affine:
        return _measured(state)

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return _shifted(x, state["mean"], state["deviation"])


def _measured(state: dict[str, Any]) -> Affine:
    mean, deviation = (tuple(v) if isinstance(v, list) else float(v) for v in (state["mean"], state["deviation"]))
    return Affine(mean, deviation, "float64")


def _shifted(x: torch.Tensor, mean: Any, deviation: Any) -> torch.Tensor:
    """In double precision, which is exact for what was measured; on a device that has it."""
    import torch

    wide = torch.float32 if x.device.type == "mps" else torch.float64
    by = [along_channels(torch.as_tensor(v, dtype=wide, device=x.device), x) for v in (mean, deviation)]
    return ((x.to(wide) - by[0]) / by[1]).to(x.dtype)


class OneHot(Transform):
    """Whole numbers from 0 become rows of zeros with a one: [batch] becomes [batch, num_classes], as floats."""

    num_classes: int = arg(doc="length of a row", ge=1, le=10_000_000)

    def infer(self, type_: TensorType) -> TensorType:
        if is_float(type_.dtype) or type_.dtype == "bool":
            raise SettingError(f"`OneHot` is for whole numbers, and the field holds {show_dtype(type_.dtype)}")
        return TensorType("float32", (*type_.dims, self.num_classes))

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        if x.numel():
            least, most = (int(each) for each in torch.aminmax(x))
            if least < 0 or most >= self.num_classes:
                raise DataError(
                    f"`OneHot({self.num_classes})` takes 0 to {self.num_classes - 1}, and the field holds "
                    f"{least if least < 0 else most}",
                    code="NNS604",
                )
        return torch.nn.functional.one_hot(x.long(), self.num_classes).to(torch.float32)


class ToDtype(Transform):
    """Another element type; with `scale`, whole numbers of a type's full range become 0 to 1, and the other way round.

    As `torchvision.transforms.v2.ToDtype`: `ToDtype(float32, scale=true)` divides bytes by 255.
    """

    dtype: DType = arg(doc="the element type")
    scale: bool = arg(False, doc="scale between whole numbers and 0 to 1")

    def infer(self, type_: TensorType) -> TensorType:
        if self.scale and not (is_float(self.dtype) and type_.dtype in ("uint8", "int16", "int32")):
            kind = f"{show_dtype(type_.dtype)} to {show_dtype(self.dtype)}"
            if not (is_float(self.dtype) and is_float(type_.dtype)):
                raise SettingError(f"there is no scale from {kind}", at="scale")
        return TensorType(self.dtype, type_.dims)

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        wanted: torch.dtype = getattr(torch, self.dtype)
        if not self.scale or x.is_floating_point():
            return x.to(wanted)
        return x.to(wanted) / torch.iinfo(x.dtype).max


class Clamp(Transform):
    """Cuts values off at `min` and `max`."""

    min: float | None = arg(None, doc="the smallest value that is left")
    max: float | None = arg(None, doc="the largest value that is left")

    def check(self) -> None:
        if self.min is None and self.max is None:
            raise SettingError("`Clamp` needs `min` or `max`")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise SettingError(f"{self.min} is above {self.max}", at="max")

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("Clamp", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return x.clamp(self.min, self.max)


class Log(Transform):
    """The natural logarithm of `x + eps`: for amounts that range over powers of ten, and for spectrograms."""

    eps: float = arg(1e-6, doc="what is added before, so that 0 has a logarithm", ge=0)

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("Log", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return (x + self.eps).log()


class GaussianNoise(Transform):
    """Adds normal noise to every value, drawn anew each time; as `torchvision.transforms.v2.GaussianNoise`."""

    random = True

    mean: float = arg(0.0, doc="mean of the noise")
    sigma: float = arg(0.1, doc="its standard deviation", ge=0)
    clip: bool = arg(True, doc="cut the result off at 0 and 1, as images need it")

    def infer(self, type_: TensorType) -> TensorType:
        need_floats("GaussianNoise", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        noise = torch.randn(x.shape, generator=generator).to(x.device, x.dtype)
        noisy = x + noise.mul_(self.sigma).add_(self.mean)
        return noisy.clamp_(0, 1) if self.clip else noisy
