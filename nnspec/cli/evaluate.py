"""`nnspec evaluate`: the losses and metrics of a trained model, on its own data or on other data."""

from __future__ import annotations

import json

import click

from nnspec.cli.options import checkpoint_option, device_option, extern_option, format_option, run_argument
from nnspec.cli.report import note, reported
from nnspec.compiler_trained import open_run


@click.command("evaluate")
@run_argument
@click.option(
    "--data",
    metavar="DATA",
    help="""Other data: a file like that of the run, or a data set as in a spec: 'CSV("test.csv", target="y")'.""",
)
@click.option(
    "--part",
    type=click.Choice(["validation", "train", "all"]),
    help="Which part of the run's own data.  [default: validation]",
)
@checkpoint_option
@device_option
@extern_option
@format_option("text", "json")
@reported
def command(
    run: str,
    data: str | None,
    part: str | None,
    checkpoint: str | None,
    device: str,
    allow_extern: bool,
    output_format: str,
) -> None:
    """Work out the loss and the metrics of what a run trained.

    Its own data is split as it was; other data is read with its classes, and goes through its transforms.

    \b
    nnspec evaluate runs/Net-1
    nnspec evaluate runs/Net-1 --data test.csv
    """
    if data is not None and part is not None:
        raise click.UsageError("--part is for the run's own data, and --data names other data")
    found = open_run(run, checkpoint=checkpoint, allow_extern=allow_extern).evaluate(part or "validation", data, device)
    for remark in found.notes:
        note(f"note: {remark}")
    if output_format == "json":
        click.echo(json.dumps(found.json()))
        return
    width = max(len(name) for name in (*found.values, "samples"))
    click.echo(f"{'samples':{width}}  {found.samples:,}")
    for name, value in found.values.items():
        click.echo(f"{name:{width}}  {value:.6g}")
