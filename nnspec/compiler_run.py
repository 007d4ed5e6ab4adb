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

    from nnspec.training.loop import Result
    from nnspec.training.progress import Progress
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
    progress: Progress | None = None,
) -> tuple[nn.Module, Result]:
    """Train the model; raises `NnspecError` for data, weights or a device that cannot be used."""
    with foreign_code(compiled, running=True), installed():
        from nnspec.training import device as devices
        from nnspec.training import run
        from nnspec.training.fault import Fault

        try:
            devices.resolve(device)
        except Fault as fault:
            # No place in the spec is wrong.
            raise NnspecError([fault.diagnostic(None)], compiled.sources) from None
        return run.train(
            compiled.program,
            compiled.sources,
            base=base,
            device=device,
            root=root,
            name=name,
            overrides=overrides,
            progress=progress,
        )
