"""One training run, from a compiled program to a directory with everything that came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from nnspec import ir
from nnspec.backends.torch import WeightsError, build, load_weights, weights_of
from nnspec.diagnostics import NnspecError, Sources, Span
from nnspec.ir_json import dumps
from nnspec.training import build as making
from nnspec.training.dataset import Dataset, Loaded, read
from nnspec.training.device import own, resolve
from nnspec.training.fault import DataError, Fault
from nnspec.training.feeding.check import check_classes, check_fields
from nnspec.training.listener import Listener, Listeners
from nnspec.training.processes.spread import spread_of
from nnspec.training.processes.world import ALONE, World, is_launched, joined
from nnspec.training.result import Result
from nnspec.training.running.assemble import Assembled, assemble, kinds_of, objective_of
from nnspec.training.running.fit import explained, fit
from nnspec.training.running.loop import Loop
from nnspec.training.running.meters import meters, place_of
from nnspec.training.runs.checkpoint import read_state, read_weights
from nnspec.training.runs.directory import RunDirectory
from nnspec.training.runs.documents import deciding, describe, document, now
from nnspec.training.runs.history import History
from nnspec.training.runs.resume import Resumed, check_same, find


@dataclass(frozen=True)
class Wanted:
    """How to run, besides what the spec says."""

    base: Path
    """Where relative paths in the spec start from."""
    device: str = "cpu"
    root: Path | None = None
    """Where runs are kept; None: nothing is written."""
    name: str = ""
    """Of the run's directory, before its number; the model's name if empty."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    listener: Listener | None = None
    resume: str | None = None
    """What to go on with: see `nnspec.training.runs.resume.find`."""
    accept_changes: bool = False
    """Whether to go on with a run of another spec."""


def train(program: ir.Program, sources: Sources, wanted: Wanted) -> tuple[nn.Module, Result]:
    """Train the program's model as its `train` section says. The module comes back with the last weights.

    Raises `NnspecError` with the place in the spec for data that is missing or does not fit, and all else that goes
    wrong.
    """
    training = program.training
    assert training is not None, "the program has no `train` section"
    try:
        return _train(program, training, sources, wanted)
    except Fault as fault:
        raise NnspecError([fault.diagnostic(_place(training, fault))], sources) from None


_LISTED = 6
"""How many names a message lists."""

_NOWHERE = ("NNS620", "NNS623", "NNS628", "NNS629", "NNS650")
"""Faults of devices, directories and earlier runs: no place in the spec is wrong."""


def _place(training: ir.Training, fault: Fault) -> Span | None:
    if fault.code in _NOWHERE:
        return None
    at, update, whole = fault.at or "", training.updates[0], training.places.get("train") or training.span
    if at == "validation" and training.validation is not None:
        return training.validation.span
    if isinstance(fault, DataError):
        return training.data.span or whole
    if at in training.places:
        return training.places[at]
    if at == "optimizer":
        return update.optimizer.span
    if at == "schedule" and update.schedule is not None:
        return update.schedule.span
    if at.startswith("loss"):
        return _place_of_loss(training, at.partition(".")[2]) or whole
    if at.startswith("metrics."):
        return place_of(training, at.removeprefix("metrics.")) or whole
    return whole


def _place_of_loss(training: ir.Training, name: str) -> Span | None:
    """Where the last operation of a loss is written: that of the update of this name, or of the only one."""
    losses = [update.loss for update in training.updates if not name or update.name == name]
    return next((node.span for loss in losses for node in reversed(loss.nodes) if node.span is not None), None)


def _train(program: ir.Program, training: ir.Training, sources: Sources, wanted: Wanted) -> tuple[nn.Module, Result]:
    device = resolve(wanted.device)
    if not is_launched():
        return _trained(program, training, sources, wanted, device, ALONE)
    with joined(device) as world:
        device = own(device)
        if not world.main:
            wanted = replace(wanted, listener=None)
        return _trained(program, training, sources, wanted, device, world)


def _trained(
    program: ir.Program, training: ir.Training, sources: Sources, wanted: Wanted, device: torch.device, world: World
) -> tuple[nn.Module, Result]:
    resumed, papers = _resumed(program, training, wanted)
    data = making.dataset(training.data)
    loaded = read(data, wanted.base)
    check_fields(training, loaded, program)
    validation = None
    if training.validation is not None:
        validation = _validation(program, training, wanted.base, data, loaded)
    module, remarks = _module(program, training, wanted.base)
    entry = program.entries[training.entry]
    keeps = wanted.root is not None and world.main
    listener = Listeners([*([History()] if keeps else []), *([wanted.listener] if wanted.listener is not None else [])])
    with _numerics(training):
        spread = spread_of(program, training, module, device, world)
        objective, measures = objective_of(program, training, module, spread)
        made = assemble(
            training,
            objective,
            meters(training, measures, device),
            (loaded, validation),
            device,
            listener,
            standardized=data.standardized(),
            kinds=kinds_of(program, training),
            spread=spread,
            world=world,
        )
        run = resumed.run if resumed and keeps else None
        if run is None and keeps:
            assert wanted.root is not None
            run = RunDirectory.create(wanted.root, wanted.name or entry.name)
        if resumed is not None:  # before anything is written: a checkpoint that does not fit leaves its run as it was
            _restore(made.loop, resumed)
        with explained(run, made.loop), made.loop.precision.applied():
            if run is not None:
                document(run, program, training, sources, wanted.overrides, device, papers)
                run.write_json("data.json", describe(made.parts, loaded, training, wanted.base))
                if resumed is not None:
                    run.remove("result.json")  # of the part that ended: it is not over any more
                    run.append("resumed.jsonl", {"time": now(), "checkpoint": resumed.checkpoint.name})
            title = f"{entry.name} on {training.data.name}"
            try:
                notes = (*remarks, *_notes(wanted, resumed, loaded))
                return module, fit(made, training, listener, run, _headline(title, made, module), notes)
            except Fault as fault:
                raise fault.of_process(world.rank, world.size) from None


def _validation(program: ir.Program, training: ir.Training, base: Path, data: Dataset, loaded: Loaded) -> Loaded:
    """The data of its own to validate on; faults are about it, and not about the data that is trained on."""
    assert training.validation is not None
    try:
        validation = read(making.dataset(training.validation).following(data, base), base)
        check_fields(training, validation, program)
        check_classes(training, loaded, validation)
    except DataError as fault:
        fault.at = "validation"
        raise
    return validation


def _resumed(program: ir.Program, training: ir.Training, wanted: Wanted) -> tuple[Resumed | None, dict[str, str]]:
    """What to go on with, if it is the same run, and the documents by which one sees that."""
    if wanted.root is None:
        return None, {}
    papers = deciding(program, training)
    if wanted.resume is None:
        return None, papers
    name = wanted.name or program.entries[training.entry].name
    resumed = find(wanted.resume, wanted.root, name)
    if resumed is not None:
        check_same(resumed, dumps(program), papers, accept=wanted.accept_changes)
    return resumed, papers


def _notes(wanted: Wanted, resumed: Resumed | None, loaded: Loaded) -> tuple[str, ...]:
    """What the author should hear at the beginning."""
    if wanted.resume is None:
        return loaded.notes
    if resumed is None:
        return ("there is no unfinished run to go on with: this is a new one", *loaded.notes)
    return (f"goes on from {resumed.checkpoint}", *loaded.notes)


def _restore(loop: Loop, resumed: Resumed) -> None:
    state, weights = read_state(resumed.checkpoint), read_weights(resumed.checkpoint)
    try:
        loop.restore(weights, state)
    except (LookupError, ValueError, RuntimeError, TypeError, AttributeError, WeightsError) as error:
        other = "what it knows of the optimizer, the schedule or the data is of another run, or damaged"
        raise Fault(
            f"the checkpoint {resumed.checkpoint} does not fit this spec",
            code="NNS628",
            notes=str(error).split("; ") if isinstance(error, WeightsError) else (other,),
            helps=("`weights = ...` starts a new run from its weights alone, where those fit",),
        ) from error


@contextmanager
def _numerics(training: ir.Training) -> Iterator[None]:
    """The run's precision and determinism, for as long as it lasts."""
    with ExitStack() as stack:
        if training.settings.get("deterministic"):
            # Torch insists on it for Nvidia's cards, and reads it when it first multiplies matrices there.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            before = torch.are_deterministic_algorithms_enabled()
            torch.use_deterministic_algorithms(True)
            stack.callback(torch.use_deterministic_algorithms, before)
        yield


def _module(program: ir.Program, training: ir.Training, base: Path) -> tuple[nn.Module, tuple[str, ...]]:
    """The model with fresh weights by the seed, or with those of the file that the section names; and a remark."""
    entry, weights = program.entries[training.entry], training.settings.get("weights")
    if weights is None:
        torch.manual_seed(training.settings.get("seed", 0))
        return build(program, entry), ()
    try:
        state = load_weights(base / weights)
        if training.settings.get("strict", True):
            return build(program, entry, state=state), ()
    except WeightsError as error:
        helps = ("strict = false takes what fits by name and shape, and leaves the rest fresh",)
        differs = error.missing or error.unexpected or error.mismatched
        message = f"the weights in `{weights}` cannot be used"
        raise Fault(
            message, code="NNS622", at="weights", notes=str(error).split("; "), helps=helps if differs else ()
        ) from None
    torch.manual_seed(training.settings.get("seed", 0))
    module = build(program, entry)
    return module, (_take(module, state, weights),)


def _take(module: nn.Module, state: Mapping[str, torch.Tensor], weights: str) -> str:
    """Take over the tensors that fit by name and shape, and say which of the module's own stay fresh."""
    own = weights_of(module)
    taken = {n: tensor for n, tensor in state.items() if n in own and tensor.shape == own[n].shape}
    if not taken:
        notes = (f"the model has {', '.join(list(own)[:_LISTED])}", f"the file has {', '.join(list(state)[:_LISTED])}")
        raise Fault(f"nothing in `{weights}` fits the model", code="NNS622", at="weights", notes=notes)
    module.load_state_dict(taken, strict=False)
    fresh = [name for name in own if name not in taken]
    more = f" and {len(fresh) - _LISTED} more" if len(fresh) > _LISTED else ""
    rest = f"; fresh are {', '.join(fresh[:_LISTED])}{more}" if fresh else ""
    return f"{len(taken)} of the model's {len(own)} tensors are those of `{weights}`{rest}"


def _headline(title: str, made: Assembled, module: nn.Module) -> str:
    held = made.parts.validation
    validated = f", {len(held):,} to validate" if held is not None else ""
    weights = sum(p.numel() for p in module.parameters())
    device = made.loop.device
    return f"{title}: {len(made.parts.train):,} samples to train{validated}; {weights:,} parameters; {device}"
