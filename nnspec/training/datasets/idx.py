"""Images and labels in IDX files: MNIST, Fashion-MNIST and what is made like them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, check_size, field_type, locate, names_in
from nnspec.training.fault import DataError, MissingData
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

_ELEMENTS = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""numpy's code for the type byte of an IDX file."""

_PARTS = {"train": "train", "test": "t10k"}


class IDX(Dataset):
    """Images and their labels in two IDX files, packed by gzip or not.

    Fields: `image` [batch, 1, height, width], bytes brought to 0..1, and `label`. The format is described at the home
    of MNIST: a magic number of two zeros, element type and number of dimensions; the sizes; the elements.
    """

    images: str = arg(doc="the file of images, relative to the spec")
    labels: str = arg(doc="the file of labels")

    def types(self, base: Path) -> dict[str, TensorType]:
        shape = _shape(locate(base, self.images, "images"), 3, "images")
        _shape(locate(base, self.labels, "labels"), 1, "labels")
        return {"image": field_type("float32", 1, *shape[1:]), "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        return _load(locate(base, self.images, "images"), locate(base, self.labels, "labels"))


class _Mnist(Dataset):
    root: str = arg(doc="the folder with the files, relative to the spec")
    part: Literal["train", "test"] | None = arg(None, doc="which half; none: train, or test if only that is there")

    def types(self, base: Path) -> dict[str, TensorType]:
        return {"image": field_type("float32", 1, 28, 28), "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        folders = self._folders(base)
        for part in (self.part,) if self.part else ("train", "test"):
            images, labels = (_find(folders, f"{_PARTS[part]}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
            if images and labels:
                note = (f"only the test part is in {images.parent}: its images are split to train and to validate",)
                loaded = _load(images, labels)
                if loaded.fields["image"].shape[2:] != (28, 28):
                    raise DataError(f"the images in {images.name} are not 28 x 28", at="root")
                return Loaded(loaded.fields, note * (part != self.part and part == "test"), origins=loaded.origins)
        raise self._missing(folders)

    def _folders(self, base: Path) -> list[Path]:
        root = base / Path(self.root).expanduser()
        return [root, root / "raw", root / type(self).__name__ / "raw", root / type(self).__name__]

    def _missing(self, folders: list[Path]) -> MissingData:
        kind = type(self).__name__
        prefix = _PARTS[self.part or "train"]
        names = [f"`{name}`" for folder in folders for name in sorted(names_in(folder))][:5]
        seen = f"files there: {', '.join(names)}" if names else "there are no files"
        return MissingData(
            f"the files of {kind} are not in `{self.root}`",
            at="root",
            notes=(
                f"looked for {prefix}-images-idx3-ubyte and {prefix}-labels-idx1-ubyte (or with .gz) in "
                + ", ".join(map(str, folders)),
                seen if folders[0].is_dir() else f"there is no folder {folders[0]}",
            ),
            helps=(f"torchvision.datasets.{kind}(root, download=True) fetches them",),
        )


class MNIST(_Mnist):
    """Handwritten digits, 28 x 28 and grey: 60,000 to train and 10,000 to test, 10 classes.

    Fields: `image` (0 to 1), `label`. Files as torchvision leaves them, in `root`, `root/raw` or `root/MNIST/raw`.
    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits, 1998.
    """


class FashionMNIST(_Mnist):
    """Pictures of clothes, 28 x 28 and grey: 60,000 to train and 10,000 to test, 10 classes.

    Fields: `image` (0 to 1), `label`. Files as torchvision leaves them, in `root`, `root/raw` or
    `root/FashionMNIST/raw`. Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017.
    """


def _find(folders: list[Path], name: str) -> Path | None:
    """The first file of that name in the folders, in the spellings that are about."""
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    for folder in folders:
        for spelling in names:
            if (folder / spelling).is_file():
                return folder / spelling
    return None


def _load(images: Path, labels: Path) -> Loaded:
    image, label = _read(images, 3, "images"), _read(labels, 1, "labels")
    if len(image) != len(label):
        raise DataError(f"{images.name} has {len(image):,} images, and {labels.name} has {len(label):,} labels")
    is_bytes = image.dtype.kind == "u"
    pixels = image.astype("float32")
    if is_bytes:
        pixels /= 255.0
    if label.dtype.kind == "f":
        raise DataError(f"the labels in {labels.name} are not whole numbers", at="labels")
    return Loaded(
        {"image": pixels[:, None], "label": label.astype("int64")},
        origins={"image": images.name, "label": labels.name},
    )


def _shape(place: Path, rank: int, at: str) -> tuple[int, ...]:
    with _opened(place, at) as file:
        return _header(file, place, rank, at)[1]


def _read(place: Path, rank: int, at: str) -> np.ndarray:
    import numpy as np

    with _opened(place, at) as file:
        code, shape = _header(file, place, rank, at)
        size = prod(shape) * int(code[-1])
        content = file.read(size + 1)
    if len(content) != size:
        how = "goes on after" if len(content) > size else f"ends after {len(content):,} of"
        raise DataError(f"{place.name} {how} the {size:,} bytes that its header promises", at=at)
    return np.frombuffer(content, dtype=code).reshape(shape)


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
    check_size(shape, 4, place.name, at)
    return code, shape


@contextmanager
def _opened(place: Path, at: str) -> Iterator[IO[bytes]]:
    """A file, unpacked on the way if it is packed; what cannot be read becomes a `DataError`."""
    try:
        with place.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{place.name} is a damaged gzip file: {error}", at=at) from None
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at=at) from None
