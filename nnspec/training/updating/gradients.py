"""The first look at gradients: whether the optimizers of an update take them as they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from nnspec.training.fault import Fault
from nnspec.training.updating.groups import Chosen


def look(
    chosen: Chosen,
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, torch.nn.Parameter],
    device: torch.device,
    clipped: str,
) -> None:
    """Raise `Fault` for gradients that an optimizer does not take; no fused kernel takes sparse ones.

    `clipped` is the setting by which gradients are clipped, if they are.
    """
    gradients = {name: parameters[name].grad for name in chosen.names}
    sparse = {name: gradient.is_sparse for name, gradient in gradients.items() if gradient is not None}
    for name, is_sparse in sparse.items():
        if ("sparse" if is_sparse else "dense") not in chosen.optimizer.gradients:
            raise _unsuited(chosen.record.name, name, is_sparse)
        if is_sparse and clipped:
            message = f"sparse gradients cannot be clipped, and that of `{name}` is sparse"
            helps = (f"leave out {clipped}, or sparse=true",)
            raise Fault(message, code="NNS627", at=clipped, helps=helps)
    if any(sparse.values()) and chosen.optimizer.fuses():
        if insists(chosen):
            helps = ("leave out fused=true",)
            raise Fault("no fused step takes sparse gradients", code="NNS603", at="optimizer", helps=helps)
        _unfuse(chosen, optimizer, device)


def insists(chosen: Chosen) -> bool:
    """Whether the author asks for a fused step."""
    return bool(chosen.record.arguments.get("fused"))


def not_fused(chosen: Chosen, device: torch.device, error: RuntimeError) -> Fault:
    """What to say of a fused step that the author wants and torch does not have."""
    message = f"torch has no fused `{chosen.record.name}` for these parameters on {device.type}"
    return Fault(message, code="NNS603", at="optimizer", notes=(str(error),), helps=("leave out fused=true",))


def _unfuse(chosen: Chosen, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Take the other implementation: what is known of the parameters stays, and so does whoever holds the optimizer."""
    options = chosen.optimizer.options(device.type, fusible=False)
    for group in (optimizer.defaults, *optimizer.param_groups):
        group |= {"fused": options.get("fused"), "foreach": options.get("foreach")}
    # By this torch's gradient scaler knows fused steps.
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def _unsuited(optimizer: str, parameter: str, sparse: bool) -> Fault:
    helps = (
        ("leave out sparse=true, or train with SGD, Adagrad, LBFGS or SparseAdam",)
        if sparse
        else ("train with Adam: `SparseAdam` is for models that are nothing but embeddings with sparse=true",)
    )
    layout = "sparse" if sparse else "dense"
    message = f"`{optimizer}` takes no {layout} gradients, and that of `{parameter}` is"
    return Fault(message, code="NNS627", at="optimizer", helps=helps)
