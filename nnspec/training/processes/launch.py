"""Several processes for one run, started by torch's own launcher."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from nnspec.training.fault import Fault
from nnspec.training.processes.world import LOST

_INTERRUPTED = 130
Work = Callable[[list[str]], object]


def launch(
    work: Work, arguments: Sequence[str], folder: str, *, processes: int, nodes: int = 1, rendezvous: str | None = None
) -> tuple[int, str]:
    """Call `work` in so many processes on each of so many machines; the exit code of all, and the first report.

    Processes leave reports in a folder that the environment names under `folder`. `rendezvous` is HOST:PORT, where the
    machines meet. Raises `Fault` for a process that died without a word.
    """
    with tempfile.TemporaryDirectory(prefix="nnspec-") as place:
        os.environ[folder] = place
        os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // processes, 1)))
        try:
            config = LaunchConfig(
                min_nodes=nodes,
                max_nodes=nodes,
                nproc_per_node=processes,
                run_id="nnspec",
                rdzv_backend="c10d",
                rdzv_endpoint=rendezvous or "localhost:0",
                rdzv_configs={"timeout": 600},
                max_restarts=0,
                monitor_interval=0.1,
                logs_specs=DefaultLogsSpecs(),
            )
            _silence("torch.distributed", "torch.multiprocessing")
            elastic_launch(config, work)(list(arguments))
        except SignalException:
            return _INTERRUPTED, ""  # the processes were told, have saved, and have stopped
        except ChildFailedError as failed:
            files = sorted(Path(place).glob("[0-9]*"), key=lambda path: path.stat().st_mtime_ns)
            # Those that were left alone have nothing to say of why.
            reports = [text for file in files if LOST not in (text := file.read_text("utf-8"))]
            code = min(abs(failed.get_first_failure()[1].exitcode), 2)
            return (code, reports[0]) if reports else (_unheard(failed), "")
        finally:
            del os.environ[folder]
    return 0, ""


def _silence(*names: str) -> None:
    """Let the loggers of a library say nothing: what there is to say, the processes say."""
    for name in [*names, *logging.root.manager.loggerDict]:
        if name.startswith(names):
            logging.getLogger(name).setLevel(logging.CRITICAL)


_MEMORY = ("signal 9 is usually the system's, which had no memory left",)


def _unheard(failed: ChildFailedError) -> int:
    """The exit code of processes that left no report, where they were asked to stop."""
    killed = {rank: each for rank, each in failed.failures.items() if each.exitcode < 0}
    rank, failure = min(killed.items(), key=lambda pair: pair[1].timestamp) if killed else failed.get_first_failure()
    if failure.exitcode == _INTERRUPTED:
        return _INTERRUPTED
    how = f"by signal {-failure.exitcode}" if failure.exitcode < 0 else f"with exit code {failure.exitcode}"
    raise Fault(
        f"process {rank} of the run ended {how}, and without a word",
        code=LOST,
        helps=(*(_MEMORY if failure.exitcode == -9 else ()), "`--resume` goes on from the last checkpoint"),
    )
