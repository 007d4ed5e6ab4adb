"""A `train` section, or an `update` in it, while it is read: what its parts share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path
from typing import TypeVar

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.overrides import Written, parse_setting
from nnspec.elaborate.session import Session
from nnspec.elaborate.train_models import Models
from nnspec.elaborate.values import BlockRecipe, Fault
from nnspec.syntax import ast
from nnspec.training.dataset import Dataset
from nnspec.training.fault import Fault as TrainingFault

_T = TypeVar("_T")


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
        self.node: ast.Train | ast.Update = node
        self.path = ""
        """What stands before the names of its settings outside: `critic.` for an update of that name."""
        if program is not None:
            self.entry, self.method, self.recipe = program
        self.base = base
        self.overrides = dict(overrides)
        self.frame = Frame(session, "`train`")
        self.settings: dict[str, ast.Assign] = {}
        self.bindings: list[ast.Assign] = []
        self.objects: dict[str, ast.Assign] = {}
        """The bindings that are objects of the library, or lists of such: `warm = LinearLR()`."""
        self.groups: list[ast.Settings] = []
        """The `params PATTERN { ... }` in it."""
        self.updates: list[ast.Update] = []
        self.consumed: set[str] = set()
        """The settings from outside that something was set to."""
        self.spans: dict[str, Span] = {}
        """Where objects and their arguments are written: `optimizer`, `optimizer.lr`, `schedule.schedulers.0.T_max`."""
        self.offered: tuple[str, ...] = ()
        """Outputs of the model and fields of the data."""
        self.data: Dataset | None = None
        self.computed = False
        """Whether there are tensors to compute the loss and the metrics from."""
        self.parts: list[Section] = []
        """The updates in it, read."""
        self.models: Models | None = None
        """The models, where the section trains several."""

    def part(self, node: ast.Update) -> Section:
        """An update in the section: settings, bindings and groups of its own, and everything else shared."""
        part = copy(self)
        part.node, part.path = node, f"{self.path}{node.name.id}."
        part.settings, part.bindings, part.groups, part.updates, part.parts, part.spans = {}, [], [], [], [], {}
        part.objects = dict(self.objects)
        return part

    @property
    def head(self) -> Span:
        """The place of what is said about the section as a whole."""
        return self.node.head if isinstance(self.node, ast.Train) else self.node.name.span

    @property
    def failed(self) -> bool:
        """Whether it has a fault, or an update in it."""
        return self.frame.failed or any(part.failed for part in self.parts)

    def forgive(self) -> None:
        """Forget what failed so far: whoever asks next, asks about what comes."""
        for each in (self, *self.parts):
            each.frame.failed = False

    @property
    def title(self) -> str:
        """What it is called in a message."""
        return "`train`" if isinstance(self.node, ast.Train) else f"`update {self.node.name.id}`"

    def fail(self, fault: Fault) -> None:
        """Report a fault; the rest of the section is still looked at."""
        self.frame.report(fault.diagnostic)


def written(section: Section, name: str, kind: str = "Any") -> ast.Expr | None:
    """What a setting is set to: from outside, where a word needs no quotes for one of the kind, or in the section."""
    outside = section.overrides.get(f"{section.path}{name}")
    if outside is not None:
        section.consumed.add(f"{section.path}{name}")
        return parse_setting(section.session, f"train.{section.path}{name}", outside, kind)
    statement = section.settings.get(name)
    return statement.value if statement is not None else None


def is_given(section: Section, name: str) -> bool:
    """Whether a setting is set, from outside or in the section."""
    return name in section.settings or f"{section.path}{name}" in section.overrides


def is_none(node: ast.Expr | None) -> bool:
    """Whether a setting is switched off, or not set at all."""
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def translated(section: Section, name: str, action: Callable[[], _T]) -> _T:
    """Run something of training's own; what it says gets its place in the spec."""
    try:
        return action()
    except TrainingFault as fault:
        span = section.spans.get(f"{name}.{fault.at}") or section.spans.get(name) or section.head
        raise Fault(fault.diagnostic(span)) from None
