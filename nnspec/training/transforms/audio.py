"""Spectrograms of sounds, by torchaudio's names, arguments and defaults, and changes of sounds and spectrograms.

Sounds are floats [batch, samples] or [batch, channels, samples]; spectrograms have [frequencies, frames] in place of
[samples].
"""

from __future__ import annotations

from functools import cache
from math import ceil, gcd, log, log10, pi
from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms._samples import bounded
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    import torch

_N_FFT = "samples in a window of the Fourier transform; frequencies are half as many and one"
_HOP = "samples from a window to the next; none: half of `win_length`"
_WIN = "samples that the window's bell (Hann) covers; none: `n_fft`"
_CENTER = "put the windows' middles, not their beginnings, on the samples: the ends are padded"
_PAD_MODE = "how the ends are padded: mirrored, with zeros, or with the last sample"


_MOST_FILTERS = 50_000_000
"""Numbers of the filters of a change of rate."""


def _samples(name: str, type_: TensorType) -> int:
    """Samples of each sound of a field, or a fault."""
    last = type_.dims[-1]
    if type_.rank not in (2, 3) or not is_float(type_.dtype) or not isinstance(last, int):
        raise SettingError(
            f"`{name}` is for sounds, float[batch, samples] or [batch, channels, samples], and the field is {type_}"
        )
    return last


class Spectrogram(Transform):
    """How much of each frequency is in each moment of a sound. As `torchaudio.transforms.Spectrogram`."""

    n_fft: int = arg(400, doc=_N_FFT, ge=2, le=65_536)
    win_length: int | None = arg(None, doc=_WIN, ge=1)
    hop_length: int | None = arg(None, doc=_HOP, ge=1)
    pad: int = arg(0, doc="zeros at both ends, beforehand", ge=0, le=1 << 24)
    power: float = arg(2.0, doc="1 for amplitudes, 2 for powers", gt=0)
    normalized: bool = arg(False, doc="divide by the size of the window")
    center: bool = arg(True, doc=_CENTER, keyword=True)
    pad_mode: Literal["reflect", "constant", "replicate"] = arg("reflect", doc=_PAD_MODE, keyword=True)

    def check(self) -> None:
        if self._window() > self.n_fft:
            raise SettingError("`win_length` is longer than `n_fft`", at="win_length")

    def infer(self, type_: TensorType) -> TensorType:
        name = type(self).__name__
        samples = _samples(name, type_) + 2 * self.pad
        half = self.n_fft // 2
        if self.center and self.pad_mode == "reflect" and half >= samples:
            raise SettingError(f"sounds of {samples:,} samples cannot be mirrored for n_fft={self.n_fft:,}", at="n_fft")
        samples += 2 * half if self.center else 0
        if samples < self.n_fft:
            raise SettingError(f"sounds of {samples:,} samples are shorter than n_fft={self.n_fft:,}", at="n_fft")
        frames = (samples - self.n_fft) // self._hop() + 1
        return bounded(TensorType(type_.dtype, (*type_.dims[:-1], self._rows(), frames)))

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        window = torch.hann_window(self._window(), device=x.device, dtype=x.dtype)
        x = torch.nn.functional.pad(x, (self.pad, self.pad))
        complex_ = torch.stft(
            x.reshape(-1, x.shape[-1]),
            self.n_fft,
            self._hop(),
            self._window(),
            window,
            self.center,
            self.pad_mode,
            return_complex=True,
        )
        size = complex_.abs()
        if self.normalized:
            size = size / window.square().sum().sqrt()
        powers = size if self.power == 1.0 else size.pow(self.power)
        return powers.reshape(*x.shape[:-1], *powers.shape[1:])

    def _window(self) -> int:
        return self.win_length or self.n_fft

    def _hop(self) -> int:
        return self.hop_length or self._window() // 2 or 1

    def _rows(self) -> int:
        return self.n_fft // 2 + 1


class MelSpectrogram(Spectrogram):
    """A spectrogram whose frequencies are grouped as the ear does. As `torchaudio.transforms.MelSpectrogram`."""

    sample_rate: int = arg(16_000, doc="samples of a second", ge=1, keyword=True)
    n_mels: int = arg(128, doc="groups of frequencies", ge=1, le=2_048, keyword=True)
    f_min: float = arg(0.0, doc="the lowest frequency", ge=0, keyword=True)
    f_max: float | None = arg(None, doc="the highest; none: half of `sample_rate`", gt=0, keyword=True)
    norm: Literal["slaney"] | None = arg(None, doc="divide each group by its width", keyword=True)
    mel_scale: Literal["htk", "slaney"] = arg("htk", doc="which formula of the ear's scale", keyword=True)

    def check(self) -> None:
        super().check()
        if self._highest() <= self.f_min:
            raise SettingError("`f_max` is not above `f_min`", at="f_max" if self.f_max else "f_min")

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        return self._bank().to(x.device, x.dtype) @ super().apply(x, state, generator)

    def _rows(self) -> int:
        return self.n_mels

    def _highest(self) -> float:
        return self.f_max or float(self.sample_rate // 2)

    def _bank(self) -> torch.Tensor:
        ends = (self.f_min, self._highest())
        return _mel_bank(self.n_fft // 2 + 1, ends, self.n_mels, self.sample_rate, self.norm, self.mel_scale)


class MFCC(MelSpectrogram):
    """The first terms of a cosine transform of a mel spectrogram's logarithm. As `torchaudio.transforms.MFCC`.

    The arguments of the mel spectrogram (`melkwargs` there) are arguments here.
    """

    n_mfcc: int = arg(40, doc="terms that are kept", ge=1, keyword=True)
    log_mels: bool = arg(False, doc="the natural logarithm instead of decibels", keyword=True)

    def check(self) -> None:
        super().check()
        if self.n_mfcc > self.n_mels:
            raise SettingError(f"there are no more terms than `n_mels`, {self.n_mels}", at="n_mfcc")

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        mel = super().apply(x, state, generator)
        logarithm = (mel + 1e-6).log() if self.log_mels else AmplitudeToDB("power", 80.0).apply(mel, state, generator)
        return _cosines(self.n_mfcc, self.n_mels).to(x.device, x.dtype) @ logarithm

    def _rows(self) -> int:
        return self.n_mfcc


@cache
def _mel_bank(
    rows: int, ends: tuple[float, float], groups: int, rate: int, norm: str | None, scale: str
) -> torch.Tensor:
    """How much of each frequency goes into each group: triangles, [groups, rows]."""
    import torch

    low, high = (_to_mel(f, scale) for f in ends)
    marks = _from_mel(torch.linspace(low, high, groups + 2, dtype=torch.float64), scale)
    frequencies = torch.linspace(0, rate // 2, rows, dtype=torch.float64)
    rising = (frequencies - marks[:-2, None]) / (marks[1:-1] - marks[:-2])[:, None]
    falling = (marks[2:, None] - frequencies) / (marks[2:] - marks[1:-1])[:, None]
    bank = torch.minimum(rising, falling).clamp(min=0)
    return bank * (2 / (marks[2:] - marks[:-2]))[:, None] if norm == "slaney" else bank


_LINEAR = 200 / 3
"""Hertz of a mel of the slaney scale, which is linear below 1,000 Hz."""

_STEP = log(6.4) / 27
"""Logarithm of the factor from a mel to the next above."""


def _to_mel(frequency: float, scale: str) -> float:
    if scale == "htk":
        return 2595.0 * log10(1.0 + frequency / 700.0)
    return frequency / _LINEAR if frequency < 1000 else 15.0 + log(frequency / 1000.0) / _STEP


def _from_mel(mels: torch.Tensor, scale: str) -> torch.Tensor:
    if scale == "htk":
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return (mels * _LINEAR).where(mels < 15.0, 1000.0 * (_STEP * (mels - 15.0)).exp())


@cache
def _cosines(terms: int, size: int) -> torch.Tensor:
    """The orthonormal cosine transform (type 2), its first terms: [terms, size]."""
    import torch

    term, place = torch.arange(terms, dtype=torch.float64)[:, None], torch.arange(size, dtype=torch.float64)
    waves: torch.Tensor = (pi / size * (place + 0.5) * term).cos() * (2 / size) ** 0.5
    waves[0] /= 2**0.5
    return waves


class AmplitudeToDB(Transform):
    """Powers or amplitudes in decibels. As `torchaudio.transforms.AmplitudeToDB`, each sample by its own maximum."""

    stype: Literal["power", "magnitude"] = arg("power", doc="what the values are")
    top_db: float | None = arg(None, doc="cut off what is so far below each sample's maximum", ge=0)

    def infer(self, type_: TensorType) -> TensorType:
        if not is_float(type_.dtype):
            raise SettingError(f"`AmplitudeToDB` is for floats, and the field is {type_}")
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        decibels = x.clamp(min=1e-10).log10() * (10.0 if self.stype == "power" else 20.0)
        if self.top_db is None:
            return decibels
        return decibels.maximum(decibels.flatten(1).amax(1).reshape(-1, *(1,) * (x.ndim - 1)) - self.top_db)


class Vol(Transform):
    """Sounds louder or softer, cut off at -1 and 1. As `torchaudio.transforms.Vol`."""

    gain: float = arg(doc="the factor, of amplitude or power; or decibels")
    gain_type: Literal["amplitude", "power", "db"] = arg("amplitude", doc="what `gain` is")

    def check(self) -> None:
        if self.gain_type != "db" and self.gain < 0:
            raise SettingError("a factor of loudness is not below 0", at="gain")
        if self.gain_type == "db" and abs(self.gain) > 1000:
            raise SettingError(f"{self.gain:g} decibels are beyond what numbers can hold", at="gain")

    def infer(self, type_: TensorType) -> TensorType:
        _samples("Vol", type_)
        return type_

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        factor = self.gain
        if self.gain_type != "amplitude":
            factor = self.gain**0.5 if self.gain_type == "power" else float(10.0 ** (self.gain / 20.0))
        return (x * factor).clamp(-1, 1)


class Resample(Transform):
    """Sounds at another rate, without what it cannot hold. As `torchaudio.transforms.Resample` (its Hann window)."""

    orig_freq: int = arg(16_000, doc="samples of a second", ge=1)
    new_freq: int = arg(16_000, doc="samples of a second afterwards", ge=1)
    lowpass_filter_width: int = arg(
        6, doc="how sharp the filter is: zeros of its wave on each side", ge=1, le=1024, keyword=True
    )
    rolloff: float = arg(
        0.99, doc="where the filter begins, as a share of the highest frequency", gt=0, le=1, keyword=True
    )

    def infer(self, type_: TensorType) -> TensorType:
        return bounded(TensorType(type_.dtype, (*type_.dims[:-1], self._length(_samples("Resample", type_)))))

    def check(self) -> None:
        old, new = self._rates()
        size = new * (old + 2 * self.lowpass_filter_width * max(old // new, 1))
        if size > _MOST_FILTERS:
            raise SettingError(
                f"a change from {self.orig_freq:,} to {self.new_freq:,} a second needs too long a filter",
                at="new_freq",
                helps=("rates with a large common divisor need a short one",),
            )

    def _length(self, samples: int) -> int:
        old, new = self._rates()
        return -(-new * samples // old)

    def _rates(self) -> tuple[int, int]:
        common = gcd(self.orig_freq, self.new_freq)
        return self.orig_freq // common, self.new_freq // common

    def apply(self, x: torch.Tensor, state: dict[str, Any], generator: torch.Generator | None) -> torch.Tensor:
        import torch

        old, new = self._rates()
        if old == new:
            return x
        kernel, width = _sinc(old, new, self.lowpass_filter_width, self.rolloff)
        flat = torch.nn.functional.pad(x.reshape(-1, 1, x.shape[-1]), (width, width + old))
        found = torch.nn.functional.conv1d(flat, kernel.to(x.device, x.dtype), stride=old)
        length = self._length(x.shape[-1])
        return found.mT.reshape(len(flat), -1)[:, :length].reshape(*x.shape[:-1], length)


@cache
def _sinc(old: int, new: int, zeros: int, rolloff: float) -> tuple[torch.Tensor, int]:
    """A filter for each of the `new` places within `old` samples, and how far it reaches to either side."""
    import torch

    base = min(old, new) * rolloff
    width = ceil(zeros * old / base)
    place = torch.arange(-width, width + old, dtype=torch.float64) / old
    t = ((place - torch.arange(new, dtype=torch.float64)[:, None] / new) * base).clamp(-zeros, zeros)
    bell = (t * pi / zeros / 2).cos() ** 2
    return (torch.sinc(t) * bell * (base / old))[:, None], width
