"""Data sets of torchvision, by their names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.suggest import suggest
from nnspec.training.dataset import Array, Dataset, Lazy, Loaded, field_type
from nnspec.training.fault import DataError, MissingData, SettingError
from nnspec.training.files.pictures import Fit, need_pillow, to_array
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np


class Torchvision(Dataset):
    """A data set of torchvision whose samples are a picture and a class: `Torchvision("CIFAR10", 32, root="data")`.

    Fields: `image` [batch, channels, height, width] (0 to 1) and `label`. Nothing is fetched unless `download=true`.
    `part` is what torchvision calls `split` ("train", "val", "test"), or "train" and "test" where it asks for `train`.
    Torchvision must be installed; some of its data sets are pickles, which it runs: trust where they come from.
    """

    name: str = arg(doc="torchvision's name of it")
    size: int | tuple[int, int] = arg(doc="height and width, one number for both", ge=1, le=16_384)
    root: str = arg("data", doc="the folder of its files, relative to the spec")
    part: str | None = arg(None, doc="which part of it; none: torchvision's own choice", keyword=True)
    channels: int = arg(3, doc="1 for grey, 3 for red, green and blue, 4 with opacity", ge=1, le=4, keyword=True)
    fit: Literal["stretch", "crop", "pad"] = arg("stretch", doc="as for `ImageFolder`", keyword=True)
    download: bool = arg(False, doc="fetch the files if they are not there", keyword=True)

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""
        if self.channels == 2:
            raise SettingError("a picture has 1, 3 or 4 channels", at="channels")

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        return {"image": field_type("float32", *self._shape()), "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        self.check()
        need_pillow("Torchvision")
        items = self._open(base)
        label = np.array([_number(value, self.name) for value in _targets(items)], dtype="int64")
        names = getattr(items, "classes", None)
        plain = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
        classes = {"label": tuple(names)} if plain and names else {}
        origins = dict.fromkeys(("image", "label"), f"torchvision's {self.name}")
        fields: dict[str, Array] = {"image": _Items(items, self._shape(), self.fit), "label": label}
        return Loaded(fields, classes=classes, origins=origins, divisor={"image": 255.0})

    def _shape(self) -> tuple[int, int, int]:
        height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        return self.channels, height, width

    def _open(self, base: Path) -> Any:
        cls = _class(self.name)
        try:
            return cls(**self._arguments(cls, base))
        except (RuntimeError, OSError, ImportError) as error:
            helps = () if self.download else ("download=true fetches the files", "root=... says where they are")
            raise MissingData(
                f"torchvision cannot open {self.name} in `{self.root}`",
                at="root",
                notes=(str(error).partition("\n")[0][:200],),
                helps=helps,
            ) from None
        except (TypeError, ValueError) as error:
            raise DataError(
                f"torchvision cannot open {self.name} with these arguments", at="part", notes=(str(error)[:200],)
            ) from None

    def _arguments(self, cls: type, base: Path) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        known = inspect.signature(cls).parameters
        if "root" in known:
            wanted["root"] = str(base / Path(self.root).expanduser())
        if "download" in known:
            wanted["download"] = self.download
        elif self.download:
            raise DataError(f"torchvision does not fetch {self.name}: its files must be there", at="download")
        if self.part is None:
            return wanted
        if "train" in known and self.part in ("train", "test"):
            return wanted | {"train": self.part == "train"}
        name = next((name for name in ("split", "image_set") if name in known), None)
        if name is None:
            parts = 'parts "train" and "test"' if "train" in known else "no parts"
            raise DataError(f"torchvision's {self.name} has {parts}", at="part")
        return wanted | {name: self.part}


def _class(name: str) -> type:
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:  # the latter: one that was built for another torch
        raise MissingData(
            "`Torchvision` needs torchvision, which is not installed or does not fit the torch that is",
            code="NNS605",
            notes=(str(error)[:200],),
            helps=("pip install torchvision",),
        ) from None
    base = torchvision.datasets.VisionDataset
    offered = {each: getattr(torchvision.datasets, each) for each in torchvision.datasets.__all__}
    found: dict[str, type] = {
        each: cls for each, cls in offered.items() if inspect.isclass(cls) and issubclass(cls, base) and cls is not base
    }
    if name not in found:
        near = suggest(name, found)
        raise DataError(
            f"torchvision has no data set `{name}`", at="name", helps=(f"did you mean `{near}`?",) if near else ()
        )
    return found[name]


def _targets(items: Any) -> Any:
    """The classes of all samples, without the pictures where the data set has them apart."""
    for name in ("targets", "labels", "_labels"):
        values = getattr(items, name, None)
        if values is not None and not callable(values) and len(values) == len(items):
            return values
    return (items[i][1] for i in range(len(items)))


def _number(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise DataError(f"the samples of torchvision's {name} are no pictures with a class each", at="name") from None


class _Items(Lazy):
    """Pictures of a data set of torchvision, read when they are asked for."""

    def __init__(self, items: Any, shape: tuple[int, int, int], fit: Fit) -> None:
        import numpy as np

        self.items = items
        self.fit = fit
        self.dtype = np.dtype("uint8")
        self.shape = (len(items), *shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        out = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        for row, index in enumerate(indices):
            out[row] = self._one(int(index))
        return out

    def _one(self, index: int) -> np.ndarray:
        from PIL import Image

        picture = self.items[index][0]
        if not isinstance(picture, Image.Image):
            raise DataError("the samples of this data set of torchvision are no pictures", at="name")
        _, channels, height, width = self.shape
        return to_array(picture, (height, width), channels, self.fit)
