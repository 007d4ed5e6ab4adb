"""The passes by name, in their order, and a program taken through some of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnspec import ir
from nnspec.passes import batch_norm, constants, dead, identities, inference, parametrized, serving, sharing
from nnspec.passes.rewriting import Rewritten, Step
from nnspec.passes.weights import converted

if TYPE_CHECKING:
    import numpy as np

    from nnspec.passes.rewriting import Evaluate

PASSES: dict[str, Callable[[ir.Program], Rewritten]] = {
    "remove-identities": identities.run,
    "fold-constants": constants.run,
    "share-equal": sharing.run,
    "fold-parametrizations": parametrized.run,
    "fold-batch-norm": batch_norm.run,
    "drop-unused": dead.run,
    "channels-last": serving.channels_last,
    "pack-convolutions": serving.pack_convolutions,
}
"""In the order in which they run: each finds what those before it uncovered."""

DEFAULT = tuple(name for name in PASSES if name != "channels-last")
"""What `--optimize` does. Packed convolutions choose the layout of their results by themselves."""


def _same(array: np.ndarray) -> np.ndarray:
    return array


@dataclass(frozen=True)
class Optimized:
    """A program for inference, and how its weights come from those of the program that it was made of."""

    program: ir.Program
    steps: tuple[Step, ...] = ()

    def weights(
        self, state: Mapping[str, Any], evaluate: Evaluate, array: Callable[[Any], np.ndarray] = _same
    ) -> dict[str, Any]:
        """The weights of the main entry. `evaluate` computes a closed graph, and `array` makes an array of a weight."""
        return converted(state, self.program, 0, self.steps, evaluate, array)


def optimize(program: ir.Program, names: Collection[str] = DEFAULT) -> Optimized:
    """The program for inference, taken through the passes of these names."""
    unknown = sorted(set(names) - PASSES.keys())
    if unknown:
        raise ValueError(f"no pass is called {unknown[0]!r}")
    found = inference.run(program)
    steps = list(found.steps)
    for name, run in PASSES.items():
        if name in names:
            found = run(found.program)
            steps += found.steps
    return Optimized(found.program, tuple(steps))
