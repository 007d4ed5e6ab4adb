"""Archives of numpy arrays. Their headers are read without numpy, and pickled objects never are."""

from __future__ import annotations

import ast
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, check_size, field_type, locate
from nnspec.training.fault import DataError, MissingData
from nnspec.types import TensorType

_MAX_HEADER = 65_536
_MAX_ARRAYS = 1_000

_TYPES = {
    "b1": "bool",
    "u1": "uint8",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u2": "int64",
    "u4": "int64",
    "f2": "float16",
    "f4": "float32",
    "f8": "float32",
}
"""Element type of a field for numpy's code of it."""


@dataclass(frozen=True, slots=True)
class _Header:
    code: str
    shape: tuple[int, ...]


class NPZ(Dataset):
    """A file written by `numpy.savez` or `savez_compressed`; each array is a field of its name, samples first.

    Elements keep their type, but for float64, which becomes float32, and uint16 and uint32, which become int64.
    Arrays of text or objects are left out. The format is numpy's NEP 1.
    """

    path: str = arg(doc="the file, relative to the spec")

    def types(self, base: Path) -> dict[str, TensorType]:
        headers = self._headers(base)
        return {name: field_type(_TYPES[h.code], *h.shape[1:]) for name, h in headers.items() if h.code in _TYPES}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        headers = self._headers(base)
        place = locate(base, self.path, "path")
        fields = {}
        with _archive(place) as archive:
            for name, header in headers.items():
                if header.code in _TYPES:
                    with archive.open(f"{name}.npy") as file:
                        array = np.lib.format.read_array(file, allow_pickle=False)
                    with np.errstate(over="ignore"):  # what is infinite afterwards is reported with its sample
                        fields[name] = np.ascontiguousarray(array, dtype=_TYPES[header.code])
        left = ", ".join(f"`{name}`" for name in headers if name not in fields)
        notes = (f"left out of {place.name}: arrays that hold neither numbers nor bools ({left})",) * bool(left)
        return Loaded(fields, notes, origins={name: f"array `{name}` of {place.name}" for name in fields})

    def _headers(self, base: Path) -> dict[str, _Header]:
        place = locate(base, self.path, "path")
        headers = {}
        with _archive(place) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if not members:
                raise DataError(f"{place.name} holds no arrays", at="path")
            if len(members) > _MAX_ARRAYS:
                raise DataError(f"{place.name} holds {len(members):,} arrays; {_MAX_ARRAYS:,} is the limit", at="path")
            for info in members:
                what = f"`{info.filename}` in {place.name}"
                with archive.open(info) as file:
                    header = _read_header(file, what)
                if header.code in _TYPES:
                    check_size(header.shape, int(header.code[1:]), what, "path")
                headers[info.filename.removesuffix(".npy")] = header
        if not any(header.code in _TYPES for header in headers.values()):
            raise DataError(f"{place.name} holds no array of numbers or bools", at="path")
        _check_lengths(headers, place.name)
        return headers


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


def _check_lengths(headers: dict[str, _Header], name: str) -> None:
    counts: dict[int, str] = {}
    for field, header in headers.items():
        if header.code in _TYPES:
            if not header.shape:
                raise DataError(f"array `{field}` of {name} is a single number; the first dimension counts samples")
            counts.setdefault(header.shape[0], field)
    if len(counts) > 1:
        (first, one), (second, other), *_ = counts.items()
        raise DataError(f"{name} has {first:,} samples in `{one}` and {second:,} in `{other}`", at="path")


def _read_header(file: IO[bytes], what: str) -> _Header:
    """Element type and shape, from the first bytes of an array file."""
    start = file.read(8)
    if len(start) < 8 or start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3):
        raise DataError(f"{what} is not a numpy array", at="path")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    text = file.read(min(length, _MAX_HEADER))
    try:
        entries = ast.literal_eval(text.decode("latin1" if start[6] < 3 else "utf-8").strip())
        kind, shape = entries["descr"], tuple(entries["shape"])
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise DataError(f"{what} has a damaged header", at="path") from None
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise DataError(f"{what} has a damaged header", at="path")
    simple = isinstance(kind, str) and re.fullmatch(r"[<>|=]?([biuf]\d)", kind)
    return _Header(simple.group(1) if simple else str(kind)[:40], shape)
