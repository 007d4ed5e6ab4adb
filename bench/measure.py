"""CPU time of processes and of calls, sampled in random order; ratios of medians with an interval around them."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import TypeVar

Sample = Callable[[], float]
Samples = dict[str, list[float]]
Result = TypeVar("Result")

_RESAMPLED = 200
_INTERVAL = 0.95
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
"""What the system counts memory in."""


def cpu_of(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> float:
    """User and system seconds of a process and of what it starts, from its first instruction to its last."""
    usage = _usage(command, environment, folder)
    return usage.ru_utime + usage.ru_stime


def peak_of(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """The most bytes that a process holds in memory, files that it has mapped included."""
    return _usage(command, environment, folder).ru_maxrss * _PEAK_UNIT


def _usage(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> resource.struct_rusage:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}:\n{said.read().decode()}")
    return usage


def output_of(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> str:
    """What a process prints; it is not timed."""
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def cpu_in(call: Callable[[], object], calls: int = 1) -> float:
    """CPU seconds of so many calls in this process."""
    start = process_time()
    for _ in range(calls):
        call()
    return process_time() - start


def interleaved(samples: Mapping[str, Sample], rounds: int, chance: random.Random) -> Samples:
    """So many samples of each, a round at a time and each round in another order; a first round is thrown away."""
    taken: Samples = {name: [] for name in samples}
    order = list(samples)
    for name in order:
        samples[name]()
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            taken[name].append(samples[name]())
    return taken


def ratio(taken: Samples, ours: str, theirs: str) -> tuple[float, float, float]:
    """Our median over theirs, and the 95 % interval that resampling whole rounds gives it."""
    pairs = list(zip(taken[ours], taken[theirs], strict=True))
    chance = random.Random(0)
    drawn = sorted(_ratio(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLED))
    cut = round(_RESAMPLED * (1 - _INTERVAL) / 2)
    return _ratio(pairs), drawn[cut], drawn[-1 - cut]


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return median(pair[0] for pair in pairs) / median(pair[1] for pair in pairs)


def python(*arguments: str) -> list[str]:
    """The command line of this very interpreter."""
    return [sys.executable, *arguments]
