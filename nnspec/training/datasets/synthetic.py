"""Made data, the same for the same seed: for tiny networks, for trying out, and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.arguments import arg
from nnspec.training.dataset import Array, Dataset, Loaded, check_size, field_type
from nnspec.training.fault import SettingError
from nnspec.training.type_text import read_types
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    import numpy as np


class _Plane(Dataset):
    """Points of a plane in two classes; fields `features`, `label`, and `target`: the label as a float column."""

    samples: int = arg(1000, doc="number of points", ge=2, le=100_000_000)
    noise: float = arg(0.1, doc="standard deviation of what is added to each coordinate", ge=0)
    seed: int = arg(0, doc="seed of the points, apart from the training's", ge=0, keyword=True)

    def types(self, base: Path) -> dict[str, TensorType]:
        return {
            "features": field_type("float32", 2),
            "label": field_type("int64"),
            "target": field_type("float32", 1),
        }

    def load(self, base: Path) -> Loaded:
        import numpy as np

        rng = np.random.default_rng(self.seed)
        label = np.arange(self.samples, dtype="int64") % 2
        points = self._points(label, rng) + rng.normal(0.0, self.noise, (self.samples, 2))
        target = label.astype("float32").reshape(-1, 1)
        with np.errstate(over="ignore"):  # what is infinite afterwards is reported with its sample
            features = points.astype("float32")
        return Loaded({"features": features, "label": label, "target": target})

    def _points(self, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


class Moons(_Plane):
    """Points on two half circles that reach into each other, in two classes.

    Fields: `features` [batch, 2], `label`, and `target`: the label as a float column [batch, 1].
    """

    def _points(self, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import numpy as np

        angle = rng.uniform(0.0, np.pi, len(label))
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
        points: np.ndarray = np.where(label[:, None] == 0, upper, lower)
        return points


class Circles(_Plane):
    """Points on a circle of radius 1 (class 0) and on one of radius 1/2 inside it (class 1).

    Fields: `features` [batch, 2], `label`, and `target`: the label as a float column [batch, 1].
    """

    def _points(self, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import numpy as np

        angle = rng.uniform(0.0, 2 * np.pi, len(label))
        radius = np.where(label == 0, 1.0, 0.5)
        points: np.ndarray = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return points


class Xor(_Plane):
    """Points around the corners of a square; the class says whether exactly one coordinate is positive.

    Fields: `features` [batch, 2], `label`, and `target`: the label as a float column [batch, 1].
    """

    def _points(self, label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        import numpy as np

        first = rng.integers(0, 2, len(label))
        points: np.ndarray = np.stack([first, first ^ label], axis=1) * 2.0 - 1.0
        return points


class RandomImages(Dataset):
    """Images that are noise over one fixed pattern for each class: for trying a network without data.

    Fields: `image` [batch, channels, height, width], about 0 to 1, and `label`. They can be learned, and nothing can
    be learned from them.
    """

    height: int = arg(doc="rows of an image", ge=1, le=65_536)
    width: int = arg(doc="columns of an image", ge=1, le=65_536)
    channels: int = arg(3, doc="values of a pixel", ge=1, le=65_536)
    classes: int = arg(10, doc="number of classes", ge=1, le=1_000_000)
    samples: int = arg(512, doc="number of images", ge=2, le=100_000_000)
    noise: float = arg(0.1, doc="standard deviation of the noise", ge=0)
    seed: int = arg(0, doc="seed of patterns and noise, apart from the training's", ge=0, keyword=True)

    def types(self, base: Path) -> dict[str, TensorType]:
        image = field_type("float32", self.channels, self.height, self.width)
        return {"image": image, "label": field_type("int64")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        rng = np.random.default_rng(self.seed)
        label = np.arange(self.samples, dtype="int64") % self.classes
        shape = (self.channels, self.height, self.width)
        check_size((self.samples + self.classes, *shape), 4)
        patterns = rng.random((self.classes, *shape), dtype="float32")
        image = rng.standard_normal((self.samples, *shape), dtype="float32")
        image *= self.noise
        image += patterns[label]
        return Loaded({"image": image, "label": label})


class Random(Dataset):
    """Random numbers of the types that are given: for trying a network, or its speed, without data.

    `Random((image="float[N, 3, 32, 32]", label="int[N]"), classes=10)`: floats are normal (mean 0, deviation 1), whole
    numbers below `classes`, true and false equally likely. Nothing can be learned from them.
    """

    of: dict[str, str] = arg(doc='the fields and their types: (image="float[N, 3, 32, 32]", label="int[N]")')
    samples: int = arg(512, doc="number of samples", ge=2, le=100_000_000)
    classes: int | dict[str, int] = arg(
        10, doc="what whole numbers stay below, in all fields or by field: (label=10, token=50257)", ge=1, le=1 << 31
    )
    seed: int = arg(0, doc="seed of the numbers, apart from the training's", ge=0, keyword=True)

    def check(self) -> None:
        """Raise `SettingError` for types that are none, and bounds that do not fit them."""
        types = read_types(self.of, "of")
        for name, bound in self.classes.items() if isinstance(self.classes, dict) else ():
            if name not in types:
                raise SettingError(f"`{name}` is none of the fields", at="classes")
            if bound < 1:
                raise SettingError(f"whole numbers cannot stay below {bound}", at="classes")

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        return read_types(self.of, "of")

    def load(self, base: Path) -> Loaded:
        import numpy as np

        rng = np.random.default_rng(self.seed)
        fields: dict[str, Array] = {}
        for name, type_ in self.types(base).items():
            shape = (self.samples, *(int(str(size)) for size in type_.dims[1:]))
            check_size(shape, 8, f"`{name}`", "samples")
            if is_float(type_.dtype):
                fields[name] = rng.standard_normal(shape, dtype="float32").astype(type_.dtype, copy=False)
            elif type_.dtype == "bool":
                fields[name] = rng.random(shape, dtype="float32") < 0.5
            else:
                bound = self.classes.get(name, 10) if isinstance(self.classes, dict) else self.classes
                bound = min(bound, int(np.iinfo(type_.dtype).max) + 1)
                fields[name] = rng.integers(0, bound, shape, dtype=type_.dtype)
        return Loaded(fields)
