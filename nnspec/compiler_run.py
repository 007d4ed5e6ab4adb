"""What runs a compiled model: training as its `train` section says, or a trial with random inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.compiler import Compiled
from nnspec.compiler_output import foreign_code, installed
from nnspec.diagnostics import NnspecError

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
        from nnspec.training import run

        wanted = run.Wanted(base, device, root, name, overrides or {}, listener, resume, accept_changes)
        return run.train(compiled.program, compiled.sources, wanted)
