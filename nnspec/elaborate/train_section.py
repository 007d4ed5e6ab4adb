"""A `train` section while it is read: what its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.overrides import Written, parse_value
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import BlockRecipe, Fault
from nnspec.syntax import ast
from nnspec.training.fault import Fault as TrainingFault


class Section:
    """The section, the model that it trains, and what was found so far; without a model, its names alone are read."""

    def __init__(
        self,
        session: Session,
        node: ast.Train,
        program: tuple[ir.Entry, ir.Method, BlockRecipe] | None,
        base: Path,
        overrides: Mapping[str, Written],
    ) -> None:
        self.session = session
        self.node = node
        if program is not None:
            self.entry, self.method, self.recipe = program
        self.base = base
        self.overrides = dict(overrides)
        self.frame = Frame(session, "`train`")
        self.settings: dict[str, ast.Assign] = {}
        self.bindings: list[ast.Assign] = []
        self.spans: dict[str, Span] = {}
        self.offered: tuple[str, ...] = ()
        """Outputs of the model and fields of the data."""
        self.computed = False
        """Whether there are tensors to compute the loss and the metrics from."""

    def fail(self, fault: Fault) -> None:
        """Report a fault; the rest of the section is still looked at."""
        self.frame.report(fault.diagnostic)


def written(section: Section, name: str) -> ast.Expr | None:
    """What a setting is set to: from outside, or in the section."""
    if name in section.overrides:
        return parse_value(section.session, f"train.{name}", section.overrides[name])
    statement = section.settings.get(name)
    return statement.value if statement is not None else None


def translated(section: Section, name: str, action: Any) -> Any:
    """Run something of training's own; what it says gets its place in the spec."""
    try:
        return action()
    except TrainingFault as fault:
        span = section.spans.get(f"{name}.{fault.at}") or section.spans.get(name) or section.node.head
        raise Fault(fault.diagnostic(span)) from None
