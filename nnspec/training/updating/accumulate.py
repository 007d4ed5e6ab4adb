"""How many steps there are, which batches make one together, and what share of its samples each of these has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal


def steps_per_epoch(samples: int, batch_size: int, accumulate: int = 1) -> int:
    """How many steps an epoch has: what is left over at its end makes one of its own."""
    return -(-samples // (batch_size * accumulate))


def turns(samples: int, batch_size: int, accumulate: int = 1) -> Iterator[tuple[float, bool]]:
    """For each batch of an epoch: its share of the samples of its step, and whether the step is made after it.

    With these shares a step is the one that a batch of all its samples would make, also where the last batches are
    fewer or smaller.
    """
    for start in range(0, samples, batch_size * accumulate):
        end = min(start + batch_size * accumulate, samples)
        for batch in range(start, end, batch_size):
            size = min(batch_size, end - batch)
            yield size / (end - start), batch + size == end


def lengths(settings: Mapping[str, Any], steps_per_epoch: int) -> dict[Literal["step", "epoch"], int]:
    """How long a run is, in steps and in epochs."""
    steps, epochs = settings.get("steps"), settings.get("epochs")
    epochs = epochs or (-(-steps // steps_per_epoch) if steps else 1)
    return {"step": steps or epochs * steps_per_epoch, "epoch": epochs}
