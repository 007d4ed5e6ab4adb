"""`nnspec runs`: a table of runs, to compare them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnspec.cli.options import format_option
from nnspec.cli.report import reported

if TYPE_CHECKING:
    from nnspec.training.runs import Summary

_WIDEST = 28


@click.command("runs")
@click.argument("folder", metavar="[DIR]", default="runs", type=click.Path())
@click.option("--sort", metavar="NAME", help="By a metric (val/loss), best first: by name, number or time otherwise.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@format_option("text", "json")
@reported
def command(folder: str, sort: str | None, reverse: bool, output_format: str) -> None:
    """Compare the runs in a folder: how they ended, their best epochs, and the settings in which they differ.

    \b
    nnspec runs
    nnspec runs --sort val/accuracy --reverse
    """
    from nnspec.training.runs import metric_names, runs_in, summarize

    summaries = [summarize(run) for run in runs_in(Path(folder))]
    if sort is not None:
        known = ("started", "seconds", "epochs", "name", *metric_names(summaries))
        if summaries and sort not in known:
            raise click.UsageError(f"no run has `{sort}`; there are {', '.join(known)}")
        summaries.sort(key=lambda each: _key(each, sort))
    if reverse:
        summaries.reverse()
    if output_format == "json":
        click.echo(json.dumps([each.json() for each in summaries]))
        return
    if not summaries:
        click.echo(f"there are no runs in `{folder}`")
        return
    for line in _table(summaries):
        click.echo(line)


def _key(run: Summary, name: str) -> tuple[bool, float | str]:
    """What lacks the number comes last."""
    if name in ("started", "name"):
        return False, run.path.name if name == "name" else run.started
    value = {"seconds": run.seconds, "epochs": run.epochs}.get(name, run.best.get(name))
    return value is None, 0.0 if value is None else value


def _table(summaries: Sequence[Summary]) -> list[str]:
    """Aligned columns: what differs between the runs stands last."""
    from nnspec.training.progress import number
    from nnspec.training.runs import differing, metric_names

    metrics, options = metric_names(summaries), differing(summaries)
    rows = [["run", "status", "epochs", "best", "time", *metrics, *options]]
    for each in summaries:
        epoch = each.best.get("epoch")
        values = [number(each.best[name]) if name in each.best else "-" for name in metrics]
        rows.append(
            [
                each.path.name,
                each.status,
                str(each.epochs),
                "-" if epoch is None else f"{epoch:.0f}",
                _time(each.seconds),
                *values,
                *(_short(each.options.get(name, "-")) for name in options),
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = {0, 1, *range(len(rows[0]) - len(options), len(rows[0]))}
    cells = [
        [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
    return ["  ".join(row).rstrip() for row in cells]


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 3] + "..."
