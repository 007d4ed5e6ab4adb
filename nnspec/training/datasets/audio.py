"""Sounds in folders."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.arguments import arg
from nnspec.training.dataset import Array, Dataset, Lazy, Loaded, check_size, field_type
from nnspec.training.fault import DataError, SettingError
from nnspec.training.files.folders import Found, find_folder, find_samples, numbered
from nnspec.training.files.wav import Sound, read_header, read_sound
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

SUFFIXES = (".wav", ".wave")
"""How files of sounds end."""


class WAVFolder(Dataset):
    """A folder of sounds (WAV): with a sub-folder for each class, or the class in each file's name, or none.

    Fields: `audio` [batch, samples], or [batch, channels, samples] for more than one channel, from -1 to 1: each sound
    cut, or filled up with silence, to the same length; `length`: how many of these numbers are sound; and `label`,
    where sub-folders or names tell: classes are numbered in sorted order. PCM of 8, 16, 24 and 32 bits, floats of 32
    and 64. All files must have one rate (numbers a second); more channels than asked for are averaged to one.
    """

    path: str = arg(doc="the folder, relative to the spec")
    samples: int | None = arg(None, doc="numbers for each sound; none: as many as the longest has", ge=1, le=1 << 28)
    label: str | None = arg(
        None,
        doc='where a name without .wav tells the class: "(*)_*" is what stands before the first underscore',
        keyword=True,
    )
    channels: int = arg(1, doc="1, or as many as the files have", ge=1, le=64, keyword=True)
    sample_rate: int | None = arg(None, doc="the rate that the files must have; none: any, but one", ge=1, keyword=True)
    classes: tuple[str, ...] | None = arg(
        None, doc="the classes by number; none: those there are, sorted", keyword=True
    )

    def check(self) -> None:
        """Raise `SettingError` for a pattern that tells nothing."""
        if self.label is not None and not re.fullmatch(r"[^()]*\([^()]+\)[^()]*", self.label):
            raise SettingError(
                f"the pattern `{self.label}` has no part in parentheses, or several: it is the class", at="label"
            )

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        found = self._found(base)
        sounds = self._sounds(found)
        self._check_rates(sounds)
        samples = self.samples or max(sound.frames for sound in sounds)
        fields = {"audio": field_type("float32", *self._shape(samples)), "length": field_type("int64")}
        return fields if found.labels is None else fields | {"label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        self.check()
        found = self._found(base)
        sounds = self._sounds(found)
        self._check_rates(sounds)
        samples = self.samples or max(sound.frames for sound in sounds)
        check_size(self._shape(samples), 4, "a sound", "samples")
        lengths = np.array([min(sound.frames, samples) for sound in sounds], dtype="int64")
        audio = _Sounds(sounds, self._shape(samples))
        origins = {"audio": f"{len(sounds):,} files in {self.path}"}
        notes = (*found.notes, *self._cut(sounds, samples))
        if found.labels is None:
            return Loaded({"audio": audio, "length": lengths}, notes, origins=origins)
        label = np.array(found.labels, dtype="int64")
        origins["label"] = f"names in {self.path}"
        fields: dict[str, Array] = {"audio": audio, "length": lengths, "label": label}
        return Loaded(fields, notes, {"label": found.classes}, origins)

    def settled(self, base: Path) -> Self:
        found = self._found(base)
        sounds = self._sounds(found)
        samples = self.samples or max(sound.frames for sound in sounds)
        return self.replace(samples=samples, sample_rate=sounds[0].rate, classes=found.classes or None)

    def following(self, first: Dataset, base: Path) -> Dataset:
        return self.as_settled(first, base, ("samples", "label", "channels", "sample_rate", "classes"))

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        label = self.label if "label" in fields else None
        return self.replace(path=path, label=label)

    def _shape(self, samples: int) -> tuple[int, ...]:
        return (samples,) if self.channels == 1 else (self.channels, samples)

    def files(self, base: Path) -> tuple[Path, ...]:
        """The sounds, sample by sample."""
        return self._found(base).files

    def _found(self, base: Path) -> Found:
        alone = base / self.path
        if alone.suffix.lower() in SUFFIXES and alone.is_file() and self.label is None:
            return Found((alone,), None, (), ())  # one new sound
        found = find_samples(find_folder(base, self.path, "path"), SUFFIXES, "sounds", "path")
        named = found if self.label is None else _by_name(found, self.label)
        return named if self.classes is None else numbered(named, self.classes, self.path)

    def _sounds(self, found: Found) -> list[Sound]:
        """The headers of all files; of the longest nothing is known before."""
        sounds = [read_header(file, "path") for file in found.files]
        for sound in sounds:
            if not sound.frames:
                raise DataError(f"{sound.place.name} holds no sound", at="path")
            if self.channels > 1 and sound.channels != self.channels:
                has = f"{sound.channels} channel{'s' * (sound.channels != 1)}"
                raise DataError(f"{sound.place.name} has {has} instead of {self.channels}", at="channels")
        return sounds

    def _check_rates(self, sounds: Sequence[Sound]) -> None:
        rates = Counter(sound.rate for sound in sounds)
        if self.sample_rate is not None and set(rates) != {self.sample_rate}:
            other = next(sound for sound in sounds if sound.rate != self.sample_rate)
            raise DataError(
                f"{other.place.name} has {other.rate:,} numbers a second instead of {self.sample_rate:,}",
                at="sample_rate",
            )
        if len(rates) > 1:
            listed = ", ".join(f"{count:,} at {rate:,}" for rate, count in rates.most_common(5))
            rare = rates.most_common()[-1][0]
            example = next(sound.place.name for sound in sounds if sound.rate == rare)
            raise DataError(
                f"the sounds in `{self.path}` have {len(rates)} different rates",
                at="path",
                notes=(f"{listed} numbers a second; {example} is one at {rare:,}",),
                helps=("bring them to one rate first, by sox or ffmpeg",),
            )

    def _cut(self, sounds: Sequence[Sound], samples: int) -> tuple[str, ...]:
        longer = sum(sound.frames > samples for sound in sounds)
        return (f"{longer:,} of {len(sounds):,} sounds are longer than {samples:,} and were cut",) * bool(longer)


def _by_name(found: Found, pattern: str) -> Found:
    """Classes told by the names of files."""
    matcher = _matcher(pattern)
    words = []
    for file in found.files:
        match = matcher.fullmatch(file.stem)
        if match is None:
            raise DataError(
                f"the name of {file.name} does not fit the pattern `{pattern}`",
                at="label",
                helps=("`*` is anything, `?` one character, what is in parentheses the class; `.wav` is left out",),
            )
        words.append(file.stem[match.start("first") : match.start("end")])
    classes = _sorted_words(set(words))
    number = {word: i for i, word in enumerate(classes)}
    return Found(found.files, tuple(number[word] for word in words), classes, found.notes)


def _matcher(pattern: str) -> re.Pattern[str]:
    """What finds the class in a name, in time that does not explode: each `*` takes as little as it can.

    What follows a `*` up to the next one is looked for once and kept (a lookahead gives nothing back), which is as good
    as trying all ways: whatever lies behind, the next `*` can take. The class is what lies between two marks.
    """
    wild = {"(": "(?P<first>)", ")": "(?P<end>)", "?": "."}
    begin, *stretches = ("".join(wild.get(part) or re.escape(part) for part in each) for each in pattern.split("*"))
    kept = (f"(?=(?P<s{i}>.*?{each}))(?P=s{i})" for i, each in enumerate(stretches[:-1]))
    return re.compile("".join((begin, *kept, *(f".*?{each}" for each in stretches[-1:]))), re.DOTALL)


def _sorted_words(words: set[str]) -> tuple[str, ...]:
    """As numbers where all of them are."""
    if all(word.isdecimal() for word in words):
        return tuple(sorted(words, key=lambda word: (int(word), word)))
    return tuple(sorted(words))


class _Sounds(Lazy):
    """Sounds that are read when they are asked for."""

    def __init__(self, sounds: Sequence[Sound], shape: tuple[int, ...]) -> None:
        import numpy as np

        self.sounds = tuple(sounds)
        self.dtype = np.dtype("float32")
        self.shape = (len(sounds), *shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        out = np.zeros((len(indices), *self.shape[1:]), dtype=np.float32)
        for row, index in enumerate(indices):
            sound = read_sound(self.sounds[index], 0, self.shape[-1], "path")
            out[row, ..., : len(sound)] = sound.mean(axis=1) if out.ndim == 2 else sound.T
        return out
