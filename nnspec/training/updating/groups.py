"""Which parameters are trained alike: by what optimizer, and with what arguments of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnspec import ir
from nnspec.patterns import Found, Within, applies, trained
from nnspec.training.build import described
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer

_LONG = 16
"""Elements of a list that is not compared with others."""


@dataclass(slots=True)
class Alike:
    """Parameters with the same arguments: those in which they differ from their optimizer's own."""

    label: str
    """The patterns that say so; empty for what no pattern is about."""
    names: list[str] = field(default_factory=list)
    arguments: dict[str, Any] = field(default_factory=dict)

    def about(self, optimizer: Optimizer) -> dict[str, Any]:
        """The arguments of the optimizer; the others are the schedule's."""
        return {name: value for name, value in self.arguments.items() if name in optimizer.fields}


@dataclass(slots=True)
class Chosen:
    """An optimizer, and what it trains: what no pattern is about first."""

    record: ir.Record
    optimizer: Optimizer
    groups: list[Alike] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """All that it trains."""
        return [name for group in self.groups for name in group.names]


def choose(
    update: ir.Update, names: Iterable[str], kinds: Mapping[str, Within], also: Collection[str] = ()
) -> tuple[list[Chosen], list[str]]:
    """The optimizers of an update, the one of all first, and the names of what is frozen.

    `kinds` has the layers and blocks around each parameter; one that it lacks is in none. Patterns give arguments of
    their optimizer, and those of the schedule that are in `also`.
    """
    chosen: dict[int | None, Chosen] = {}
    groups: dict[tuple[int | None, str], Alike] = {}
    frozen = []
    for name in names:
        found = Found(name, ir.Member(name, "param", "auto"), tuple(kinds.get(name, ())), name)
        how = trained(update, found)
        if how.frozen:
            frozen.append(name)
            continue
        if how.group not in chosen:
            own = update.optimizer if how.group is None else update.groups[how.group].optimizer
            assert own is not None
            chosen[how.group] = Chosen(own, described(own))
        one = chosen[how.group]
        arguments = _differing(how.optimizer, one.record)
        key = (how.group, str(sorted((name, _mark(value)) for name, value in arguments.items())))
        if key not in groups:
            plain = not arguments and how.group is None
            groups[key] = Alike("" if plain else _label(update.groups[how.group or 0 :], found), [], arguments)
            one.groups.insert(len(one.groups) if arguments else 0, groups[key])
        groups[key].names.append(name)
    ordered = [chosen[number] for number in sorted(chosen, key=lambda n: -1 if n is None else n)]
    _check(ordered, also)
    return ordered, frozen


def _differing(merged: ir.Record, own: ir.Record) -> dict[str, Any]:
    before = {name: _mark(value) for name, value in own.arguments.items()}
    return {name: value for name, value in merged.arguments.items() if before.get(name) != _mark(value)}


def _mark(value: Any) -> str:
    """The same text for the same value; a long list, of which each parameter would ask, is itself and no other."""
    return f"#{id(value)}" if isinstance(value, tuple) and len(value) > _LONG else repr(value)


def _label(groups: Sequence[ir.Group], found: Found) -> str:
    """The patterns that say how a parameter is trained, as they are written."""
    about = [group for group in groups if group.optimizer is not None or set(group.settings) - {"freeze"}]
    said = [group for group in about if applies(group, found)]
    return ", ".join(dict.fromkeys(f"{g.layer}.{g.pattern}" if g.layer else g.pattern for g in said))


def _check(chosen: list[Chosen], also: Collection[str]) -> None:
    """Refuse what optimizers do not tell parameters apart by."""
    for one in chosen:
        name = type(one.optimizer).__name__
        for group in one.groups:
            whole = [argument for argument in group.arguments if argument in one.optimizer.whole]
            if whole:
                message = f"`{whole[0]}` of `{name}` is for all of its parameters, and not for `{group.label}` alone"
                raise SettingError(message, at="optimizer", helps=(f"write it as an argument of `{name}`",))
            _check_arguments(one.optimizer, group, also)
        if one.optimizer.searches and (len(one.groups) > 1 or len(chosen) > 1):
            message = f"`{name}` looks for one step of all parameters, which cannot be told apart"
            helps = ("leave out the `params` patterns (freeze = true may stay), or take another optimizer",)
            raise SettingError(message, at="optimizer", helps=helps)


def _check_arguments(optimizer: Optimizer, group: Alike, also: Collection[str]) -> None:
    about = group.about(optimizer)
    for name in group.arguments:
        if name not in about and name not in also:
            message = f"`{type(optimizer).__name__}` has no argument `{name}`, which `params {group.label}` gives"
            raise SettingError(message, at="optimizer", helps=(f"its arguments are {', '.join(optimizer.fields)}",))
    for name, value in about.items():
        fault = optimizer.fields[name].bound_fault(value)
        if fault:
            raise SettingError(f"`{name}` of `params {group.label}` {fault}, and is {value}", at="optimizer")
    optimizer.replace(**about).check()
