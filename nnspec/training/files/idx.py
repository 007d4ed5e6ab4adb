"""IDX files, packed by gzip or not: two zeros, element type and number of dimensions; the sizes; the elements."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nnspec.training.dataset import check_size
from nnspec.training.fault import DataError, MissingData

if TYPE_CHECKING:
    import numpy as np

_ELEMENTS = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""numpy's code for the type byte of an IDX file."""

_GZIP = b"\x1f\x8b"
_PIECE = 16 << 20


def idx_shape(place: Path, rank: int, at: str) -> tuple[int, ...]:
    """The sizes that a file's header promises; a file of another rank is refused."""
    with _opened(place, at) as file:
        return _header(file, place, rank, at)[1]


def read_idx(place: Path, rank: int, at: str) -> np.ndarray:
    """The array in a file, images with a dimension for their channel; not packed, it stays there until it is used."""
    import numpy as np

    with _opened(place, at) as file:
        code, shape = _header(file, place, rank, at)
        size, start = prod(shape) * int(code[-1]), 4 + 4 * rank
        packed = isinstance(file, gzip.GzipFile)
        content = _read(file, size + 1) if packed else b""
    found = len(content) if packed else place.stat().st_size - start
    if found != size:
        how = "goes on after" if found > size else f"ends after {found:,} of"
        raise DataError(f"{place.name} {how} the {size:,} bytes that its header promises", at=at)
    dims = (shape[0], 1, *shape[1:]) if rank == 3 else shape
    if packed or not size:
        return np.frombuffer(content, dtype=code).reshape(dims)
    return np.memmap(place, dtype=code, mode="r", offset=start, shape=dims)


def _read(file: IO[bytes], most: int) -> bytearray:
    """So many bytes, or as many as there are: memory is asked for as they come, and not as a header promises."""
    content = bytearray()
    while piece := file.read(min(_PIECE, most - len(content))):
        content += piece
    return content


def _header(file: IO[bytes], place: Path, rank: int, at: str) -> tuple[str, tuple[int, ...]]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _ELEMENTS:
        raise DataError(
            f"{place.name} is not an IDX file",
            at=at,
            notes=(f"it begins with {start.hex(' ') or 'nothing'}; an IDX file of bytes begins with 00 00 08",),
        )
    if start[3] != rank:
        what = "images" if rank == 3 else "labels"
        helps = ("are the two files exchanged?",) if start[3] in (1, 3) else ()
        raise DataError(
            f"{place.name} has {start[3]} dimension{'s' * (start[3] != 1)}, and a file of {what} has {rank}",
            at=at,
            helps=helps,
        )
    sizes = file.read(4 * rank)
    if len(sizes) != 4 * rank:
        raise DataError(f"{place.name} ends in the middle of its header", at=at)
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * rank, 4))
    code = _ELEMENTS[start[2]]
    check_size(shape, int(code[-1]), place.name, at)
    return code, shape


@contextmanager
def _opened(place: Path, at: str) -> Iterator[IO[bytes]]:
    """A file, unpacked on the way if it is packed; what cannot be read becomes a `DataError`."""
    try:
        with place.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{place.name} is a damaged gzip file: {error}", at=at) from None
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at=at) from None
