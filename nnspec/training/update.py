"""An optimizer at work: torch's object, made for the gradients that come, and given the loss again if it asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from nnspec import ir
from nnspec.training import build
from nnspec.training.fault import Fault


class Update:
    """How the parameters of a model are updated, step by step."""

    def __init__(self, record: ir.Record, parameters: Mapping[str, torch.nn.Parameter], device: torch.device) -> None:
        self._record = record
        self._parameters = parameters
        self._device = device
        self._described = build.described(record)
        self._looked = False
        self.optimizer = build.optimizer(record, parameters, device)

    def zero_grad(self) -> None:
        """Forget the gradients of the last step."""
        self.optimizer.zero_grad()

    def step(self, loss: torch.Tensor, again: Callable[[], torch.Tensor]) -> None:
        """Update by the gradients that are there; `again` computes the loss anew, and its gradients.

        An optimizer that searches gets the loss itself first: a step computes it no more often than in torch.
        """
        if not self._looked:
            self._look()
        if not self._described.searches:
            self.optimizer.step()
            return
        known = [loss]
        self.optimizer.step(lambda: known.pop() if known else again())  # type: ignore[no-untyped-call]

    def _look(self) -> None:
        """Before the first step: whether the optimizer takes such gradients, and its fused kernel does."""
        self._looked = True
        found = {name: p.grad.is_sparse for name, p in self._parameters.items() if p.grad is not None}
        for name, sparse in found.items():
            if ("sparse" if sparse else "dense") not in self._described.gradients:
                raise _unsuited(self._record.name, name, sparse)
        if any(found.values()) and self._described.fuses():
            if dict(self._described.given()).get("fused"):
                raise Fault("no fused step takes sparse gradients", code="NNS603", helps=("leave out fused=true",))
            self.optimizer = build.optimizer(self._record, self._parameters, self._device, fusible=False)


def _unsuited(optimizer: str, parameter: str, sparse: bool) -> Fault:
    helps = (
        ("leave out sparse=true, or train with SGD, Adagrad, LBFGS or SparseAdam",)
        if sparse
        else ("train with Adam: `SparseAdam` is for models that are nothing but embeddings with sparse=true",)
    )
    layout = "sparse" if sparse else "dense"
    return Fault(f"`{optimizer}` takes no {layout} gradients, and that of `{parameter}` is", code="NNS627", helps=helps)
