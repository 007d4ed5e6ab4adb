"""How close images are to those that were wanted: [N, C, H, W]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Example, Rules, ShapeError
from nnspec.training.metric import example
from nnspec.training.metrics._pairs import Flat, Paired
from nnspec.types import TensorType

_IMAGES = ("float[N, 3, 32, 32]", "float[N, 3, 32, 32]")


class peak_signal_noise_ratio(Flat):
    """The range of values over the mean squared difference of all pixels, in decibels."""

    data_range: float | tuple[float, float] = arg(doc="from the lowest to the highest value, or both of them")
    base: float = arg(10.0, gt=1, doc="of the logarithm")

    module = "image"
    higher_is_better = True
    kind = "PeakSignalNoiseRatio"
    examples = (example("peak_signal_noise_ratio(preds, target, data_range=1.0)", *_IMAGES),)


class _Images(Paired):
    """A mean over images."""

    higher_is_better = True

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        if preds.rank != 4:
            message = f"`{type(self).__name__}` compares images, [N, C, H, W], and not {preds}"
            raise ShapeError(message, code="NNS402", label=f"has {preds.rank} dimensions", input=0)
        return ()

    def require_size(self, rules: Rules, preds: TensorType, least: int, why: str) -> None:
        """Refuse images that are lower or narrower than that."""
        for size in preds.dims[2:]:
            message = f"`{type(self).__name__}` {why} needs at least {least} pixels a side, and images are {preds}"
            rules.require_at_least(size, least, message, code="NNS403", input=0)

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        return lambda p, t: (p.float(), t.float())

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.borrowed import sampled

        name = type(self).__name__
        return sampled(name, f"functional.image.{name}", dict(vars(self)), self.prepare(types))


class structural_similarity_index_measure(_Images):
    """How alike neighbourhoods of pixels are in mean, variance and structure (SSIM)."""

    gaussian_kernel: bool = arg(True, doc="whether near pixels of a neighbourhood count more")
    sigma: float = arg(1.5, gt=0, doc="the width of a neighbourhood")
    kernel_size: int = arg(11, ge=1, doc="the side of a neighbourhood, if all of its pixels count alike")
    data_range: float | tuple[float, float] = arg(doc="from the lowest to the highest value, or both of them")
    k1: float = arg(0.01, gt=0, doc="a small number for means")
    k2: float = arg(0.03, gt=0, doc="a small number for variances")

    examples = (example("structural_similarity_index_measure(preds, target, data_range=1.0)", *_IMAGES),)

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        result = super().infer(rules, preds, target)
        side = int(3.5 * self.sigma + 0.5) + 1 if self.gaussian_kernel else self.kernel_size // 2 + 1
        self.require_size(rules, preds, side, "mirrors images at their border, and")
        return result


class multiscale_structural_similarity_index_measure(_Images):
    """The structural similarity at several sizes of the images (MS-SSIM)."""

    gaussian_kernel: bool = arg(True, doc="whether near pixels of a neighbourhood count more")
    sigma: float = arg(1.5, gt=0, doc="the width of a neighbourhood")
    kernel_size: int = arg(11, ge=1, doc="the side of a neighbourhood, if all of its pixels count alike")
    data_range: float | tuple[float, float] = arg(doc="from the lowest to the highest value, or both of them")
    k1: float = arg(0.01, gt=0, doc="a small number for means")
    k2: float = arg(0.03, gt=0, doc="a small number for variances")
    betas: tuple[float, ...] = arg(
        (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), gt=0, doc="how each size counts, the largest first"
    )
    normalize: Literal["relu", "simple"] | None = arg("relu", doc="what is done about negative values")

    examples = (
        Example(
            "multiscale_structural_similarity_index_measure(preds, target, data_range=1.0)",
            preds="float[N, 1, 180, 180]",
            target="float[N, 1, 180, 180]",
            onnx=False,
        ),
    )

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        result = super().infer(rules, preds, target)
        kernel = 2 * int(3.5 * self.sigma + 0.5) + 1 if self.gaussian_kernel else self.kernel_size
        halvings = 2 ** (len(self.betas) - 1)
        self.require_size(rules, preds, max(kernel - 1, 1) * halvings + 1, f"at {len(self.betas)} sizes")
        return result


class universal_image_quality_index(_Images):
    """The structural similarity without its small numbers."""

    kernel_size: tuple[int, int] = arg((11, 11), ge=1, doc="height and width of a neighbourhood")
    sigma: tuple[float, float] = arg((1.5, 1.5), gt=0, doc="its deviation in either direction")

    examples = (example("universal_image_quality_index(preds, target)", *_IMAGES),)

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        result = super().infer(rules, preds, target)
        self.require_size(rules, preds, max(self.kernel_size), "with such neighbourhoods")
        return result


class spectral_angle_mapper(_Images):
    """The angle between pixels as vectors of their channels."""

    higher_is_better = False
    examples = (example("spectral_angle_mapper(preds, target)", *_IMAGES),)


class error_relative_global_dimensionless_synthesis(_Images):
    """The differences of the channels relative to their means (ERGAS)."""

    ratio: float = arg(4.0, gt=0, doc="of the resolutions")

    higher_is_better = False
    examples = (example("error_relative_global_dimensionless_synthesis(preds, target)", *_IMAGES),)
