"""Data sets that are written in Python."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.elaborate.extern import is_origin
from nnspec.training.dataset import Dataset, Lazy, Loaded
from nnspec.training.fault import DataError, SettingError
from nnspec.training.type_text import read_types
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np


class Python(Dataset):
    """A class in Python, in the form of torch's map-style data sets: `len(data)`, and `data[i]` for a sample.

    A sample is a dict with a value for each field, or a tuple of them in the order of `types`; a value is a number, an
    array or a tensor. The class is called with `arguments`, and an index must always give the same sample: samples are
    read when they are asked for, by several processes if they do not fit in memory. The types of the fields are in the
    spec, so that checking it runs no code; loading the data does, and is refused without `--allow-extern`
    (`allow_extern=True`). The module is looked for as `import` does: among installed packages, and in the folders of
    PYTHONPATH.
    """

    runs_code: ClassVar[str] = "origin"

    origin: str = arg(doc='where the class is: "package.module:Class"')
    of: dict[str, str] = arg(doc='the types of its fields: (x="float[N, 3]", label="int[N]")')
    arguments: dict[str, bool | int | float | str | tuple[int | float | str, ...] | None] = arg(
        {}, doc="what the class is called with: (size=100)"
    )

    def check(self) -> None:
        """Raise `SettingError` for what cannot be the place of a class, or the type of a field."""
        if not is_origin(self.origin):
            raise SettingError(
                f'"{self.origin[:60]}" does not say where a class is', at="origin", helps=('"package.module:Class"',)
            )
        read_types(self.of, "of")

    def types(self, base: Path) -> dict[str, TensorType]:
        self.check()
        return read_types(self.of, "of")

    def load(self, base: Path) -> Loaded:
        types = self.types(base)
        samples = self._made()
        count = _count(samples, self.origin)
        shared = _Samples(samples, tuple(types), self.origin)
        fields: dict[str, Lazy] = {name: _Field(shared, name, type_, count) for name, type_ in types.items()}
        return Loaded(dict(fields), origins=dict.fromkeys(fields, self.origin))

    def _made(self) -> Any:
        """The data set itself: imports the module, which runs its code."""
        home, _, name = self.origin.partition(":")
        try:
            cls = getattr(importlib.import_module(home), name)
        except ModuleNotFoundError as fault:
            raise DataError(
                f"Python finds no module `{fault.name}`",
                code="NNS601",
                at="origin",
                notes=(
                    "it is looked for as `import` does: among installed packages, and in the folders of PYTHONPATH",
                ),
            ) from None
        except AttributeError:
            raise DataError(f"the Python module `{home}` has no `{name}`", at="origin") from None
        except Exception as fault:  # what the code of others raises is anybody's guess
            raise DataError(f"importing `{home}` fails: {_in_words(fault)}", at="origin") from fault
        try:
            return cls(**self.arguments)
        except Exception as fault:
            raise DataError(f"`{self.origin}` cannot be made: {_in_words(fault)}", at="arguments") from fault


class _Samples:
    """The samples of a data set by field; the last ones stay, since the fields are read one after the other."""

    def __init__(self, samples: Any, names: tuple[str, ...], origin: str) -> None:
        self.samples, self.names, self.origin = samples, names, origin
        self._last: tuple[bytes, dict[str, list[Any]]] = (b"", {})

    def read(self, indices: np.ndarray) -> dict[str, list[Any]]:
        key = indices.tobytes()
        if key != self._last[0] or not self._last[1]:
            read: dict[str, list[Any]] = {name: [] for name in self.names}
            for i in indices.tolist():
                sample = self._sample(i)
                for name in self.names:
                    read[name].append(sample[name])
            self._last = (key, read)
        return self._last[1]

    def _sample(self, i: int) -> Mapping[str, Any]:
        try:
            sample = self.samples[i]
        except Exception as fault:  # as above
            raise DataError(f"sample {i:,} of `{self.origin}` cannot be read: {_in_words(fault)}") from fault
        if isinstance(sample, (tuple, list)) and len(sample) == len(self.names):
            return dict(zip(self.names, sample, strict=True))
        if isinstance(sample, Mapping) and all(name in sample for name in self.names):
            return sample
        has = f"has {', '.join(map(str, sample))}" if isinstance(sample, Mapping) else f"is a {type(sample).__name__}"
        raise DataError(
            f"sample {i:,} of `{self.origin}` {has[:200]}",
            code="NNS604",
            helps=(f"a dict or a tuple of {', '.join(self.names)} is needed",),
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": (b"", {})}


class _Field(Lazy):
    def __init__(self, samples: _Samples, name: str, type_: TensorType, count: int) -> None:
        import numpy as np

        self.samples, self.name = samples, name
        self.dtype = np.dtype(type_.dtype)
        self.shape = (count, *(int(str(size)) for size in type_.dims[1:]))

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        values = self.samples.read(indices)[self.name]
        array = np.empty((len(indices), *self.shape[1:]), dtype=self.dtype)
        for at, (i, value) in enumerate(zip(indices.tolist(), values, strict=True)):
            found = np.asarray(value)
            if found.shape != self.shape[1:] or not np.can_cast(found.dtype, self.dtype, "same_kind"):
                raise DataError(
                    f"`{self.name}` of sample {i:,} of `{self.samples.origin}` is {found.dtype}{list(found.shape)}, "
                    f"and the spec says {self.dtype}{list(self.shape[1:])}",
                    code="NNS604",
                )
            array[at] = found
        return array


def _count(samples: Any, origin: str) -> int:
    try:
        return len(samples)
    except Exception as fault:
        raise DataError(f"`{origin}` does not say how many samples it has: {_in_words(fault)}", at="origin") from fault


def _in_words(fault: BaseException) -> str:
    """An exception in one line."""
    text = str(fault).strip().split("\n", 1)[0][:200]
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__
