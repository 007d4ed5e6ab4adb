"""What runs a compiled model: training as its `train` section says, or a trial with random inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.compiler import Compiled
from nnspec.compiler_outcome import Outcome
from nnspec.compiler_output import foreign_code, installed
from nnspec.diagnostics import NnspecError, error

if TYPE_CHECKING:
    from torch import nn

    from nnspec.training.listener import Listener
    from nnspec.training.result import Result
    from nnspec.training.trial import Trial


def try_out(compiled: Compiled, *, device: str = "cpu", sizes: Mapping[str, int] | None = None) -> Trial:
    """Feed the model a random batch; raises `NnspecError` for a device or sizes that cannot be."""
    with foreign_code(compiled, running=True), installed():
        from nnspec.training import trial
        from nnspec.training.fault import Fault

        try:
            return trial.try_out(compiled.program, device=device, sizes=sizes)
        except Fault as fault:
            raise NnspecError([fault.diagnostic(None)], compiled.sources) from None


def train(
    compiled: Compiled,
    *,
    base: Path,
    device: str = "cpu",
    root: Path | None = None,
    name: str = "",
    overrides: Mapping[str, str] | None = None,
    listener: Listener | None = None,
    resume: str | None = None,
    accept_changes: bool = False,
) -> tuple[nn.Module, Result]:
    """Train the model; raises `NnspecError` for data, weights or a device that cannot be used."""
    with foreign_code(compiled, running=True), installed():
        from nnspec.training.running import run

        wanted = run.Wanted(base, device, root, name, overrides or {}, listener, resume, accept_changes)
        return run.train(compiled.program, compiled.sources, wanted)


def train_spec(
    compiled: Compiled,
    *,
    base: Path,
    device: str,
    root: Path | None,
    name: str,
    overrides: Mapping[str, str],
    callbacks: Sequence[Listener],
    loggers: Sequence[str],
    resume: str | None,
    accept_changes: bool,
    progress: bool,
    allow_extern: bool,
) -> Outcome:
    """As `train`, from Python: who hears of it, and the outcome as one object."""
    if compiled.program.training is None:
        helps = ("a `train` section says the data, the loss and the optimizer",)
        raise NnspecError([error("NNS610", "the spec has no `train` section", None, helps=helps)], compiled.sources)
    with installed():
        from nnspec.training.listener import Listeners
        from nnspec.training.watching.bar import progress_on

        heard = [*logger_listeners(loggers), progress_on(sys.stderr, quiet=not progress), *callbacks]
    module, result = train(
        compiled,
        base=base,
        device=device,
        root=root,
        name=name,
        overrides=overrides,
        listener=Listeners(heard),
        resume=resume,
        accept_changes=accept_changes,
    )
    return Outcome(module, result, allow_extern)


def logger_listeners(names: Sequence[str]) -> list[Listener]:
    """Loggers by name; `NnspecError` for one that there is not, or whose package is absent."""
    with installed():
        from nnspec.training.fault import Fault
        from nnspec.training.loggers import logger

        try:
            return [logger(name) for name in names]
        except Fault as fault:
            raise NnspecError([fault.diagnostic(None)]) from None


def launch(
    work: Callable[[list[str]], object],
    arguments: Sequence[str],
    folder: str,
    *,
    processes: int,
    nodes: int = 1,
    rendezvous: str | None = None,
) -> tuple[int, str]:
    """Call `work` in several processes that train together: see `nnspec.training.processes.launch`.

    Raises `NnspecError` for a process that died without a word.
    """
    with installed():
        from nnspec.training.fault import Fault
        from nnspec.training.processes import launch as launching

        try:
            return launching.launch(work, arguments, folder, processes=processes, nodes=nodes, rendezvous=rendezvous)
        except Fault as fault:
            raise NnspecError([fault.diagnostic(None)]) from None
