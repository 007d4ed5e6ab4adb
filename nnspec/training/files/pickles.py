"""Pickles of plain data (lists, dicts, arrays of bytes) read without running anything that they name.

A pickle may name any function to be called while it is read. Of these, only the few that numpy's arrays are made of are
known here, and even they are not called: they become descriptions, which are checked before an array is made.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from typing import TYPE_CHECKING, Any

from nnspec.training.fault import DataError

if TYPE_CHECKING:
    import numpy as np

_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_ALLOWED = {
    *((module, "_reconstruct") for module in _NUMPY),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
_MOST_DIMENSIONS = 8
_MOST_OPERATIONS = 4_000_000
"""A file of CIFAR-100 has 400,000."""


class _Named:
    """A function or class that a pickle names; calling it writes down the call."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> Any:
        if self.name == "encode":
            text, *encoding = arguments
            if not isinstance(text, str) or encoding not in ([], ["latin1"]):
                raise pickle.UnpicklingError("an odd string")
            return text.encode("latin1")
        return _Made(self.name, arguments)


class _Made:
    """What such a call would have made, and the state that it is given afterwards."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments, self.state = name, arguments, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _Named(name)
        raise pickle.UnpicklingError(f"it names {module}.{name}"[:200])


def read_pickle(content: bytes, what: str, at: str) -> Any:
    """The data of a pickle; strings of Python 2 are bytes, and what `as_bytes` takes stands for an array."""
    try:
        _check_operations(content)
        return _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:
        # Damaged pickles fail in many ways; none of them is a fault of nnspec.
        raise DataError(
            f"{what} is damaged, or holds more than plain data",
            at=at,
            notes=(str(error)[:200] or type(error).__name__,),
            helps=("pickles are read only so far as nothing in them is run",),
        ) from None


def _check_operations(content: bytes) -> None:
    """Refuse what would make the reader ask for memory: room for a value of any number, and endless small values."""
    for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
        numbered = argument if "PUT" in operation.name and isinstance(argument, int) else 0
        if max(count, numbered) > _MOST_OPERATIONS:
            raise pickle.UnpicklingError("it has more parts than plain data has")


def as_bytes(value: Any, what: str, at: str) -> np.ndarray:
    """The array of uint8 that a part of a pickle describes."""
    import numpy as np

    try:
        shape, content = _described(value)
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)
    except (TypeError, ValueError, IndexError, AttributeError):
        raise DataError(f"{what} is no array of bytes", at=at) from None


def _described(value: Any) -> tuple[tuple[int, ...], bytes]:
    if not isinstance(value, _Made):
        raise TypeError
    if value.name == "_reconstruct":
        state: Any = value.state
        _, shape, element, fortran, content = state
    else:
        content, element, shape, order = value.arguments
        fortran = order != "C"
    sizes = all(isinstance(n, int) and n >= 0 for n in shape) and len(shape) <= _MOST_DIMENSIONS
    if not sizes or fortran or element.name != "dtype" or element.arguments[0] not in ("u1", b"u1"):
        raise ValueError
    if not isinstance(content, bytes | bytearray):
        raise TypeError
    return tuple(shape), bytes(content)
