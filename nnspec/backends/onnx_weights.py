"""The weights of an entry as arrays: read from a file without torch, checked against what the modules declare."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from nnspec import ir
from nnspec.backends.onnx_graph import numpy_dtype
from nnspec.backends.weight_names import with_current_names
from nnspec.diagnostics import Diagnostic, error
from nnspec.types import is_float

_LISTED = 5
"""How many names one message lists before it only counts."""


class WeightsFileError(Exception):
    """A file of weights cannot be read; the message says why."""


_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}
"""Element types as safetensors calls them."""


def load_state(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file by name, each a view of the file, read when it is used."""
    try:
        with safe_open(str(path), framework="numpy") as file:  # checks all of the file's header
            names = list(file.keys())
        return _mapped(Path(path), names)
    except FileNotFoundError:
        raise WeightsFileError(f"there is no file `{path}`") from None
    except (SafetensorError, OSError, TypeError, ValueError) as reason:
        raise WeightsFileError(f"`{path}` is not a file of safetensors: {reason}") from None


def _mapped(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The tensors as views. The library would copy each, which for a large model is twice its weights in memory.

    Source: the README of safetensors, section "Format".
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    elements = np.memmap(path, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    found = {}
    for name in names:
        kind, (start, end) = header[name]["dtype"], header[name]["data_offsets"]
        if kind not in _TYPES:
            raise TypeError(f"the tensor `{name}` has elements of type {kind}")
        part = elements[8 + length + start : 8 + length + end]
        found[name] = part.view(np.ndarray).view(numpy_dtype(_TYPES[kind])).reshape(header[name]["shape"])
    return found


def owned(program: ir.Program, module: int, prefix: str = "") -> Iterator[tuple[str, ir.Member]]:
    """Path and member of every parameter and buffer below a module, in state-dict order, tied ones included."""
    for member in program.modules[module].members:
        path = prefix + member.name
        if member.module is None:
            yield path, member
        else:
            yield from owned(program, member.module, path + ".")


def ties(program: ir.Program, module: int, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Alias and owner of every tie below a module, as paths from it."""
    for tie in program.modules[module].ties:
        yield prefix + tie.alias, prefix + tie.owner
    for member in program.modules[module].members:
        if member.module is not None:
            yield from ties(program, member.module, f"{prefix}{member.name}.")


class Weights:
    """The state of an entry's module by path; a tied parameter is found under its owner's name and any of its own."""

    def __init__(self, program: ir.Program, entry: ir.Entry, state: Mapping[str, np.ndarray]) -> None:
        self._members = dict(owned(program, entry.module))
        self._owners = dict(ties(program, entry.module))
        self._state = state = with_current_names(state, self._members, self._members)
        self._names: dict[str, str] = {}
        for name in state:
            self._names.setdefault(self.owner(name), name)
        self.faults = tuple(self._check())

    def owner(self, path: str) -> str:
        """The name under which a parameter is saved: its own, or that of the one it is tied to."""
        while path in self._owners:
            path = self._owners[path]
        return path

    def array(self, path: str) -> np.ndarray:
        """The parameter or buffer at a path, in its declared element type (torch converts in the same way)."""
        path = self.owner(path)
        kind = self._members[path].type
        assert kind is not None
        return np.asarray(self._state[self._names[path]]).astype(numpy_dtype(kind.dtype), copy=False)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of them, each under the name that owns it."""
        return {path: self.array(path) for path in self._members if path in self._names}

    def _check(self) -> Iterator[Diagnostic]:
        missing = [path for path in self._members if self.owner(path) == path and path not in self._names]
        # Checkpoints from before this counter existed are complete without it, and inference does not read it.
        missing = [path for path in missing if not path.endswith("num_batches_tracked")]
        extra = [name for name in self._state if name not in self._members]
        if missing:
            yield error(
                "NNS502",
                f"the weights lack {_listed(missing)}",
                self._members[missing[0]].span,
                helps=_renamed(missing, extra),
            )
        if extra:
            yield error("NNS502", f"the weights hold {_listed(extra)}, which the model does not have", None)
        for path, name in self._names.items():
            if path in self._members:
                yield from self._misfit(path, name)
        for name, array in self._state.items():
            first = self._names[self.owner(name)]
            if first != name and not _same(self._state[first], array):
                yield error("NNS502", f"`{name}` and `{first}` are one parameter, but differ in the weights", None)

    def _misfit(self, path: str, name: str) -> Iterator[Diagnostic]:
        member, array = self._members[path], self._state[name]
        assert member.type is not None
        if array.shape != member.type.dims:
            wanted, found = list(member.type.dims), list(array.shape)
            yield error("NNS502", f"`{path}` has shape {wanted} in the model and {found} in the weights", member.span)
        elif is_float(array.dtype.name) != is_float(member.type.dtype):
            yield error(
                "NNS502", f"`{path}` is {member.type.dtype} in the model and {array.dtype} in the weights", member.span
            )


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or np.array_equal(a, b)


def _listed(names: list[str]) -> str:
    text = ", ".join(f"`{name}`" for name in names[:_LISTED])
    more = len(names) - _LISTED
    return f"{text} and {more} more" if more > 0 else text


def _renamed(missing: list[str], extra: list[str]) -> tuple[str, ...]:
    close = difflib.get_close_matches(missing[0], extra[:1000], n=1)
    return (f"`{missing[0]}` may be what is called `{close[0]}` in the weights",) if close else ()
