"""Plain text, byte by byte, for models that write on."""

from __future__ import annotations

from pathlib import Path

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Loaded, check_size, field_type, locate
from nnspec.training.fault import DataError, MissingData
from nnspec.types import TensorType

_WIDTH = 8
"""Bytes of a number in memory, for each byte of the file."""


class Text(Dataset):
    """A file cut into pieces of equal length, whose bytes are the tokens: a vocabulary of 256.

    Fields: `tokens` [batch, context], and `target`, which is the byte after each of them. The pieces do not overlap;
    what is left over at the end of the file is not used.
    """

    path: str = arg(doc="the file, relative to the spec; its bytes are taken as they are")
    context: int = arg(ge=1, doc="tokens in a piece")

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: field_type("int64", self.context) for name in ("tokens", "target")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        place = locate(base, self.path, "path")
        try:
            check_size((place.stat().st_size,), _WIDTH, place.name, "path")
            text = np.frombuffer(place.read_bytes(), dtype=np.uint8)
        except OSError as error:
            raise MissingData(f"`{self.path}` cannot be read: {error.strerror}", at="path") from None
        pieces = (len(text) - 1) // self.context
        if pieces < 1:
            raise DataError(
                f"{place.name} has {len(text):,} bytes, and a piece with what comes after it {self.context + 1:,}",
                at="context",
                helps=("a shorter context fits",) if len(text) > 1 else (),
            )
        fields = {}
        for name, start in (("tokens", 0), ("target", 1)):
            part = text[start : start + pieces * self.context]
            fields[name] = part.reshape(pieces, self.context).astype(np.int64)
        return Loaded(fields, origins=dict.fromkeys(fields, f"bytes of {place.name}"))
