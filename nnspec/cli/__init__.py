"""The command line: thin shells around the pipeline. A command's file is imported when it is called."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from nnspec.version import __version__

COMMANDS = ("check", "compile", "run", "predict", "evaluate", "runs", "summary", "fmt", "explain")

_INTERRUPTED = 130
_TRACEBACK = "NNSPEC_TRACEBACK"


class _Commands(click.Group):
    """The commands by name, each in the module of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"nnspec.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"there is no command `{name}`{_meant(name)}")
        return super().resolve_command(ctx, args)


def _meant(name: str) -> str:
    from nnspec.suggest import suggest

    if name == "-" or name.endswith((".nns", ".json")):
        return f"; did you mean `nnspec check {name}`?"
    near = suggest(name, COMMANDS)
    return f"; did you mean `{near}`?" if near else f"; there are {', '.join(COMMANDS)}"


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="nnspec %(version)s")
def nnspec() -> None:
    """Check, compile, train and inspect neural networks that are described in .nns files.

    Exit codes: 0 all is well, 1 the input has errors, 2 wrong usage or a fault of nnspec itself.

    Completion: put `eval "$(_NNSPEC_COMPLETE=bash_source nnspec)"` into ~/.bashrc; there are zsh_source and fish_source
    as well.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a terminal or pipe cannot encode is escaped: a name in a spec must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code of a command line."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        code = nnspec.main(args=given, prog_name="nnspec", standalone_mode=False, obj=given)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as fault:
        fault.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as fault:
        if os.environ.get(_TRACEBACK):
            raise
        _report_internal(fault)
        return 2


def _report_internal(fault: Exception) -> None:
    """Say that nnspec itself failed, where, and what helps to find out why."""
    from nnspec.cli.report import show
    from nnspec.diagnostics import Sources, error

    helps = (
        "please report it with the spec and the command: it is no fault of yours",
        f"{_TRACEBACK}=1 shows how it came about",
    )
    message = f"nnspec failed: {_first_line(fault)}"
    show([([error("NNS901", message, None, notes=(f"in {_place(fault)}",), helps=helps)], Sources())])


def _first_line(fault: Exception) -> str:
    text = str(fault).strip().split("\n", 1)[0]
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__


def _place(fault: Exception) -> str:
    """The innermost place in nnspec's own code."""
    trace: Any = fault.__traceback__
    place = "an unknown place"
    while trace is not None:
        code = trace.tb_frame.f_code
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.split(".")[0] == "nnspec":
            place = f"{module}.{code.co_name}, line {trace.tb_lineno}, nnspec {__version__}"
        trace = trace.tb_next
    return place
