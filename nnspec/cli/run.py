"""`nnspec run`: trains what has a `train` section; feeds anything else a random batch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from nnspec.cli.options import Sizes, extern_option, file_argument, format_option, merged, model_options
from nnspec.cli.report import reported, warn
from nnspec.compiler import Compiled
from nnspec.compiler_input import Input, compile_input, read_input
from nnspec.compiler_run import train, try_out

if TYPE_CHECKING:
    from nnspec.training.progress import Outline, Progress, Row
    from nnspec.training.trial import Seen, Trial

_INTERRUPTED = 130
_DEVICES = ("cpu", "cuda", "cuda:0", "cuda:1", "mps", "auto")


def _complete_device(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in _DEVICES if name.startswith(incomplete)]


@click.command("run")
@file_argument
@model_options
@click.option(
    "--device",
    metavar="NAME",
    default="cpu",
    show_default=True,
    shell_complete=_complete_device,
    help="cpu, cuda, cuda:1, mps, or auto for the best that is there.",
)
@click.option("--out", metavar="DIR", default="runs", show_default=True, type=click.Path(), help="Where runs are kept.")
@click.option("--name", metavar="NAME", help="Name of the run's directory, before its number.  [default: the model's]")
@click.option("--size", "sizes", metavar="N=1,T=128", multiple=True, type=Sizes(), help="Sizes of the random batch.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only how it ended.")
@extern_option
@format_option("text", "json")
@reported
def command(file: str, output_format: str, **options: Any) -> None:
    """Train a spec as its train section says; without one, feed the model a random batch and show what comes out.

    \b
    nnspec run digits.nns --device auto
    nnspec run digits.nns --set hidden=256 --set train.epochs=3 --set train.optimizer.lr=0.01
    """
    given = read_input(file)
    written = dict(options["settings"])
    compiled = compile_input(
        given, model=options["model"], written=written, train=True, allow_extern=options["allow_extern"]
    )
    warn(compiled, output_format)
    if compiled.program.training is None:
        trial = try_out(compiled, device=options["device"], sizes=merged(options["sizes"]))
        click.echo(json.dumps(trial.json()) if output_format == "json" else _table(trial))
        return
    if options["sizes"]:
        raise click.UsageError("--size is for a spec without a train section: the data decides the sizes")
    _train(compiled, given, written, output_format, options)


def _train(
    compiled: Compiled, given: Input, written: Mapping[str, str], output_format: str, options: Mapping[str, Any]
) -> None:
    _, result = train(
        compiled,
        base=given.base,
        device=options["device"],
        root=Path(options["out"]),
        name=options["name"] or "",
        overrides=written,
        progress=_progress(quiet=options["quiet"], silent_end=output_format == "json"),
    )
    if output_format == "json":
        click.echo(json.dumps(result.json() | {"directory": str(result.directory)}))
    if result.status == "interrupted":
        raise click.exceptions.Exit(_INTERRUPTED)


def _progress(*, quiet: bool, silent_end: bool) -> Progress:
    """Progress on standard error, and how it ended on standard output (in JSON it is the command that says so)."""
    from nnspec.training.bar import progress_on
    from nnspec.training.progress import Progress, table

    class Shown(Progress):
        """Passes everything on but the end."""

        def __init__(self) -> None:
            self.inner = progress_on(sys.stderr, quiet=quiet)

        def start(self, outline: Outline) -> None:
            self.inner.start(outline)

        def step(self, epoch: int, step: int, loss: float, samples_per_second: float) -> None:
            self.inner.step(epoch, step, loss, samples_per_second)

        def epoch(self, row: Row) -> None:
            self.inner.epoch(row)

        def finish(self, rows: Mapping[str, Row], remark: str) -> None:
            self.inner.close()
            for line in () if silent_end else (*table(rows), remark):
                click.echo(line)

        def close(self) -> None:
            self.inner.close()

    return Shown()


def _table(trial: Trial) -> str:
    rows = [(side, seen.name, seen.type, _range(seen)) for side, seen in _sides(trial)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows
    )


def _sides(trial: Trial) -> list[tuple[str, Seen]]:
    return [("input", seen) for seen in trial.inputs] + [("output", seen) for seen in trial.outputs]


def _range(seen: Seen) -> str:
    if seen.low is None or seen.high is None:
        return "not finite"
    return f"from {seen.low:.4g} to {seen.high:.4g}"
