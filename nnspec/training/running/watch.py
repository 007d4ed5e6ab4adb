"""What to say when a run cannot go on: a loss that is not finite, memory that does not suffice, nothing to learn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch

from nnspec.training.fault import Fault
from nnspec.training.feeding.headroom import within_free_memory
from nnspec.training.running.culprit import culprit
from nnspec.training.running.objective import Clock, Objective


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
    autocast: AbstractContextManager[object],
) -> Fault:
    """A loss is NaN or infinite: where, and what was the first thing that was not finite, if its batch is at hand."""
    title = "the loss" if objective.names[index] == "loss" else f"the loss of `{objective.names[index]}`"
    known = "it is the epoch's first" if before is None else f"the loss before it was {before:.6g}"
    given = dict(fields)  # another one, so that nothing that was computed from these is taken again
    found = (
        "" if not fields else culprit(objective.module, given, lambda: objective.loss(index, given, clock)[0], autocast)
    )
    return Fault(
        f"{title} is {value} in {where}",
        code="NNS621",
        at=_at(objective, index),
        notes=(known, found) if found else (known,),
        helps=(_LOSS_HELP, *_HELPS) if "in the loss" in found else _HELPS,
    )


_HELPS = ("a smaller learning rate, such as a tenth, is the usual repair", "clip_grad_norm = 1.0 tames jumps")
_LOSS_HELP = "look for a logarithm, a root or a division in the loss that can meet 0, or a number that is too large"


def weights_not_finite(name: str, where: str) -> Fault:
    """A step made a weight infinite or no number, and no loss has shown it yet: nothing is kept of it."""
    return Fault(
        f"the parameter `{name}` is not finite any more in {where}",
        code="NNS621",
        notes=("the last step was too long, or its gradient was not finite (a root at 0 has none)",),
        helps=_HELPS,
    )


def refused(error: BaseException) -> Fault | None:
    """What to say where torch has not what a setting asks for, in its own words; None for any other error."""
    reason = str(error).strip().partition("\n")[0]
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        helps = ("compile = false", "torch.compile needs a C++ compiler on the CPU, and Triton on Nvidia's cards")
        message = "torch cannot compile this model here"
        return Fault(message, code="NNS603", at="compile", notes=(reason,) if reason else (), helps=helps)
    if "does not have a deterministic implementation" in reason:
        message = "torch computes a part of this model in an order that varies"
        return Fault(message, code="NNS603", at="deterministic", notes=(reason,), helps=("deterministic = false",))
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not get memory, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def out_of_memory(
    objective: Objective,
    fields: Mapping[str, torch.Tensor],
    clock: Clock,
    error: BaseException,
    autocast: AbstractContextManager[object],
    accumulate: int = 1,
    *,
    alone: bool = True,
) -> Fault:
    """A batch did not fit: which size would, found by trying smaller ones if this process can do so `alone`."""
    if not fields:  # it was while the first one was gathered
        helps: tuple[str, ...] = ("a smaller batch_size needs less",)
        reason = _shortage(error)
        notes = (reason,) if reason else ()
        return Fault("there is not enough memory for a batch", code="NNS625", at="batch_size", notes=notes, helps=helps)
    device = next(iter(fields.values())).device
    size = len(next(iter(fields.values())))
    with within_free_memory(device):
        fitting = _fitting(objective, fields, clock, size, autocast) if alone else None
    if fitting:
        batches = -(-size // fitting) * accumulate
        helps = (f"batch_size = {fitting} fits", f"accumulate = {batches} keeps the steps as they are")
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


def _fitting(
    objective: Objective,
    fields: Mapping[str, torch.Tensor],
    clock: Clock,
    size: int,
    autocast: AbstractContextManager[object],
) -> int | None:
    """The largest of size/2, size/4, ... for which forward and backward go through; 0 for none, None if unknown."""
    while size > 1:
        size //= 2
        objective.module.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            for index in range(len(objective.names)):
                with autocast:
                    loss, _ = objective.loss(index, {name: x[:size] for name, x in fields.items()}, clock)
                loss.backward()  # type: ignore[no-untyped-call]
                objective.module.zero_grad()
        except (RuntimeError, MemoryError, ValueError) as error:
            if not is_out_of_memory(error):
                return None
            continue
        return size
    return 0
