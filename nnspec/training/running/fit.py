"""Carries out a run that was put together: told to listeners, kept in a directory, and explained when it fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from nnspec import ir
from nnspec.training.fault import Fault
from nnspec.training.listener import Listener, Outline
from nnspec.training.result import Result, Status
from nnspec.training.running import watch
from nnspec.training.running.assemble import Assembled, best, policy
from nnspec.training.running.keep import Keeper
from nnspec.training.running.loop import Loop
from nnspec.training.running.stop import Stopper
from nnspec.training.runs.checkpoint import Checkpoints, step_of
from nnspec.training.runs.directory import RunDirectory


def fit(
    made: Assembled,
    training: ir.Training,
    listener: Listener,
    run: RunDirectory | None = None,
    headline: str = "",
    notes: Sequence[str] = (),
) -> Result:
    """Train until the end, or until it is asked to stop. Raises `Fault` when it cannot go on: checkpoints are kept."""
    loop = made.loop
    checkpoints = None if run is None else Checkpoints(run, policy(training).keep)
    keeper = Keeper(checkpoints, loop.capture, policy(training), best(training), listener.checkpoint, loop.world)
    for row in loop.rows:
        keeper.best.see(row)
    keeper.begin(loop.step)
    if run is not None:
        run.settle()
    with Stopper() as stopper:
        outline = Outline(
            made.epochs,
            loop.steps_per_epoch,
            loop.steps,
            loop.train.size,
            headline,
            tuple(notes),
            None if run is None else run.path,
            stopper.ask,
            loop.step,
        )
        try:
            listener.start(outline)
            status = _guarded(loop, keeper, stopper)
            result = _result(loop, keeper, status, run)
            if run is not None:
                run.write_json("result.json", result.json())
            loop.settle()
            listener.finish(result)
        finally:
            listener.close()
    return result


def _result(loop: Loop, keeper: Keeper, status: Status, run: RunDirectory | None) -> Result:
    best_row = keeper.best.row
    directory = None if run is None else run.path
    return Result(status, len(loop.rows), loop.step, loop.elapsed, tuple(loop.rows), best_row, directory)


def _guarded(loop: Loop, keeper: Keeper, stopper: Stopper) -> Status:
    try:
        return loop.run(keeper, stopper)
    except Fault as fault:
        with suppress(Fault):
            keeper.write_best()
        raise _with_last(fault, keeper) from None
    except (RuntimeError, MemoryError) as error:
        if (refused := watch.refused(error)) is not None:
            raise refused from None
        if not watch.is_out_of_memory(error):
            raise
        shortage = error
    except IndexError as error:
        _refuse_index(error)
    except ValueError as error:
        # Torch's own words: a batch norm has no variance to take from a single value.
        if "more than 1 value per channel" not in str(error):
            raise
        raise _single(loop) from None
    # Outside of the handler: the traceback held on to the tensors that fill the memory.
    with suppress(Fault):
        keeper.write_best()
    lack = watch.out_of_memory(
        loop.objective,
        loop.fields,
        loop.clock,
        shortage.with_traceback(None),
        loop.precision.autocast(),
        loop.accumulate,
        alone=loop.world.size == 1,
    )

    raise _with_last(lack, keeper)


def _with_last(fault: Fault, keeper: Keeper) -> Fault:
    """What ended a run, and what is left of it besides its first weights."""
    last = keeper.last
    if last is not None and step_of(last.name):
        fault.notes += (f"the last checkpoint is {last}",)
    return fault


def _single(loop: Loop) -> Fault:
    """A batch norm met a batch of one sample."""
    few = loop.train.count <= loop.world.size
    return Fault(
        "a batch norm cannot train on one sample at a time",
        code="NNS603",
        at="" if few else "batch_size",
        notes=("it measures how values vary over the samples of a batch",),
        helps=("there is one sample to train on: give it more",) if few else ("use a larger batch_size",),
    )


def _refuse_index(error: IndexError) -> NoReturn:
    """What the data holds was checked before; this is for numbers that the spec works out of it."""
    if "out of bounds" not in str(error) and "out of range" not in str(error):
        raise error
    raise Fault(
        "a class number or an index that is worked out of the data is out of range",
        code="NNS604",
        at="loss",
        notes=(str(error),),
        helps=("class numbers start from 0, and are smaller than the number of scores",),
    ) from None


@contextmanager
def explained(run: RunDirectory | None, loop: Loop) -> Iterator[None]:
    """However a run ends, its directory says so in `result.json`."""
    try:
        yield
    except BaseException as fault:
        if run is not None:
            run.forget()
        if run is not None and run.path.exists():
            status = "interrupted" if isinstance(fault, KeyboardInterrupt) else "failed"
            where = {"epoch": loop.clock.epoch + 1, "step": loop.step}
            with suppress(Fault):
                run.write_json("result.json", {"status": status, "message": str(fault), **where})
        raise
