"""Images and labels in IDX files: MNIST, Fashion-MNIST and what is made like them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, field_type, locate
from nnspec.training.fault import DataError
from nnspec.training.files.halves import Half, Halves
from nnspec.training.files.idx import idx_shape, read_idx
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

_PREFIX = {"train": "train", "test": "t10k"}

_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_LETTERS = _CAPITALS.lower()
_EMNIST = {
    "byclass": _DIGITS + _CAPITALS + _LETTERS,
    "bymerge": _DIGITS + _CAPITALS + "abdefghnqrt",
    "balanced": _DIGITS + _CAPITALS + "abdefghnqrt",
    "letters": _LETTERS,
    "digits": _DIGITS,
    "mnist": _DIGITS,
}
"""Characters that the labels of each split of EMNIST number, as its mapping files list them."""


class IDX(Dataset):
    """Images and their labels in two IDX files, packed by gzip or not.

    Fields: `image` [batch, 1, height, width], bytes brought to 0..1, and `label` (where there is a file of labels).
    The format is described at the home of MNIST: a magic number of two zeros, element type and number of dimensions;
    the sizes; the elements.
    """

    images: str = arg(doc="the file of images, relative to the spec")
    labels: str | None = arg(None, doc="the file of labels; none: images alone")

    def types(self, base: Path) -> dict[str, TensorType]:
        shape = idx_shape(locate(base, self.images, "images"), 3, "images")
        image = {"image": field_type("float32", 1, *shape[1:])}
        if self.labels is None:
            return image
        idx_shape(locate(base, self.labels, "labels"), 1, "labels")
        return image | {"label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        images = locate(base, self.images, "images")
        origins = {"image": images.name}
        if self.labels is None:
            image = _read_images(images, "images")
            return Loaded({"image": image}, origins=origins, divisor=_divisor(image))
        labels = locate(base, self.labels, "labels")
        image, label = _read(images, labels, "images", "labels")
        origins["label"] = labels.name
        return Loaded({"image": image, "label": label}, origins=origins, divisor=_divisor(image))

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        return None if "label" in fields else self.replace(images=path, labels=None)


class _Mnist(Halves):
    characters: ClassVar[tuple[str, ...]] = tuple(_DIGITS)

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        return {"image": field_type("float32", 1, 28, 28), "label": field_type("int64")}

    def folders(self, base: Path) -> list[Path]:
        root = base / Path(self.root).expanduser()
        return [root, root / "raw", root / type(self).__name__ / "raw", root / type(self).__name__]

    def read(self, folders: list[Path], half: Half) -> Loaded | None:
        names = self.file_names(half)
        images, labels = (_find(folders, name, type(self).__name__.lower()) for name in names)
        if images is None or labels is None:
            return None
        image, label = _read(images, labels, "root", "root")
        if image.shape[2:] != (28, 28) or image.dtype.kind != "u":
            raise DataError(f"the images in {images.name} are not 28 x 28 bytes", at="root")
        image, label = self.arrange(image, label)
        origins = {"image": images.name, "label": labels.name}
        return Loaded({"image": image, "label": label}, (), self.classes(), origins, {"image": 255.0})

    def arrange(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is read, as the fields have it."""
        return image, label

    def classes(self) -> dict[str, tuple[str, ...]]:
        """What the labels number."""
        return {"label": self.characters}

    def file_names(self, half: Half) -> tuple[str, ...]:
        return tuple(f"{_PREFIX[half]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))


class MNIST(_Mnist):
    """Handwritten digits, 28 x 28 and grey: 60,000 to train and 10,000 to test, 10 classes.

    Fields: `image` (0 to 1), `label`. Files as torchvision leaves them, packed or not, in `root`, `root/raw` or
    `root/MNIST/raw`. With `test=true` the test half is what is validated on. Where only the test half is there, it is
    trained on, and the run says so. Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten
    digits, 1998.
    """


class FashionMNIST(_Mnist):
    """Pictures of clothes, 28 x 28 and grey: 60,000 to train and 10,000 to test, 10 classes.

    Fields: `image` (0 to 1), `label`. Files as torchvision leaves them, in `root`, `root/raw` or
    `root/FashionMNIST/raw`; halves as for `MNIST`. Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, 2017.
    """

    characters = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


class KMNIST(_Mnist):
    """Cursive Japanese characters, 28 x 28 and grey: 60,000 to train and 10,000 to test, 10 classes.

    Fields: `image` (0 to 1), `label`. Files as torchvision leaves them, in `root`, `root/raw` or `root/KMNIST/raw`;
    halves as for `MNIST`. Source: T. Clanuwat and others, Deep Learning for Classical Japanese Literature, 2018.
    """

    characters = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


class EMNIST(_Mnist):
    """Handwritten letters and digits, 28 x 28 and grey, in six splits of 145,600 to 814,255 images.

    Fields: `image` (0 to 1), `label`: numbered from 0 in every split (the files of `letters` begin at 1). The files
    hold images that lie on their side; here they stand upright unless `upright=false`. Files as torchvision leaves
    them, in `root`, `root/raw`, `root/EMNIST/raw` or `root/gzip`; halves as for `MNIST`. Source: G. Cohen and others,
    EMNIST: an extension of MNIST to handwritten letters, 2017.
    """

    split: Literal["byclass", "bymerge", "balanced", "letters", "digits", "mnist"] = arg(
        "balanced", doc="which characters, and how many of each", keyword=True
    )
    upright: bool = arg(
        True, doc="turn the images upright; false: as the files and torchvision have them", keyword=True
    )

    def folders(self, base: Path) -> list[Path]:
        root = base / Path(self.root).expanduser()
        return [*super().folders(base), root / "gzip"]

    def file_names(self, half: Half) -> tuple[str, ...]:
        return tuple(f"emnist-{self.split}-{half}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))

    def arrange(self, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        first = 1 if self.split == "letters" else 0
        return image.swapaxes(2, 3) if self.upright else image, label - first

    def classes(self) -> dict[str, tuple[str, ...]]:
        return {"label": tuple(_EMNIST[self.split])}


def _find(folders: list[Path], name: str, kind: str) -> Path | None:
    """The first file of that name in the folders, in the spellings that are about."""
    dotted = name.replace("-idx", ".idx")
    names = [f"{n}{ending}" for n in (name, dotted, f"{kind}-{name}") for ending in ("", ".gz")]
    for folder in folders:
        for spelling in names:
            if (folder / spelling).is_file():
                return folder / spelling
    return None


def _read(images: Path, labels: Path, at_images: str, at_labels: str) -> tuple[np.ndarray, np.ndarray]:
    image, label = _read_images(images, at_images), read_idx(labels, 1, at_labels)
    if len(image) != len(label):
        raise DataError(
            f"{images.name} has {len(image):,} images, and {labels.name} has {len(label):,} labels", at=at_labels
        )
    if label.dtype.kind == "f":
        raise DataError(f"the labels in {labels.name} are not whole numbers", at=at_labels)
    return image, label.astype("int64")


def _read_images(place: Path, at: str) -> np.ndarray:
    """Bytes as they are, to be divided when they are used; other numbers as floats."""
    image = read_idx(place, 3, at)
    return image if image.dtype.kind == "u" else image.astype("float32")


def _divisor(image: np.ndarray) -> dict[str, float]:
    return {"image": 255.0} if image.dtype.kind == "u" else {}
