"""Sound in RIFF WAVE files: whole numbers of 8, 16, 24 and 32 bits, and floats of 32 and 64."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nnspec.training.fault import DataError, MissingData

if TYPE_CHECKING:
    import numpy as np

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_OTHERS = {2: "Microsoft ADPCM", 6: "A-law", 7: "mu-law", 0x11: "IMA ADPCM", 0x55: "MP3"}
_CODES = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}
_MOST_CHUNKS = 1000


@dataclass(frozen=True, slots=True)
class Sound:
    """What the header of a file says: how many numbers a second, and where they lie."""

    place: Path
    rate: int
    channels: int
    format: int
    bits: int
    frames: int
    start: int


def read_header(place: Path, at: str) -> Sound:
    """The header of a file. Raises `DataError` for what is no WAV file, or not of a form that is read."""
    try:
        size = place.stat().st_size
        with place.open("rb") as file:
            return _header(file, place, size, at)
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at=at) from None


def _header(file: IO[bytes], place: Path, size: int, at: str) -> Sound:
    start = file.read(12)
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        raise DataError(
            f"{place.name} is {'empty' if not start else 'not a WAV file'}",
            at=at,
            notes=("a WAV file begins with RIFF....WAVE",),
        )
    form = b""
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"fmt ":
            form = file.read(min(length, 64))
            file.seek(length - len(form) + length % 2, 1)
        elif head[:4] == b"data":
            return _sound(form, length, file.tell(), place, size, at)
        else:
            file.seek(length + length % 2, 1)
    raise DataError(f"{place.name} ends before its sound begins", at=at)


def _sound(form: bytes, length: int, start: int, place: Path, size: int, at: str) -> Sound:
    if len(form) < 16:
        raise DataError(f"{place.name} does not say of what form its sound is", at=at)
    code, channels, rate, _, block, bits = (
        int.from_bytes(form[i:j], "little") for i, j in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    )
    if code == _EXTENSIBLE and len(form) >= 26:
        code = int.from_bytes(form[24:26], "little")
    if (code, bits) not in _CODES:
        what = _OTHERS.get(code) or {_PCM: f"{bits}-bit PCM", _FLOAT: f"{bits}-bit floats"}.get(code, f"form {code}")
        raise DataError(
            f"{place.name} holds {what}",
            at=at,
            helps=("convert it to PCM of 8, 16, 24 or 32 bits, or to floats of 32 or 64",),
        )
    if not channels or not rate or block != channels * bits // 8:
        raise DataError(f"{place.name} has a damaged header", at=at)
    streamed = length == 0xFFFFFFFF  # written by a program that did not know how long it would become
    if start + length > size and not streamed:
        raise DataError(f"{place.name} ends after {size - start:,} of the {length:,} bytes that it promises", at=at)
    return Sound(place, rate, channels, code, bits, (size - start if streamed else length) // block, start)


def read_sound(sound: Sound, first: int, count: int, at: str) -> np.ndarray:
    """Numbers from -1 to 1 [frames, channels] as float32: `count` frames from `first` on, fewer at the end."""
    import numpy as np

    width = sound.channels * sound.bits // 8
    count = max(min(count, sound.frames - first), 0)
    try:
        with sound.place.open("rb") as file:
            file.seek(sound.start + first * width)
            content = file.read(count * width)
    except OSError as error:
        raise MissingData(f"{sound.place.name} cannot be read: {error.strerror}", at=at) from None
    if len(content) != count * width:
        raise DataError(f"{sound.place.name} became shorter while it was read", at=at)
    raw = np.frombuffer(content, dtype=_CODES[sound.format, sound.bits])
    return _scaled(raw, sound).reshape(count, sound.channels)


def _scaled(raw: np.ndarray, sound: Sound) -> np.ndarray:
    import numpy as np

    if sound.format == _FLOAT:
        with np.errstate(over="ignore"):
            floats = raw.astype(np.float32)
        if not np.isfinite(floats).all():
            raise DataError(f"{sound.place.name} holds numbers that are not finite", at="path")
        return floats
    if sound.bits == 8:
        return (raw.astype(np.float32) - 128) / 128
    if sound.bits == 24:
        wide = np.zeros((len(raw) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        raw = wide.view("<i4").reshape(-1)
    scale = 1 << (15 if sound.bits == 16 else 31)
    scaled: np.ndarray = raw.astype(np.float32) / np.float32(scale)
    return scaled
