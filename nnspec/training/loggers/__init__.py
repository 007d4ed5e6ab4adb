"""Where the numbers of a run go besides its directory: a service or a tool a file, all by the protocol of `Listener`.

A file `NAME.py` here is the logger `--log NAME`; its class is called `Logger`. It imports the package that it is for
when it is made, and knows of the run what `Outline` says and what stands in the run's directory.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from nnspec.suggest import suggest
from nnspec.training.fault import Fault
from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.result import Result
from nnspec.training.runs.comparison import options
from nnspec.training.runs.listing import RUN, RunError, read_document


def names() -> tuple[str, ...]:
    """The loggers that there are."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def logger(name: str) -> Listener:
    """The logger of that name. `Fault` for an unknown one; `ModuleNotFoundError` where its package is absent."""
    if name not in names():
        near = suggest(name, names())
        helps = (f"did you mean `{near}`?",) if near else (f"there are {', '.join(names())}",)
        raise Fault(f"there is no logger `{name}`", code="NNS642", helps=helps)
    made: Listener = import_module(f"{__name__}.{name}").Logger()
    return Enduring(made, name)


def tags(row: Row) -> dict[str, float]:
    """The numbers of an epoch as loggers call them: `train/loss`, `val/loss`, `lr`, `samples_per_second`."""
    train = {f"train/{name}": value for name, value in row.train.items()}
    held = {f"val/{name}": value for name, value in row.validation.items()}
    return {**train, **held, **row.lr, "epoch": row.epoch, "samples_per_second": row.samples_per_second}


def configuration(directory: Path | None) -> dict[str, str]:
    """What a run was asked for, flat, in the words of a spec; what is not set is left out."""
    try:
        about = {} if directory is None else read_document(directory / RUN)
    except RunError:
        about = {}
    flat = {"model": str(about.get("model", ""))} if about else {}
    return flat | {name: text for name, text in options(about).items() if text != "none"}


class Enduring(Listener):
    """A logger that fails in mid-run is left out from then on: it must not end what took hours."""

    def __init__(self, inner: Listener, name: str) -> None:
        self.inner = inner
        self.name = name
        self.failed = False
        self.every_step = inner.every_step

    def start(self, outline: Outline) -> None:
        try:
            self.inner.start(outline)
        except Fault:
            raise
        except Exception as error:
            raise Fault(
                f"`{self.name}` cannot be logged to",
                code="NNS642",
                notes=(_reason(error),),
                helps=("leave out `--log`",),
            ) from error

    def step(self, now: Step) -> None:
        self._tell(lambda: self.inner.step(now))

    def epoch(self, row: Row) -> None:
        self._tell(lambda: self.inner.epoch(row))

    def checkpoint(self, directory: Path) -> None:
        self._tell(lambda: self.inner.checkpoint(directory))

    def finish(self, result: Result) -> None:
        self._tell(lambda: self.inner.finish(result))

    def close(self) -> None:
        self._tell(self.inner.close)

    def _tell(self, say: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            say()
        # What others' code raises, nobody knows.
        except Exception as error:
            self.failed = True
            print(f"note: {self.name} is left out from here on: {_reason(error)}", file=sys.stderr)


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def loggers(wanted: Sequence[str | Listener]) -> list[Listener]:
    """Loggers by name, and listeners as they are."""
    return [logger(each) if isinstance(each, str) else each for each in wanted]
