"""Members and indices: `wte.weight`, `blocks[0]`, `x[:, 0]`."""

from __future__ import annotations

from typing import Any

from nnspec import registry
from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.dims import Dim
from nnspec.elaborate.arithmetic import bounded
from nnspec.elaborate.expressions import evaluate, handles
from nnspec.elaborate.files import Namespace
from nnspec.elaborate.flows import unfold
from nnspec.elaborate.frame import Frame, name_of
from nnspec.elaborate.imports import find
from nnspec.elaborate.operands import apply_function
from nnspec.elaborate.place import Place
from nnspec.elaborate.repeats import copy_of
from nnspec.elaborate.spelling import applied, arguments_behind
from nnspec.elaborate.values import (
    UNKNOWN,
    BlockFunction,
    BlockRecipe,
    Fault,
    Owned,
    Record,
    Silent,
    Tensor,
    describe,
    is_size,
)
from nnspec.suggest import suggest
from nnspec.synonyms import SYNONYMS, key_of
from nnspec.syntax import ast

_LONGEST_OPERAND = 40
"""Characters of a tensor that a help writes down."""


@handles(ast.Attribute)
def _attribute(frame: Frame, node: ast.Attribute) -> Any:
    base = _base(frame, node.value)
    if isinstance(base, Record):
        if node.name in base:
            return base[node.name]
        close = suggest(node.name, list(base))
        helps = [f"did you mean `{close}`?"] if close else []
        raise Fault(error("NNS208", f"this record has no `{node.name}`", node.name_span, helps=helps))
    if isinstance(base, Place):
        space = frame.file.constants.get(name_of(node.value) or "")
        try:
            return member_of(frame, base, node.name, node.span)
        except Fault:
            if not isinstance(space, Namespace):
                raise
            base = space  # a label is called like an imported file, and has no such member
    if isinstance(base, Namespace):
        return _imported(frame, base, node)
    if isinstance(base, (Tensor, Owned)):
        message, called = f"a tensor has no attribute `{node.name}`", _called(frame, node)
        if isinstance(called, Fix):
            raise Fault(error("NNS208", message, node.name_span, "not an attribute", fixes=(called,)))
        raise Fault(error("NNS208", message, node.name_span, "not an attribute", helps=(called,)))
    raise Fault(error("NNS208", f"{describe(base)} has no member `{node.name}`", node.name_span, "no such member"))


def _is_file(frame: Frame, name: str) -> bool:
    """Whether a name is that of an imported file, which a layer takes from it only when the author calls it so."""
    return isinstance(frame.file.constants.get(name), Namespace)


def _imported(frame: Frame, base: Namespace, node: ast.Attribute) -> Any:
    """What `resnet.Stage` means, the file being imported as `resnet`."""
    value = find(frame.session, base.file, node.name, node.name_span, base.title)
    if isinstance(value, (BlockRecipe, BlockFunction)):
        value.span = node.span
    if value is UNKNOWN:
        raise Silent
    return value


def _called(frame: Frame, node: ast.Attribute) -> str | Fix:
    """How a function is applied to a tensor that was meant by `x.function(...)`."""
    text = frame.session.text(node.value.span)
    names = (node.name, *SYNONYMS.get(key_of(node.name), ()))
    cls = next((found for name in names if (found := registry.find("function", name)) is not None), None)
    if cls is None or len(text) > _LONGEST_OPERAND:
        return "its sizes are the symbols of its type; functions are called: `transpose(x, 0, 1)`"
    behind = arguments_behind(frame, node.span)
    written = applied(cls, text, behind[0]) if behind is not None else None
    if behind is not None and written is not None:
        place = Span(node.span.start, behind[1], node.span.source)
        return Fix(f"functions are called: `{written}`", (Edit(place, written),))
    rest = ["(...)" if field.kind.startswith("tuple") else "..." for field in cls.fields.values() if field.required]
    return f"functions are called: write `{cls.__name__}({', '.join([text, *rest])})`"


def _base(frame: Frame, node: ast.Expr) -> Any:
    """The value in front of a dot: a bound layer, a record, or what a label of this body names."""
    name = name_of(node)
    if name is not None:
        value = frame.scope.get(name)
        if not isinstance(value, (Place, Record)):
            place = next((p.children[name] for p in frame.home.outward() if name in p.children), None)
            named = place is not None and not (place.origin == "auto" and _is_file(frame, name))
            if place is not None and named and place.kind not in ("param", "buffer"):
                return place
    if isinstance(node, ast.Attribute):
        return _attribute(frame, node)
    return evaluate(frame, node)


def member_of(frame: Frame, place: Place, name: str, span: Span) -> Any:
    """What `layer.name` reaches: a parameter, or a layer inside."""
    unfold(place)
    child = place.children.get(name)
    if child is None and name.isdecimal():
        child = copy_of(place, int(name))
    if child is not None:
        if child.kind in ("param", "buffer"):
            assert child.type is not None
            return Owned(child.path, child.type, child.kind, child.span)
        return child
    if place.module is None and place.kind in ("layer", "block"):
        raise Fault(
            error(
                "NNS212",
                f"the parameters of `{place.path}` are not known yet",
                span,
                "used before anything flowed into it",
            )
        )
    if place.module is None:
        raise _no_member(place, name, list(place.children), span)
    return _member_of_module(frame, place, place.module, place.path, name, span)


def _member_of_module(frame: Frame, place: Place, module: int, path: str, name: str, span: Span) -> Any:
    members = {m.name: m for m in frame.session.modules[module].members}
    member = members.get(name)
    if member is None:
        raise _no_member(place, name, list(members), span)
    if member.module is None:
        assert member.type is not None
        assert member.kind != "module"
        return Owned(f"{path}.{name}", member.type, member.kind, place.span)
    inner = Place(name, "block", "label", place.span, None)
    inner.path = f"{path}.{name}"
    inner.module = member.module
    return inner


def _no_member(place: Place, name: str, known: list[str], span: Span) -> Fault:
    close = suggest(name, known)
    helps = [f"did you mean `{close}`?"] if close else [f"it has {', '.join(f'`{k}`' for k in known)}"] if known else []
    return Fault(error("NNS208", f"`{place.path}` has no member `{name}`", span, "no such member", helps=helps))


@handles(ast.Index)
def _index(frame: Frame, node: ast.Index) -> Any:
    base = _indexed(frame, node.value)
    if isinstance(base, Owned):
        base = frame.read(base, node.span)
    if isinstance(base, Tensor):
        return _index_tensor(frame, base, node)
    if len(node.items) != 1:
        raise Fault(error("NNS309", f"{describe(base)} takes one index", node.span))
    item = node.items[0]
    if isinstance(item, ast.Slice):
        bounds = [None if part is None else evaluate(frame, part) for part in (item.start, item.stop, item.step)]
        if isinstance(base, (list, tuple, str)) and all(
            b is None or (is_size(b) and not isinstance(b, Dim)) for b in bounds
        ):
            if bounds[2] == 0:
                raise Fault(error("NNS312", "the step of a slice is zero", item.span, "no step"))
            return bounded(frame, base[slice(*bounds)], node.span)
        raise Fault(error("NNS309", f"{describe(base)} cannot be sliced like this", node.span))
    if isinstance(item, ast.Ellipsis):
        raise Fault(error("NNS309", f"{describe(base)} cannot be indexed by `...`", node.span))
    return _pick(frame, base, evaluate(frame, item), node)


def _indexed(frame: Frame, node: ast.Expr) -> Any:
    """The value in front of an index: a list is meant before a label of its name."""
    is_list = isinstance(node, ast.Name) and isinstance(frame.scope.get(node.id), (list, tuple))
    return _base(frame, node) if isinstance(node, (ast.Name, ast.Attribute)) and not is_list else evaluate(frame, node)


def _pick(frame: Frame, base: Any, key: Any, node: ast.Index) -> Any:
    if isinstance(base, Place):
        return member_of(frame, base, str(key), node.span)
    if isinstance(base, Record) and isinstance(key, str) and key in base:
        return base[key]
    if isinstance(base, (list, tuple, str)) and is_size(key):
        if isinstance(key, Dim):
            raise Fault(
                error("NNS308", f"the index `{key}` is not known at compile time", node.items[0].span, "not a number")
            )
        if -len(base) <= key < len(base):
            return base[key]
        raise Fault(
            error("NNS313", f"index {key} is outside a list of {len(base)}", node.items[0].span, "out of range")
        )
    raise Fault(error("NNS309", f"{describe(base)} cannot be indexed by {describe(key)}", node.span))


def _index_tensor(frame: Frame, base: Tensor, node: ast.Index) -> Any:
    function = registry.find("function", "getitem")
    assert function is not None
    items: list[Any] = []
    tensors: list[Tensor] = []
    for item in node.items:
        if isinstance(item, ast.Ellipsis):
            items.append("...")
        elif isinstance(item, ast.Slice):
            parts = (item.start, item.stop, item.step)
            items.append(("slice", *(None if part is None else evaluate(frame, part) for part in parts)))
        else:
            value = evaluate(frame, item)
            if isinstance(value, Owned):
                value = frame.read(value, item.span)
            if isinstance(value, Tensor):
                tensors.append(value)
                value = "tensor"
            elif value is not None and not is_size(value):
                raise Fault(error("NNS309", f"a tensor cannot be indexed by {describe(value)}", item.span))
            items.append(value)
    return apply_function(frame, function(items=tuple(items)), (base, *tensors), node.span, node.span)
