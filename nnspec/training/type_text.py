"""Types of fields that are written in a spec as text: "float[N, 3, 32, 32]"."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nnspec.training.dataset import field_type
from nnspec.training.fault import SettingError
from nnspec.types import TensorType, canonical

_TYPE = re.compile(r"\s*([a-z]\w*)\s*\[\s*[A-Za-z_]\w*\s*((?:,\s*\d{1,12}\s*)*),?\s*\]\s*", re.ASCII)
_ELEMENTS = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32")


def read_types(texts: Mapping[str, str], at: str) -> dict[str, TensorType]:
    """The type of each field; `SettingError` for a text that is none."""
    if not texts:
        raise SettingError("no fields are given", at=at, helps=('write (image="float[N, 3, 32, 32]", label="int[N]")',))
    found = {}
    for name, text in texts.items():
        match = _TYPE.fullmatch(text)
        if match is None:
            raise SettingError(
                f'"{text[:60]}" is no type of a field',
                at=at,
                helps=("the batch comes first, then sizes that are numbers: float[N, 3, 32, 32]",),
            )
        dtype = canonical(match[1])
        if dtype not in _ELEMENTS:
            raise SettingError(
                f"`{match[1]}` is no element type that data can have",
                at=at,
                helps=(f"there are {', '.join(_ELEMENTS)}",),
            )
        found[name] = field_type(dtype, *map(int, match[2].replace(",", " ").split()))
    return found
