"""What a command says besides its result: diagnostics and notes, on standard error, coloured on a terminal only."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TextIO

import click

from nnspec.cli.processes import FAULTS, is_main, left
from nnspec.compiler import Compiled
from nnspec.diagnostics import Diagnostic, NnspecError, Sources
from nnspec.render import as_json, concise, render, tally

FORMATS = ("text", "json", "concise")

Report = tuple[Iterable[Diagnostic], Sources]


def use_color(stream: TextIO) -> bool:
    """Whether to colour what goes there: a terminal, unless `NO_COLOR` is set or it is a dumb one."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def show(reports: Iterable[Report], form: str = "text", stream: TextIO | None = None) -> None:
    """Print what was said about some inputs, and how many errors and warnings there were."""
    if stream is None and "RANK" in os.environ:
        text = io.StringIO()
        show(reports, form, text)
        if not left(text.getvalue()):
            print(text.getvalue(), end="", file=sys.stderr)
        return
    stream = stream or sys.stderr
    pairs = [(diagnostic, sources) for diagnostics, sources in reports for diagnostic in diagnostics]
    if form == "json":
        print(_joined(pairs), file=stream)
    elif form == "concise":
        for diagnostic, sources in pairs:
            print(concise(diagnostic, sources), file=stream)
    elif pairs:
        color = use_color(stream)
        for diagnostic, sources in pairs:
            print(render(diagnostic, sources, color), end="\n\n", file=stream)
        print(tally(diagnostic for diagnostic, _ in pairs), file=stream)


def _joined(pairs: list[tuple[Diagnostic, Sources]]) -> str:
    """One JSON object for diagnostics of several inputs."""
    objects = [json.loads(as_json([diagnostic], sources)) for diagnostic, sources in pairs]
    whole = json.loads(as_json([], Sources()))
    whole["diagnostics"] = [entry for each in objects for entry in each["diagnostics"]]
    return json.dumps(whole)


def warn(compiled: Compiled, form: str) -> None:
    """Print the warnings about what was compiled, if there are any."""
    if compiled.diagnostics and is_main() and FAULTS not in os.environ:  # else who launched the processes has said it
        show([(compiled.diagnostics, compiled.sources)], form, sys.stderr)


def note(text: str) -> None:
    """Print a remark that is neither result nor diagnostic."""
    print(text, file=sys.stderr)


def reported(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose faults in the input are shown in the format that was asked for, with exit code 1."""

    @wraps(function)
    def run(**options: Any) -> None:
        try:
            function(**options)
        except NnspecError as fault:
            show([(fault.diagnostics, fault.sources)], options.get("output_format") or "text")
            raise click.exceptions.Exit(1) from None

    return run
