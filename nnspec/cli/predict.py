"""`nnspec predict`: what a trained model says about new samples."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nnspec.cli.options import checkpoint_option, device_option, extern_option, format_option, run_argument
from nnspec.cli.report import note, reported
from nnspec.compiler_output import write_bytes, write_text
from nnspec.compiler_trained import explained, open_run
from nnspec.diagnostics import Sources


@click.command("predict")
@run_argument
@click.option(
    "-i",
    "--input",
    "source",
    metavar="PATH",
    required=True,
    type=click.Path(),
    help="A table (.csv, .tsv, .parquet), arrays (.npy, .npz), a picture or a folder of them.",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="Where to: .csv, .tsv, .npz or .npy.  [default: CSV on standard output]",
)
@checkpoint_option
@device_option
@click.option(
    "--batch-size", metavar="N", type=click.IntRange(1), default=256, show_default=True, help="Samples at a time."
)
@extern_option
@format_option("text", "json", result=False)
@reported
def command(
    run: str,
    source: str,
    output: str | None,
    checkpoint: str | None,
    device: str,
    batch_size: int,
    allow_extern: bool,
    output_format: str,
) -> None:
    """Predict for new samples with what a run trained.

    They are read as the run read its own: the same columns, the same classes, and its transforms with the numbers that
    it measured.

    \b
    nnspec predict runs/Net-1 --input new.csv -o answers.csv
    nnspec predict Net-1 --input digits.npy -o answers.npz --checkpoint last
    """
    suffix = Path(output).suffix.lower() if output not in (None, "-") else ".csv"
    if suffix not in (".csv", ".tsv", ".npz", ".npy"):
        raise click.UsageError(f"`{output}` ends with none of .csv, .tsv, .npz, .npy")
    trained = open_run(run, checkpoint=checkpoint, allow_extern=allow_extern)
    predictor = trained.predictor(device)
    with explained(Sources()):
        samples = predictor.read(source)
        for remark in samples.notes:
            note(f"note: {remark}")
        outputs = predictor.predict(samples.fields, batch_size)
        if suffix in (".npz", ".npy"):
            from nnspec.training.predict import array_file

            write_bytes(Path(str(output)), array_file(outputs, predictor.meanings, single=suffix == ".npy"))
        else:
            from nnspec.training.predict import as_table

            text = as_table(outputs, predictor.meanings, samples.names, "\t" if suffix == ".tsv" else ",")
            if output in (None, "-"):
                sys.stdout.write(text)
                return
            write_text(Path(str(output)), text)
    note(f"wrote {output}: {len(samples):,} samples")
