"""`nnspec runs`: a table of runs, to compare them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnspec.cli.options import format_option
from nnspec.cli.report import note, reported

if TYPE_CHECKING:
    from nnspec.training.runs.comparison import Summary

_WIDEST = 28


@click.command("runs")
@click.argument("folder", metavar="[DIR]", default="runs", type=click.Path())
@click.option(
    "--sort", metavar="NAME", help="By a loss or a metric (val/loss), best first, or by name, started, seconds, epochs."
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@format_option("text", "json")
@reported
def command(folder: str, sort: str | None, reverse: bool, output_format: str) -> None:
    """Compare the runs in a folder: how they ended, their best epochs, and the settings in which they differ.

    \b
    nnspec runs
    nnspec runs --sort val/accuracy
    """
    from nnspec.training.runs.comparison import metric_names, summarize
    from nnspec.training.runs.listing import runs_in

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
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    columns, omitted = _fitting(_columns(summaries, sort), width)
    for line in _lines(columns):
        click.echo(line)
    if omitted:
        note(f"note: left out: {', '.join(omitted)} (`--output-format json` has everything)")


def _key(run: Summary, name: str) -> tuple[float, str]:
    if name in ("started", "name"):
        return 0.0, run.path.name if name == "name" else run.started
    value = {"seconds": run.seconds, "epochs": float(run.epochs)}.get(name)
    return (run.rank(name) if value is None else value), ""


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    title: str
    cells: tuple[str, ...]
    left: bool = False
    """Whether it is aligned to the left."""
    spare: int = 0
    """Where the terminal is narrow, the columns with the least numbers have their place first; those with 0 always."""

    @property
    def width(self) -> int:
        return max(map(len, (self.title, *self.cells)))


def _columns(summaries: Sequence[Summary], sort: str | None) -> list[_Column]:
    """All columns: what differs between the runs stands last."""
    from nnspec.training.runs.comparison import MOST_OPTIONS, metric_names, telling
    from nnspec.training.watching.progress import number

    epochs = [each.best.get("epoch") for each in summaries]
    found = [_Column("run", tuple(each.path.name for each in summaries), left=True)]
    if len({each.model for each in summaries}) > 1:
        found.append(_Column("model", tuple(_short(each.model or "-") for each in summaries), left=True, spare=8))
    found += [
        _Column("status", tuple(_short(each.status) for each in summaries), left=True),
        _Column("epochs", tuple(str(each.epochs) for each in summaries), spare=4),
        _Column("best", tuple("-" if epoch is None else f"{epoch:.0f}" for epoch in epochs), spare=6),
        _Column("time", tuple(_time(each.seconds) for each in summaries), spare=7),
    ]
    metrics, options = metric_names(summaries), telling(summaries)
    for name in metrics:
        cells = tuple(number(each.best[name]) if name in each.best else "-" for each in summaries)
        found.append(_Column(name, cells, spare=0 if name == sort else _spare_metric(name, metrics, "-" in cells)))
    for place, name in enumerate(options[:MOST_OPTIONS]):
        cells = tuple(_short(each.options.get(name, "-")) for each in summaries)
        found.append(_Column(name, cells, left=True, spare=10 + place if place else 3))
    found += [_Column(name, (), spare=_NEVER) for name in options[MOST_OPTIONS:]]
    return found


def _spare_metric(name: str, metrics: Sequence[str], lacking: bool) -> int:
    """What was measured on other samples says more, and what all runs have."""
    return (9 if f"val/{name}" in metrics else 1) + (4 if lacking and name.startswith("val/") else 0)


_NEVER = 1_000


def _fitting(columns: list[_Column], width: int | None) -> tuple[list[_Column], list[str]]:
    """The columns that a terminal has room for, and the titles of the others; None is any width."""
    kept = [each for each in columns if not each.spare]
    room = inf if width is None else width + 2 - sum(each.width + 2 for each in kept)
    for each in sorted(columns, key=lambda each: each.spare):
        if each.spare and each.spare != _NEVER and each.width + 2 <= room:
            kept.append(each)
            room -= each.width + 2
    return [each for each in columns if each in kept], [each.title for each in columns if each not in kept]


def _lines(columns: Sequence[_Column]) -> list[str]:
    """The table, aligned."""
    padded = []
    for each in columns:
        cells = (each.title, *each.cells)
        padded.append([cell.ljust(each.width) if each.left else cell.rjust(each.width) for cell in cells])
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _short(text: str) -> str:
    """A cell; the file of a run may come from anybody, and is not to steer the terminal."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return line if len(line) <= _WIDEST else line[: _WIDEST - 3] + "..."
