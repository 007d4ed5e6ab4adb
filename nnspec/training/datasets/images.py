"""Pictures in folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnspec.arguments import arg
from nnspec.training.dataset import Array, Dataset, Lazy, Loaded, check_size, field_type
from nnspec.training.fault import DataError, SettingError
from nnspec.training.files.folders import Found, find_folder, find_samples, numbered
from nnspec.training.files.pictures import SUFFIXES, Fit, need_pillow, picture_size, read_picture
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self


class ImageFolder(Dataset):
    """A folder of pictures: with a sub-folder for each class, or all in one place.

    Fields: `image` [batch, channels, height, width] (0 to 1) and, where there are sub-folders, `label`: their numbers
    in sorted order, files at any depth. Pictures are turned upright as their metadata says, brought to one size by
    Pillow's bilinear filter, and read when they are needed, by several processes where they do not fit in memory.
    JPEG, PNG, BMP, GIF (its first picture), WebP, TIFF, PPM and PGM.
    """

    path: str = arg(doc="the folder, relative to the spec")
    size: int | tuple[int, int] | None = arg(
        None,
        doc="height and width, one number for both; none: that of the pictures, which must be equal",
        ge=1,
        le=16_384,
    )
    channels: int = arg(3, doc="1 for grey, 3 for red, green and blue, 4 with opacity", ge=1, le=4)
    fit: Literal["stretch", "crop", "pad"] = arg(
        "stretch", doc="a picture of another form is stretched, cut at its longer sides, or put on black", keyword=True
    )
    classes: tuple[str, ...] | None = arg(
        None, doc="the classes by number; none: those there are, sorted", keyword=True
    )

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""
        if self.channels == 2:
            raise SettingError("a picture has 1, 3 or 4 channels", at="channels")

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        found = self._found(base)
        image = {"image": field_type("float32", self.channels, *self._size(found))}
        return image if found.labels is None else image | {"label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        self.check()
        need_pillow("ImageFolder")
        found = self._found(base)
        shape = (self.channels, *self._size(found))
        check_size(shape, 1, "a picture", "size")
        pictures = _Pictures(found.files, shape, None if self.size is None else self.fit)
        origins = {"image": f"{len(found.files):,} files in {self.path}", "label": f"folders in {self.path}"}
        if found.labels is None:
            return Loaded({"image": pictures}, found.notes, {}, origins, {"image": 255.0})
        fields: dict[str, Array] = {"image": pictures, "label": np.array(found.labels, dtype="int64")}
        return Loaded(fields, found.notes, {"label": found.classes}, origins, {"image": 255.0})

    def settled(self, base: Path) -> Self:
        found = self._found(base)
        return self.replace(size=self._size(found), classes=found.classes or None)

    def following(self, first: Dataset, base: Path) -> Dataset:
        return self.as_settled(first, base, ("size", "channels", "fit", "classes"))

    def _found(self, base: Path) -> Found:
        found = find_samples(find_folder(base, self.path, "path"), SUFFIXES, "pictures", "path")
        return found if self.classes is None else numbered(found, self.classes, self.path)

    def _size(self, found: Found) -> tuple[int, int]:
        if isinstance(self.size, tuple):
            return self.size
        if self.size is not None:
            return self.size, self.size
        need_pillow("ImageFolder")
        return picture_size(found.files[0], "path")


class _Pictures(Lazy):
    """Pictures that are read when they are asked for."""

    def __init__(self, files: tuple[Path, ...], shape: tuple[int, ...], fit: Fit | None) -> None:
        import numpy as np

        self.files = tuple(map(str, files))
        self.fit = fit
        self.dtype = np.dtype("uint8")
        self.shape = (len(files), *shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        out = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        for row, index in enumerate(indices):
            out[row] = self._one(Path(self.files[index]))
        return out

    def _one(self, place: Path) -> np.ndarray:
        _, channels, height, width = self.shape
        if self.fit is not None:
            return read_picture(place, (height, width), channels, self.fit, "path")
        picture = read_picture(place, None, channels, "stretch", "path")
        if picture.shape != self.shape[1:]:
            first = Path(self.files[0])
            raise DataError(
                "the pictures are not of one size",
                at="path",
                notes=(
                    f"{first.parent.name}/{first.name} is {height} x {width} (height x width), and "
                    f"{place.parent.name}/{place.name} is {picture.shape[1]} x {picture.shape[2]}",
                ),
                helps=("size=... brings all of them to one: `size=64`, or `size=(48, 64)`",),
            )
        return picture
