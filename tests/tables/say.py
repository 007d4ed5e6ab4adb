"""Python's arguments as the text of a spec."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import EllipsisType
from typing import Any

import torch

from nnspec import registry
from nnspec.types import canonical

ARRANGED: dict[str, Callable[..., tuple[Any, ...]]] = {
    "ctc_loss": lambda x, target, *lengths: (x, target, *map(torch.as_tensor, lengths)),
    "einsum": lambda tensors, equation: (equation, *tensors),
    "embedding": lambda table, index: (index, table),
    "embedding_bag": lambda table, index, *rest: (index, table, *rest),
    "meshgrid": lambda first, *rest: (*first,) if isinstance(first, list | tuple) else (first, *rest),
    "to": lambda x, *rest: (x, *(part for part in rest if isinstance(part, torch.dtype))),
    "normal, number_mean": lambda std, mean, *rest: (mean, std, *rest),
    "where": lambda x, condition, other: (condition, x, other),
}
"""How the arguments of a function are got from those of a sample, where these have another order or form."""

NAMES = "abcdefghijklmnopqrstuvwxyz"


class Unsayable(Exception):
    """A value that no spec can hold; the message says which kind."""


class Spec:
    """A model with one expression, which is written argument by argument; tensors on the way become its inputs."""

    def __init__(self) -> None:
        self.inputs: list[torch.Tensor] = []
        self.expression = ""

    def text(self, symbol: bool = False, pairs: bool = False) -> str:
        """The text, with `N` for the first dimension of the first input, and of those as long, if `symbol`.

        With `pairs` a complex result is given out as pairs of real numbers.
        """
        first = next((x.shape[0] for x in self.inputs if x.dim()), None)
        types = []
        for x in self.inputs:
            dims = [str(size) for size in x.shape]
            if symbol and x.dim() and x.shape[0] == first:
                dims[0] = "N"
            types.append(f"{element_type(x.dtype)}[{', '.join(dims)}]")
        declared = "".join(f"  input {_name(i)}: {kind}\n" for i, kind in enumerate(types))
        result = "view_as_real(result)" if pairs else "result"
        return f"model M {{\n{declared}  result = {self.expression}\n  output y = {result}\n}}\n"

    def call(self, args: Iterable[Any], kwargs: Mapping[str, Any]) -> str:
        """Arguments in brackets."""
        parts = [*map(self.value, args), *(f"{name}={self.value(value)}" for name, value in kwargs.items())]
        return f"({', '.join(parts)})"

    def value(self, value: Any) -> str:
        """One argument: a tensor, a list of tensors, or a value of the language."""
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, torch.nn.Module):
            name, arguments = arguments_of(value)
            return f"{name}{self.call((), arguments)}"
        if isinstance(value, list | tuple):
            inside = ", ".join(map(self.value, value))
            return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
        return literal(value)

    def index(self, items: Any) -> str:
        """What stands in the brackets of an index."""
        return ", ".join(map(self._item, items if isinstance(items, tuple) else (items,)))

    def _item(self, item: Any) -> str:
        if isinstance(item, slice):
            bounds = ["" if part is None else self.value(part) for part in (item.start, item.stop)]
            return ":".join(bounds) + ("" if item.step is None else f":{self.value(item.step)}")
        if isinstance(item, list):
            item = torch.tensor(item)  # which is what torch makes of it
        return "..." if isinstance(item, EllipsisType) else self.value(item)

    def _tensor(self, x: torch.Tensor) -> str:
        if x.is_complex():  # no input of a model is
            return f"view_as_complex({self._tensor(torch.view_as_real(x.resolve_conj()))})"
        element_type(x.dtype)
        if x.layout != torch.strided:
            raise Unsayable("a sparse tensor")
        if 0 in x.shape:
            raise Unsayable("a tensor without elements")
        self.inputs.append(x)
        return _name(len(self.inputs) - 1)


def _name(position: int) -> str:
    return NAMES[position] if position < len(NAMES) else f"x{position}"


def element_type(dtype: torch.dtype) -> str:
    """The language's word for an element type."""
    word = str(dtype).removeprefix("torch.")
    if canonical(word) != word:
        raise Unsayable("a complex number" if dtype.is_complex else f"the element type {word}")
    return word


def literal(value: Any) -> str:
    """A value without tensors."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("{", "{{").replace("}", "}}") + '"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            raise Unsayable("the number nan")
        return repr(value)
    if isinstance(value, complex):
        raise Unsayable("a complex number")
    if isinstance(value, torch.dtype):
        return element_type(value)
    name = getattr(value, "__name__", None)
    if callable(value) and name in registry.index("function"):
        return str(name)
    raise Unsayable(f"a value of Python's type {type(value).__name__}")


def arguments_of(module: torch.nn.Module) -> tuple[str, Mapping[str, Any]]:
    """The class and the arguments that a module remembers (see `modules.remembering`)."""
    name = type(module).__name__
    if "arguments_given" not in module.__dict__:
        raise Unsayable(f"a module as an argument: {name}")
    return name, module.__dict__["arguments_given"]
