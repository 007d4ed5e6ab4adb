"""`nnspec check`: everything that is wrong with some specs, or nothing."""

from __future__ import annotations

import sys

import click

from nnspec.cli.options import extern_option, format_option
from nnspec.cli.report import FORMATS, Report, show
from nnspec.compiler import Checked
from nnspec.compiler_input import check_input, read_input
from nnspec.diagnostics import NnspecError
from nnspec.render import tally
from nnspec.snippet import visible


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("-q", "--quiet", is_flag=True, help="Say nothing about files without faults.")
@extern_option
@format_option(*FORMATS)
def command(files: tuple[str, ...], quiet: bool, allow_extern: bool, output_format: str) -> None:
    """Check specs: every name, argument, shape and element type, and what trains them.

    FILE may be `-` for standard input. Diagnostics go to standard error, as json or concise to standard output. The
    exit code is 1 when there are errors; warnings are none.
    """
    checked = [(file, _check(file, allow_extern)) for file in files]
    reports: list[Report] = [(each.diagnostics, each.sources) for _, each in checked]
    show(reports, output_format, sys.stderr if output_format == "text" else sys.stdout)
    if output_format == "text" and not quiet:
        sys.stderr.flush()
        for file, each in checked:
            if each.ok:
                click.echo(f"{visible(file)}: ok" + (f", {tally(each.diagnostics)}" if each.diagnostics else ""))
    if not all(each.ok for _, each in checked):
        raise click.exceptions.Exit(1)


def _check(file: str, allow_extern: bool) -> Checked:
    try:
        return check_input(read_input(file), allow_extern=allow_extern)
    except NnspecError as fault:
        return Checked(fault.diagnostics, fault.sources)
