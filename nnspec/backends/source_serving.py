"""What is written for a model that is for inference only: the format of its tensors in memory, and that it stays so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from nnspec import ir
from nnspec.backends.source_line import Line
from nnspec.backends.source_text import Piece, quote
from nnspec.layer import Code, Layer
from nnspec.types import is_float

_IMAGE_RANK = 4
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
    texts = ["self.requires_grad_(False)", "self.eval()"]
    if _is_laid_out(entry):
        texts.insert(0, "self.to(memory_format=torch.channels_last)")
    return [Line("", Piece(text)) for text in texts], {"torch"} if _is_laid_out(entry) else set()


def train_method() -> tuple[Line, list[Line]]:
    """A method `train` that refuses."""
    refuse = [Line("if ", Piece("mode"), ":"), Line("", Piece(f"raise RuntimeError({quote(_REFUSAL)})")).nested()]
    head = Line("", Piece("def train(self, mode=True)"), ":")
    return head, [*refuse, Line("return ", Piece("super().train(mode)"))]


def laid_out(entry: ir.Entry, method: ir.Method, names: Sequence[str], plain: Collection[str]) -> list[Line]:
    """Statements that bring the images among the inputs into the format of the weights.

    What goes into a function, or a layer called by one of the `plain` paths, may be no image: torch may refuse it so.
    """
    lines = []
    others = [n for n in method.graph.nodes if isinstance(n, ir.Op) or (isinstance(n, ir.Call) and n.path in plain)]
    kept = {value for node in others for value in ir.refs(node.inputs)}
    for value, name in zip(method.graph.inputs, names, strict=True) if _is_laid_out(entry) else ():
        kind = method.graph.values[value].type if value is not None else None
        if kind is not None and kind.rank == _IMAGE_RANK and is_float(kind.dtype) and value not in kept:
            lines.append(Line(f"{name} = ", Piece(f"{name}.contiguous(memory_format=torch.channels_last)")))
    return lines


def _is_laid_out(entry: ir.Entry) -> bool:
    return "channels_last" in (entry.serving or ())


def root_names(definitions: Mapping[str, str]) -> set[str]:
    """The modules that definitions name."""
    return {root for root in ("torch", "nn", "F") for text in definitions.values() if f"{root}." in text}
