"""Leaves what inference computes: training's methods, the `train` section and how parameters start are gone."""

from __future__ import annotations

from dataclasses import replace

from nnspec import ir
from nnspec.passes.rewriting import Rewritten, compacted


def run(program: ir.Program) -> Rewritten:
    """The program for inference only; its weights come from elsewhere, so that it need not say how they start."""
    entries = tuple(_entry(entry) for entry in program.entries)
    modules = tuple(replace(module, settings=()) for module in program.modules)
    return Rewritten(compacted(replace(program, modules=modules, entries=entries, training=None)))


def _entry(entry: ir.Entry) -> ir.Entry:
    forms = tuple(replace(form, methods={"infer": form.methods["infer"]}) for form in entry.forms)
    methods = {"infer": entry.methods["infer"]}
    return replace(entry, methods=methods, forms=forms, serving=entry.serving or ())
