"""Samples of functions: those of PyTorch's `op_db`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from nnspec import registry
from nnspec.layer import Function

from .judge import Sample, seed
from .library import op_db
from .modules import copies, plain, undrawn
from .say import ARRANGED, Spec

PREFIXES = {"torch": ("", "nn.functional."), "F": ("nn.functional.", "")}
"""Under which names `op_db` has the functions of a namespace; the first that it has counts."""

OTHERS = {
    "repeat": "a method of torch's tensors has this name; here it is einops' function, and torch's is `tile`",
}
"""Functions that only share a name with torch's, with the reason."""

UNSAID = ("device", "layout", "memory_format", "pin_memory", "requires_grad")
"""Arguments of torch that say where and how numbers lie in memory: no spec has them."""

CALLED: dict[str, Callable[..., Any]] = {"rand_like": lambda *args, **kwargs: _seeded(torch.rand_like, args, kwargs)}
"""Functions for which the table calls another one (`torch.randn_like`)."""


class Entry(NamedTuple):
    """What `op_db` knows of a function, and what to call."""

    info: Any
    call: Callable[..., Any]


def entries(name: str) -> list[Entry]:
    """What `op_db` has of a function; the same last part elsewhere (`masked.sum`) is another function."""
    if name in OTHERS:
        return []
    namespace = _function(name).namespace
    prefixes = PREFIXES.get(namespace, (namespace.removeprefix("torch.") + ".",))
    for known in ["__getitem__"] if name == "getitem" else [prefix + name for prefix in prefixes]:
        named = [Entry(info, CALLED.get(name, info.op)) for info in op_db() if info.name == known]
        also = [Entry(info, alias.op) for info in op_db() for alias in info.aliases if alias.name == known]
        taken = [
            e for e in named or also if e.info.variant_test_name != "in_place"
        ]  # a method that writes to its tensor
        found = [entry for entry in taken if _dtype(entry.info) is not None]
        if found:
            return found
    return []


def samples(name: str) -> Iterator[Sample]:
    """The samples that `op_db` has for a function, in float32 where it takes that."""
    for entry in entries(name):
        seed()
        for each in entry.info.sample_inputs("cpu", _dtype(entry.info), requires_grad=False):
            yield _sample(name, entry, (each.input, *each.args), undrawn(each.kwargs))


def _function(name: str) -> type[Function]:
    found: type[Function] | None = registry.find("function", name)
    assert found is not None, name
    return found


def _dtype(info: Any) -> torch.dtype | None:
    return next((d for d in (torch.float32, torch.int64, torch.bool, torch.complex64) if d in info.dtypes), None)


def _sample(name: str, entry: Entry, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Sample:
    def call() -> Any:
        with torch.no_grad():
            return entry.call(*copies(args), **{key: copies(value) for key, value in kwargs.items()})

    mode = inspect.signature(getattr(F, name)).parameters.get("training") if name in _MODAL else None
    training = kwargs.get("training", mode.default) if mode is not None else False
    said = {k: v for k, v in kwargs.items() if k not in UNSAID and not (k == "training" and mode is not None)}
    variant = f"{name}, {entry.info.variant_test_name}"
    ordered = ARRANGED.get(variant, ARRANGED.get(name, lambda *same: same))(*args)

    def write(spec: Spec) -> str:
        if name == "getitem":
            return f"{spec.value(args[0])}[{spec.index(args[1])}]"
        return f"{name}{spec.call(ordered, said)}"

    draws = _function(name).draws
    return Sample(name, write, call, {}, dict, training, draws, plain([*args[1:], *kwargs.values()]))


_MODAL = ("alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "rrelu")
"""Functions of torch that are told whether this is training; in a spec the module's mode says so."""


def _seeded(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    seed()
    return function(*args, **kwargs)
