"""How torch serves a model: `channels-last` and `pack-convolutions`. The program computes what it did before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.passes.rewriting import Rewritten
from nnspec.verify_library import layer_of

IMAGE_RANKS = {"channels_last": 4, "channels_last_3d": 5}
"""The dimensions of a batch of images, by torch's memory format for it."""


def channels_last(program: ir.Program) -> Rewritten:
    """Images and weights with their channels behind each other in memory, where a model convolves images."""
    layouts = {layer_of(module).layout for module in program.modules if module.kind == "layer"} - {""}
    if len(layouts) > 1:
        return Rewritten(program)  # torch gives all weights of a module one format
    return _with(program, *layouts) if all(_takes(program, layout) for layout in layouts) else Rewritten(program)


def _takes(program: ir.Program, layout: str) -> bool:
    """Whether all weights that torch would convert can have that format."""
    ranks = {m.type.rank for module in program.modules for m in module.members if m.type is not None}
    return ranks.isdisjoint({4, 5} - {IMAGE_RANKS[layout]})


def pack_convolutions(program: ir.Program) -> Rewritten:
    """Convolutions whose weights are brought into the processor's order once, and not in every call."""
    packs = any(layer_of(module).packed() for module in program.modules if module.kind == "layer")
    return _with(program, "packed") if packs else Rewritten(program)


def _with(program: ir.Program, *ways: Any) -> Rewritten:
    entries = tuple(replace(e, serving=tuple(dict.fromkeys((*(e.serving or ()), *ways)))) for e in program.entries)
    return Rewritten(replace(program, entries=entries))
