"""`nnspec predict`: what a trained model says about new samples."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nnspec.cli.options import checkpoint_option, device_option, extern_option, format_option, run_argument
from nnspec.cli.report import note, reported
from nnspec.compiler_output import write_bytes, write_text
from nnspec.compiler_trained import explained, open_run
from nnspec.diagnostics import Sources

if TYPE_CHECKING:
    from nnspec.training.using.predict import Predictor


@click.command("predict")
@run_argument
@click.option(
    "-i",
    "--input",
    "source",
    metavar="PATH",
    type=click.Path(),
    help="A table (.csv, .tsv, .parquet), arrays (.npy, .npz), a picture, a sound (.wav), or a folder of them.",
)
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="Where to: .csv, .tsv, .npz or .npy.  [default: CSV on standard output]",
)
@click.option("--prompt", metavar="TEXT", help="A text to write on, for a model of characters or other tokens.")
@click.option(
    "--length", metavar="N", type=click.IntRange(1), default=200, show_default=True, help="--prompt: tokens to write."
)
@click.option(
    "--temperature",
    metavar="T",
    type=click.FloatRange(0, 100),
    default=1.0,
    show_default=True,
    help="--prompt: below 1 the likelier ones more often; 0: always the likeliest.",
)
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**63 - 1), help="--prompt: draws the same text again.")
@click.option("--model", metavar="NAME", help="Of several models that were trained: one by itself, for its inputs.")
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
    source: str | None,
    output: str | None,
    prompt: str | None,
    length: int,
    temperature: float,
    seed: int | None,
    model: str | None,
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
    nnspec predict Shakespeare-1 --prompt "ROMEO:" --length 500
    nnspec predict G_D-1 --model G --input noise.npy -o drawn.npy
    """
    if (source is None) == (prompt is None):
        raise click.UsageError("say what to predict for: --input PATH, or --prompt TEXT")
    suffix = Path(output).suffix.lower() if output not in (None, "-") and prompt is None else ".csv"
    if suffix not in (".csv", ".tsv", ".npz", ".npy"):
        raise click.UsageError(f"`{output}` ends with none of .csv, .tsv, .npz, .npy")
    trained = open_run(run, checkpoint=checkpoint, allow_extern=allow_extern)
    predictor = trained.predictor(device, model)
    if prompt is not None:
        _write_on(predictor, prompt, output, length=length, temperature=temperature, seed=seed)
        return
    with explained(Sources()):
        samples = predictor.read(str(source))
        for remark in samples.notes:
            note(f"note: {remark}")
        outputs = predictor.predict(samples.fields, batch_size)
        if suffix in (".npz", ".npy"):
            from nnspec.training.using.predict import array_file

            write_bytes(Path(str(output)), array_file(outputs, predictor.meanings, single=suffix == ".npy"))
        else:
            from nnspec.training.using.predict import as_table

            read = output in (None, "-") and sys.stdout.isatty()  # by somebody, and not by a program
            tab = "\t" if suffix == ".tsv" else ","
            text = as_table(outputs, predictor.meanings, samples.names, tab, digits=6 if read else 9)
            if output in (None, "-"):
                sys.stdout.write(text)
                return
            write_text(Path(str(output)), text)
    note(f"wrote {output}: {len(samples):,} samples")


def _write_on(
    predictor: Predictor, prompt: str, output: str | None, *, length: int, temperature: float, seed: int | None
) -> None:
    """The prompt and what follows it: as it comes on standard output, or into a file."""
    from nnspec.training.using.generate import write_on

    with explained(Sources()):
        pieces = write_on(predictor, prompt, length, temperature=temperature, seed=seed)
        if output not in (None, "-"):
            write_text(Path(str(output)), prompt + "".join(pieces) + "\n")
            note(f"wrote {output}")
            return
        for number, piece in enumerate(pieces):
            sys.stdout.write(piece if number else prompt + piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
