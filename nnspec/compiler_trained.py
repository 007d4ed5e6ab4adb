"""What has been trained, for whoever uses it: the program, the weights and the data of a run's directory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nnspec import ir
from nnspec.compiler import Compiled
from nnspec.compiler_files import Files
from nnspec.compiler_input import compile_input, read_input
from nnspec.compiler_output import build_module, foreign_code, installed, write_tensors
from nnspec.diagnostics import NnspecError, Sink, Sources, error
from nnspec.elaborate import program as elaboration
from nnspec.elaborate.train_objects import record, setting_object
from nnspec.elaborate.train_section import Section
from nnspec.elaborate.train_statements import collect
from nnspec.syntax.parse import parse

if TYPE_CHECKING:
    import torch
    from torch import nn

    from nnspec.training.runs.archive import Archive
    from nnspec.training.using.evaluate import Evaluation
    from nnspec.training.using.predict import Predictor


_DATA_SET = re.compile(r"\s*[A-Z]\w*\s*(\(|$)")
"""How a data set begins, where a path might stand as well."""


@dataclass(frozen=True)
class Trained:
    """A run at one of its checkpoints, whose program has been read and verified."""

    archive: Archive
    compiled: Compiled

    @property
    def models(self) -> tuple[str, ...]:
        """The models of which each can be asked for by itself, where several were trained."""
        program = self.compiled.program
        names = program.training.models if program.training is not None else ()
        return tuple(entry.name for entry in program.entries if entry.name in names)

    def chosen(self, model: str | None) -> Compiled:
        """The program: that of what was trained, or of one of several models."""
        program = self.compiled.program
        name = program.main.name
        if model in (None, name):
            return self.compiled
        if model not in self.models:
            trained = f"`{name}`" if not self.models else " and ".join(f"`{each}`" for each in self.models)
            message = f"`{self.archive.path}` trained {trained}, and no model `{model}`"
            raise NnspecError([error("NNS210", message, None)])
        entry = next(entry for entry in program.entries if entry.name == model)
        return replace(self.compiled, program=replace(program, entries=(entry,), training=None))

    @contextmanager
    def weights(self, model: str | None) -> Iterator[Path]:
        """A file of the weights of what `chosen` gives."""
        if model is None or model not in self.models:
            yield self.archive.weights_path
            return
        with explained(self.compiled.sources):
            state = self.archive.weights()
        with TemporaryDirectory() as folder:
            start, place = f"{model}.", Path(folder, f"{model}.safetensors")
            write_tensors({n.removeprefix(start): t for n, t in state.items() if n.startswith(start)}, place)
            yield place

    def module(self, device: str | None = None) -> nn.Module:
        """The model with the weights of the checkpoint, in eval mode."""
        with explained(self.compiled.sources), foreign_code(self.compiled):
            from nnspec.backends.torch import WeightsError, build
            from nnspec.training.device import resolve
            from nnspec.training.runs.listing import RunError

            place = None if device is None else resolve(device)
            program = self.compiled.program
            entry = program.entries[program.training.entry] if program.training else program.main
            try:
                return build(program, entry, device=place, state=self.archive.weights()).eval()
            except WeightsError as error:
                what = f"the weights in `{self.archive.weights_path}` are not those of the run's model"
                raise RunError(what, notes=str(error).split("; ")) from None

    def with_preprocessing(self, weights: Path, folder: Path) -> tuple[Compiled, Path]:
        """The model that does to its inputs what the run did to its data, and a file of its weights in `folder`."""
        with explained(self.compiled.sources):
            from nnspec.backends.torch import WeightsError, load_weights
            from nnspec.training.runs.listing import RunError
            from nnspec.training.using.embedded import embed

            program, constants = embed(self.compiled.program, self.archive.preparation)
            try:
                state = load_weights(weights)
            except WeightsError as error:
                raise RunError(str(error)) from None
            place = folder / "model.safetensors"
            write_tensors(state | constants, place)
            return replace(self.compiled, program=program), place

    def predictor(self, device: str | None = None, model: str | None = None) -> Predictor:
        """What predicts for new samples: all that was trained, or one of several models."""
        compiled = self.chosen(model)
        with explained(self.compiled.sources):
            from nnspec.training.device import resolve
            from nnspec.training.using.predict import predictor, predictor_alone

            place = resolve(device or "cpu")
            if compiled is not self.compiled:
                with self.weights(model) as file:
                    return predictor_alone(compiled.program, build_module(compiled, weights=file), place)
            return predictor(self.compiled.program, self.module(device), self.archive.preparation, place)

    def evaluate(self, part: str = "validation", data: str | None = None, device: str | None = None) -> Evaluation:
        """The losses and metrics on a part of the run's data, or on other `data` (a text of the language)."""
        with explained(self.compiled.sources), foreign_code(self.compiled, running=True):
            from nnspec.training.device import resolve
            from nnspec.training.using.evaluate import evaluate

            source = data_set(data) if data is not None and _DATA_SET.match(data) else data
            place = resolve(device or "cpu")
            return evaluate(self.compiled.program, self.archive, self.module(device), place, part, source)


def predict(trained: Trained, samples: object, *, device: str, batch_size: int) -> dict[str, torch.Tensor]:
    """The outputs for samples in a file, or for arrays by field. Raises `NnspecError`, and `TypeError` otherwise."""
    predictor = trained.predictor(device)
    with explained(trained.compiled.sources), foreign_code(trained.compiled, running=True):
        from nnspec.training.using.unseen import from_arrays

        if not isinstance(samples, str | os.PathLike | Mapping):
            message = f"samples are a path, or arrays by field ({{field: array}}), and not `{type(samples).__name__}`"
            raise TypeError(f"{message}; of a table, write a CSV file, or give its columns as arrays")
        if isinstance(samples, Mapping):
            found = from_arrays(samples, predictor.fields, predictor.preparation)
        else:
            found = predictor.read(os.fspath(samples))
        return predictor.predict(found.fields, batch_size)


def data_set(text: str) -> ir.Record:
    """A data set that is written in the language: `CSV("test.csv", target="y")`. Raises `NnspecError`."""
    sources, sink = Sources(), Sink()
    section = f"train {{\n  data = {text}\n}}\n"
    tree = parse(section, sink, sources.add("--data", section))
    session = elaboration.start(tree, sources, sink, Files())
    node = elaboration.train_section(session)
    if node is not None and not sink.failed:
        read = Section(session, node, None, Path(), {})
        collect(read)
        value = setting_object(read, "data")
        if value is not None and not sink.failed:
            return record(read, "data", value)
    raise NnspecError(sink.diagnostics, sources)


def is_run(place: str | Path) -> bool:
    """Whether that is a run's directory, or a checkpoint in one."""
    from nnspec.training.runs.listing import RunError, find_run

    if not Path(place).is_dir():
        return False
    try:
        find_run(place)
    except RunError:
        return False
    return True


def open_run(where: str | Path, *, checkpoint: str | None = None, allow_extern: bool = False) -> Trained:
    """The run at a path or of a name, at its best checkpoint or the one that is named.

    Raises `NnspecError` for what is not there, is damaged, or runs Python code without being allowed to.
    """
    with explained(Sources()):
        from nnspec.training.runs.archive import Archive

        archive = Archive.open(where, checkpoint=checkpoint)
    return Trained(archive, compile_input(read_input(archive.program_path), allow_extern=allow_extern))


@contextmanager
def explained(sources: Sources) -> Iterator[None]:
    """Faults as diagnostics; packages that are absent by the extra that brings them."""
    with installed():
        from nnspec.training.fault import Fault

        try:
            yield
        except Fault as fault:
            raise NnspecError([fault.diagnostic(None)], sources) from None
