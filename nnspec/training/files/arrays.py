"""Arrays that lie in a file: their headers (numpy's NEP 1, safetensors) read without numpy, and mapped when large.

Nothing here unpickles: an array of Python objects is refused by its header.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nnspec.training.dataset import Array, Lazy, field_type
from nnspec.training.fault import DataError, MissingData
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

IN_MEMORY = 64 << 20
"""Bytes of an array that is read at once; a larger one stays in its file until its samples are asked for."""

MAX_ARRAYS = 1_000
_MAX_HEADER = 65_536
_MAX_INDEX = 16 << 20

_BFLOAT = "bf16"

ELEMENTS = {
    "b1": "bool",
    "u1": "uint8",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u2": "int64",
    "u4": "int64",
    "f2": "float16",
    "f4": "float32",
    "f8": "float32",
    _BFLOAT: "float32",
}
"""Element type of a field for the code of what is stored (numpy's, but for bfloat16, which numpy lacks)."""

_SAFETENSORS = {
    "BOOL": "b1",
    "U8": "u1",
    "I8": "i1",
    "I16": "i2",
    "I32": "i4",
    "I64": "i8",
    "U16": "u2",
    "U32": "u4",
    "F16": "f2",
    "BF16": _BFLOAT,
    "F32": "f4",
    "F64": "f8",
}


@dataclass(frozen=True, slots=True)
class Header:
    """What an array is: the code of its elements (any text, where they are no numbers), its shape, how it lies."""

    code: str
    shape: tuple[int, ...]
    swapped: bool = False
    """Whether the high byte comes first."""
    columns: bool = False
    """Whether the first index moves fastest (Fortran's order)."""
    start: int = 0
    """Where the elements start in the file."""

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return 2 if self.code == _BFLOAT else int(self.code[1:])

    @property
    def size(self) -> int:
        """Bytes of all elements."""
        return prod(self.shape) * self.width

    def type(self) -> TensorType:
        """The type of a field of these samples."""
        return field_type(ELEMENTS[self.code], *self.shape[1:])

    def element(self) -> str:
        """The element type as numpy spells it."""
        return (">" if self.swapped else "<") + ("u2" if self.code == _BFLOAT else self.code)


class Mapped(Lazy):
    """An array that stays in its file; it is mapped anew in each process."""

    def __init__(self, path: Path, header: Header) -> None:
        import numpy as np

        self.path, self.header = path, header
        self.shape, self.dtype = header.shape, np.dtype(ELEMENTS[header.code])
        self._map: np.ndarray | None = None

    def read(self, indices: np.ndarray) -> np.ndarray:
        if self._map is None:
            self._map = self._mapped()
        return cast(self._map[indices], self.header.code)

    def _mapped(self) -> np.ndarray:
        import numpy as np

        head = self.header
        try:
            return np.memmap(self.path, head.element(), "r", head.start, head.shape, order="F" if head.columns else "C")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path.name} cannot be read any more: {error}", at="path") from None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}


def cast(array: np.ndarray, code: str) -> np.ndarray:
    """What is stored as the element type of its field. What is too large becomes infinite, and is reported later."""
    import numpy as np

    if code == _BFLOAT:
        return (array.astype("uint32") << 16).view("float32")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=ELEMENTS[code])


def from_file(path: Path, header: Header) -> Array:
    """The array: in memory if it is small, and otherwise read when it is asked for."""
    import numpy as np

    mapped = Mapped(path, header)
    return mapped if header.size > IN_MEMORY else mapped.read(np.arange(header.shape[0]))


def check_lengths(headers: Mapping[str, Header], names: Mapping[str, str]) -> None:
    """Raise `DataError` for fields of unequal numbers of samples; `names` says what each field is, in words."""
    counts: dict[int, str] = {}
    for field, header in headers.items():
        if not header.shape:
            raise DataError(f"{names[field]} is a single number; the first dimension counts samples", at="path")
        if not header.shape[0]:
            raise DataError(f"{names[field]} has no samples", at="path")
        counts.setdefault(header.shape[0], field)
    if len(counts) > 1:
        (first, one), (second, other), *_ = counts.items()
        raise DataError(f"{names[one]} has {first:,} samples, and {names[other]} has {second:,}", at="path")


# --- numpy -----------------------------------------------------------------------------------------------------------


def numpy_header(file: IO[bytes], what: str) -> Header:
    """What the array is that starts here, from its first bytes."""
    start = file.read(8)
    if len(start) < 8 or start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3):
        raise DataError(f"{what} is not a numpy array", at="path")
    prefix = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(prefix), "little")
    text = file.read(min(length, _MAX_HEADER))
    try:
        entries = ast.literal_eval(text.decode("latin1" if start[6] < 3 else "utf-8").strip())
        kind, shape, columns = entries["descr"], tuple(entries["shape"]), bool(entries.get("fortran_order"))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError, AttributeError):
        raise DataError(f"{what} has a damaged header", at="path") from None
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in shape) or len(shape) > 32:
        raise DataError(f"{what} has a damaged header", at="path")
    simple = re.fullmatch(r"([<>|=]?)([biuf]\d)", kind) if isinstance(kind, str) else None
    if simple is None:
        return Header(str(kind)[:40], shape)
    return Header(simple.group(2), shape, simple.group(1) == ">", columns, 8 + prefix + length)


def numpy_file(path: Path) -> Header:
    """What a file of one array holds; `DataError` if it is none, damaged, or of elements that no field has."""
    name = path.name
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if not size:
                raise DataError(f"{name} is empty", at="path")
            if file.read(2) == b"PK":
                raise DataError(f"{name} is an archive of arrays", at="path", helps=(f'NPZ("{name}") reads it',))
            file.seek(0)
            header = numpy_header(file, name)
    except OSError as error:
        raise MissingData(f"{name} cannot be read: {error.strerror}", at="path") from None
    if header.code not in ELEMENTS:
        raise DataError(f"{name} holds {_elements(header.code)}", at="path", helps=_help(header.code))
    _check_end(name, header.start + header.size, size)
    return header


def _elements(code: str) -> str:
    if "O" in code:
        return "Python objects, which only unpickling could bring back, and that would run code"
    return "unsigned numbers of 64 bits" if code == "u8" else f"elements of numpy's type `{code}`, which no field has"


def _help(code: str) -> tuple[str, ...]:
    kind = "int64" if code == "u8" else "float32"
    return (f'save numbers or bools: numpy.save(path, array.astype("{kind}"))',)


def _check_end(name: str, promised: int, size: int) -> None:
    if size < promised:
        raise DataError(f"{name} ends after {size:,} of the {promised:,} bytes that its header promises", at="path")
    if size > promised:
        raise DataError(f"{name} goes on after the {promised:,} bytes that its header promises", at="path")


# --- safetensors -----------------------------------------------------------------------------------------------------


def safetensors_file(path: Path) -> dict[str, Header]:
    """What a file of safetensors holds, by name; tensors of elements that no field has are among them."""
    name = path.name
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > size - 8:
                raise DataError(f"{name} ends too early, or is no safetensors file", at="path")
            if length > _MAX_INDEX:
                raise DataError(f"{name} has a header of {length:,} bytes; {_MAX_INDEX:,} is the limit", at="path")
            text = file.read(length)
    except OSError as error:
        raise MissingData(f"{name} cannot be read: {error.strerror}", at="path") from None
    try:
        entries = json.loads(text)
        headers = {
            str(tensor): _tensor_header(entry, 8 + length)
            for tensor, entry in entries.items()
            if tensor != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{name} has a damaged header, or is no safetensors file", at="path") from None
    end = max((8 + length + int(e["data_offsets"][1]) for n, e in entries.items() if n != "__metadata__"), default=0)
    if end:
        _check_end(name, end, size)
    return headers


def _tensor_header(entry: Mapping[str, Any], base: int) -> Header:
    shape, (start, end) = tuple(entry["shape"]), entry["data_offsets"]
    if not all(isinstance(n, int) and n >= 0 for n in (*shape, start, end - start)):
        raise ValueError("no shape")
    code = _SAFETENSORS.get(entry["dtype"])
    if code is None:
        return Header(str(entry["dtype"])[:20], shape)
    header = Header(code, shape, start=base + start)
    if header.size != end - start:
        raise ValueError("a tensor of another size than its shape")
    return header
