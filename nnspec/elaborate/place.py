"""Places: what a body owns, under which names, before it is frozen into modules of the IR."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.elaborate.values import BlockRecipe, ChainRecipe, Fault, LayerRecipe, Recipe, RepeatRecipe
from nnspec.layer import Layer
from nnspec.types import TensorType

Origin = Literal["label", "bound", "auto", "position", "group"]

_ATTRIBUTES = """
    add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr
    float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule
    share_memory state_dict T_destination to to_empty train training type xpu zero_grad
"""

_PRIVATE = """
    _apply _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
    _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks _forward_pre_hooks_with_kwargs
    _get_abs_string_index _get_backward_hooks _get_backward_pre_hooks _get_item_by_idx _get_name
    _is_full_backward_hook _load_from_state_dict _load_state_dict_post_hooks _load_state_dict_pre_hooks
    _maybe_warn_non_full_backward_hook _modules _named_members _non_persistent_buffers_set _parameters
    _register_load_state_dict_pre_hook _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict
    _slow_forward _state_dict_hooks _state_dict_pre_hooks _version _wrapped_call_impl
"""

_RESERVED = frozenset((_ATTRIBUTES + _PRIVATE).split())


def is_reserved(name: str) -> bool:
    """Whether it is an attribute of `torch.nn.Module`: a member of that name would break the module."""
    return name in _RESERVED or (name.startswith("__") and name.endswith("__"))


_SEGMENT = re.compile(r"[A-Za-z0-9_]+\Z")
_ACRONYMS = re.compile(r"(P|R|S|Leaky|C|S|)ReLU|(Si|GE|CE|SE|E|G)LU")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """The automatic name of a layer class: `BatchNorm2d` -> `batch_norm2d`, `LeakyReLU` -> `leaky_relu`."""
    name = _ACRONYMS.sub(
        lambda m: ("Leaky" if m[0].startswith("Leaky") else "") + m[0].removeprefix("Leaky").title(), name
    )
    return _WORDS.sub("_", name).lower()


class Steady(NamedTuple):
    """Copies of a repeated layer from number `start` on that are all like the one before: they have no places."""

    start: int
    stop: int
    model: Place


class Place:
    """A named place: a layer, a container, a param or a buffer; `module` is known once it has been used."""

    __slots__ = (
        *("children", "counts", "doc", "init", "kind", "layer", "module", "name", "origin", "parent", "path"),
        *("recipe", "span", "steady", "type", "use", "value"),
    )

    def __init__(self, name: str, kind: str, origin: Origin, span: Span, parent: Place | None) -> None:
        self.name = name
        self.kind = kind
        self.origin = origin
        self.span = span
        self.parent = parent
        self.path: str = f"{parent.path}.{name}" if parent is not None and parent.path else name
        self.children: dict[str, Place] = {}
        self.counts: dict[str, int] = {}
        self.recipe: Recipe | None = None
        self.layer: Layer | None = None
        self.module: int | None = None
        self.use: tuple[Span, Any] | None = None
        self.type: TensorType | None = None
        self.init: ir.Initializer | None = None
        self.value: ir.Graph | None = None
        self.doc = ""
        self.steady: Steady | None = None

    def child(self, name: str, kind: str, origin: Origin, span: Span) -> Place:
        """Make a member of that name; a clash or an impossible name is a fault. Dots make containers."""
        if "." in name:
            first, rest = name.split(".", 1)
            inner = self.children.get(first)
            if inner is None:
                inner = self.child(first, "group", "group", span)
            elif inner.kind != "group":
                raise _clash(first, span, inner)
            return inner.child(rest, kind, origin, span)
        self._check(name, span)
        existing = self.children.get(name)
        if existing is not None:
            raise _clash(name, span, existing)
        place = Place(name, kind, origin, span, self)
        self.children[name] = place
        return place

    def group(self, name: str, span: Span) -> Place:
        """The group of that name, made if it is not there: several statements may fill one."""
        first, _, rest = name.partition(".")
        inner = self.children.get(first)
        if inner is None:
            inner = self.child(first, "group", "group", span)
        elif inner.kind != "group":
            raise _clash(first, span, inner)
        return inner.group(rest, span) if rest else inner

    def outward(self) -> Iterator[Place]:
        """The place itself, and those around it."""
        place: Place | None = self
        while place is not None:
            yield place
            place = place.parent

    def automatic(self, title: str) -> str:
        """The next free automatic name for a layer class."""
        stem = snake_case(title)
        number = self.counts.get(stem, 0)
        while True:
            name = f"{stem}_{number}" if number else stem
            number += 1
            if name not in self.children and not is_reserved(name):
                self.counts[stem] = number
                return name

    def _check(self, name: str, span: Span) -> None:
        if not _SEGMENT.match(name):
            raise Fault(
                error(
                    "NNS206",
                    f"`{name}` cannot name a layer",
                    span,
                    "not a name",
                    helps=("a name is made of letters, digits and `_`, with dots between containers",),
                )
            )
        if is_reserved(name):
            raise Fault(
                error(
                    "NNS206",
                    f"a layer cannot be called `{name}`",
                    span,
                    f"`{name}` is an attribute of torch.nn.Module",
                    helps=(f"choose another name, such as `{name.strip('_')}_`",),
                )
            )


def _clash(name: str, span: Span, existing: Place) -> Fault:
    helps = ["give one of them another name"]
    if existing.span == span:
        helps = [f'this stands in a loop: use a computed name such as `"{name}{{i}}"`']
    return Fault(
        error(
            "NNS202",
            f"the name `{name}` is taken",
            span,
            "used again here",
            others=() if existing.span == span else (Label(existing.span, "first used here"),),
            helps=helps,
        )
    )


def kind_of(recipe: Recipe) -> str:
    """The kind of place that a recipe makes."""
    for cls, kind in ((LayerRecipe, "layer"), (BlockRecipe, "block"), (ChainRecipe, "chain"), (RepeatRecipe, "repeat")):
        if isinstance(recipe, cls):
            return kind
    raise AssertionError(recipe)
