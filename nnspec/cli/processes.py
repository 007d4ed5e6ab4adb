"""Commands that several processes carry out: what all of them would say is said once, what one has to say is heard."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

FAULTS = "NNSPEC_FAULTS"
"""Names the folder in which processes leave their reports, for whoever launched them to show the first one."""

_OWN = ("--nproc", "--nnodes", "--rdzv")


def work(arguments: list[str]) -> None:
    """What each process does: the command, as if it was called by itself."""
    from nnspec.cli import main

    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise


def is_main() -> bool:
    """Whether this process speaks for all: it is alone, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def left(text: str) -> bool:
    """Whether a report need not be printed: it was left to the launcher, or another process says the same."""
    if "RANK" not in os.environ:
        return False
    folder = os.environ.get(FAULTS)
    if folder is not None:
        temporary = Path(folder) / f".{os.environ['RANK']}"
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(Path(folder) / os.environ["RANK"])
        return True
    world = sys.modules.get("nnspec.training.processes.world")
    if world is None or not world.is_joined():
        return not is_main()  # all have read the same spec, and say the same of it
    return not world.speaks_first()


def without_own(arguments: Sequence[str]) -> list[str]:
    """A command line as each of the processes gets it: without the options that say how many there are."""
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in _OWN:
            skip = True
        elif not argument.startswith(tuple(f"{name}=" for name in _OWN)):
            kept.append(argument)
    return kept
