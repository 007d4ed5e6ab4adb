"""Freezing: what a body owns becomes a module, what it computes a method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.elaborate.carried import essential
from nnspec.elaborate.extern import origin_of
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.inputs import input_statements
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import Session
from nnspec.elaborate.settings import content_of_settings, settled
from nnspec.elaborate.values import BlockRecipe, Fault, RepeatRecipe, Tensor, content, plain
from nnspec.syntax import ast


def expected_module(frame: Frame, place: Place, span: Span) -> int | None:
    """In a form of a model that is not the fullest (inference, say): the module that the fullest form put here."""
    if frame.expected is None:
        return None
    module = frame.expected
    for name in place.path.split("."):
        member = next((m for m in frame.session.modules[module].members if m.name == name), None)
        if member is None or member.module is None:
            raise _not_in_full(frame.session, place, span)
        module = member.module
    return module


def _not_in_full(session: Session, place: Place, span: Span) -> Fault:
    form = session.form
    label, rest = "not a member in training", "training form uses; inference uses a part of it"
    if "given" in form:
        label, rest = "not a member of the fullest form", "form with all optional inputs uses; others use a part of it"
    return Fault(
        error("NNS215", f"`{place.path}` exists only {form}", span, label, helps=(f"a module owns what its {rest}",))
    )


def documentation(block: ast.Definition) -> str:
    """The author's words on a block, on its hyperparameters and on its inputs."""
    named = [(h.name.id, h.doc) for h in block.hyperparameters]
    named += [(s.name.id, s.doc) for s in input_statements(block)]
    parts = [f"- {name}: {doc}".replace("\n", "\n  ") for name, doc in named if doc]
    return "\n\n".join(part for part in (block.doc, "\n".join(parts)) if part)


def module(frame: Frame, recipe: BlockRecipe, expected: int | None) -> int | None:
    """The module of a body; None when a member could not be settled."""
    session = frame.session
    members = _members(frame, frame.root)
    if members is None:
        return None
    if expected is not None:
        _check_subset(session, frame.root, expected)
        return expected
    settings = settled(frame, members)
    if settings is None:
        return None
    key = (recipe.key(), _key(members), tuple((t.alias, t.owner) for t in frame.ties), content_of_settings(settings))
    block = recipe.block
    frozen = ir.Module(
        "extern" if isinstance(block, ast.Extern) else "block",
        recipe.title,
        {n: ir.Attr(plain(v), recipe.exprs.get(n)) for n, v in recipe.arguments.items()},
        dict(frame.sizes),
        members,
        tuple(frame.ties),
        span=block.span,
        doc=documentation(block),
        settings=settings,
        origin=origin_of(block) if isinstance(block, ast.Extern) else "",
    )
    number = session.intern(key, frozen)
    known = session.modules[number]
    if known.sizes != frozen.sizes:
        # Its weights are the same for all of its uses: only what its uses have in common is its own.
        common = {n: s for n, s in known.sizes.items() if frozen.sizes.get(n) == s}
        session.modules[number] = replace(known, sizes=common)
    return number


def _key(members: Sequence[ir.Member]) -> Any:
    return tuple((m.name, m.kind, m.module, m.type, content_of_init(m)) for m in members)


def content_of_init(member: ir.Member) -> Any:
    """How a param or buffer starts, hashable."""
    if member.init is not None:
        return (member.init.function, content(member.init.arguments))
    return repr(member.value) if member.value is not None else None


def _members(frame: Frame, place: Place) -> tuple[ir.Member, ...] | None:
    members: list[ir.Member] = []
    for child in place.children.values():
        if child.kind in ("param", "buffer"):
            kind: Any = child.kind
            members.append(
                ir.Member(
                    child.name, kind, child.origin, child.span, None, child.type, child.init, child.value, child.doc
                )
            )
            continue
        number = _settled(frame, child)
        if number is None:
            return None
        members.append(ir.Member(child.name, "module", child.origin, child.span, number))
    if place.steady is not None:
        start, stop, _ = place.steady
        model = members[-1]
        members += [ir.Member(str(i), "module", "position", model.span, model.module) for i in range(start, stop)]
    return tuple(members)


def _settled(frame: Frame, place: Place) -> int | None:
    """The module of a member; an unused layer has no sizes, which is a fault."""
    never_fed = isinstance(place.recipe, RepeatRecipe) and place.recipe.count > 0 and not place.children
    if place.kind in ("layer", "block") or never_fed:
        if place.module is None and not frame.failed:
            frame.report(
                error(
                    "NNS212",
                    f"nothing flows through the layer `{place.path}`, so its sizes are not known",
                    place.span,
                    "never used",
                    helps=(f"let a value flow through it: `x -> {place.name}`, or remove it",),
                )
            )
        return place.module
    if place.module is None:
        members = _members(frame, place)
        if members is None:
            return None
        frozen = ir.Module(place.kind, place.kind, members=members, span=place.span)  # type: ignore[arg-type]
        place.module = frame.session.intern((place.kind, _key(members)), frozen)
    return place.module


def _check_subset(session: Session, place: Place, expected: int) -> None:
    """Members of the inference form are those of the training form, of the same content."""
    known = {m.name: m for m in session.modules[expected].members}
    if place.steady is not None:
        start, stop, model = place.steady
        alike = {known[name].module if name in known else None for name in map(str, range(start - 1, stop))}
        if None in alike:
            raise _not_in_full(session, model, model.span)
        if len(alike) > 1:
            raise _other_layer(session, place, place.span, None)
    for child in place.children.values():
        member = known.get(child.name)
        if member is None:
            raise _not_in_full(session, child, child.span)
        if child.kind in ("chain", "repeat", "group"):
            assert member.module is not None
            _check_subset(session, child, member.module)
        elif child.module != member.module:
            raise _other_layer(session, child, child.span, member.span)


def _other_layer(session: Session, place: Place, span: Span, full: Span | None) -> Fault:
    message, label = f"`{place.path}` is another layer in training than in inference", "differs between the modes"
    other, each = "in training", "one mode"
    if "given" in session.form:
        message, label = f"`{place.path}` is another layer {session.form}", "differs between the forms"
        other, each = "with all optional inputs", "one form"
    return Fault(
        error(
            "NNS215",
            message,
            span,
            label,
            others=(Label(full, other),) if full and full != span else (),
            helps=(f"give layers that only {each} uses names of their own",),
        )
    )


def difference(session: Session, first: int, second: int, path: str = "") -> str:
    """The first member in which two modules of one block differ, in words."""
    ours, theirs = session.modules[first], session.modules[second]
    there, here = ({m.name: m for m in module.members} for module in (ours, theirs))
    for name in (*there, *(n for n in here if n not in there)):
        one, other = there.get(name), here.get(name)
        if one is None or other is None:
            return f"`{path}{name}` is a member {'there' if other is None else 'here'} only"
        if one.module is not None and other.module is not None:
            if one.module != other.module:
                return difference(session, one.module, other.module, f"{path}{name}.")
        elif one.type is not None and other.type is not None and one.type != other.type:
            return f"`{path}{name}` is {list(one.type.dims)} there and {list(other.type.dims)} here"
        elif _key([one]) != _key([other]):
            return f"`{path}{name}` starts from other values"
    return f"`{path.rstrip('.')}` is configured differently" if path else "they are tied differently"


def method(
    frame: Frame,
    module_number: int,
    inputs: Sequence[ast.Input],
    types: Sequence[Any],
    values: Sequence[Any],
) -> int:
    """Add the method of a body and return its number."""
    assert frame.graph is not None
    numbers = iter(range(len(frame.graph.values)))
    ids = tuple(_numbered(t, numbers) for t in types)
    graph = frame.graph.finish(ids, tuple(_operand(v) for v in values))
    frame.session.methods.append(
        ir.Method(
            module_number,
            frame.mode if frame.uses_training else "both",
            tuple(s.name.id for s in inputs),
            tuple(name for name, _, _ in frame.outputs),
            tuple(frame.symbols),
            essential(frame.requires),
            graph,
        )
    )
    return len(frame.session.methods) - 1


def _numbered(type_: Any, numbers: Iterator[int]) -> Any:
    """The values of an input, in the nesting of its type; they are the graph's first ones."""
    if isinstance(type_, tuple):
        return tuple(_numbered(part, numbers) for part in type_)
    return None if type_ is None else next(numbers)


def _operand(value: Any) -> ir.Operand:
    if isinstance(value, Tensor):
        return ir.Ref(value.id)
    return tuple(_operand(v) for v in value)
