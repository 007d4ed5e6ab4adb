"""What may cross the border of a block as a hyperparameter: values that mean the same inside as outside."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span, error
from nnspec.dims import Dim, show
from nnspec.elaborate.files import Namespace
from nnspec.elaborate.frame import param_ref
from nnspec.elaborate.place import Place
from nnspec.elaborate.values import (
    BlockFunction,
    BlockRecipe,
    ChainRecipe,
    Fault,
    FunctionValue,
    LayerRecipe,
    Owned,
    ParamRef,
    RepeatRecipe,
    Tensor,
    Undecided,
    describe,
)


def crossing(value: Any, span: Span) -> Any:
    """A value on its way into a block: no layer and no tensor, but by itself a parameter to tie with."""
    if isinstance(value, Owned):
        return param_ref(value, span) or value
    if isinstance(value, Undecided):
        raise Fault(error("NNS308", f"`{value.text}` is not known at compile time", span, "neither true nor false"))
    if not isinstance(value, (Dim, ParamRef)):
        _check(value, span)
    return value


def _check(value: Any, span: Span) -> None:
    """Refuse what belongs to the body that it comes from, also inside lists and recipes."""
    if isinstance(value, Place):
        raise Fault(
            error(
                "NNS311",
                f"`{value.path}` is a layer, and a layer does not leave its body",
                span,
                "a layer that exists",
                helps=("hand over a recipe, or let tensors flow in as inputs",),
            )
        )
    if isinstance(value, Namespace):
        helps = ("hand over what it declares: `name.Block`",)
        raise Fault(error("NNS311", "an imported file is not a value", span, "a file", helps=helps))
    if isinstance(value, Tensor):
        raise Fault(
            error(
                "NNS311",
                "a tensor is not a hyperparameter",
                span,
                f"this is {describe(value)}",
                helps=("tensors flow in by an arrow: `(x, mask=m) -> Block(...)`",),
            )
        )
    if isinstance(value, (Owned, ParamRef)):
        raise Fault(
            error(
                "NNS311",
                "a parameter crosses into a block only by itself",
                span,
                f"this holds {describe(value)}",
                helps=("declare it, `block Head(table: parameter)`, and tie inside: `weight=table`",),
            )
        )
    if isinstance(value, Dim):
        raise Fault(
            error(
                "NNS405",
                f"this holds the symbol `{show(value)}`, and a hyperparameter must be known",
                span,
                "not known at compile time",
                helps=("give the input a fixed size there, or let the block take the size from its input",),
            )
        )
    for part in _parts(value):
        _check(part, span)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, ChainRecipe):
        return [link.what for link in value.links]
    if isinstance(value, RepeatRecipe):
        return [value.of]
    if isinstance(value, LayerRecipe):
        return list(value.ties.values())
    if isinstance(value, BlockRecipe):
        return list(value.arguments.values())
    if isinstance(value, (FunctionValue, BlockFunction)):
        # What a function holds was worked out, and stands in constants.
        return [getattr(a.value, "value", None) for a in value.arguments or ()]
    return []
