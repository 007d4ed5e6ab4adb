"""Arguments and options that several commands share, with their completion."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])

_SETTING = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)=(.*)", re.DOTALL)
_UNITS = {
    unit: base**power
    for letters, base in (("b kb mb gb tb", 1000), ("b kib mib gib tib", 1024))
    for power, unit in enumerate(letters.split())
}
_BYTES = re.compile(rf"([0-9]{{1,15}}(?:\.[0-9]{{1,15}})?) ?({'|'.join(_UNITS)})", re.IGNORECASE)
_SIZE = re.compile(r"([A-Za-z_]\w*)=([0-9][0-9_]{0,40})")


class Setting(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """`NAME=VALUE`, the value in the language's own notation."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the text of the value."""
        match = _SETTING.fullmatch(value)
        if match is None or not match[2].strip():
            self.fail(f"`{value}` is not NAME=VALUE, such as `hidden=256` or `train.optimizer.lr=0.1`", param, ctx)
        return match[1], match[2]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Hyperparameters of the models in the file, and settings of its `train` section."""
        names = [] if "=" in incomplete else [f"{name}=" for name in _declared(ctx).settings]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Sizes(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """`N=1,T=128`: numbers for symbols."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, int]:
        """The sizes by symbol."""
        sizes = {}
        for part in value.split(","):
            match = _SIZE.fullmatch(part.strip())
            if match is not None and int(match[2]) < 1:
                self.fail(f"`{part}`: a size is at least 1", param, ctx)
            if match is None:
                self.fail(f"`{part}` is not a symbol and its size, such as `N=1`", param, ctx)
            sizes[match[1]] = int(match[2])
        return sizes


class Passes(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """`remove-identities,fold-batch-norm`: passes by name."""

    name = "passes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The names."""
        from nnspec.compiler_optimize import PASSES

        names = tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else tuple(value)
        for name in names:
            if name not in PASSES:
                self.fail(f"no pass is called `{name}`; there are {', '.join(PASSES)}", param, ctx)
        return names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The passes that are not named yet."""
        from nnspec.compiler_optimize import PASSES

        before, comma, start = incomplete.rpartition(",")
        names = [name for name in PASSES if name.startswith(start) and name not in before.split(",")]
        return [CompletionItem(before + comma + name) for name in names]


class Bytes(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """`8GB`: an amount of memory."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        match = _BYTES.fullmatch(value.strip())
        if match is None or not int(amount := Fraction(match[1]) * _UNITS[match[2].lower()]):
            self.fail(f"`{value}` is no amount of memory, such as `8GB`, `16GiB` or `500MB`", param, ctx)
        return int(amount)


def merged(sizes: tuple[dict[str, int], ...]) -> dict[str, int]:
    """Several `--size` options as one; the last wins."""
    return {name: size for each in sizes for name, size in each.items()}


class _Declared:
    """The names that a file declares, for completion."""

    def __init__(self, file: str | None) -> None:
        self.models: list[str] = []
        self.settings: list[str] = []
        if file in (None, "-"):
            return
        from nnspec.compiler_input import read_input
        from nnspec.diagnostics import NnspecError, Sink
        from nnspec.syntax import ast
        from nnspec.syntax.parse import parse

        try:
            tree = parse(read_input(str(file)).text, Sink())
        except NnspecError:
            return
        for declaration in tree.declarations:
            if isinstance(declaration, ast.Block) and declaration.kind == "model":
                self.models.append(declaration.name.id)
                self.settings += [h.name.id for h in declaration.hyperparameters]
            elif isinstance(declaration, ast.Train):
                assigned = [s.target for s in declaration.body.statements if isinstance(s, ast.Assign)]
                self.settings += [f"train.{target.id}" for target in assigned if isinstance(target, ast.Name)]


def _declared(ctx: click.Context) -> _Declared:
    # While an option lacks its value, click leaves the arguments before it unsorted.
    return _Declared(ctx.params.get("file") or next(iter(ctx.args), None))


def _complete_model(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _declared(ctx).models if name.startswith(incomplete)]


def file_argument(command: Command) -> Command:
    """The spec (or IR) that a command is about."""
    return click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))(command)


def model_options(command: Command) -> Command:
    """`--model` and `--set`."""
    command = click.option(
        "--set",
        "settings",
        metavar="NAME=VALUE",
        multiple=True,
        type=Setting(),
        help="Set a hyperparameter (hidden=256), or a setting of the train section (train.epochs=3); repeatable.",
    )(command)
    return click.option(
        "--model", metavar="NAME", shell_complete=_complete_model, help="The model meant, where a file has several."
    )(command)


_DEVICES = ("cpu", "cuda", "cuda:0", "cuda:1", "mps", "auto")


def _complete_device(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in _DEVICES if name.startswith(incomplete)]


def device_option(command: Command) -> Command:
    """`--device`."""
    return click.option(
        "--device",
        metavar="NAME",
        default="cpu",
        show_default=True,
        shell_complete=_complete_device,
        help="cpu, cuda, cuda:1, mps, or auto for the best that is there.",
    )(command)


def _complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from nnspec.training.runs.listing import runs_in

    return [name for name in (str(run) for run in runs_in(Path("runs"))) if name.startswith(incomplete)]


def run_argument(command: Command) -> Command:
    """The run that a command is about."""
    return click.argument("run", metavar="RUN", type=click.Path(), shell_complete=_complete_run)(command)


def checkpoint_option(command: Command) -> Command:
    """`--checkpoint`."""
    return click.option(
        "--checkpoint", metavar="WHICH", help="Weights of which moment: best, last, or a step.  [default: best]"
    )(command)


def extern_option(command: Command) -> Command:
    """`--allow-extern`."""
    return click.option(
        "--allow-extern", is_flag=True, help="Accept layers written in Python: building the model runs that code."
    )(command)


def format_option(*forms: str, result: bool = True) -> Callable[[Command], Command]:
    """`--output-format`."""
    what = "Format of the result and of diagnostics." if result else "Format of diagnostics."
    return click.option("--output-format", type=click.Choice(forms), default="text", show_default=True, help=what)
