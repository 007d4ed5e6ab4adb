"""Arrays in files of their own, and tensors in safetensors files: mapped, not read, when they are large."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.arguments import arg
from nnspec.suggest import suggest
from nnspec.training.dataset import Dataset, Loaded, locate
from nnspec.training.fault import DataError
from nnspec.training.files.arrays import ELEMENTS, Header, check_lengths, from_file, numpy_file, safetensors_file
from nnspec.types import TensorType

if TYPE_CHECKING:
    from typing_extensions import Self


class NPY(Dataset):
    """Files written by `numpy.save`, an array each; each is a field, samples first.

    `NPY((image="x.npy", label="y.npy"))` has the fields `image` and `label`; `NPY("pixels.npy")` has one, which is
    called as the file is. All must have as many samples. Elements keep their type, but for float64, which becomes
    float32, and uint16 and uint32, which become int64. Arrays of objects are refused: nothing is ever unpickled. A file
    of more than 64 MiB is not read but mapped, so that it may be larger than memory. The format is numpy's NEP 1.
    """

    path: str | dict[str, str] = arg(doc='the file, or one for each field: (image="x.npy", label="y.npy")')

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: header.type() for name, (_, header) in self._files(base).items()}

    def load(self, base: Path) -> Loaded:
        files = self._files(base)
        fields = {name: from_file(place, header) for name, (place, header) in files.items()}
        return Loaded(fields, origins={name: place.name for name, (place, _) in files.items()})

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        """A file holds one field."""
        return self.replace(path=dict.fromkeys(fields, path)) if len(fields) == 1 else None

    def _files(self, base: Path) -> dict[str, tuple[Path, Header]]:
        paths = {_field_of(self.path): self.path} if isinstance(self.path, str) else self.path
        if not paths:
            raise DataError("there are no files", at="path", helps=('NPY((image="x.npy", label="y.npy"))',))
        places = {name: locate(base, path, "path") for name, path in paths.items()}
        headers = {name: numpy_file(place) for name, place in places.items()}
        check_lengths(headers, {name: place.name for name, place in places.items()})
        return {name: (places[name], headers[name]) for name in paths}


def _field_of(path: str) -> str:
    """The field that a single file makes."""
    name = Path(path).stem if "\0" not in path else ""
    if not name.isidentifier():
        raise DataError(f"`{name}` cannot be the name of a field", at="path", helps=(f'give it one: (x="{path}")',))
    return name


class Safetensors(Dataset):
    """A safetensors file; each tensor is a field of its name, samples first.

    `names` chooses some of them, and calls them as one likes: `(image="train.image")`; without it, tensors whose names
    are no names of fields, or whose elements no field has, are left out, and a note says so. Elements keep their type,
    but for float64 and bfloat16, which become float32, and uint16 and uint32, which become int64. A tensor of more than
    64 MiB is not read but mapped, so that the file may be larger than memory.
    """

    path: str = arg(doc="the file, relative to the spec")
    names: dict[str, str] = arg({}, doc='the fields and their tensors: (image="train.image"); none: all tensors')

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: header.type() for name, header in self._chosen(base)[1].items()}

    def load(self, base: Path) -> Loaded:
        place, headers, left = self._chosen(base)
        fields = {name: from_file(place, header) for name, header in headers.items()}
        shown = ", ".join(f"`{name[:60]}`" for name in left[:20])
        notes = (f"left out of {place.name}: tensors that no field can be ({shown})",) * bool(left)
        origins = {name: f"tensor `{self.names.get(name, name)}` of {place.name}" for name in fields}
        return Loaded(fields, notes, origins=origins)

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        return self.replace(path=path, names={n: tensor for n, tensor in self.names.items() if n in fields})

    def _chosen(self, base: Path) -> tuple[Path, dict[str, Header], list[str]]:
        place = locate(base, self.path, "path")
        headers = safetensors_file(place)
        chosen, left = choose(headers, self.names, place.name, "tensor")
        check_lengths(chosen, {name: f"`{self.names.get(name, name)}` in {place.name}" for name in chosen})
        return place, chosen, left


def choose(
    headers: Mapping[str, Header], names: Mapping[str, str], file: str, word: str
) -> tuple[dict[str, Header], list[str]]:
    """The fields of a file of several arrays, those of `names` or all that can be, and the names of those left out."""
    if not headers:
        raise DataError(f"{file} holds no {word}s", at="path")
    if not names:
        chosen = {n: h for n, h in headers.items() if h.code in ELEMENTS and n.isidentifier()}
        if not chosen:
            raise DataError(f"{file} holds no {word} of numbers or bools", at="path")
        return chosen, [name for name in headers if name not in chosen]
    for wanted in names.values():
        if wanted not in headers:
            near = suggest(wanted, headers)
            listed = ", ".join(f"`{n[:60]}`" for n in list(headers)[:20])
            helps = (f"one with a similar name is there: `{near}`",) if near else (f"it has {listed}",)
            raise DataError(f"{file} has no {word} `{wanted}`", at="names", helps=helps)
        if headers[wanted].code not in ELEMENTS:
            raise DataError(f"{word} `{wanted}` of {file} holds neither numbers nor bools", at="names")
    return {name: headers[wanted] for name, wanted in names.items()}, []
