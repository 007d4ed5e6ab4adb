"""How torch serves a model: `channels-last` and `pack-convolutions`. The program computes what it did before."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from nnspec import ir
from nnspec.passes.rewriting import Rewritten
from nnspec.verify_library import layer_of

Way = Literal["channels_last", "packed"]


def channels_last(program: ir.Program) -> Rewritten:
    """Images and weights with their channels behind each other in memory, where a model convolves images.

    Volumes stay as they are: functions of torch refuse the format that these would have, and `Module.to` would give
    it to the weights of both.
    """
    images = any(layer_of(module).channels_last for module in program.modules if module.kind == "layer")
    ranks = {m.type.rank for module in program.modules for m in module.members if m.type is not None}
    return _with(program, "channels_last") if images and 5 not in ranks else Rewritten(program)


def pack_convolutions(program: ir.Program) -> Rewritten:
    """Convolutions whose weights are brought into the processor's order once, and not in every call."""
    packs = any(layer_of(module).packed() for module in program.modules if module.kind == "layer")
    return _with(program, "packed") if packs else Rewritten(program)


def _with(program: ir.Program, way: Way) -> Rewritten:
    entries = tuple(replace(e, serving=tuple(dict.fromkeys((*(e.serving or ()), way)))) for e in program.entries)
    return Rewritten(replace(program, entries=entries))
