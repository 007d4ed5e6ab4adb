"""Trains in processes that it kills: `python -m tests.survival.killer SPEC FOLDER KILLS SEED` prints what came of it.

All libraries are loaded once; each run is a fork of that process, so that fifty runs take seconds and not minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from nnspec import compiler_run
from nnspec.compiler import compile_text
from nnspec.training.runs.checkpoint import FOLDER, names_in, read_index, read_state, read_weights


def train(spec: Path, out: Path, resume: str | None) -> int:
    """Begin a run in a process of its own; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        compiled = compile_text(spec.read_text("utf-8"), train=True, base=spec.parent)
        compiler_run.train(compiled, base=spec.parent, root=out, name="net", resume=resume)
        status = 0
    finally:
        os._exit(status)


def wait(child: int) -> int:
    """How a run ended: its exit status, or minus the signal that it died of."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def weights(run: Path) -> dict[str, Any]:
    """The last weights of a run as lists of numbers."""
    last = read_index(run / FOLDER)["last"]
    assert last is not None
    return {name: tensor.tolist() for name, tensor in read_weights(run / FOLDER / last).items()}


def history(run: Path) -> list[dict[str, Any]]:
    """The numbers of a run's epochs, without how long they took."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in rows]


def readable(run: Path) -> bool:
    """Whether there is a checkpoint, and all of them can be read."""
    names = names_in(run / FOLDER)
    for name in names:
        read_state(run / FOLDER / name)
        read_weights(run / FOLDER / name)
    return bool(names)


def main(spec: Path, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill so many runs at random moments, and let each go on to its end; one that was done before counts as none."""
    draw = random.Random(seed)
    compiled = compile_text(spec.read_text("utf-8"), train=True, base=spec.parent)
    compiler_run.train(compiled, base=spec.parent)  # what it imports, every fork has
    start = time.perf_counter()
    assert wait(train(spec, folder / "whole", None)) == 0
    length = time.perf_counter() - start
    whole = folder / "whole" / "net-1"
    end, rows = weights(whole), history(whole)
    number = 0
    found = {"killed": 0, "begun": 0, "with a checkpoint": 0, "went on to the same end": 0}
    while found["killed"] < kills:
        number += 1
        out = folder / str(number)
        child = train(spec, out, None)
        time.sleep(draw.uniform(0, length))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        killed = wait(child) == -signal.SIGKILL
        found["killed"] += killed
        length *= 1 if killed else 0.95  # the first run was slower than the others
        run = out / "net-1"
        begun = run.exists()
        found["begun"] += begun
        found["with a checkpoint"] += begun and readable(run)
        assert wait(train(spec, out, "auto")) == 0, f"run {number} did not go on"
        run = sorted(out.iterdir())[-1]
        assert weights(run) == end, f"run {number} ended with other weights"
        assert history(run) == rows, f"run {number} tells another story: {history(run)}, not {rows}"
        found["went on to the same end"] += 1
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
