"""Data sets in the form of Hugging Face's `datasets`: folders of Arrow files, and names on the hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.suggest import suggest
from nnspec.training.dataset import Array, Dataset, Lazy, Loaded, check_size, field_type
from nnspec.training.fault import DataError, MissingData, SettingError
from nnspec.training.files.pictures import need_pillow, to_array
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[\w.-]{1,96})?", re.ASCII)
_MAX_INFO = 16 << 20
_PIECE = 4096

_ELEMENTS = {
    **{name: name for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32")},
    "uint16": "int64",
    "uint32": "int64",
    "float64": "float32",
}
"""Element type of a field for that of a column."""

Feature = Mapping[str, Any]


class HuggingFace(Dataset):
    """A data set of Hugging Face's `datasets`: a folder that `save_to_disk` wrote, or a name on the hub.

    Each column of numbers is a field of its name: numbers keep their type, but for float64, which becomes float32, and
    uint16 and uint32, which become int64; `ClassLabel` is int64 with the names of its classes; arrays and lists are
    fields where their lengths are fixed; pictures are [channels, height, width] from 0 to 1, by Pillow, of one size.
    `columns` chooses some of them, and calls them as one likes. Text, sound, and lists of any length are left out, and
    a note says so.

    Needs `datasets` (`pip install datasets`) to be loaded. The types of a folder's fields are in it, so that a spec is
    checked without; those of a name are known when it is loaded, which downloads it unless it is in the cache
    (`HF_HUB_OFFLINE=1` forbids that). No code of the data set is run. The rows stay on disk until they are asked for.
    """

    path: str = arg(doc="the folder, relative to the spec, or the name on the hub")
    split: str = arg("train", doc="which part: its name; of what is on the hub a slice as well, train[:80%]")
    columns: dict[str, str] = arg({}, doc='the fields and their columns: (x="measures"); none: all columns')
    validation: str | None = arg(None, doc="the part that is validated on, if there is one", keyword=True)
    config: str | None = arg(None, doc="which of the data sets under a name", keyword=True)
    size: int | tuple[int, int] | None = arg(
        None,
        doc="height and width that pictures are brought to; none: that of the first",
        ge=1,
        le=65_536,
        keyword=True,
    )
    channels: int | None = arg(
        None, doc="1 for grey pictures, 3 for red, green and blue; none: as the first", ge=1, le=4, keyword=True
    )

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""
        if self.channels == 2:
            raise SettingError("a picture has 1, 3 or 4 channels", at="channels")

    def schema(self, base: Path) -> dict[str, TensorType] | None:
        return super().schema(base) if self._folder(base) is not None else None

    def types(self, base: Path) -> dict[str, TensorType]:
        folder = self._folder(base)
        features = _saved_features(folder, self.split) if folder is not None else None
        if features is None:
            features = _features_of(self._part(base, self.split))
        return {name: type_ for name, (_, type_) in self._chosen(features, base)[0].items()}

    def load(self, base: Path) -> Loaded:
        part = self._part(base, self.split)
        features = _features_of(part)
        chosen, left = self._chosen(features, base)
        fields = self._fields(part, chosen)
        validation = None if self.validation is None else self._fields(self._part(base, self.validation), chosen)
        classes = {
            name: tuple(map(str, features[column]["names"]))
            for name, (column, _) in chosen.items()
            if features[column].get("_type") == "ClassLabel" and features[column].get("names")
        }
        shown = ", ".join(f"`{name[:60]}`" for name in left[:20])
        notes = (f"left out of {self.path}: columns that no field can be ({shown})",) * bool(left)
        origins = {name: f"column `{column}` of {self.path}" for name, (column, _) in chosen.items()}
        divisor = {name: 255.0 for name, field in fields.items() if isinstance(field, _Pictures)}
        return Loaded(fields, notes, classes, origins, divisor, validation)

    def _fields(self, part: Any, chosen: Mapping[str, tuple[str, TensorType]]) -> dict[str, Array]:
        fields: dict[str, Array] = {}
        for name, (column, type_) in chosen.items():
            if column not in part.column_names:
                raise DataError(f"a part of {self.path} has no column `{column}`", at="validation")
            if part.features[column].__class__.__name__ == "Image":
                fields[name] = _Pictures(part, column, type_, self.path, resized=self.size is not None)
            else:
                fields[name] = _Rows(part, column, type_, self.path)
        return fields

    def _picture_type(self, column: str, base: Path) -> TensorType:
        """What is not given is as the first picture has it."""
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        channels = self.channels
        if size is None or channels is None:
            need_pillow("HuggingFace")
            part = self._part(base, self.split)
            if not len(part) or part[0][column] is None:
                raise DataError(f"column `{column}` of {self.path} does not begin with a picture", at="path")
            first = part[0][column]
            size = size or (first.height, first.width)
            channels = channels or (1 if len(first.getbands()) == 1 and first.mode != "P" else 3)
        return field_type("float32", channels, *size)

    def _chosen(
        self, features: Mapping[str, Feature], base: Path
    ) -> tuple[dict[str, tuple[str, TensorType]], list[str]]:
        """Each field's column and type, and the columns that are left out."""
        types = {name: _type_of(feature) for name, feature in features.items()}
        for name in self.columns.values() or types:
            if features.get(name, {}).get("_type") == "Image":
                types[name] = self._picture_type(name, base)
        for wanted in self.columns.values():
            if wanted not in types:
                near = suggest(wanted, types)
                listed = ", ".join(f"`{n[:60]}`" for n in list(types)[:20])
                helps = (f"one with a similar name is there: `{near}`",) if near else (f"it has {listed}",)
                raise DataError(f"{self.path} has no column `{wanted}`", at="columns", helps=helps)
            if types[wanted] is None:
                kind = features[wanted].get("dtype") or features[wanted].get("_type") or "parts"
                raise DataError(f"column `{wanted}` of {self.path} is of {kind}, which no field can be", at="columns")
        named = self.columns or {name: name for name in types if name.isidentifier()}
        chosen = {n: (column, type_) for n, column in named.items() if (type_ := types[column]) is not None}
        if not chosen:
            raise DataError(f"{self.path} has no column that a field can be made of", at="path")
        return chosen, [] if self.columns else [name for name in types if name not in chosen]

    def _folder(self, base: Path) -> Path | None:
        """The folder that is meant, if there is one."""
        try:
            folder = base / Path(self.path).expanduser()
            return folder if self.path and "\0" not in self.path and folder.is_dir() else None
        except (OSError, RuntimeError):
            return None

    def _part(self, base: Path, split: str) -> Any:
        """A part of the data set, opened by `datasets`."""
        folder = self._folder(base)
        if folder is None and not _NAME.fullmatch(self.path):
            raise MissingData(f"there is no folder `{self.path}`", at="path", notes=(f"looked for {base / self.path}",))
        try:
            import datasets
        except ImportError:
            raise MissingData(
                "`HuggingFace` needs `datasets`, which is not installed", code="NNS605", helps=("pip install datasets",)
            ) from None
        try:
            if folder is not None and _is_saved(folder):
                found = datasets.load_from_disk(str(folder))
                found = _chosen_split(found, split, self.path) if isinstance(found, dict) else found
            else:
                found = datasets.load_dataset(str(folder or self.path), self.config, split=split)
        except DataError:
            raise
        except Exception as fault:  # a download, a format, a name: what is wrong is in the words of `datasets`
            reason = (str(fault).strip().splitlines() or [type(fault).__name__])[0][:300]
            looked = f"looked for a folder {base / self.path}, and for a data set of that name on the hub"
            raise MissingData(
                f"`{self.path}` cannot be loaded: {reason}", at="path", notes=() if folder is not None else (looked,)
            ) from None
        return found


class _Rows(Lazy):
    """A column, read from its Arrow files."""

    def __init__(self, part: Any, column: str, type_: TensorType, source: str) -> None:
        import numpy as np

        self.part, self.column, self.source = part.select_columns([column]).with_format("arrow"), column, source
        self.dtype = np.dtype(type_.dtype)
        self.shape = (len(part), *(int(str(size)) for size in type_.dims[1:]))
        check_size(self.shape[1:], self.dtype.itemsize, f"a sample of `{column}`", "path")

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        pieces = [self._piece(indices[at : at + _PIECE]) for at in range(0, len(indices), _PIECE)]
        return np.concatenate([np.zeros((0, *self.shape[1:]), self.dtype), *pieces])

    def _piece(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        column = self.part[indices.tolist()].column(self.column).combine_chunks()
        flat = column
        while True:
            if flat.null_count:
                missing = next(
                    i for i, value in zip(indices.tolist(), column.to_pylist(), strict=True) if _has_gap(value)
                )
                raise DataError(f"row {missing:,} (from 0) of {self.source} has no value in column `{self.column}`")
            if hasattr(flat, "storage"):
                flat = flat.storage
            elif hasattr(flat, "flatten") and hasattr(flat.type, "value_type"):
                flat = flat.flatten()
            else:
                break
        values = np.asarray(flat.to_numpy(zero_copy_only=False))
        if values.size != len(indices) * prod(self.shape[1:]):
            raise DataError(f"column `{self.column}` of {self.source} has rows of another shape than {self.shape[1:]}")
        with np.errstate(over="ignore"):  # what is infinite afterwards is reported with its sample
            return values.astype(self.dtype).reshape(len(indices), *self.shape[1:])


class _Pictures(_Rows):
    """A column of pictures, unpacked when they are asked for."""

    def __init__(self, part: Any, column: str, type_: TensorType, source: str, *, resized: bool) -> None:
        import numpy as np

        super().__init__(part, column, type_, source)
        self.resized = resized
        self.part, self.dtype = part.select_columns([column]), np.dtype("uint8")

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        found = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        for at, i in enumerate(indices.tolist()):
            found[at] = self._picture(i)
        return found

    def _picture(self, i: int) -> np.ndarray:
        _, channels, height, width = self.shape
        try:
            image = self.part[i][self.column]
            if image is not None:
                array = to_array(image, (height, width) if self.resized else None, channels, "stretch")
        except Exception as fault:  # what Pillow and `datasets` raise for damaged pictures
            raise DataError(
                f"row {i:,} (from 0) of {self.source} is no picture that can be read", notes=(str(fault)[:200],)
            ) from None
        if image is None:
            raise DataError(f"row {i:,} (from 0) of {self.source} has no picture in column `{self.column}`")
        if array.shape != self.shape[1:]:
            raise DataError(
                f"the pictures in {self.source} are not of one size: the first is {height} x {width}, and that of row "
                f"{i:,} is {array.shape[1]} x {array.shape[2]}",
                at="path",
                helps=(f"size=({height}, {width}) brings them to one",),
            )
        return array


def _has_gap(value: Any) -> bool:
    return value is None or (isinstance(value, list) and any(map(_has_gap, value)))


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _chosen_split(parts: Mapping[str, Any], split: str, path: str) -> Any:
    if split not in parts:
        near = suggest(split, parts)
        helps = (f"a similar one is there: `{near}`",) if near else (f"it has {', '.join(f'`{n}`' for n in parts)}",)
        raise DataError(f"{path} has no part `{split}`", at="split", helps=helps)
    return parts[split]


def _saved_features(folder: Path, split: str) -> dict[str, Feature] | None:
    """The columns of a saved data set, from its own description: None where it has none."""
    if (folder / "dataset_dict.json").is_file():
        names = {each.name: each for each in sorted(folder.iterdir()) if (each / "dataset_info.json").is_file()}
        _chosen_split(names, split, folder.name)
        folder = folder / split
    info = folder / "dataset_info.json"
    if not info.is_file() or not (folder / "state.json").is_file():
        return None
    try:
        if info.stat().st_size > _MAX_INFO:
            raise DataError(f"{info.name} is too large", at="path")
        features = json.loads(info.read_text("utf-8"))["features"]
        return {str(name): feature if isinstance(feature, dict) else {} for name, feature in features.items()}
    except OSError as error:
        raise MissingData(f"{info.name} in {folder.name} cannot be read: {error.strerror}", at="path") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{info.name} in {folder.name} is damaged", at="path") from None


def _features_of(part: Any) -> dict[str, Feature]:
    """The same, of a data set that is open."""
    described = part.features.to_dict()
    return {str(name): feature if isinstance(feature, dict) else {} for name, feature in described.items()}


def _type_of(feature: Feature) -> TensorType | None:
    """The type of the field that a column makes, None if it makes none."""
    dims: list[int] = []
    while feature.get("_type") in ("List", "Sequence", "LargeList"):
        length, inner = feature.get("length", -1), feature.get("feature")
        if not isinstance(length, int) or length < 0 or not isinstance(inner, Mapping) or len(dims) > 8:
            return None
        dims.append(length)
        feature = inner
    kind, dtype = feature.get("_type"), feature.get("dtype")
    if kind in ("Array2D", "Array3D", "Array4D", "Array5D"):
        shape = feature.get("shape") or ()
        if not all(isinstance(size, int) and size >= 0 for size in shape):
            return None
        dims += shape
    elif kind == "ClassLabel":
        dtype = "int64"
    elif kind != "Value":
        return None
    element = _ELEMENTS.get(str(dtype))
    return None if element is None else field_type(element, *dims)
