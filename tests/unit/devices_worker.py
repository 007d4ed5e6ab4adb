"""One of several processes: trains what its jobs say, one after another. Tests start it; see test_devices."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch.distributed as dist

from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.training.running.run import Wanted, train


def work(job: dict[str, str]) -> None:
    """Carry out a job; what is refused is left in a file."""
    root = Path(job["root"])
    compiled = compile_text(job["text"], "net.nns", train=True)
    wanted = Wanted(root.parent, "cpu", root, resume=job.get("resume"), accept_changes=True)
    try:
        train(compiled.program, compiled.sources, wanted)
    except NnspecError as fault:
        (diagnostic,) = fault.diagnostics
        root.mkdir(exist_ok=True, parents=True)
        notes = [*diagnostic.notes, *diagnostic.helps]
        said = " | ".join([diagnostic.code, diagnostic.message, *map(str, notes)])
        (root / f"refused-{dist.get_rank()}").write_text(said)


if __name__ == "__main__":
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size)
    for job in json.loads((folder / "jobs.json").read_text()):
        work(job)
    dist.destroy_process_group()
