"""Data stored as that is which is trained on: what is done to fields was made for one way of storing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnspec.training.dataset import Array, Lazy, Loaded


def stored_alike(loaded: Loaded, names: Sequence[str], divisor: Mapping[str, float]) -> dict[str, Array]:
    """Fields of other data, stored as those that pipelines were made for: with these divisors."""
    return {
        name: loaded.fields[name]
        if loaded.divisor.get(name) == divisor.get(name)
        else _Restored(loaded.fields[name], loaded.divisor.get(name), divisor.get(name))
        for name in names
    }


class _Restored(Lazy):
    """A field whose numbers mean the same when they are divided by another number, or by none."""

    def __init__(self, array: Array, own: float | None, wanted: float | None) -> None:
        self.array, self.own, self.wanted = array, own, wanted
        self.dtype, self.shape = np.dtype("float32"), array.shape

    def read(self, indices: np.ndarray) -> np.ndarray:
        found = self.array.read(indices) if isinstance(self.array, Lazy) else self.array[indices]
        meant = found.astype("float32") / np.float32(self.own or 1)
        restored: np.ndarray = (meant.astype("float64") * (self.wanted or 1)).astype("float32")
        return restored
