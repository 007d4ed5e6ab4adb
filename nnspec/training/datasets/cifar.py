"""CIFAR-10 and CIFAR-100, in their binary form and in the one for Python."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.training.dataset import Loaded, field_type
from nnspec.training.fault import DataError, MissingData
from nnspec.training.files.halves import Half, Halves
from nnspec.training.files.pickles import as_bytes, read_pickle
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

_PIXELS = 3 * 32 * 32
_MOST_BYTES = 256 << 20
"""A file of CIFAR has 31 MB, or 155 MB; what is in an archive has 186 MB together."""

Opener = Callable[[str], "bytes | None"]
"""The content of the file of a name, or None where there is none."""


class _Cifar(Halves):
    stem: ClassVar[str]
    """What folders and archives are called: the stem and a form."""
    files: ClassVar[dict[str, tuple[str, ...]]]
    """Files of each half, without the ending that the binary form has."""
    labels: ClassVar[tuple[tuple[str, str, str], ...]]
    """Each field of labels: its name, its key in the Python form, and that of the names of its classes."""
    names: ClassVar[dict[str, str]]
    """Files that list the names of classes: that of the Python form, and those of the binary form by field."""

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        labels = {name: field_type("int64") for name, _, _ in self.labels}
        return {"image": field_type("float32", 3, 32, 32), **labels}

    def folders(self, base: Path) -> list[Path]:
        root = base / Path(self.root).expanduser()
        below = [f"{self.stem}-batches-py", f"{self.stem}-python", f"{self.stem}-batches-bin", f"{self.stem}-binary"]
        archives = [f"{self.stem}-{form}.tar.gz" for form in ("python", "binary")]
        return [root, *(root / name for name in (*below, *archives))]

    def file_names(self, half: Half) -> tuple[str, ...]:
        return tuple(f"{name}[.bin]" for name in self.files[half])

    def read(self, folders: list[Path], half: Half) -> Loaded | None:
        for place in folders:
            opener = _opener(place)
            for ending, read in (("", self._python), (".bin", self._binary)) if opener else ():
                assert opener is not None
                names = [f"{name}{ending}" for name in self.files[half]]
                contents = {name: content for name in names if (content := opener(name)) is not None}
                if contents and len(contents) < len(names):
                    gone = ", ".join(f"`{name}`" for name in names if name not in contents)
                    raise MissingData(f"{gone} of {type(self).__name__} is not in {place}", at="root")
                if contents:
                    return self._loaded([read(content, name) for name, content in contents.items()], opener, place)
        return None

    def _loaded(self, parts: list[dict[str, np.ndarray]], opener: Opener, place: Path) -> Loaded:
        import numpy as np

        fields = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        fields["image"] = fields["image"].reshape(-1, 3, 32, 32)
        classes = self._classes(opener)
        return Loaded(dict(fields), (), classes, dict.fromkeys(fields, place.name), {"image": 255.0})

    def _binary(self, content: bytes, name: str) -> dict[str, np.ndarray]:
        """Rows of labels and pixels; what comes first is the coarser label."""
        import numpy as np

        width = len(self.labels) + _PIXELS
        if not content or len(content) % width:
            raise DataError(
                f"{name} has {len(content):,} bytes, which is no whole number of images of {width:,}", at="root"
            )
        rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, width)
        labels = {field: rows[:, -_PIXELS - 1 - i].astype(np.int64) for i, (field, _, _) in enumerate(self.labels)}
        return {"image": rows[:, -_PIXELS:], **labels}

    def _python(self, content: bytes, name: str) -> dict[str, np.ndarray]:
        import numpy as np

        held = _by_text(read_pickle(content, name, "root"), name)
        image = as_bytes(held.get("data"), f"`data` in {name}", "root")
        if image.ndim != 2 or image.shape[1] != _PIXELS:
            raise DataError(f"`data` in {name} is {list(image.shape)} instead of [images, {_PIXELS}]", at="root")
        fields = {"image": image}
        for field, key, _ in self.labels:
            label = held.get(key)
            if not isinstance(label, list) or not all(isinstance(n, int) for n in label):
                raise DataError(f"{name} has no list of whole numbers `{key}`", at="root")
            if len(label) != len(image):
                raise DataError(f"{name} has {len(image):,} images and {len(label):,} labels in `{key}`", at="root")
            fields[field] = np.array([n if 0 <= n < 256 else -1 for n in label], dtype=np.int64)
        return fields

    def _classes(self, opener: Opener) -> dict[str, tuple[str, ...]]:
        """Names of the classes, where the files have them."""
        classes = {}
        meta = opener(self.names["python"])
        with suppress(DataError):
            held = {} if meta is None else _by_text(read_pickle(meta, self.names["python"], "root"), "")
            for field, _, key in self.labels:
                listed = held.get(key)
                if isinstance(listed, list):
                    classes[field] = tuple(_text(name) for name in listed)
        for field, _, _ in self.labels:
            lines = opener(self.names[field]) if field not in classes else None
            if lines is not None:
                classes[field] = tuple(lines.decode("utf-8", "replace").split())
        return classes


class CIFAR10(_Cifar):
    """Photographs of 10 kinds of things, 32 x 32 and in colour: 50,000 to train and 10,000 to test.

    Fields: `image` [batch, 3, 32, 32] (0 to 1), `label`. Files in `root` or, as torchvision leaves them, in
    `root/cifar-10-batches-py`; the binary form in `root/cifar-10-batches-bin`; or either archive (.tar.gz) as it was
    fetched. The form for Python is a pickle, of which nothing is run. With `test=true` the test half is what is
    validated on. Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    stem = "cifar-10"
    files: ClassVar = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
    labels = (("label", "labels", "label_names"),)
    names: ClassVar = {"python": "batches.meta", "label": "batches.meta.txt"}


class CIFAR100(_Cifar):
    """Photographs of 100 kinds of things in 20 groups, 32 x 32 and in colour: 50,000 to train and 10,000 to test.

    Fields: `image` [batch, 3, 32, 32] (0 to 1), `label` (the kind), `coarse` (the group). Files in `root`, in
    `root/cifar-100-python` or `root/cifar-100-binary`, or in an archive as it was fetched; as for `CIFAR10`. Source:
    A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    stem = "cifar-100"
    files: ClassVar = {"train": ("train",), "test": ("test",)}
    labels = (("label", "fine_labels", "fine_label_names"), ("coarse", "coarse_labels", "coarse_label_names"))
    names: ClassVar = {"python": "meta", "label": "fine_label_names.txt", "coarse": "coarse_label_names.txt"}


def _opener(place: Path) -> Opener | None:
    """Reads the files of a folder, or of an archive without unpacking it."""
    if place.is_dir():
        return lambda name: _read_file(place / name)
    if place.is_file() and place.name.endswith(".tar.gz"):
        return _members(place).get
    return None


def _read_file(place: Path) -> bytes | None:
    if not place.is_file():
        return None
    try:
        if place.stat().st_size > _MOST_BYTES:
            raise DataError(f"{place.name} is larger than any file of CIFAR", at="root")
        return place.read_bytes()
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror}", at="root") from None


class _Unpacked:
    """The content of a packed archive, as far as CIFAR's goes: tarfile believes whatever size a header promises."""

    def __init__(self, file: gzip.GzipFile, name: str) -> None:
        self.file, self.name, self.left = file, name, _MOST_BYTES

    def read(self, size: int) -> bytes:
        """The next bytes."""
        content = self.file.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise DataError(f"{self.name} holds more than CIFAR does", at="root")
        return content


def _members(place: Path) -> dict[str, bytes]:
    """The files in an archive by name, from whatever folder. It is read once from front to back, and not unpacked."""
    found = {}
    try:
        with (
            gzip.open(place) as packed,
            tarfile.open(fileobj=_Unpacked(packed, place.name), mode="r|") as archive,  # type: ignore[call-overload]
        ):
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    found[Path(member.name).name] = file.read()
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{place.name} is a damaged archive: {error}", at="root") from None
    except OSError as error:
        raise MissingData(f"{place.name} cannot be read: {error.strerror or error}", at="root") from None
    return found


def _by_text(held: Any, name: str) -> dict[str, Any]:
    if not isinstance(held, dict):
        raise DataError(f"{name} is no archive of CIFAR: it holds no dict", at="root")
    return {_text(key): value for key, value in held.items()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
