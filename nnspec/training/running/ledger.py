"""The rows of a run, packed as they come: a checkpoint of a run of a hundred thousand epochs holds them all."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from nnspec.training.listener import Row

_PARTS = ("train", "validation", "lr")
_NUMBERS = ("epoch", "step", "seconds", "samples_per_second")

Column = tuple[str, str]
"""The part of a row, and a name in it."""


class Ledger:
    """Rows in order. Neighbours with the same names in them are one block of numbers, in float64."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._blocks: list[tuple[tuple[Column, ...], array[float]]] = []

    def add(self, row: Row) -> None:
        """The row of another epoch."""
        columns = tuple((part, name) for part in _PARTS for name in getattr(row, part))
        if not self._blocks or self._blocks[-1][0] != columns:
            self._blocks.append((columns, array("d")))
        self._blocks[-1][1].extend(getattr(row, name) for name in _NUMBERS)
        self._blocks[-1][1].extend(getattr(row, part)[name] for part, name in columns)
        self.rows.append(row)

    def packed(self) -> partial[list[dict[str, Any]]]:
        """What gives the rows that there are now, as tensors and plain values, whenever it is called."""
        return partial(self._packed, [(columns, len(numbers)) for columns, numbers in self._blocks])

    def _packed(self, blocks: Sequence[tuple[tuple[Column, ...], int]]) -> list[dict[str, Any]]:
        return [
            {
                "columns": [list(column) for column in columns],
                "numbers": torch.tensor(numbers[:count], dtype=torch.float64),
            }
            for (columns, count), (_, numbers) in zip(blocks, self._blocks, strict=False)
        ]

    def load(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Become what was packed."""
        self.rows, self._blocks = [], []
        for block in state:
            columns = [(part, name) for part, name in block["columns"]]
            if not isinstance(block["numbers"], torch.Tensor):
                raise TypeError("the numbers of a run's epochs are no tensor")
            for row in _rows(columns, block["numbers"].tolist()):
                self.add(row)


def _rows(columns: Sequence[Column], numbers: Sequence[float]) -> Iterator[Row]:
    width = len(_NUMBERS) + len(columns)
    for at in range(0, len(numbers), width):
        epoch, step, seconds, speed = numbers[at : at + len(_NUMBERS)]
        parts: dict[str, dict[str, float]] = {part: {} for part in _PARTS}
        for (part, name), value in zip(columns, numbers[at + len(_NUMBERS) : at + width], strict=True):
            parts[part][name] = value
        yield Row(int(epoch), int(step), parts["train"], parts["validation"], seconds, speed, parts["lr"])
