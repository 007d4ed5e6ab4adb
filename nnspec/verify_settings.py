"""Checks the settings of a stored module: how its parameters start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nnspec import ir
from nnspec.patterns import Found, applies, is_pattern, owned, winners
from nnspec.verify_library import NotValid, check_initializer

Constant = Callable[[ir.Program, ir.Member, ir.Graph], Iterator[str]]


def setting_problems(program: ir.Program, module: ir.Module, constant: Constant) -> Iterator[str]:
    """Whether settings say how a parameter starts, in a way that those that they are about can.

    `constant` checks the graph of a constant tensor.
    """
    if not module.settings:
        return
    if module.kind != "block" or not all((s.init is None) != (s.value is None) for s in module.settings):
        yield "they belong to a block, and each says how its parameters start"
        return
    try:
        for setting in module.settings:
            if setting.init is not None:
                check_initializer(setting.init)
        found = list(owned(program.modules, module.members, module.ties))
        for setting in module.settings:
            yield from _target_problems(setting, found)
        types = {each.path: each.member.type for each in found}
        for path, number in winners(module.settings, found).items():
            type_, setting = types[path], module.settings[number]
            if setting.init is not None and type_ is not None:
                check_initializer(setting.init, type_)
            elif setting.value is not None:
                member = ir.Member(path, "param", "auto", type=type_)
                yield from (f"`{path[:80]}`: {problem}" for problem in constant(program, member, setting.value))
    except NotValid as reason:
        yield str(reason)


def _target_problems(setting: ir.Setting, found: list[Found]) -> Iterator[str]:
    if not is_pattern(setting.pattern):
        yield "a pattern holds names, dots and `*`"
    elif not any(each.member.kind == "param" and applies(setting, each) for each in found):
        yield f"`{setting.pattern[:80]}` matches no parameter"
