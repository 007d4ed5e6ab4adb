"""Models for inference: the program that the passes make, and its weights from those of the spec's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.compiler import Compiled
from nnspec.compiler_output import State, build_module, check_exportable, foreign_code, installed, write_weights
from nnspec.diagnostics import NnspecError
from nnspec.passes.pipeline import DEFAULT, PASSES, Optimized, optimize

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["DEFAULT", "PASSES", "Served", "serve"]


@dataclass(frozen=True)
class Served:
    """A compiled spec for inference (`compiled`), and what it was before."""

    compiled: Compiled
    original: Compiled
    optimized: Optimized

    def module(
        self, *, device: str | None = None, weights: str | Path | None = None, seed: int | None = None
    ) -> nn.Module:
        """The model as a live module; weights, fresh ones too, are those of the spec, taken through the passes."""
        state = self.state(build_module(self.original, weights=weights, seed=seed))
        with installed(), foreign_code(self.compiled):
            from nnspec.backends import torch as backend
            from nnspec.training.device import resolve

            place = None if device is None else resolve(device)
            return backend.build(self.compiled.program, device=place, state=state)

    def state(self, original: nn.Module) -> dict[str, torch.Tensor]:
        """The weights for the module, from those of one that is not optimized."""
        with installed():
            from nnspec.backends import torch as backend

            return backend.rewritten(backend.weights_of(original), self.optimized)

    def write_weights(self, path: Path, *, weights: str | Path | None = None, seed: int | None = None) -> None:
        """Write the weights for the module as a file of safetensors, complete or not at all."""
        write_weights(self.module(weights=weights, seed=seed), path)

    def arrays(self, state: State) -> State:
        """The weights for ONNX, from those of the spec as arrays."""
        check_exportable(self.original)
        with installed():
            from nnspec.backends.onnx import OnnxError
            from nnspec.backends.onnx_constants import constant, own_weights

            program = self.original.program
            try:
                return self.optimized.weights(own_weights(program, program.main, state), constant)
            except OnnxError as fault:
                raise NnspecError(fault.diagnostics, self.original.sources) from None


def serve(compiled: Compiled, passes: Sequence[str] = DEFAULT) -> Served:
    """A spec for inference, taken through the passes of these names (`PASSES`)."""
    optimized = optimize(compiled.program, passes)
    return Served(replace(compiled, program=optimized.program), compiled, optimized)
