"""Pictures from files to arrays of one size, by Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nnspec.training.fault import DataError, MissingData

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Endings of the files that are taken for pictures."""

Fit = Literal["stretch", "crop", "pad"]
"""What becomes of a picture of another form: `stretch` it, cut off what stands over, or put black around it."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def need_pillow(who: str) -> None:
    """Raise `MissingData` where Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401 - only whether it is there
    except ImportError:
        raise MissingData(
            f"`{who}` reads pictures by Pillow, which is not installed",
            code="NNS605",
            helps=('pip install "nnspec[media]"',),
        ) from None


def read_picture(place: Path, size: tuple[int, int] | None, channels: int, fit: Fit, at: str) -> np.ndarray:
    """A picture as bytes [channels, height, width], upright; `size` is its height and width, None its own."""
    from PIL import Image, UnidentifiedImageError

    name = f"{place.parent.name}/{place.name}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # odd but readable metadata
            with Image.open(place) as image:
                return to_array(image, size, channels, fit)
    except UnidentifiedImageError:
        raise DataError(f"{name} is not a picture that can be read", at=at) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{name} has too many pixels to be unpacked safely", at=at) from None
    except FileNotFoundError:
        raise MissingData(f"{name} is not there any more", at=at) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        # What Pillow raises for damaged files, depending on the format.
        raise DataError(f"{name} is damaged", at=at, notes=(str(error)[:200],)) from None


def picture_size(place: Path, at: str) -> tuple[int, int]:
    """Height and width of a picture, from its header."""
    from PIL import ExifTags, Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(place) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{place.parent.name}/{place.name} has too many pixels to be unpacked safely", at=at) from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise DataError(f"{place.parent.name}/{place.name} is not a picture that can be read", at=at) from None
    return (width, height) if turned else (height, width)


def to_array(image: Image, size: tuple[int, int] | None, channels: int, fit: Fit) -> np.ndarray:
    """A picture of Pillow's as bytes [channels, height, width]."""
    import numpy as np
    from PIL import Image, ImageOps

    if image.mode.startswith("I") and channels != 4:  # 16 bits, or 16 of 32: Pillow would cut them off, not scale
        wide = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        image = Image.fromarray((wide >> 8).astype(np.uint8))
    upright = ImageOps.exif_transpose(image)
    sized = _sized(upright.convert(_MODES[channels]), size, fit)
    array = np.asarray(sized, dtype=np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _sized(image: Image, size: tuple[int, int] | None, fit: Fit) -> Image:
    from PIL import Image, ImageOps

    if size is None or image.size == (size[1], size[0]):
        return image
    wanted = (size[1], size[0])
    if fit == "crop":
        return ImageOps.fit(image, wanted, Image.Resampling.BILINEAR)
    if fit == "pad":
        return ImageOps.pad(image, wanted, Image.Resampling.BILINEAR)
    return image.resize(wanted, Image.Resampling.BILINEAR)
