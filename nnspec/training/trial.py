"""A first look at a model without data: a random batch goes in, and what comes out is described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nnspec import ir
from nnspec.backends.torch import build
from nnspec.training.device import resolve
from nnspec.training.fault import Fault
from nnspec.training.inputs import random_batch
from nnspec.types import show_dtype


@dataclass(frozen=True, slots=True)
class Seen:
    """A tensor that went in or came out: its type with all sizes, and its smallest and largest element."""

    name: str
    type: str
    low: float | None
    high: float | None

    def json(self) -> dict[str, Any]:
        """As one finds it in JSON; what is not finite is none."""
        return {"name": self.name, "type": self.type, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model made of a random batch."""

    model: str
    device: str
    inputs: tuple[Seen, ...]
    outputs: tuple[Seen, ...]

    def json(self) -> dict[str, Any]:
        """As one JSON object."""
        sides = {"inputs": self.inputs, "outputs": self.outputs}
        return {"model": self.model, "device": self.device} | {k: [s.json() for s in v] for k, v in sides.items()}


def try_out(
    program: ir.Program, *, device: str = "cpu", sizes: Mapping[str, int] | None = None, seed: int = 0
) -> Trial:
    """Feed a model with fresh weights a random batch, in inference; sizes that are not given are chosen.

    Raises `Fault` for a device that is not there, and for sizes that the model does not accept.
    """
    place = resolve(device)
    entry = program.main
    method = program.methods[entry.methods["infer"]]
    known = [symbol.name for symbol in method.symbols]
    for name in sizes or {}:
        if name not in known:
            there = f"its symbols are {', '.join(known)}" if known else "it has no symbols"
            raise Fault(f"`{entry.name}` has no symbol `{name}`: {there}", code="NNS419")
    batch = random_batch(program, entry, sizes, seed=seed)
    module = build(program, entry, device=place, seed=seed).eval()
    with torch.no_grad():
        given = [batch[name].to(place) if name in batch else None for name in method.input_names]
        results = module(*given)
    results = (results,) if len(method.output_names) == 1 else results
    outputs = [pair for name, result in zip(method.output_names, results, strict=True) for pair in _named(name, result)]
    return Trial(
        entry.name,
        str(place),
        tuple(_seen(name, tensor) for name, tensor in batch.items()),
        tuple(_seen(name, tensor) for name, tensor in outputs),
    )


def _named(name: str, result: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(result, tuple | list):
        for number, part in enumerate(result):
            yield from _named(f"{name}.{number}", part)
    else:
        yield name, result


def _seen(name: str, tensor: torch.Tensor) -> Seen:
    type_ = f"{show_dtype(str(tensor.dtype).removeprefix('torch.'))}[{', '.join(map(str, tensor.shape))}]"
    if tensor.numel() == 0 or not tensor.double().isfinite().all():
        return Seen(name, type_, None, None)
    return Seen(name, type_, tensor.min().item(), tensor.max().item())
