"""New weights from old ones, and the layers that have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnspec import ir
from nnspec.layer import Layer
from nnspec.passes.rewriting import Step, places
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Part
    from nnspec.passes.rewriting import Evaluate, State


def layer_module(layer: Layer, before: ir.Module) -> ir.Module:
    """A library layer as a module, where another was before."""
    arguments = {}
    for name, value in layer.given():
        known = before.arguments.get(name)
        arguments[name] = known if known is not None and known.value == value else ir.Attr(value)
    members = tuple(
        ir.Member(name, "param" if w.trained else "buffer", "auto", type=TensorType(w.dtype, w.shape))
        for name, w in layer.weights().items()
    )
    return ir.Module("layer", type(layer).__name__, arguments, members=members, span=before.span, doc=before.doc)


def part_of(state: State, prefix: str) -> Part:
    """The weights of the layer whose names start with a prefix."""
    return lambda name: state[prefix + name]


def typed(layer: Layer, prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of a layer in their own element types."""
    kinds = layer.weights()
    return {prefix + name: array.astype(kinds[name].dtype, copy=False) for name, array in arrays.items()}


def converted(
    state: Mapping[str, Any],
    program: ir.Program,
    at: int,
    steps: Iterable[Step],
    evaluate: Evaluate,
    array: Callable[[Any], np.ndarray],
) -> dict[str, Any]:
    """The weights of entry number `at` of the rewritten program, from those that it had before the steps.

    What no step changes is handed on as it is; `array` makes an array of it for the steps.
    """
    seen = _Arrays(state, array)
    for step in steps:
        for prefix in places(step.program, step.program.entries[at].module, step.block):
            for change in step.changes:
                seen.changed |= change(seen, prefix, evaluate)
    known = set(owned(program, program.entries[at].module))
    foreign = tuple(name for name in known if name.endswith("."))
    found = {**state, **seen.changed}
    return {name: value for name, value in found.items() if name in known or name.startswith(foreign)}


class _Arrays(Mapping[str, "np.ndarray"]):
    """Weights as arrays, each made when it is asked for."""

    def __init__(self, state: Mapping[str, Any], array: Callable[[Any], np.ndarray]) -> None:
        self.changed: dict[str, np.ndarray] = {}
        self._state = state
        self._array = array

    def __getitem__(self, name: str) -> np.ndarray:
        return self.changed[name] if name in self.changed else self._array(self._state[name])

    def __iter__(self) -> Iterator[str]:
        return iter({**self._state, **self.changed})

    def __len__(self) -> int:
        return len({**self._state, **self.changed})


def owned(program: ir.Program, module: int, prefix: str = "") -> Iterator[str]:
    """Names of all weights below a module; of an extern, what its weights' names start with."""
    for member in program.modules[module].members:
        name = prefix + member.name
        if member.module is None:
            yield name
        elif program.modules[member.module].kind == "extern":
            yield name + "."
        else:
            yield from owned(program, member.module, name + ".")
