"""Which device to compute on: by name, or the best that is there."""

from __future__ import annotations

import os

import torch

from nnspec.suggest import suggest
from nnspec.training.fault import Fault

KINDS = ("cpu", "cuda", "mps")


def available() -> tuple[str, ...]:
    """Names of the devices that are there, the best last but `cpu` always first."""
    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.append("mps")
    if torch.cuda.is_available():
        devices += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return tuple(devices)


def own(device: torch.device) -> torch.device:
    """The device of this process, among several that were started on a machine: each has a card of its own.

    Raises `Fault` where there are not as many.
    """
    local, here = os.environ.get("LOCAL_RANK", "0"), os.environ.get("LOCAL_WORLD_SIZE", "1")
    if device.type == "cpu" or not (local.isdecimal() and here.isdecimal()):
        return device
    there, one = [name for name in available() if name.partition(":")[0] == device.type], ":" in str(device)
    if not one and len(there) >= int(here):
        return torch.device(there[int(local)])
    if int(here) == 1:
        return device
    raise Fault(
        f"{here} processes on this machine need a card each, and "
        + (f"`{device}` is one" if one else f"there {'is' if len(there) == 1 else 'are'} {len(there)}"),
        code="NNS620",
        notes=(f"devices that are there: {', '.join(available())}",),
        helps=("as many processes as there are cards", "`--device cpu` needs none"),
    )


def resolve(name: str) -> torch.device:
    """The device called `cpu`, `cuda`, `cuda:1`, `mps` or `auto` (the best there is); `Fault` if it is not there."""
    there = available()
    if name == "auto":
        return torch.device("cuda" if "cuda:0" in there else there[-1])
    if name in there or (name == "cuda" and "cuda:0" in there):
        return torch.device(name)
    kind, _, number = name.partition(":")
    known = kind in KINDS and (not number or number.isdecimal())
    near = None if known else "cuda" if name.lower() == "gpu" else suggest(name, (*KINDS, "auto"))
    raise Fault(
        f"device `{name}` is not there" if known else f"`{name}` is not the name of a device",
        code="NNS620",
        notes=(f"devices that are there: {', '.join(there)}",),
        helps=(f"did you mean `{near}`?",) if near else ("`auto` takes the best that is there",),
    )
