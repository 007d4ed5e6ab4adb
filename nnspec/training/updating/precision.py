"""In what precision a model computes: float32, TF32, or half precision where torch holds it to be safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from nnspec.training.fault import SettingError

Name = Literal["32", "tf32", "bf16-mixed", "16-mixed"]

_HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
_SCALES_ON = ("cpu", "cuda")
"""Devices for which torch can scale a loss."""


class Precision:
    """The precision of a run on a device.

    `32` leaves everything as it is in torch. `tf32` multiplies matrices in TF32 where the device has it, which is on
    Nvidia's cards since Ampere; elsewhere it is `32`. (Convolutions are computed in TF32 there by torch's default.) The
    mixed ones keep float32 weights, and compute in half precision what torch's autocast says; `16-mixed` scales the
    loss, so that small gradients are not lost.
    """

    def __init__(self, name: Name, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.dtype = _HALVES.get(name)
        if self.dtype is not None:
            _check(name, device)

    def autocast(self) -> AbstractContextManager[object]:
        """For the forward pass and the loss, and no more than these."""
        if self.dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def scaler(self) -> torch.amp.GradScaler | None:
        """What scales the loss, if it has to be."""
        return torch.amp.GradScaler(self.device.type) if self.dtype is torch.float16 else None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Around a whole run: afterwards torch multiplies as before."""
        if self.name != "tf32":
            yield
            return
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _check(name: Name, device: torch.device) -> None:
    there = torch.amp.is_autocast_available(device.type)
    if name == "16-mixed":
        there = there and device.type in _SCALES_ON
    elif device.type == "cuda":
        there = there and torch.cuda.is_bf16_supported()
    if not there:
        other = "16-mixed" if name == "bf16-mixed" and device.type in _SCALES_ON else "bf16-mixed"
        helps = (f'write precision = "32", or "{other}"' if device.type == "cuda" else 'write precision = "32"',)
        raise SettingError(f"{device.type} cannot train in `{name}`", at="precision", helps=helps)
