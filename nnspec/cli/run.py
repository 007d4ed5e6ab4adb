"""`nnspec run`: trains what has a `train` section; feeds anything else a random batch."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.options import Sizes, device_option, extern_option, file_argument, format_option, merged, model_options
from nnspec.cli.processes import FAULTS, without_own, work
from nnspec.cli.report import reported, warn
from nnspec.compiler import Compiled
from nnspec.compiler_input import Input, compile_input, read_input
from nnspec.compiler_run import launch, logger_listeners, train, try_out
from nnspec.elaborate.overrides import setting_called
from nnspec.synonyms import SYNONYMS, key_of

if TYPE_CHECKING:
    from nnspec.training.listener import Listener
    from nnspec.training.trial import Seen, Trial

_INTERRUPTED = 130


def _complete_logger(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from nnspec.training.loggers import names

    return [name for name in names() if name.startswith(incomplete)]


class _Run(click.Command):
    """The command; options that are settings of the section here say how they are set."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as fault:
            meant = _setting_of(fault.option_name)
            if meant is None:
                raise
            message = f"there is no option {fault.option_name}: it is a setting of `train`"
            raise click.UsageError(f"{message}, `--set {meant}={_value_of(fault.option_name, given)}`", ctx) from None


def _setting_of(option: str) -> str | None:
    """The setting that an option of another trainer means: `train.epochs` for `--max-epochs`."""
    name = option.lstrip("-").replace("-", "_")
    found = map(setting_called, (name, *SYNONYMS.get(key_of(name), ())))
    return next((path for path in found if path is not None), None)


def _value_of(option: str, arguments: Sequence[str]) -> str:
    """What an option is set to, where that is a word or a number."""
    for argument, behind in zip(arguments, (*arguments[1:], ""), strict=True):
        name, equals, value = argument.partition("=")
        if name == option:
            value = value if equals else behind
            return value if re.fullmatch(r"\w[\w.+-]*", value) and not value.endswith(".nns") else "..."
    return "..."


@click.command("run", cls=_Run)
@file_argument
@model_options
@device_option
@click.option("--out", metavar="DIR", default="runs", show_default=True, type=click.Path(), help="Where runs are kept.")
@click.option("--name", metavar="NAME", help="Name of the run's directory, before its number.  [default: the model's]")
@click.option(
    "--resume",
    metavar="WHICH",
    is_flag=False,
    flag_value="auto",
    help="Go on with a run: auto (the newest that is not finished, else a new one), last, best, or a path.",
)
@click.option("--accept-changes", is_flag=True, help="Go on with a run of another spec, as the spec is now.")
@click.option("--size", "sizes", metavar="N=1,T=128", multiple=True, type=Sizes(), help="Sizes of the random batch.")
@click.option(
    "--log",
    "loggers",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_logger,
    help="Log to tensorboard, wandb or mlflow as well; repeatable.",
)
@click.option("--nproc", metavar="K", type=click.IntRange(1, 1024), default=1, help="Train in K processes together.")
@click.option("--nnodes", metavar="K", type=click.IntRange(1, 1024), default=1, help="... on each of K machines.")
@click.option("--rdzv", metavar="HOST:PORT", help="Where the machines meet: the first of them, and a free port.")
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
    many = options["nproc"] * options["nnodes"] > 1
    if many and file == "-":
        raise click.UsageError("several processes cannot read one standard input: give the path of a file")
    given = read_input(file)
    written = dict(options["settings"])
    compiled = compile_input(
        given, model=options["model"], written=written, train=True, allow_extern=options["allow_extern"]
    )
    warn(compiled, output_format)
    if compiled.program.training is None:
        if many:
            raise click.UsageError("--nproc and --nnodes are for a spec with a train section")
        trial = try_out(compiled, device=options["device"], sizes=merged(options["sizes"]))
        click.echo(json.dumps(trial.json()) if output_format == "json" else _table(trial))
        return
    if many:
        launched(options)
        return
    if options["sizes"]:
        raise click.UsageError("--size is for a spec without a train section: the data decides the sizes")
    _train(compiled, given, written, output_format, options)


def launched(options: Mapping[str, Any]) -> None:
    """The same command in several processes."""
    if options["nnodes"] > 1 and options["rdzv"] is None:
        raise click.UsageError("--nnodes needs --rdzv HOST:PORT, where the machines meet")
    arguments = without_own(click.get_current_context().obj or [])
    code, report = launch(
        work, arguments, FAULTS, processes=options["nproc"], nodes=options["nnodes"], rendezvous=options["rdzv"]
    )
    click.echo(report, nl=False, err=True)
    if code:
        raise click.exceptions.Exit(code)


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
        listener=_listeners(options["loggers"], quiet=options["quiet"], silent_end=output_format == "json"),
        resume=options["resume"],
        accept_changes=options["accept_changes"],
    )
    if output_format == "json":
        click.echo(json.dumps(result.json() | {"directory": str(result.directory)}))
    if result.status == "interrupted":
        raise click.exceptions.Exit(_INTERRUPTED)


def _listeners(loggers: Sequence[str], *, quiet: bool, silent_end: bool) -> Listener:
    """Loggers, progress on standard error, and (unless the command says it itself) how it ended on standard output."""
    from nnspec.training.listener import Listeners
    from nnspec.training.watching.bar import progress_on
    from nnspec.training.watching.progress import Ending

    ending = [] if silent_end else [Ending(sys.stdout)]
    return Listeners([*logger_listeners(loggers), progress_on(sys.stderr, quiet=quiet), *ending])


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
