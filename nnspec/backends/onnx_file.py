"""Writes a model to disk with its weights straight from the arrays, so that no second copy of them is ever made.

A protobuf message is its fields one after the other, in any order, each with a tag and (for what is not a number) a
length. So the model is serialised without its weights, and these follow inside the graph's field as they are written.
Source: Protocol Buffers, Encoding; `onnx.proto` for the numbers of fields.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import onnx

_EXTERNAL_FROM = 2**30
"""Weights of this many bytes go to a file of their own: one protobuf message holds at most 2 GiB."""

_INLINE_BELOW = 1024
"""Arrays of fewer bytes stay in the model: shapes and scalars must be seen without opening the data file."""

_ALIGNMENT = 4096
"""Of arrays in the data file, so that run-times can map them into memory."""

_MOST = 2**29
"""All numbers of fields are smaller."""

_GRAPH, _INITIALIZER, _RAW_DATA = (
    message.DESCRIPTOR.fields_by_name[name].number << 3 | 2  # 2: a field with a length
    for message, name in ((onnx.ModelProto, "graph"), (onnx.GraphProto, "initializer"), (onnx.TensorProto, "raw_data"))
)


def inline(name: str, array: np.ndarray) -> onnx.TensorProto:
    """An array with its elements."""
    tensor = _declared(name, array)
    tensor.raw_data = array.tobytes()
    return tensor


def write(model: onnx.ModelProto, arrays: Mapping[str, np.ndarray], path: Path, *, external: bool) -> tuple[Path, ...]:
    """Write a model, which holds no initializers yet, with these; returns the files written.

    Large weights (any, when `external` is true) go to `<path>.data`. Files are complete when they appear: both are
    written under other names and moved into place.
    """
    external = external or sum(array.nbytes for array in arrays.values()) >= _EXTERNAL_FROM
    outside = {name: array for name, array in arrays.items() if external and array.nbytes >= _INLINE_BELOW}
    files = {path: _partial(path)}
    if outside:
        data = path.with_name(path.name + ".data")
        # The data comes first, so that a model never appears without it.
        files = {data: _partial(data)} | files
    try:
        offsets = _write_arrays(files[data], outside) if outside else {}
        tensors = [
            _Tensor(_outside(name, array, data.name, offsets[name]).SerializeToString(deterministic=True))
            if name in offsets
            else _Tensor(_head(name, array), array)
            for name, array in arrays.items()
        ]
        with files[path].open("wb") as file:
            _write_model(file, model, tensors)
        for final, partial in files.items():
            os.replace(partial, final)
    finally:
        for partial in files.values():
            partial.unlink(missing_ok=True)
    return tuple(sorted(files))


class _Tensor(NamedTuple):
    """A serialised tensor: its fields, and the elements that end it unless they are in another file."""

    head: bytes
    elements: np.ndarray | None = None

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.head) + (0 if self.elements is None else self.elements.nbytes)


def _write_model(file: BinaryIO, model: onnx.ModelProto, tensors: Sequence[_Tensor]) -> None:
    openings = [_opening(_INITIALIZER, tensor.size) for tensor in tensors]
    before, after = _around(model.graph, "initializer")
    first, last = _around(model, "graph")
    size = sum(tensor.size for tensor in tensors) + sum(map(len, openings))
    file.write(first + _opening(_GRAPH, len(before) + size + len(after)) + before)
    for opening, tensor in zip(openings, tensors, strict=True):
        file.write(opening + tensor.head)
        if tensor.elements is not None:
            file.write(_bytes(tensor.elements))
    file.write(after + last)


def _around(message: onnx.ModelProto | onnx.GraphProto, field: str) -> tuple[bytes, bytes]:
    """The fields of a message before a field, and those after it."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    sides = type(message)(), type(message)()
    for side, ends in zip(sides, (range(number, _MOST), range(number + 1)), strict=True):
        side.CopyFrom(message)
        for each, _ in message.ListFields():
            if each.number in ends:
                side.ClearField(each.name)
    before, after = (side.SerializeToString(deterministic=True) for side in sides)
    return before, after


def _head(name: str, array: np.ndarray) -> bytes:
    """A tensor's fields up to its elements."""
    head: bytes = _declared(name, array).SerializeToString(deterministic=True)
    return head + _opening(_RAW_DATA, array.nbytes)


def _opening(tag: int, size: int) -> bytes:
    """The tag of a field and the size of what is in it."""
    return _varint(tag) + _varint(size)


def _varint(value: int) -> bytes:
    """A number in seven bits a byte, the lowest first; the eighth says that there are more."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _declared(name: str, array: np.ndarray) -> onnx.TensorProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.TensorProto(name=name, data_type=kind, dims=array.shape)


def _outside(name: str, array: np.ndarray, file: str, offset: int) -> onnx.TensorProto:
    tensor = _declared(name, array)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", file), ("offset", str(offset)), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Write arrays one after the other, aligned; returns their offsets."""
    offsets = {}
    with path.open("wb") as file:
        for name, array in arrays.items():
            offset = file.seek(-(-file.tell() // _ALIGNMENT) * _ALIGNMENT)
            file.write(_bytes(array))
            offsets[name] = offset
    return offsets


def _bytes(array: np.ndarray) -> memoryview:
    """The elements in memory as they are; a list of fields in C order has no other form in ONNX."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
