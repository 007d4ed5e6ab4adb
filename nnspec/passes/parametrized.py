"""`fold-parametrizations`: a weight that is computed from others in each call (`weight_norm`) is computed once.

Which layer is left then is for the wrapper's class to say (`plainer`). Where a weight of it is read or tied, the names
that others know it by are kept, and with them the wrapper.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnspec import ir
from nnspec.passes.batch_norm import touched
from nnspec.passes.rewriting import Editor, Rewritten, Step
from nnspec.passes.weights import layer_module, part_of, typed
from nnspec.verify_library import layer_of

if TYPE_CHECKING:
    import numpy as np

    from nnspec.layer_inference import Plainer
    from nnspec.passes.rewriting import Change, Evaluate, State


def run(program: ir.Program) -> Rewritten:
    """The program without wrappers, of which one may hold another."""
    kept = set(touched(program))
    editor = Editor(program)
    changes: dict[int, list[Change]] = {}
    for block, module in enumerate(program.modules):
        for path, inner in _layers(program, module) if module.kind == "block" else ():
            if (block, path) in kept:
                continue
            while (plainer := layer_of(inner).plainer()) is not None:
                inner = layer_module(plainer.layer, inner)  # noqa: PLW2901 - what is left of it
                editor.put(block, path, inner)
                changes.setdefault(block, []).append(_change(path, plainer))
    return Rewritten(editor.program(), tuple(Step(program, block, tuple(found)) for block, found in changes.items()))


def _change(path: str, plainer: Plainer) -> Change:
    def change(state: State, prefix: str, evaluate: Evaluate) -> dict[str, np.ndarray]:
        at = f"{prefix}{path}."
        return typed(plainer.layer, at, plainer.weights(part_of(state, at)))

    return change


def _layers(program: ir.Program, module: ir.Module, at: str = "") -> Iterator[tuple[str, ir.Module]]:
    """The layers of a block, those in its containers included, by path."""
    for member in module.members:
        if member.module is not None:
            inner, path = program.modules[member.module], f"{at}{member.name}"
            if inner.kind == "layer":
                yield path, inner
            elif inner.kind not in ir.CALLED:
                yield from _layers(program, inner, path + ".")
