"""Which tensor goes where: from the data into the model, from both into the loss and the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from nnspec import ir
from nnspec.training.fault import Fault


class Ticking(Protocol):
    """Counts steps and epochs."""

    def tensor(self, name: str) -> torch.Tensor:
        """`step` or `epoch` as a float32 without dimensions."""
        ...


Reader = Callable[..., list[torch.Tensor]]


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

    def reader(self, *, training: bool) -> Reader:
        """Takes what the module returned, the batch and the clock, and gives what loss and metrics take, in order.

        Raises `Fault` for what the module does not return in that mode.
        """
        outputs = self.train_outputs if training else self.infer_outputs
        for kind, name in self.names:
            if kind == "model" and name not in outputs:
                raise Fault(
                    f"`{name}` is an output in training only, so that the loss cannot be validated",
                    code="NNS604",
                    helps=("let the model return it in both modes", "`split = 0` trains without validation"),
                )
        single = len(outputs) == 1
        places: list[tuple[str, Any]] = [
            (kind, outputs.index(name) if kind == "model" else name) for kind, name in self.names
        ]

        def read(found: Any, batch: Mapping[str, torch.Tensor], clock: Ticking | None = None) -> list[torch.Tensor]:
            values = (found,) if single else found
            # A place in the outputs is a number, one in the batch or the clock a name.
            return [
                values[at] if kind == "model" else batch[at] if kind == "data" else _tick(clock, at)
                for kind, at in places
            ]

        return read


def _tick(clock: Ticking | None, name: Any) -> torch.Tensor:
    assert clock is not None
    return clock.tensor(name)


def wire(training: ir.Training, program: ir.Program | None = None) -> Wiring:
    """The wiring of a program; without one, of a module that takes and returns what `training` names, in order."""
    outputs = tuple(dict.fromkeys(name for kind, name in training.names if kind == "model"))
    if program is None:
        return Wiring(tuple(training.inputs.values()), training.names, outputs, outputs)
    methods = program.entries[training.entry].methods_with(training.inputs)
    infer = program.methods[methods["infer"]]
    train = program.methods[methods.get("train", methods["infer"])]
    return Wiring(
        tuple(training.inputs.get(name) for name in infer.input_names),
        training.names,
        train.output_names,
        infer.output_names,
    )
