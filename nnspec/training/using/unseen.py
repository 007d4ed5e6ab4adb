"""New samples from files, read in the way in which a run read those that it was trained on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from nnspec.training.dataset import Array, Dataset, Lazy, check_size, read
from nnspec.training.datasets.audio import WAVFolder
from nnspec.training.datasets.csv import CSV
from nnspec.training.datasets.npz import array_headers
from nnspec.training.datasets.parquet import Parquet
from nnspec.training.fault import DataError, Fault
from nnspec.training.files.arrays import ELEMENTS, Header, numpy_file
from nnspec.training.files.pictures import SUFFIXES, read_picture
from nnspec.training.runs.preparation import Preparation
from nnspec.training.tables.table import MissingValue
from nnspec.training.tables.tabular import Tabular

_MOST_FILES = 10_000_000


class InputError(DataError):
    """A file that does not suit the run."""

    code = "NNS641"


@dataclass(frozen=True, slots=True)
class Unseen:
    """Samples as they are stored: arrays by field, and what each is called, if it has a name."""

    fields: dict[str, Array]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return min(len(array) for array in self.fields.values())


Expected = Mapping[str, tuple[str, tuple[int, ...]]]
"""Fields with their element type and the shape of a sample, as the run stored them."""


def read_samples(place: Path, fields: Collection[str], preparation: Preparation) -> Unseen:
    """The samples in a file, or a folder, with the fields that are asked for. Raises `DataError`."""
    if not place.exists():
        raise DataError(f"there is no file `{place}`", code="NNS601")
    expected = {name: preparation.stored[name] for name in fields if name in preparation.stored}
    reader = _reader(place)
    return _checked(reader(place, preparation, expected), expected, f"`{place}`")


def from_arrays(arrays: Mapping[str, np.ndarray], fields: Collection[str], preparation: Preparation) -> Unseen:
    """Samples that are arrays already. Raises `DataError`."""
    expected = {name: preparation.stored[name] for name in fields if name in preparation.stored}
    return _checked(Unseen({name: np.asarray(array) for name, array in arrays.items()}), expected, "what is given")


def _checked(found: Unseen, expected: Expected, what: str) -> Unseen:
    _check_present(found.fields, expected, what)
    arrays = {name: _suited(found.fields[name], *expected[name], f"`{name}` in {what}") for name in expected}
    lengths = {len(array) for array in arrays.values()}
    if len(lengths) > 1:
        raise InputError(f"the fields of {what} differ in length: {', '.join(map(str, sorted(lengths)))}")
    if lengths == {0}:
        raise InputError(f"{what} holds no samples")
    return Unseen(arrays, found.names, found.notes)


def _check_present(names: Collection[str], expected: Expected, what: str) -> None:
    missing = [name for name in expected if name not in names]
    if missing:
        there = ", ".join(f"`{name}`" for name in names)
        raise InputError(f"{what} has no field `{missing[0]}`", notes=(f"its fields: {there}",))


Read = Callable[[Path, Preparation, Expected], Unseen]


def _reader(place: Path) -> Read:
    suffix = place.suffix.lower()
    if suffix in SUFFIXES:
        return _pictures
    if suffix in (".npy", ".npz"):
        return _arrays
    return _folder if place.is_dir() else _like_before


def _arrays(place: Path, preparation: Preparation, expected: Expected) -> Unseen:
    """What headers promise is compared with the files before memory is asked for, and nothing is unpickled."""
    single = place.suffix.lower() == ".npy"
    try:
        headers = {} if single else array_headers(place)
        if single:
            numpy_file(place)
    except Fault as fault:
        raise InputError(f"`{place}` cannot be read as arrays of numpy", notes=(fault.message, *fault.notes)) from None
    if not single:
        _check_present(headers, expected, f"`{place}`")
        _check_arrays({name: headers[name] for name in expected}, place)
    if single and len(expected) != 1:
        names = ", ".join(f"`{name}`" for name in expected)
        what = f"`{place}` is one array, and the model takes {names}"
        raise InputError(what, helps=("an .npz file has several",))
    try:
        content = np.load(place, mmap_mode="r" if single else None, allow_pickle=False)
        if single:
            return Unseen({next(iter(expected)): content})
        with content:
            return Unseen({name: content[name] for name in expected})
    except (ValueError, OSError, EOFError, MemoryError, BadZipFile, zlib.error) as error:
        raise InputError(f"`{place}` cannot be read as arrays of numpy", notes=(str(error)[:200],)) from None


def _check_arrays(headers: Mapping[str, Header], place: Path) -> None:
    for name, header in headers.items():
        if header.code not in ELEMENTS:
            raise InputError(f"`{name}` in `{place}` holds neither numbers nor bools")
    check_size((sum(header.size for header in headers.values()),), 1, f"what is in {place.name}")


def _folder(place: Path, preparation: Preparation, expected: Expected) -> Unseen:
    """Pictures where the model takes some, and otherwise whatever the data set makes of a folder."""
    try:
        _picture_field(place, expected)
    except InputError:
        return _like_before(place, preparation, expected)
    return _pictures(place, preparation, expected)


class _Pictures(Lazy):
    """Files of pictures, each read when it is asked for."""

    def __init__(self, files: tuple[Path, ...], shape: tuple[int, ...], fit: str) -> None:
        self.files, self.fit = files, fit
        self.dtype = np.dtype("uint8")
        self.shape = (len(files), *shape)

    def read(self, indices: np.ndarray) -> np.ndarray:
        channels, *size = self.shape[1:]
        height, width = size
        return np.stack(
            [read_picture(self.files[i], (height, width), channels, self.fit, "path") for i in indices]  # type: ignore[arg-type]
        )


def _pictures(place: Path, preparation: Preparation, expected: Expected) -> Unseen:
    field, shape = _picture_field(place, expected)
    if place.is_dir():
        found = (each for each, _ in zip(place.rglob("*"), range(_MOST_FILES), strict=False))
        files = tuple(sorted(each for each in found if each.suffix.lower() in SUFFIXES and each.is_file()))
        if not files:
            raise InputError(f"there are no pictures in `{place}`", notes=(f"files that end in {', '.join(SUFFIXES)}",))
        names = tuple(each.relative_to(place).as_posix() for each in files)
    else:
        files, names = (place,), (place.name,)
    fit = getattr(preparation.dataset, "fit", "stretch")
    return Unseen({field: _Pictures(files, shape, fit)}, names)


def _picture_field(place: Path, expected: Expected) -> tuple[str, tuple[int, ...]]:
    """The one field that holds pictures."""
    if len(expected) == 1:
        (name, (stored, shape)), *_ = expected.items()
        if stored == "uint8" and len(shape) == 3 and shape[0] in (1, 3, 4):
            return name, shape
    raise InputError(f"`{place}` holds pictures, and the model takes {_described(expected)}")


def _like_before(place: Path, preparation: Preparation, expected: Expected) -> Unseen:
    """A file of the kind that the run was trained on."""
    dataset = preparation.dataset
    base = Path()
    try:
        if isinstance(dataset, Tabular):
            # A row that is left out would have no answer, and all that follow the wrong one.
            whole = _of_kind(place, dataset).replace(drop_missing=False)
            same: Dataset | None = whole.elsewhere(str(place), expected)
        else:
            same = None if dataset is None else dataset.elsewhere(str(place), expected)
        if same is None:
            return _as_table(place, expected)
        loaded = read(same, base)
    except InputError:
        raise
    except MissingValue as fault:
        raise InputError(fault.message, notes=fault.notes, helps=_GAPS) from None
    except Fault as fault:
        raise InputError(fault.message, notes=fault.notes, helps=fault.helps) from None
    return Unseen(loaded.fields, _names(same, place), loaded.notes)


def _names(dataset: Dataset, place: Path) -> tuple[str, ...]:
    """What samples are called that are files each."""
    if not isinstance(dataset, WAVFolder):
        return ()
    files = dataset.files(Path())
    return tuple(each.relative_to(place).as_posix() for each in files) if place.is_dir() else (place.name,)


_GAPS = (
    "give it a value, or leave the row out of the file",
    'a run whose data has `fill="median"` fills the gaps of new samples, too',
)
"""What helps where a value is missing: how tables are read is for the run to say, and not for who predicts."""


def _of_kind(place: Path, dataset: Tabular) -> Tabular:
    """A table's like for a file that may be of another kind than the one that was trained on."""
    cls = Parquet if place.suffix.lower() in (".parquet", ".pq") else CSV
    if isinstance(dataset, cls):
        return dataset
    return cls(**{name: getattr(dataset, name) for name in Tabular.fields})


def _as_table(place: Path, expected: Expected) -> Unseen:
    """The numeric columns of a table, for a model that was trained on no table."""
    flat = {name: shape for name, (_, shape) in expected.items() if len(shape) <= 1}
    if len(expected) != 1 or not flat:
        raise InputError(f"`{place}` is a table, and the model takes {_described(expected)}", helps=(_kinds(),))
    cls = {".csv": CSV, ".tsv": CSV, ".tab": CSV, ".txt": CSV, ".parquet": Parquet}.get(place.suffix.lower())
    if cls is None:
        raise InputError(f"`{place}` is of no kind that can be read", helps=(_kinds(),))
    loaded = read(cls(path=str(place)), Path())
    if "features" not in loaded.fields:
        raise InputError(f"`{place}` has no columns of numbers")
    return Unseen({next(iter(expected)): loaded.fields["features"]}, (), loaded.notes)


def _kinds() -> str:
    return "tables (.csv, .tsv, .parquet), arrays (.npy, .npz), pictures and sounds (.wav) can be read"


def _described(expected: Expected) -> str:
    return ", ".join(f"`{name}`: {stored}[{', '.join(map(str, shape))}]" for name, (stored, shape) in expected.items())


def _suited(array: Array, stored: str, shape: tuple[int, ...], what: str) -> Array:
    """An array as the run stored its own: of the same shape, its numbers of the same type if they can be."""
    if array.shape[1:] != shape:
        if array.shape == shape and not isinstance(array, Lazy):
            return _suited(array[None], stored, shape, what)
        wanted = f"[samples{''.join(f', {size}' for size in shape)}]"
        raise InputError(f"{what} has the shape {list(array.shape)}, and samples {wanted} are needed")
    if str(array.dtype) == stored or isinstance(array, Lazy):
        return array
    kinds = {"float32": "fiub", "int64": "iub", "uint8": "", "bool": ""}
    if array.dtype.kind not in kinds.get(stored, ""):
        raise InputError(f"{what} holds {array.dtype} numbers, and {stored} ones are needed")
    return array.astype(stored)
