"""Random changes of sounds and of spectrograms, each sample by its own amount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import drawn, drawn_between, per_sample, some
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    import torch


def _check_sounds(name: str, type_: TensorType) -> None:
    if type_.rank not in (2, 3) or not is_float(type_.dtype):
        raise SettingError(
            f"`{name}` is for sounds, float[batch, samples] or [batch, channels, samples], and the field is {type_}"
        )


def _check_spectrograms(name: str, type_: TensorType) -> None:
    if type_.rank not in (3, 4) or not is_float(type_.dtype):
        raise SettingError(
            f"`{name}` is for spectrograms, float[batch, frequencies, frames], and the field is {type_}",
            helps=("Spectrogram() or MelSpectrogram() before it makes them of sounds",) if type_.rank == 2 else (),
        )


class FrequencyMasking(Transform):
    """A band of frequencies of each spectrogram set to 0.

    As `torchaudio.transforms.FrequencyMasking(iid_masks=True)`.
    """

    random = True

    freq_mask_param: int = arg(doc="the band has less than so many rows", ge=0)

    def infer(self, type_: TensorType) -> TensorType:
        _check_spectrograms("FrequencyMasking", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return _masked(x, -2, self.freq_mask_param, generator)


class TimeMasking(Transform):
    """A stretch of time of each spectrogram set to 0.

    As `torchaudio.transforms.TimeMasking(iid_masks=True)`.
    """

    random = True

    time_mask_param: int = arg(doc="the stretch has less than so many frames", ge=0)
    p: float = arg(1.0, doc="the most of a spectrogram that is set to 0, as a share", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_spectrograms("TimeMasking", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return _masked(x, -1, min(self.time_mask_param, int(x.shape[-1] * self.p)), generator)


def _masked(x: torch.Tensor, dim: int, most: int, generator: torch.Generator | None) -> torch.Tensor:
    import torch

    size = x.shape[dim]
    share, place = drawn(generator, 2, len(x))
    width = share * most
    start = (place * (size - width)).long()
    at = torch.arange(size, device=x.device).reshape(-1, *(1,) * (-dim - 1))
    first, last = per_sample(start, x), per_sample(start + width.long(), x)
    return x.masked_fill((at >= first) & (at < last), 0.0)


class RandomGain(Transform):
    """Some sounds louder or softer, by decibels between two bounds."""

    random = True

    min_gain_in_db: float = arg(-18.0, doc="the least that is added")
    max_gain_in_db: float = arg(6.0, doc="the most that is added")
    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def check(self) -> None:
        if self.min_gain_in_db > self.max_gain_in_db:
            raise SettingError(f"{self.min_gain_in_db} is above {self.max_gain_in_db}", at="max_gain_in_db")

    def infer(self, type_: TensorType) -> TensorType:
        _check_sounds("RandomGain", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        decibels = drawn_between(generator, self.min_gain_in_db, self.max_gain_in_db, len(x))
        return (x * per_sample(10 ** (decibels / 20), x)).where(some(x, self.p, generator), x)


class RandomShift(Transform):
    """Some sounds earlier or later: what is pushed out at one end is lost, or comes in at the other."""

    random = True

    max_shift: float = arg(0.1, doc="the most that a sound is moved, as a share of its length", ge=0, le=1)
    rollover: bool = arg(False, doc="let what is pushed out come in at the other end; false: silence")
    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def infer(self, type_: TensorType) -> TensorType:
        _check_sounds("RandomShift", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        size = x.shape[-1]
        shift = (drawn_between(generator, -self.max_shift, self.max_shift, len(x)) * size).round().long()
        source = torch.arange(size, device=x.device) - per_sample(shift, x)
        moved = x.gather(-1, (source % size).expand(x.shape))
        if not self.rollover:
            moved = moved.where((source >= 0) & (source < size), 0.0)
        return moved.where(some(x, self.p, generator), x)


class RandomNoise(Transform):
    """Normal noise added to some sounds, softer than each sound by decibels between two bounds."""

    random = True

    min_snr_in_db: float = arg(3.0, doc="the loudest noise: so far below the sound")
    max_snr_in_db: float = arg(30.0, doc="the softest noise")
    p: float = arg(0.5, doc="the probability of it", ge=0, le=1)

    def check(self) -> None:
        if self.min_snr_in_db > self.max_snr_in_db:
            raise SettingError(f"{self.min_snr_in_db} is above {self.max_snr_in_db}", at="max_snr_in_db")

    def infer(self, type_: TensorType) -> TensorType:
        _check_sounds("RandomNoise", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        below = drawn_between(generator, self.min_snr_in_db, self.max_snr_in_db, len(x))
        loudness = per_sample(10 ** (-below / 20), x) * x.square().mean(-1, keepdim=True).sqrt()
        noise = torch.randn(x.shape, generator=generator).to(x.device, x.dtype)
        return torch.addcmul(x, noise, loudness).where(some(x, self.p, generator), x)
