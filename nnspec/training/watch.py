"""What to say when a run cannot go on: a loss that is not finite, memory that does not suffice, nothing to learn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from nnspec.training.fault import Fault
from nnspec.training.headroom import within_free_memory
from nnspec.training.objective import Clock, Objective


def nothing_to_learn(objective: Objective, index: int) -> Fault:
    """The loss depends on no parameter."""
    return Fault(
        "the loss does not depend on the model's parameters: there is nothing to learn",
        code="NNS626",
        at=_at(objective, index),
        helps=("let it use an output that is computed from them, by more than comparisons and choices",),
    )


def _at(objective: Objective, index: int) -> str:
    """The loss of that number, as a fault is about it."""
    name = objective.names[index]
    return "loss" if name == "loss" else f"loss.{name}"


def not_finite(
    objective: Objective,
    fields: Mapping[str, torch.Tensor],
    clock: Clock,
    index: int,
    value: float,
    where: str,
    before: float | None,
) -> Fault:
    """A loss is NaN or infinite: where, and what was the first thing that was not finite."""
    title = "the loss" if objective.names[index] == "loss" else f"the loss of `{objective.names[index]}`"
    known = "it is the epoch's first" if before is None else f"the loss before it was {before:.6g}"
    culprit = _culprit(objective, dict(fields), clock, index)
    helps = ("a smaller learning rate, such as a tenth, is the usual repair", "clip_grad_norm = 1.0 tames jumps")
    return Fault(
        f"{title} is {value} in {where}",
        code="NNS621",
        at=_at(objective, index),
        notes=(known, culprit) if culprit else (known,),
        helps=(_ITSELF_HELP, *helps) if culprit == _ITSELF else helps,
    )


_ITSELF = "every layer's output is finite: it is the loss itself that is not"
_ITSELF_HELP = "look for a logarithm, a root or a division in the loss that can meet 0, or a number that is too large"


def _culprit(objective: Objective, fields: dict[str, torch.Tensor], clock: Clock, index: int) -> str:
    """The first tensor on the way to the loss that is not finite; empty if that cannot be told."""
    for name, parameter in objective.module.named_parameters():
        if not _finite(parameter):
            return f"the parameter `{name}` is not finite any more: the step before was too long"
    if not fields:
        return ""
    found: list[str] = []

    def look(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not all(map(_finite, _tensors(output))):
                found.append(f"the first output that is not finite is that of `{name}` ({type(module).__name__})")

        return module.register_forward_hook(hook)

    # The outermost module's output comes last, and is nobody's fault but its parts'.
    handles = [look(name, module) for name, module in objective.module.named_modules() if name]
    try:
        with torch.no_grad():
            objective.loss(index, fields, clock)
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else _ITSELF


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _finite(tensor: torch.Tensor) -> bool:
    floats = tensor.is_floating_point() or tensor.is_complex()
    return not floats or tensor.is_sparse or bool(torch.isfinite(tensor.detach()).all())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not get memory, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def out_of_memory(
    objective: Objective, fields: Mapping[str, torch.Tensor], clock: Clock, error: BaseException
) -> Fault:
    """A batch did not fit: which size would, found by trying smaller ones."""
    device = next(iter(fields.values())).device
    size = len(next(iter(fields.values())))
    with within_free_memory(device):
        fitting = _fitting(objective, fields, clock, size)
    helps: tuple[str, ...]
    if fitting:
        helps = (f"batch_size = {fitting} fits", f"accumulate = {-(-size // fitting)} keeps the steps as they are")
    elif fitting is None:
        helps = ("a smaller batch_size needs less",)
    else:
        helps = ("not even a single sample fits: the model itself is too large for this device",)
    reason = _shortage(error)
    message = f"{device} has not enough memory for batches of {size:,}"
    return Fault(message, code="NNS625", at="batch_size", notes=(reason,) if reason else (), helps=helps)


def _shortage(error: BaseException) -> str:
    """How much was asked for, in a sentence."""
    reason = str(error).partition("\n")[0]
    if asked := re.search(r"allocate (\d{1,20}) bytes", reason):  # torch's words for the CPU tell of its own code
        return f"{int(asked[1]) / 2**30:,.1f} GiB were asked for at once"
    return reason


def _fitting(objective: Objective, fields: Mapping[str, torch.Tensor], clock: Clock, size: int) -> int | None:
    """The largest of size/2, size/4, ... for which forward and backward go through; 0 for none, None if unknown."""
    while size > 1:
        size //= 2
        objective.module.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            for index in range(len(objective.names)):
                loss, _ = objective.loss(index, {name: x[:size] for name, x in fields.items()}, clock)
                loss.backward()  # type: ignore[no-untyped-call]
                objective.module.zero_grad()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                return None
            continue
        return size
    return 0
