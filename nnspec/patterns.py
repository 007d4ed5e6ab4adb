"""What a `params` pattern means: which parameters of a module, and which of several settings counts for each.

A pattern is a whole name relative to the body that it stands in; `*` stands for any characters, dots among them. With
`layer` it is relative to each layer (or block) of that name. The last setting that matches counts; those of an outer
body are applied after those of the bodies in it. A tied parameter goes by its canonical name alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from nnspec import ir

Within = Sequence[tuple[str, str]]
"""The layers and blocks around a parameter, each with the path of the parameter inside it."""


class Found(NamedTuple):
    """A parameter or buffer below a body: its path, and the layers and blocks around it with the path inside them."""

    path: str
    member: ir.Member
    within: tuple[tuple[str, str], ...]
    owner: str
    """Its canonical name: another path where it is tied."""


def strange_in(pattern: str) -> str:
    """The first character of a pattern that no name has and that is no `*`; "" if it has none."""
    return next((c for c in pattern if not (c in "*._" or (c.isascii() and c.isalnum()))), "")


def is_pattern(text: str) -> bool:
    """Whether a text can be a pattern."""
    return bool(text) and not strange_in(text)


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern stands for a whole name. (In linear time, whatever the pattern: a spec is not trusted.)"""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    *middle, last = rest
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def applies(setting: ir.Setting | ir.Group, found: Found) -> bool:
    """Whether a setting is about a parameter."""
    if not setting.layer:
        return matches(setting.pattern, found.path)
    return any(name == setting.layer and matches(setting.pattern, path) for name, path in found.within)


def owned(modules: Sequence[ir.Module], members: Iterable[ir.Member], ties: Iterable[ir.Tie]) -> Iterator[Found]:
    """Everything that is stored below a body, each tensor once, under its canonical name."""
    return (found for found in named(modules, members, ties) if found.owner == found.path)


def named(modules: Sequence[ir.Module], members: Iterable[ir.Member], ties: Iterable[ir.Tie]) -> Iterator[Found]:
    """Everything that is stored below a body under all of its names, in the order of torch's `named_parameters`."""
    return _below(modules, members, "", (), {tie.alias: tie.owner for tie in ties})


def _below(
    modules: Sequence[ir.Module],
    members: Iterable[ir.Member],
    prefix: str,
    around: tuple[tuple[str, int], ...],
    owners: dict[str, str],
) -> Iterator[Found]:
    """`around` are the layers and blocks on the way, each with the length of its path; `owners` are whole paths."""
    inner = []
    for member in members:
        path = prefix + member.name
        if member.module is not None:
            inner.append((f"{path}.", modules[member.module]))
            continue
        owner, longest = path, len(owners)
        while owner in owners and longest:  # a stored program may hold a circle of ties
            owner, longest = owners[owner], longest - 1
        yield Found(path, member, tuple((name, path[start:]) for name, start in around), owner)
    for at, module in inner:
        further = owners | {at + t.alias: at + t.owner for t in module.ties} if module.ties else owners
        yield from _below(modules, module.members, at, (*around, *((n, len(at)) for n in kinds(module))), further)


def kinds(module: ir.Module) -> tuple[str, ...]:
    """What a layer or a block is called in a pattern: a layer in a wrapper is still that layer. None for containers."""
    if module.kind not in ir.CALLED:
        return ()
    names = [module.name]
    wrapped = module.arguments.get("layer")
    while module.kind == "layer" and wrapped is not None and isinstance(wrapped.value, ir.Record):
        names.append(wrapped.value.name)
        wrapped = ir.Attr(wrapped.value.arguments.get("layer"))
    return tuple(names)


def winners(settings: Sequence[ir.Setting], found: Iterable[Found]) -> dict[str, int]:
    """The number of the setting that counts for each parameter that any is about, by path."""
    counts: dict[str, int] = {}
    for each in found:
        if each.member.kind == "param":
            for number in reversed(range(len(settings))):
                if applies(settings[number], each):
                    counts[each.path] = number
                    break
    return counts


class Trained(NamedTuple):
    """How a parameter is trained: by which optimizer, with the arguments that count for it, or not at all."""

    optimizer: ir.Record
    frozen: bool
    group: int | None
    """The number of the group that names the optimizer; None for the one of all."""


def trained(update: ir.Update, found: Found) -> Trained:
    """What counts for a parameter: of each setting the last group that says it.

    A group that names an optimizer begins anew: what groups before it say was about another one.
    """
    optimizer, frozen, owner = update.optimizer, False, None
    settings: dict[str, Any] = {}
    for number, group in enumerate(update.groups):
        if not applies(group, found):
            continue
        if group.optimizer is not None:
            optimizer, settings, owner = group.optimizer, {}, number
        settings |= {name: value for name, value in group.settings.items() if name != "freeze"}
        frozen = group.settings.get("freeze", frozen)
    record = ir.Record(optimizer.name, optimizer.arguments | settings, optimizer.span)
    return Trained(record, frozen, owner)
