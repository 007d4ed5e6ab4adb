"""Which tensor goes where: from the data into the model, from both into the loss and the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nnspec import ir
from nnspec.training.fault import Fault


@dataclass(frozen=True, slots=True)
class Wiring:
    """`inputs`: the field for each argument of the module (None for an optional input that no field feeds).

    `outputs`: names of what the module returns, in training mode and in inference; a single one is no tuple.
    """

    inputs: tuple[str | None, ...]
    names: tuple[tuple[str, str], ...]
    train_outputs: tuple[str, ...]
    infer_outputs: tuple[str, ...]

    def call(self, module: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> Any:
        """The module's outputs for a batch."""
        return module(*(None if name is None else batch[name] for name in self.inputs))

    def arguments(self, outputs: Any, batch: Mapping[str, torch.Tensor], *, training: bool) -> list[torch.Tensor]:
        """What loss and metrics take, in the order of `names`."""
        names = self.train_outputs if training else self.infer_outputs
        values = (outputs,) if len(names) == 1 else outputs
        return [batch[name] if kind == "data" else values[names.index(name)] for kind, name in self.names]


def wire(training: ir.Training, program: ir.Program | None = None) -> Wiring:
    """The wiring of a program; without one, of a module that takes and returns what `training` names, in order."""
    outputs = tuple(dict.fromkeys(name for kind, name in training.names if kind == "model"))
    if program is None:
        return Wiring(tuple(training.inputs.values()), training.names, outputs, outputs)
    methods = program.entries[training.entry].methods_with(training.inputs)
    infer = program.methods[methods["infer"]]
    train = program.methods[methods.get("train", methods["infer"])]
    wiring = Wiring(
        tuple(training.inputs.get(name) for name in infer.input_names),
        training.names,
        train.output_names,
        infer.output_names,
    )
    validated = training.settings.get("split", 0.2) > 0
    for name in outputs:
        if validated and name not in infer.output_names:
            raise Fault(
                f"`{name}` is an output in training only, so that the loss cannot be validated",
                code="NNS604",
                helps=("let the model return it in both modes", "`split = 0` trains without validation"),
            )
    return wiring
