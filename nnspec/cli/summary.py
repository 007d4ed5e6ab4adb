"""`nnspec summary`: the layers of a model with shapes, parameters and cost."""

from __future__ import annotations

import shutil
import sys

import click

from nnspec.cli.options import Sizes, extern_option, file_argument, format_option, merged, model_options
from nnspec.cli.report import reported, warn
from nnspec.compiler_input import compile_input, read_input
from nnspec.diagnostics import NnspecError, error
from nnspec.summary import SizeError, summarize
from nnspec.summary_text import as_json, as_text


@click.command("summary")
@file_argument
@model_options
@click.option(
    "--size", "sizes", metavar="N=1,T=128", multiple=True, type=Sizes(), help="Numbers for symbols; repeatable."
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
    depth: int | None,
    allow_extern: bool,
    output_format: str,
) -> None:
    """Show a model layer by layer: types and shapes, parameters, multiply-adds.

    Sizes that the spec leaves open stay symbols, unless --size gives them. Repeated layers share a row, whose numbers
    are those of one copy. FILE is a spec or an IR; - is standard input.
    """
    compiled = compile_input(read_input(file), model=model, written=dict(settings), allow_extern=allow_extern)
    warn(compiled, output_format)
    try:
        summary = summarize(compiled.program, sizes=merged(sizes))
    except SizeError as fault:
        raise NnspecError([error("NNS419", str(fault), None)]) from None
    if output_format == "json":
        click.echo(as_json(summary))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    click.echo(as_text(summary, depth=depth, width=width))
