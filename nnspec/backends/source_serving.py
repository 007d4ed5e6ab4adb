"""What is written for a model that is for inference only: the format of its tensors in memory, and that it stays so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nnspec import ir
from nnspec.backends.source_line import Line
from nnspec.backends.source_text import Piece, quote
from nnspec.layer import Code, Layer
from nnspec.types import is_float

_RANKS = {"channels_last": 4, "channels_last_3d": 5}
_REFUSAL = "this module is for inference: compile the spec without --optimize to train it"


def packs(entry: ir.Entry, layer: Layer) -> bool:
    """Whether a layer is written as the class that packs its weights."""
    return "packed" in (entry.serving or ()) and bool(layer.packed())


def packed(layer: Layer) -> Code:
    """The constructor call of the class that packs a layer's weights."""
    made = layer.torch()
    return Code(made.kind, made.name.replace("nn.", "Packed"), made.args, made.kwargs)


def definitions(entry: ir.Entry, layers: Iterable[Layer]) -> dict[str, str]:
    """The classes that a file defines for its layers, by name."""
    found = {type(layer).__name__: layer.definition for layer in layers if layer.definition}
    return found | {packed(layer).name: layer.packed() for layer in layers if packs(entry, layer)}


def closing(entry: ir.Entry) -> tuple[list[Line], set[str]]:
    """How `__init__` ends, and the modules that this names."""
    formats = _formats(entry)
    lines = [Line("", Piece(f"self.to(memory_format=torch.{each})")) for each in formats]
    lines += [Line("", Piece("self.requires_grad_(False)")), Line("", Piece("self.eval()"))]
    return lines, {"torch"} if formats else set()


def train_method() -> tuple[Line, list[Line]]:
    """A method `train` that refuses."""
    refuse = [Line("if ", Piece("mode"), ":"), Line("", Piece(f"raise RuntimeError({quote(_REFUSAL)})")).nested()]
    head = Line("", Piece("def train(self, mode=True)"), ":")
    return head, [*refuse, Line("return ", Piece("super().train(mode)"))]


def laid_out(entry: ir.Entry, method: ir.Method, names: Sequence[str]) -> list[Line]:
    """Statements that bring the images among the inputs into the format of the weights."""
    lines = []
    for each in _formats(entry):
        for value, name in zip(method.graph.inputs, names, strict=True):
            kind = method.graph.values[value].type if value is not None else None
            if kind is not None and kind.rank == _RANKS[each] and is_float(kind.dtype):
                lines.append(Line(f"{name} = ", Piece(f"{name}.contiguous(memory_format=torch.{each})")))
    return lines


def _formats(entry: ir.Entry) -> list[str]:
    return [way for way in entry.serving or () if way in _RANKS]


def root_names(definitions: Mapping[str, str]) -> set[str]:
    """The modules that definitions name."""
    return {root for root in ("torch", "nn", "F") for text in definitions.values() if f"{root}." in text}
