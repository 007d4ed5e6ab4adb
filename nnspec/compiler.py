"""The pipeline, readable top to bottom: text -> tree -> IR. Backends take it from there."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnspec import ir
from nnspec.compiler_files import Files
from nnspec.diagnostics import Diagnostic, NnspecError, Sink, Sources, Span, error
from nnspec.elaborate import program as elaboration
from nnspec.elaborate.budgets import Elaborate, Measure, Measured, check_budgets
from nnspec.elaborate.files import Reader
from nnspec.elaborate.names import check_rest
from nnspec.elaborate.overrides import Written
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import BlockRecipe
from nnspec.elaborate.warn import warn
from nnspec.syntax.parse import parse


@dataclass(frozen=True)
class Compiled:
    """A program with what was said about it (warnings) and the texts that its spans point into."""

    program: ir.Program
    diagnostics: tuple[Diagnostic, ...]
    sources: Sources
    optimizer: ir.Record | None = None
    """That of the `train` section, where it was asked for."""


@dataclass(frozen=True)
class Checked:
    """Everything that was said about a spec."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Sources

    @property
    def ok(self) -> bool:
        """Whether there is no error (warnings are allowed)."""
        return not any(d.severity == "error" for d in self.diagnostics)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Trees and graphs only grow here: the collector would walk them again and again and find nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_no_collection()
def check(
    text: str,
    name: str = "<text>",
    *,
    base: Path | None = None,
    reader: Reader | None = None,
    allow_extern: bool = False,
) -> Checked:
    """Check a spec: every model with its defaults, the `train` section, everything that is written.

    `reader` reads what it imports; without one, that is done in the folder `base`.
    """
    sources, sink = Sources(), Sink()
    number = sources.add(name, text)
    files = reader or Files(base, name)
    session = elaboration.start(parse(text, sink, number), sources, sink, files, allow_extern=allow_extern)
    train = elaboration.train_section(session)
    known = elaboration.models(session)
    plain = train is not None or len(known) == 1 or not session.main.own_blocks
    several = elaboration.trains_several(train)
    chosen = elaboration.choose(session, None) if plain and not several else None
    elaborate = _elaborator(session)
    entries: list[ir.Entry] = []
    training, trained = None, False
    for block in dict.fromkeys((*known, *([] if chosen is None else [chosen]))):
        if block is not chosen and any(h.default is None for h in block.hyperparameters):
            continue
        recipe = elaboration.recipe_for(session, block, {}, train if block is chosen else None)
        entry = elaborate(recipe) if recipe is not None else None
        if entry is None or recipe is None:
            continue
        entries.append(entry)
        if block is chosen and train is not None:
            from nnspec.elaborate.train import elaborate_train

            trained = True
            found = elaborate_train(session, train, entry, recipe, base=base or Path(), overrides={})
            training = replace(found, entry=len(entries) - 1) if found is not None else None
    if several and train is not None:
        from nnspec.elaborate.train_several import elaborate_several

        made = elaborate_several(session, train, base=base or Path(), overrides={})
        if made is not None:
            training, entries = replace(made.training, entry=len(entries)), [*entries, made.entry]
    elif train is not None and not trained:
        from nnspec.elaborate.train import check_names

        check_names(session, train)
    check_budgets(session, elaborate, _measure(session))
    check_rest(session)
    if not sink.failed:
        warn(session, elaboration.finish(session, entries, training))
    return Checked(sink.diagnostics, sources)


def _elaborator(session: Session) -> Elaborate:
    """Elaborates models, each once."""
    known: dict[Any, ir.Entry | None] = {}

    def elaborate(recipe: BlockRecipe) -> ir.Entry | None:
        key = recipe.key()
        if key not in known:
            known[key] = elaboration.elaborate_model(session, recipe)
        return known[key]

    return elaborate


def _measure(session: Session) -> Measure:
    """What budgets ask: the numbers of the summary."""

    def measure(entry: ir.Entry, sizes: Mapping[str, int]) -> Measured:
        from nnspec.summary import summarize

        found = summarize(elaboration.finish(session, [entry]), entry, sizes)
        if found.weights.externs:
            raise ValueError(f"`{entry.name}` has layers written in Python: what they own and compute is not known")
        parts = ((row.name, row.count, row.parameters, row.macs) for row in found.rows if not row.depth)
        total = tuple((name, n * count, None if macs is None else n * macs) for name, n, count, macs in parts)
        return Measured(found.weights.parameters, found.macs, total)

    return measure


def check_text(text: str) -> tuple[Diagnostic, ...]:
    """The diagnostics of a spec."""
    return check(text).diagnostics


@_no_collection()
def compile_text(
    text: str,
    name: str = "<text>",
    *,
    model: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    train: bool = False,
    with_optimizer: bool = False,
    base: Path | None = None,
    reader: Reader | None = None,
    allow_extern: bool = False,
) -> Compiled:
    """Compile one model of a spec, with its `train` section if asked; raises `NnspecError` when it has errors.

    Overrides are hyperparameters by name; `train.NAME` are settings of the `train` section (as `Written` text).
    """
    sources, sink = Sources(), Sink()
    number = sources.add(name, text)
    files = reader or Files(base, name)
    session = elaboration.start(parse(text, sink, number), sources, sink, files, allow_extern=allow_extern)
    section = elaboration.train_section(session)
    several = train and elaboration.trains_several(section)
    block = None if several else elaboration.choose(session, model)
    entry, training, optimizer = None, None, None
    entries: list[ir.Entry] = []
    hyperparameters = {k: v for k, v in (overrides or {}).items() if not k.startswith("train.")}
    settings = {k[6:]: Written(v) for k, v in (overrides or {}).items() if k.startswith("train.")}
    if settings and section is None:
        sink.report(error("NNS314", "there is no `train` section to set anything in", Span(0, 0)))
    if block is not None:
        recipe = elaboration.recipe_for(session, block, hyperparameters, section)
        entry = elaboration.elaborate_model(session, recipe) if recipe is not None else None
        if train and section is not None and entry is not None and recipe is not None:
            from nnspec.elaborate.train import elaborate_train

            training = elaborate_train(
                session, section, entry, recipe, base=base or Path(), overrides=settings, to_run=True
            )
        elif train and section is not None and entry is None:
            from nnspec.elaborate.train import check_names

            check_names(session, section, settings)
        if with_optimizer and section is not None and entry is not None and recipe is not None:
            from nnspec.elaborate.train import chosen_optimizer

            optimizer = chosen_optimizer(session, section, entry, recipe)
    if several and section is not None:
        from nnspec.elaborate.train_several import elaborate_several

        if model is not None:
            helps = ("leave out `--model`",)
            sink.report(error("NNS616", "`train` trains several models, and all of them", section.head, helps=helps))
        made = elaborate_several(
            session, section, base=base or Path(), overrides=settings, hyperparameters=hyperparameters, to_run=True
        )
        if made is not None:
            training, entry, entries = made.training, made.entry, list(made.models)
    check_rest(session)
    if sink.failed or entry is None:
        raise NnspecError(sink.diagnostics or [error("NNS901", "nothing was compiled", Span(0, 0))], sources)
    program = elaboration.finish(session, [entry, *entries], training)
    warn(session, program)
    return Compiled(program, sink.diagnostics, sources, optimizer)
