"""What optimizers know, by the names of parameters: it outlives another order of them, and another grouping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch

from nnspec.training.updating.pieces import piece_of

Options = dict[str, Any]


class OptimizerState:
    """The state of several optimizers, and what has become of their options since they were made."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], names: Mapping[str, torch.nn.Parameter]) -> None:
        self._optimizers = optimizers
        self._names = {id(parameter): name for name, parameter in names.items()}
        self._fresh = [[_options(group) for group in optimizer.param_groups] for optimizer in optimizers]

    def state_dict(self) -> list[dict[str, Any]]:
        """Tensors (not copied) and plain values. Options that are what the spec says are left for the spec to say."""
        return [self._of(*each) for each in zip(self._optimizers, self._fresh, strict=True)]

    def _of(self, optimizer: torch.optim.Optimizer, fresh: Sequence[Options]) -> dict[str, Any]:
        groups = [
            {"names": self._named(group), "options": _changed(_options(group), before)}
            for group, before in zip(optimizer.param_groups, fresh, strict=True)
        ]
        state = {self._names[id(parameter)]: dict(kept) for parameter, kept in optimizer.state.items()}
        return {"name": type(optimizer).__name__, "state": state, "groups": groups}

    def _named(self, group: Mapping[str, Any]) -> list[str]:
        return [self._names[id(parameter)] for parameter in group["params"]]

    def load_state_dict(self, state: Sequence[Mapping[str, Any]], *, options: bool = True) -> None:
        """Go on from what was stored (which is copied), for each parameter whose optimizer is of the same class.

        Without `options`, those stay that the spec says.
        """
        for optimizer, fresh in zip(self._optimizers, self._fresh, strict=True):
            same = [each for each in state if each["name"] == type(optimizer).__name__]
            kept = {name: value for each in same for name, value in each["state"].items()}
            moved = {name: g["options"] for each in same for g in each["groups"] for name in g["names"]}
            self._load(optimizer, fresh, kept, moved if options else {})

    def _load(
        self,
        optimizer: torch.optim.Optimizer,
        fresh: Sequence[Options],
        kept: Mapping[str, Any],
        moved: Mapping[str, Options],
    ) -> None:
        states: dict[int, Any] = {}
        groups: list[dict[str, Any]] = []
        count = 0
        for group, before in zip(optimizer.param_groups, fresh, strict=True):
            names = self._named(group)
            numbers = range(count, count + len(names))
            count += len(names)
            columns = zip(numbers, names, group["params"], strict=True)
            states |= {n: _own(kept[name], parameter) for n, name, parameter in columns if name in kept}
            groups.append({**before, **moved.get(names[0], {}), "params": list(numbers)})
        optimizer.load_state_dict({"state": states, "param_groups": groups})


def _own(state: Mapping[str, Any], parameter: torch.nn.Parameter) -> dict[str, Any]:
    """A copy, cut as the parameter is, of what is of its shape."""
    return {name: piece_of(deepcopy(value), parameter) for name, value in state.items()}


def _options(group: Mapping[str, Any]) -> Options:
    return {name: value for name, value in group.items() if name != "params"}


def _changed(now: Options, before: Options) -> Options:
    return {name: value for name, value in now.items() if name not in before or before[name] != value}
