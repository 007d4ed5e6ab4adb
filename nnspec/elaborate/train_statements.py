"""The statements of a `train` section, or of an `update` in it, sorted: settings, `params`, updates, bindings."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.diagnostics import Edit, Fix, Label, error
from nnspec.elaborate.frame import name_of
from nnspec.elaborate.names import walk
from nnspec.elaborate.overrides import setting_called
from nnspec.elaborate.train_objects import OBJECTS
from nnspec.elaborate.train_section import Section, is_given
from nnspec.elaborate.values import Fault
from nnspec.suggest import ELSEWHERE, suggest
from nnspec.synonyms import key_of
from nnspec.syntax import ast
from nnspec.training.settings import Settings

SECTION = (*OBJECTS, "loss", "metrics", "inputs", "transform", "augment", *Settings.fields)
"""What a section may set."""

_EXAMPLES = {
    "data": "data = Digits()",
    "loss": "loss = cross_entropy(logits, label)",
    "optimizer": "optimizer = Adam(lr=1e-3)",
    "params": "params = D",
}
_NEEDED = ("data", "loss", "optimizer")


def collect(section: Section, known: Sequence[str] = SECTION) -> None:
    """Sort the statements of a section, or of an update: what is set, `params`, updates, and what is bound."""
    for statement in section.node.body.statements:
        if isinstance(statement, ast.Settings):
            section.groups.append(statement)
        elif isinstance(statement, ast.Update) and isinstance(section.node, ast.Train):
            section.updates.append(statement)
        elif not isinstance(statement, ast.Assign):
            if not isinstance(statement, ast.Broken):
                message = f"this does not belong in {section.title}"
                section.fail(Fault(error("NNS609", message, statement.span)))
        else:
            _assigned(section, statement, known)


def _assigned(section: Section, statement: ast.Assign, known: Sequence[str]) -> None:
    name = name_of(statement.target) if isinstance(statement.target, ast.Name) else None
    if name is None or name not in known:
        section.bindings.append(statement)
        return
    if name in section.settings:
        first = Label(section.settings[name].span, "first here")
        section.fail(Fault(error("NNS202", f"`{name}` is set twice", statement.span, "again", others=(first,))))
    section.settings[name] = statement


def check_complete(section: Section, meant: set[str], needed: Sequence[str] = _NEEDED) -> None:
    """Report what a section must say and does not; `meant` are the settings that a misspelt one stands for."""
    for name in needed:
        if is_given(section, name) or name in meant:
            continue
        message = f"{section.title} does not say its {name}"
        helps = (f"write `{_EXAMPLES[name]}`",)
        section.fail(Fault(error("NNS610", message, section.head, f"no `{name}` in it", helps=helps)))


def check_bindings(section: Section, known: Sequence[str] = SECTION) -> set[str]:
    """A binding that nobody uses may be a misspelt setting: the settings that are meant."""
    used = {n.id for n in walk(section.node.body) if isinstance(n, ast.Name)}
    meant: set[str] = set()
    for binding in tuple(section.bindings):
        name = name_of(binding.target) if isinstance(binding.target, ast.Name) else None
        if name is None or name in used:
            continue
        elsewhere = ELSEWHERE.get(key_of(name))
        close = None if elsewhere else suggest(name, known)
        if elsewhere or close:
            meant.add(close or "")
            section.bindings.remove(binding)  # what it is set to is looked at where it has its right name
        fixes = [_meaning(section, binding, close)] if close else []
        helps = () if close else (elsewhere or f"settings are {', '.join(known)}",)
        message = f"`{name}` is no setting, and nothing uses it"
        section.fail(Fault(error("NNS611", message, binding.target.span, "no setting", helps=helps, fixes=fixes)))
    return meant


def _meaning(section: Section, binding: ast.Assign, close: str) -> Fix:
    """The setting that a name of another trainer stands for; a number of folds is not one of them yet."""
    written = section.session.text(binding.value.span)
    if close == "fold" and written.isdecimal():
        edits = (Edit(binding.target.span, close), Edit(binding.value.span, f"(0, {written})"))
        return Fix(f"did you mean the setting `fold = (0, {written})`, the first of so many parts?", edits)
    return Fix(f"did you mean the setting `{close}`?", (Edit(binding.target.span, close),))


def check_overrides(section: Section) -> None:
    """Refuse settings from outside whose name is none of the section's, nor of an update's."""
    parts = {update.name.id for update in section.updates}
    for path in section.overrides:
        first = path.split(".")[0]
        if first not in SECTION and first not in parts:
            close = suggest(first, [*SECTION, *parts])
            meant = setting_called(first) or (f"train.{close}" if close else None)
            helps = [f"did you mean `{meant}`?"] if meant else []
            if not setting_called(first):
                helps = [ELSEWHERE.get(key_of(first), *helps)] if key_of(first) in ELSEWHERE else helps
            raise Fault(error("NNS314", f"`train` has no setting `{first}`", section.head, helps=helps))


def check_used(section: Section) -> None:
    """Refuse settings from outside that were not looked at: parts of what has none."""
    for path in section.overrides:
        if path not in section.consumed:
            owner, _, last = path.rpartition(".")
            why = f"`train.{owner}` has no `{last}`, so that `train.{path}` cannot be set"
            raise Fault(error("NNS314", why, section.head))
