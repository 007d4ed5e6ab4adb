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
        self._insists = bool(self._record.arguments.get("fused"))
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
            self._plain_step()
            return
        known = [loss]

        def look() -> float:
            return (known.pop() if known else again()).item()

        self.optimizer.step(look)

    def _plain_step(self) -> None:
        try:
            self.optimizer.step()
        except RuntimeError as error:
            # Torch's own words: it looks at devices and types when it first steps.
            if not (self._insists and "fused" in str(error)):
                raise
            message = f"torch has no fused `{self._record.name}` for these parameters on {self._device.type}"
            helps, notes = ("leave out fused=true",), (str(error),)
            raise Fault(message, code="NNS603", at="optimizer", notes=notes, helps=helps) from None

    def _look(self) -> None:
        """Before the first step: whether the optimizer takes such gradients, and its fused kernel does."""
        self._looked = True
        found = {name: p.grad.is_sparse for name, p in self._parameters.items() if p.grad is not None}
        for name, sparse in found.items():
            if ("sparse" if sparse else "dense") not in self._described.gradients:
                raise _unsuited(self._record.name, name, sparse)
        if any(found.values()) and self._described.fuses():
            if self._insists:
                helps = ("leave out fused=true",)
                raise Fault("no fused step takes sparse gradients", code="NNS603", at="optimizer", helps=helps)
            self._unfuse()

    def _unfuse(self) -> None:
        """Another optimizer in the place of the fused one, with its settings, and its state if it was resumed."""
        made = build.optimizer(self._record, self._parameters, self._device, fusible=False)
        kept = self.optimizer.state_dict()
        for group, like in zip(kept["param_groups"], made.param_groups, strict=True):
            group |= {"fused": like["fused"], "foreach": like["foreach"]}
        made.load_state_dict(kept)
        self.optimizer = made


def _unsuited(optimizer: str, parameter: str, sparse: bool) -> Fault:
    helps = (
        ("leave out sparse=true, or train with SGD, Adagrad, LBFGS or SparseAdam",)
        if sparse
        else ("train with Adam: `SparseAdam` is for models that are nothing but embeddings with sparse=true",)
    )
    layout = "sparse" if sparse else "dense"
    message = f"`{optimizer}` takes no {layout} gradients, and that of `{parameter}` is"
    return Fault(message, code="NNS627", at="optimizer", helps=helps)
