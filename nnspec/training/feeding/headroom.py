"""Memory that is asked for beyond what there is: a system that promises it all the same ends the process later on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_SHARE = 0.8
"""Of the free memory, what a trial may take: others use it as well."""


@contextmanager
def within_free_memory(device: torch.device) -> Iterator[None]:
    """Let the CPU's memory come to an end where it does, so that asking for more is an error that can be caught.

    Linux gives out more than it has, and kills who uses it. For as long as this lasts it does not; elsewhere, and on
    other devices, nothing changes.
    """
    free, used = free_memory(), _used()
    if device.type != "cpu" or free is None or used is None:
        yield
        return
    import resource  # of Unix

    before = resource.getrlimit(resource.RLIMIT_DATA)
    limit = used + int(free * _SHARE)
    if before[0] != resource.RLIM_INFINITY and before[0] <= limit:
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def free_memory() -> int | None:
    """Bytes of memory that could be had, where the system says so: what copies of files fill can be had, too."""
    there, allowed = _kilobytes(Path("/proc/meminfo"), "MemAvailable:"), _allowed(_GROUP)
    return there if allowed is None or there is None else min(there, allowed)


_GROUP = Path("/sys/fs/cgroup")


def _allowed(group: Path) -> int | None:
    """What is left of the memory of a container, if it is bounded (Linux, control groups of version 2)."""
    try:
        most, used = (int((group / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        lines = [line.split() for line in (group / "memory.stat").read_text("ascii").splitlines()]
    except (OSError, ValueError):  # there is no bound, or the system is another one
        return None
    files = next((int(line[1]) for line in lines if line[0] == "inactive_file"), 0)
    return max(most - used + files, 0)


def _used() -> int | None:
    """Bytes that this process has for itself."""
    return _kilobytes(Path("/proc/self/status"), "VmData:")


def _kilobytes(place: Path, name: str) -> int | None:
    if os.name != "posix":
        return None
    try:
        lines = place.read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    found = next((line.split() for line in lines if line.startswith(name)), ())
    return int(found[1]) * 1024 if len(found) > 1 and found[1].isdecimal() else None
