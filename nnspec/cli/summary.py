"""`nnspec summary`: the layers of a model with shapes, parameters and cost."""

from __future__ import annotations

import shutil
import sys

import click

from nnspec import ir, registry
from nnspec.cli.options import Bytes, Sizes, extern_option, file_argument, format_option, merged, model_options
from nnspec.cli.report import reported, warn
from nnspec.compiler_input import compile_input, read_input
from nnspec.diagnostics import NnspecError, error
from nnspec.suggest import suggest
from nnspec.summary import SizeError, summarize
from nnspec.summary_memory import optimizer_named, report_memory
from nnspec.summary_text import as_json, as_text


@click.command("summary")
@file_argument
@model_options
@click.option(
    "--size", "sizes", metavar="N=1,T=128", multiple=True, type=Sizes(), help="Numbers for symbols; repeatable."
)
@click.option(
    "--memory", "limit", metavar="8GB", type=Bytes(), help="Say whether it fits, and the largest batch that does."
)
@click.option(
    "--optimizer", metavar="NAME", help="What memory is worked out for in training, if not as the train section says."
)
@click.option("--depth", type=click.IntRange(min=1), help="Leave out what lies deeper than this.")
@extern_option
@format_option("text", "json")
@reported
def command(
    file: str,
    model: str | None,
    settings: tuple[tuple[str, str], ...],
    sizes: tuple[dict[str, int], ...],
    limit: int | None,
    optimizer: str | None,
    depth: int | None,
    allow_extern: bool,
    output_format: str,
) -> None:
    """Show a model layer by layer: types and shapes, parameters, multiply-adds.

    Sizes that the spec leaves open stay symbols, unless --size gives them; with all of them, it also shows what memory
    inference and training take. Training is with the optimizer of the train section, or AdamW. Repeated layers share a
    row, whose numbers are those of one copy. FILE is a spec or an IR; - is standard input.
    """
    compiled = compile_input(
        read_input(file), model=model, written=dict(settings), with_optimizer=True, allow_extern=allow_extern
    )
    warn(compiled, output_format)
    chosen = optimizer_named(compiled.optimizer if optimizer is None else _record(optimizer))
    try:
        summary = summarize(compiled.program, sizes=merged(sizes))
        memory = report_memory(compiled.program, summary, merged(sizes), chosen, limit)
    except SizeError as fault:
        raise NnspecError([error("NNS419", str(fault), None)]) from None
    if output_format == "json":
        click.echo(as_json(summary, memory))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(as_text(summary, depth=depth, width=width, memory=memory))


def _record(name: str) -> ir.Record:
    """An optimizer with its defaults."""
    names = sorted(registry.index("optimizer"))
    if name not in names:
        close = suggest(name, names)
        helps = (f"did you mean `{close}`?" if close else f"there are {', '.join(names)}",)
        raise NnspecError([error("NNS201", f"unknown optimizer `{name}`", None, helps=helps)])
    return ir.Record(name, {})
