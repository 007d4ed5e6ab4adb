"""Archives of numpy arrays. Their headers are read without numpy, and pickled objects never are."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, check_size, locate
from nnspec.training.datasets.arrays import choose
from nnspec.training.fault import DataError, MissingData
from nnspec.training.files.arrays import ELEMENTS, MAX_ARRAYS, Header, cast, check_lengths, numpy_header
from nnspec.types import TensorType

if TYPE_CHECKING:
    from typing_extensions import Self


class NPZ(Dataset):
    """A file written by `numpy.savez` or `savez_compressed`; each array is a field of its name, samples first.

    `names` chooses some of them, and calls them as one likes: `(image="x")`. Elements keep their type, but for float64,
    which becomes float32, and uint16 and uint32, which become int64. Arrays of text or objects are left out: nothing is
    ever unpickled. An archive is read whole, 16 GiB at most; larger arrays belong in files of their own (`NPY`). The
    format is numpy's NEP 1.
    """

    path: str = arg(doc="the file, relative to the spec")
    names: dict[str, str] = arg({}, doc='the fields and their arrays: (image="x"); none: all arrays')

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: header.type() for name, header in self._chosen(base)[1].items()}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        place, headers, left = self._chosen(base)
        fields = {}
        with _archive(place) as archive:
            for name, header in headers.items():
                with archive.open(f"{self.names.get(name, name)}.npy") as file:
                    array = np.lib.format.read_array(file, allow_pickle=False)
                fields[name] = cast(array, header.code)
        shown = ", ".join(f"`{name}`" for name in left)
        notes = (f"left out of {place.name}: arrays that hold neither numbers nor bools ({shown})",) * bool(left)
        origins = {name: f"array `{self.names.get(name, name)}` of {place.name}" for name in fields}
        return Loaded(dict(fields), notes, origins=origins)

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        return self.replace(path=path, names={n: array for n, array in self.names.items() if n in fields})

    def _chosen(self, base: Path) -> tuple[Path, dict[str, Header], list[str]]:
        place = locate(base, self.path, "path")
        chosen, left = choose(array_headers(place), self.names, place.name, "array")
        check_lengths(chosen, {name: f"`{self.names.get(name, name)}` in {place.name}" for name in chosen})
        total = sum(header.size for header in chosen.values())
        check_size((total,), 1, f"what is in {place.name}", "path")
        return place, chosen, left


def array_headers(place: Path) -> dict[str, Header]:
    """The arrays in an archive, by name; those of text or objects are among them. Raises `DataError`."""
    headers = {}
    with _archive(place) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if len(members) > MAX_ARRAYS:
            raise DataError(f"{place.name} holds {len(members):,} arrays; {MAX_ARRAYS:,} is the limit", at="path")
        for info in members:
            what = f"`{info.filename}` in {place.name}"
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{what} is packed in a way that numpy does not use", at="path")
            with archive.open(info) as file:
                header = numpy_header(file, what)
            if header.code in ELEMENTS:
                check_size(header.shape, header.width, what, "path")
                _check_member(info, header, what)
            headers[info.filename.removesuffix(".npy")] = header
    return headers


def _check_member(info: zipfile.ZipInfo, header: Header, what: str) -> None:
    """An archive's own list says how long each member is: what its array promises must be there."""
    promised = header.start + header.size
    if info.file_size != promised:
        raise DataError(f"{what} has {info.file_size:,} bytes instead of the {promised:,} of its array", at="path")


@contextmanager
def _archive(place: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive, opened; what is wrong with it becomes a `DataError`."""
    try:
        with zipfile.ZipFile(place) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{place.name} is damaged, or no NPZ file (a zip archive of arrays)", at="path", notes=(str(error)[:200],)
        ) from None
    except (EOFError, ValueError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DataError(f"{place.name} is damaged", at="path", notes=(str(error)[:200],)) from None
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at="path") from None
