"""Checks the updates of a stored section: their names and turns, whom they train, and the graphs that call models."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec import ir
from nnspec.facts import Facts
from nnspec.ir_nodes import nodes_of
from nnspec.patterns import Found, is_pattern, matches
from nnspec.training.settings import Settings, Turn
from nnspec.verify_library import NotValid, build_settings

OWN = ("schedule_unit", "clip_grad_norm", "clip_grad_value")
"""Settings that an update may have of its own."""


def check_updates(program: ir.Program, training: ir.Training) -> None:
    """Raise `NotValid` for updates that cannot be made in turn."""
    updates = training.updates
    names = [update.name for update in updates]
    several = len(updates) > 1 or bool(training.models)
    if not updates or len(set(names)) < len(names) or (several and not all(names)):
        raise NotValid("there is one nameless update, or each has a name of its own")
    if not all(name.isidentifier() for name in names if name):
        raise NotValid("the name of an update is an identifier")
    for update in updates:
        build_settings(Turn, f"`{update.name[:80]}`", {"every": update.every})
        if not set(update.settings) <= set(OWN):
            raise NotValid(f"an update may have {', '.join(OWN)} of its own")
        build_settings(Settings, f"`{update.name[:80]}`", update.settings)
        if update.held is not None and not training.models:
            raise NotValid("a loss has a graph for inference where several models are trained")
    members = program.modules[program.entries[training.entry].module].members
    modules = [member.name for member in members if member.module is not None]
    if training.models and (sorted(training.models) != sorted(modules) or len(modules) < len(members)):
        raise NotValid("several models are the members of the module that is trained")


def own(update: ir.Update, found: list[Found]) -> list[Found]:
    """The parameters that an update trains; `NotValid` for a pattern that means none."""
    if not update.params:
        return found
    for pattern in update.params:
        if not is_pattern(pattern) or not any(matches(pattern, each.path) for each in found):
            raise NotValid(f"`{pattern[:80]}` matches no parameter")
    return [each for each in found if any(matches(pattern, each.path) for pattern in update.params)]


def facts_of(program: ir.Program, training: ir.Training) -> Facts:
    """What is known of sizes where losses and metrics are worked out: what the module requires on entry."""
    facts = Facts()
    if training.models:
        for number in program.entries[training.entry].methods.values():
            for requirement in program.methods[number].requires:
                assume = facts.assume_at_least if requirement.relation == ">=" else facts.assume_equal
                assume(requirement.size, 0)
    return facts


def called(program: ir.Program) -> Iterator[tuple[int, Facts]]:
    """The methods that losses and metrics call, and what is known of their sizes there."""
    training = program.training
    if training is None or not training.models or training.entry not in range(len(program.entries)):
        return
    around = facts_of(program, training)
    graphs = [graph for update in training.updates for graph in (update.loss, update.held) if graph is not None]
    for graph in (*graphs, *(metric.graph for metric in training.metrics)):
        for node in nodes_of(graph.nodes):
            if isinstance(node, ir.Call) and node.method in range(len(program.methods)):
                assert node.method is not None
                yield node.method, Facts(around, node.dims)
