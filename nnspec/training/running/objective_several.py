"""Several models that call each other, and are updated in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from nnspec import ir
from nnspec.backends.source_parts import Part, with_parts
from nnspec.backends.torch import finishing_functions
from nnspec.ir_sharing import passed, taken
from nnspec.patterns import matches
from nnspec.training.feeding.feed import Fields
from nnspec.training.running.meters import Measure
from nnspec.training.running.objective import Clock

Compile = Callable[[Any], Any]
Tensors = Sequence[torch.Tensor]


class Several:
    """Several models in one module. What the section binds is worked out once a batch, when an update first asks."""

    def __init__(self, program: ir.Program, module: nn.Module, compiled: Compile | None = None) -> None:
        training = program.training
        assert training is not None
        entry = program.entries[training.entry]
        self.module = module
        self.names = tuple(update.name for update in training.updates)
        self.turns = tuple(update.every for update in training.updates)
        self._kinds = training.names
        self._bound = sum(kind == "model" for kind, _ in training.names)
        parts = with_parts(program, entry)[1]
        self._losses, self._metrics = parts[: len(self.names)], parts[len(self.names) :]
        self._training = training
        methods = {mode: program.methods[number] for mode, number in entry.methods.items()}
        shared = methods.get("train", methods["infer"])
        self._inputs = tuple((training.inputs.get(name), name) for name in shared.input_names)
        self._shared = _compiled(module, compiled)
        self._called = {part.name: _compiled(getattr(module, part.name), compiled) for part in self._losses}
        self._measured = not any(isinstance(node, ir.Call) for m in training.metrics for node in m.graph.nodes)
        self._retains = _retains(training, shared.graph, shared.output_names, [n for n, _ in module.named_parameters()])
        self._fields: Fields = {}
        self._done: set[int] = set()
        self._values: list[torch.Tensor] = []
        self._ticks: dict[str, torch.Tensor] = {}

    def measures(self) -> dict[str, Measure]:
        """What metrics are gathered and finished by; they may call models, in inference."""
        finish = finishing_functions(self._training)
        return {
            metric.name: (self._gathering(part), finish.get(metric.name))
            for metric, part in zip(self._training.metrics, self._metrics, strict=True)
        }

    def _gathering(self, part: Part) -> Callable[..., Any]:
        gather = getattr(self.module, part.name)
        return lambda *arguments: gather(*(arguments[at] for at in part.takes))

    def loss(self, index: int, fields: Fields, clock: Clock) -> tuple[torch.Tensor, Tensors | None]:
        """As in `Objective`."""
        if fields is not self._fields or index in self._done:
            # Another batch; or this one once more, for an optimizer that searches: the old graph is gone.
            self._begin(fields, clock)
        self._done.add(index)
        part = self._losses[index]
        loss: torch.Tensor = self._called[part.name](*self._arguments(part.takes))
        return loss, self._arguments(range(len(self._kinds))) if self._measured else None

    def retains(self, index: int) -> bool:
        """As in `Objective`."""
        return self._retains[index]

    def check_evaluates(self) -> None:
        """As in `Objective`: the section's bindings are there in both modes."""

    def evaluate(self, fields: Fields, clock: Clock) -> tuple[Tensors, Tensors]:
        """As in `Objective`."""
        self._begin(fields, clock)
        losses = tuple(getattr(self.module, part.name)(*self._arguments(part.takes)) for part in self._losses)
        arguments = self._arguments(range(len(self._kinds)))
        self._begin({}, clock)
        return losses, arguments

    def _begin(self, fields: Fields, clock: Clock) -> None:
        """Another batch: nothing of it has been worked out."""
        self._fields, self._values = fields, []
        self._done.clear()
        # Read once: the clock writes into its tensors, and a graph may hold them until the batch is done.
        self._ticks = {name: clock.tensor(name).clone() for kind, name in self._kinds if kind == "clock"}
        self._ticks |= {name: clock.tensor(name).clone() for field, name in self._inputs if field is None}

    def _arguments(self, takes: Sequence[int]) -> list[torch.Tensor]:
        """The tensors at these places of `Training.names`."""
        if not self._values and any(self._kinds[at][0] == "model" for at in takes):
            given = [self._ticks[name] if field is None else self._fields[field] for field, name in self._inputs]
            found = self._shared(*given)
            self._values = [found] if self._bound == 1 and isinstance(found, torch.Tensor) else list(found)
        return [self._tensor(at) for at in takes]

    def _tensor(self, at: int) -> torch.Tensor:
        kind, name = self._kinds[at]
        # What is bound comes first in the names, in the order of the module's outputs.
        return self._values[at] if kind == "model" else self._fields[name] if kind == "data" else self._ticks[name]


_T = TypeVar("_T")


def _compiled(function: _T, compiled: Compile | None) -> _T:
    found: _T = function if compiled is None else compiled(function)
    return found


def _retains(
    training: ir.Training, shared: ir.Graph, outputs: Sequence[str], parameters: Sequence[str]
) -> tuple[bool, ...]:
    """For each update: whether its gradient passes through what is bound, and that of a later one as well."""
    passes = [bool(_through(training, update, shared, outputs, parameters)) for update in training.updates]
    return tuple(own and any(passes[at + 1 :]) for at, own in enumerate(passes))


def _through(
    training: ir.Training, update: ir.Update, shared: ir.Graph, outputs: Sequence[str], parameters: Sequence[str]
) -> dict[int, str]:
    own = {name.partition(".")[0] for name in parameters if any(matches(p, name) for p in update.params)}
    names = [training.names[at] for at in taken(update.loss)]
    bound = [outputs.index(name) for kind, name in names if kind == "model"]
    return passed(shared, bound, own)
