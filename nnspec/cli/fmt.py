"""`nnspec fmt`: specs in one style."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from nnspec.cli.report import Report, show
from nnspec.compiler_input import STDIN, Input, read_input
from nnspec.compiler_output import write_text
from nnspec.diagnostics import NnspecError, Sink, Sources, error
from nnspec.snippet import visible
from nnspec.syntax.format import format_text


@click.command("fmt")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--check", is_flag=True, help="Write nothing; the exit code is 1 when a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change, and exit as with --check.")
def command(paths: tuple[str, ...], check: bool, diff: bool) -> None:
    """Format specs, in place. There is one style and there are no options.

    PATH is a file, a folder (all .nns files below it, but for the records of runs), or `-`: standard input, formatted
    to standard output. Comments and line ends between steps are kept. A file with syntax errors is reported and left as
    it is.
    """
    reports: list[Report] = []
    changed = 0
    for path in _files(paths, reports):
        try:
            given = read_input(path)
            formatted = _format(given)
            if given.name == STDIN and not (check or diff):
                sys.stdout.write(formatted)
            elif formatted != given.text:
                changed += 1
                _handle(path, given, formatted, check=check, diff=diff)
        except NnspecError as fault:
            reports.append((fault.diagnostics, fault.sources))
    if reports:
        show(reports)
    if reports or (changed and (check or diff)):
        raise click.exceptions.Exit(1)


def _files(paths: tuple[str, ...], reports: list[Report]) -> Iterator[str]:
    """The files that are meant, those of a folder in order."""
    for path in paths:
        if path == "-" or not Path(path).is_dir():
            yield path
            continue
        below = (p for p in Path(path).rglob("*.nns") if p.is_file() and not _hidden(p.relative_to(path)))
        found = sorted(p for p in below if not (p.parent / "run.json").exists())  # what a run keeps stays as it was
        if not found:
            reports.append(([error("NNS601", f"there is no .nns file in `{path}`", None)], Sources()))
        yield from map(str, found)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _format(given: Input) -> str:
    """The text in nnspec's style; raises `NnspecError` for one that cannot be read."""
    sources, sink = Sources(), Sink()
    number = sources.add(given.name, given.text)
    formatted = format_text(given.text, sink, number)
    if sink.failed:
        raise NnspecError(sink.diagnostics, sources)
    return formatted


def _handle(path: str, given: Input, formatted: str, *, check: bool, diff: bool) -> None:
    """Write a file whose format changed, or say what would change."""
    if diff:
        before, after = given.text.splitlines(keepends=True), formatted.splitlines(keepends=True)
        click.echo("".join(difflib.unified_diff(before, after, path, f"{path} (formatted)")), nl=False)
    elif check:
        click.echo(f"{visible(path)}: not formatted")
    else:
        write_text(Path(path), formatted)
        click.echo(f"{visible(path)}: formatted")
