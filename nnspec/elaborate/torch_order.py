"""Arguments in torch's order, which begins with a size that is inferred here: `Conv2d(3, 16, 3)` on 3 channels.

The same text is a legal layer with another meaning, so that only what hardly anybody wants is doubted: the first
number is the input's own size, and the next one is unlikely for what it means here.
"""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Span, error
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import LayerRecipe, show_value
from nnspec.layer import Layer
from nnspec.layers._parts import from_record

_WIDE_KERNEL = 12
_SOME_KERNEL = 6
_DEEP_STACK = 5


def doubt(session: Session, recipe: LayerRecipe, layer: Layer) -> None:
    """Note a layer whose arguments read like torch's; one that reads otherwise at any use is not doubted."""
    if recipe.ordered and recipe.span not in session.undoubted:
        size = next((n for n, f in recipe.layer.fields.items() if f.inferred), "")
        if size and _reads_like_torch(recipe, layer, size):
            session.doubts[recipe.span] = _warning(session, recipe, layer, size)
        else:
            session.undoubted.add(recipe.span)
            session.doubts.pop(recipe.span, None)
    for name, inner in recipe.inner.items():
        doubt(session, inner, from_record(getattr(layer, name)))


def _reads_like_torch(recipe: LayerRecipe, layer: Layer, size: str) -> bool:
    names = recipe.ordered
    values = [getattr(layer, name) for name in names]
    if size in recipe.spans or getattr(layer, size) != values[0]:
        return False
    if names[0] == "eps":
        return len(names) == 1
    if len(names) < 2:
        return False
    return _unlikely(names[1], values[1], values[2] if len(values) > 2 else None, recipe, getattr(layer, size))


def _unlikely(name: str, value: Any, following: Any, recipe: LayerRecipe, width: int) -> bool:
    """Whether a second argument is rather torch's second one than what it stands for here."""
    if isinstance(value, bool):
        return False
    if name == "num_layers":
        return bool(value >= _DEEP_STACK)
    if name == "dropout":
        return bool(value == 1)
    if name in ("dim_feedforward", "num_encoder_layers"):
        return bool(value < width)
    if name != "kernel_size" or not isinstance(value, int) or not isinstance(following, int) or value % 2:
        return False
    if name in recipe.exprs and "stride" in recipe.exprs:
        return False
    if value >= _WIDE_KERNEL:
        return value > 2 * following
    return value >= _SOME_KERNEL and following >= 3 and following % 2 == 1 and value % following != 0


def _warning(session: Session, recipe: LayerRecipe, layer: Layer, size: str) -> Diagnostic:
    names, span = recipe.ordered, recipe.span
    written = session.text(span)
    means = ", ".join(f"{name}={show_value(getattr(layer, name))}" for name in names)
    first = recipe.spans[names[0]]
    places = [recipe.spans[name] for name in names[1:]]
    edit = Edit(Span(first.start, places[0].start, first.source), "") if places else None
    if edit is None and written.startswith(recipe.title):
        edit = Edit(Span(span.start + len(recipe.title), span.end, span.source), "")
    named = f"{names[1]}=..." if places else f"{names[0]}=..."
    return error(
        "NNS330",
        f"`{written}` reads like torch's, whose first argument is `{size}`; here it means {means}",
        first,
        f"the input's own size, given as `{names[0]}`",
        severity="warning",
        helps=(f"if it is meant like this, name the arguments: `{named}`",),
        fixes=(Fix(f"leave `{size}` out: it is inferred from the input", (edit,)),) if edit else (),
    )
