"""What a data set is: typed arguments, the fields it offers with their types, and the arrays behind them.

Adding one is adding a class to a file in `nnspec/training/datasets`. `types` belongs to checking and must stay light
(no numpy); `load` may import what it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import Arguments
from nnspec.dims import symbol
from nnspec.suggest import closest
from nnspec.training.fault import DataError, MissingData
from nnspec.types import TensorType

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from typing_extensions import Self

BATCH = "batch"
"""The symbol of every field's first dimension."""

MAX_BYTES = 16 << 30
"""Most bytes that one field may take in memory."""

_MANY_FILES = 10_000


class Lazy:
    """A field whose samples are read, or made, when they are asked for: files, or more than fits in memory.

    Held in memory where all of it fits, and otherwise read by processes of their own: it can be pickled, and an index
    always gives the same sample.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    """Samples first, as that of an array."""
    bounds: tuple[float, float] | None = None
    """The smallest and the largest value, where they are known without reading everything."""

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The samples of these numbers, in this order. Raises `DataError` for one that cannot be read."""
        raise NotImplementedError


Array: TypeAlias = "np.ndarray | Lazy"
"""A field's samples; an array may lie in a file (`np.memmap`)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The arrays of a data set by field, samples first, and what is known about them."""

    fields: dict[str, Array]
    notes: tuple[str, ...] = ()
    """What the author should hear: columns left out, a part of the set that is missing."""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the classes that an integer field numbers."""
    origins: dict[str, str] = field(default_factory=dict)
    """Where a field comes from, in words for a message: "column `species` of penguins.csv"."""
    divisor: dict[str, float] = field(default_factory=dict)
    """Fields that are stored as uint8 and mean float32 numbers: what they are divided by (255 for images)."""
    validation: dict[str, Array] | None = None
    """A part of its own to validate on, where the files are split already; of the same fields."""
    ordered: bool = False
    """Whether neighbours belong together (windows of a text): then the last ones are validated on, not random ones."""
    overlap: int = 0
    """How many of its neighbours a sample shares something with (windows that begin close to each other): so many are
    left out between what is trained on and what is validated on."""

    def __len__(self) -> int:
        return min((len(array) for array in self.fields.values()), default=0)


class Dataset(Arguments):
    """A source of samples with named fields."""

    runs_code: ClassVar[str] = ""
    """The argument that names the code which loading it runs, if there is one: it is for those who allow externs."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""

    def types(self, base: Path) -> dict[str, TensorType]:
        """Types of the fields, the batch first. Raises `DataError`; `MissingData` when only a missing file could tell.

        `base` is the folder that relative paths start from: the spec's.
        """
        raise NotImplementedError

    def schema(self, base: Path) -> dict[str, TensorType] | None:
        """The same, but None when only a file that is missing could tell: a spec is checked without its data."""
        try:
            return self.types(base)
        except MissingData:
            return None

    def advice(self) -> dict[str, str]:
        """What gives a field that it does not have as it is, for who asks for one."""
        return {}

    def made_of(self, base: Path, field: str) -> tuple[str, ...]:
        """What in its files became a field, in sentences, for who finds it of another shape."""
        return ()

    def load(self, base: Path) -> Loaded:
        """All samples, of exactly the types that `types` says. Raises `DataError`."""
        raise NotImplementedError

    def settled(self, base: Path) -> Self:
        """The same with all that its files decided written out, so that other files are read in the same way."""
        return self

    def following(self, first: Dataset, base: Path) -> Dataset:
        """The same, read as the `first` one is where it does not say otherwise: as what is validated on beside it."""
        return self

    def as_settled(self, first: Dataset, base: Path, names: Iterable[str]) -> Self:
        """For `following`: those of these arguments that are not said here, as the `first` one has them, settled."""
        said = dict(self.given())
        wanted = [name for name in names if name not in said]
        if type(first) is not type(self) or not wanted:
            return self
        settled = first.settled(base)
        return self.replace(**{name: getattr(settled, name) for name in wanted})

    def elsewhere(self, path: str, fields: Collection[str]) -> Self | None:
        """A settled data set's like at another path, for new samples of which only these fields are asked.

        None where the samples come from no file.
        """
        return self.replace(path=path) if "path" in self.fields else None

    def standardized(self) -> tuple[str, ...]:
        """Fields to bring to mean 0 and deviation 1, column by column, by the training part's statistics."""
        return ()


def read(dataset: Dataset, base: Path) -> Loaded:
    """All samples of a data set. Raises `DataError`, also for what memory does not suffice for."""
    try:
        return dataset.load(base)
    except MemoryError:
        raise DataError(
            "the data does not fit in memory",
            helps=("arrays in .npy and .safetensors files, pictures and sounds are read as they are needed",),
        ) from None


def field_type(dtype: str, *dims: int) -> TensorType:
    """The type of a field: the batch, then these dimensions."""
    return TensorType(dtype, (symbol(BATCH), *dims))


def locate(base: Path, path: str, at: str) -> Path:
    """The file of that name; `MissingData` says where it was looked for and what lies there instead."""
    if not path or "\0" in path:
        raise DataError("the path of the data is empty", at=at)
    try:
        place = base / Path(path).expanduser()
        if place.is_file():
            return place
        if place.is_dir():
            raise MissingData(f"`{path}` is a folder, and a file is needed", at=at, helps=_inside(place))
    except (OSError, RuntimeError) as error:  # a name that is too long, a `~` of nobody
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip(".")
        raise MissingData(f"`{path}` cannot be looked for: {reason[:1].lower()}{reason[1:]}", at=at) from None
    raise MissingData(
        f"there is no file `{path}`",
        at=at,
        notes=(f"looked for {place.absolute()}",),
        helps=_similar(place) or ("relative paths start from the folder of the spec",),
    )


def _similar(place: Path) -> tuple[str, ...]:
    """What to say about the files around one that is not there."""
    folder = place.parent
    if not folder.is_dir():
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return (f"there is no folder {place.parent}; {folder} is there",)
    names = closest(place.name, names_in(folder), limit=3)
    return (f"a file with a similar name is there: {', '.join(f'`{n}`' for n in names)}",) if names else ()


def _inside(folder: Path) -> tuple[str, ...]:
    names = sorted(names_in(folder))[:5]
    return (f"files in it: {', '.join(f'`{n}`' for n in names)}",) if names else ()


def names_in(folder: Path) -> list[str]:
    """Names of the files in a folder, so far as it can be read (and of at most some thousands)."""
    try:
        names = [entry.name for entry, _ in zip(folder.iterdir(), range(_MANY_FILES), strict=False) if entry.is_file()]
    except OSError:
        return []
    return names


def check_size(shape: Iterable[int], width: int, what: str = "the data", at: str | None = None) -> None:
    """Refuse what would not fit in memory, before anything is asked of the machine."""
    size = prod(shape) * width
    if size > MAX_BYTES:
        raise DataError(
            f"{what} would take {size / 2**30:,.0f} GiB of memory; {MAX_BYTES >> 30} GiB is the limit", at=at
        )
