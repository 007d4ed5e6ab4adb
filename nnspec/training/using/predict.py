"""Using what was trained: new samples go in as they are stored, and what the model says comes out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnspec import ir
from nnspec.training.dataset import Array
from nnspec.training.fault import DataError, Fault
from nnspec.training.feeding.feed import take
from nnspec.training.feeding.pipeline import Pipeline
from nnspec.training.runs.listing import RunError
from nnspec.training.runs.preparation import Preparation
from nnspec.training.using.answers import Meaning, columns, meanings
from nnspec.training.using.unseen import InputError, Unseen, read_samples

BATCH = 256


@dataclass
class Predictor:
    """A trained model, together with all that was done to its data.

    `model` is the module itself, in eval mode; `meanings` says of each output how the loss read it.
    """

    model: nn.Module
    inputs: tuple[str | None, ...]
    """The field for each argument of the model."""
    outputs: tuple[str, ...]
    preparation: Preparation
    device: torch.device
    meanings: Mapping[str, Meaning] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the model takes."""
        return tuple(dict.fromkeys(name for name in self.inputs if name is not None))

    def read(self, place: str | Path) -> Unseen:
        """The samples in a file, as they are stored. Raises `DataError`."""
        return read_samples(Path(place), self.fields, self.preparation)

    @torch.no_grad()
    def predict(self, samples: Mapping[str, Array], batch_size: int = BATCH) -> dict[str, torch.Tensor]:
        """The outputs for samples as they are stored, by name, on the CPU. Raises `Fault`.

        Those that the loss compares with a field come in the numbers that it has where it is stored.
        """
        count = min(len(samples[name]) for name in self.fields)
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in self.outputs}
        self.model.eval()
        for start in range(0, count, batch_size):
            batch = self.prepared(samples, np.arange(start, min(start + batch_size, count)))
            results = self.model(*(None if name is None else batch[name] for name in self.inputs))
            results = (results,) if len(self.outputs) == 1 else results
            for name, result in zip(self.outputs, results, strict=True):
                parts[name].append(result.cpu())
        whole = {name: torch.cat(each) for name, each in parts.items()}
        return {name: self.meanings.get(name, Meaning()).in_own_units(each) for name, each in whole.items()}

    def prepared(self, samples: Mapping[str, Array], indices: np.ndarray) -> dict[str, torch.Tensor]:
        """Samples as the model was trained on them, on the device."""
        batch = {}
        for name in self.fields:
            stored = take(samples[name], indices)
            if stored.is_floating_point() and not stored.isfinite().all():
                at = int(indices[(~stored.isfinite()).reshape(len(stored), -1).any(1).int().argmax()])
                raise DataError(f"`{name}` is not finite in sample {at:,} (counted from 0)")
            batch[name] = self._transformed(name, stored.to(self.device))
        return batch

    def _transformed(self, name: str, stored: torch.Tensor) -> torch.Tensor:
        try:
            return self.preparation.pipelines[name].prepare(stored)
        except Fault:
            raise
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            # What a run wrote fits; a file that was changed afterwards may hold anything.
            raise RunError(
                f"what is done to `{name}` does not fit it", notes=(str(error).partition("\n")[0],)
            ) from None


def predictor(
    program: ir.Program, module: nn.Module, preparation: Preparation, device: torch.device | None = None
) -> Predictor:
    """A predictor for the model that the program's section trained, with these weights."""
    training = program.training
    if training is None:
        raise RunError("the run has no `train` section: nothing says what its data was")
    entry = program.entries[training.entry]
    infer = program.methods[entry.methods_with(training.inputs)["infer"]]
    place = device or torch.device("cpu")
    return Predictor(
        module.to(place).eval(),
        tuple(training.inputs.get(name) for name in infer.input_names),
        infer.output_names,
        preparation,
        place,
        meanings(training, preparation.classes, preparation.pipelines),
    )


def predictor_alone(program: ir.Program, module: nn.Module, device: torch.device) -> Predictor:
    """A predictor for one of several models that were trained: it takes what its inputs are, and no fields of data."""
    entry = program.main
    infer = program.methods[entry.methods["infer"]]
    stored = {}
    for name, value in zip(infer.input_names, infer.graph.inputs, strict=True):
        if value is None:
            continue
        type_ = infer.graph.values[value].type
        shape = tuple(size for size in type_.dims[1:] if isinstance(size, int))
        if not type_.dims or isinstance(type_.dims[0], int) or len(shape) + 1 != len(type_.dims):
            message = f"`{name}` of `{entry.name}` is {type_}: only a program knows how many of what that takes"
            raise RunError(message, helps=(f'model = nnspec.load(RUN, model="{entry.name}")',))
        stored[name] = (type_.dtype, shape)
    pipelines = {name: Pipeline() for name in stored}
    inputs = tuple(name if name in stored else None for name in infer.input_names)
    preparation = Preparation(None, Path(), {}, pipelines, stored)
    return Predictor(module.to(device).eval(), inputs, infer.output_names, preparation, device)


# --- writing ---------------------------------------------------------------------------------------------------------


def as_table(
    outputs: Mapping[str, torch.Tensor], means: Mapping[str, Meaning], names: tuple[str, ...], tab: str, digits: int = 9
) -> str:
    """Predictions as CSV: names of samples, if they have some, then classes and probabilities, or numbers.

    The nine `digits` of a float32 tell it from all others.
    """
    found = columns(outputs, means)
    if found is None:
        raise InputError(
            "the model says too much about each sample for a table", helps=("write arrays: `-o predictions.npz`",)
        )
    titles = ["file", *(title for title, _ in found)] if names else [title for title, _ in found]
    values = [names, *(each for _, each in found)] if names else [each for _, each in found]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=tab, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_cell(value, digits) for value in row] for row in zip(*values, strict=True))
    return text.getvalue()


def _cell(value: Any, digits: int) -> Any:
    return f"{value:.{digits}g}" if isinstance(value, float) else value


def as_arrays(outputs: Mapping[str, torch.Tensor], means: Mapping[str, Meaning]) -> dict[str, np.ndarray]:
    """Outputs as they are, by name; beside those that score classes `NAME.probability` and `NAME.class`."""
    return dict(_arrays(outputs, means))


def array_file(outputs: Mapping[str, torch.Tensor], means: Mapping[str, Meaning], *, single: bool) -> bytes:
    """Predictions as an `.npz` file, or the only output as an `.npy` file."""
    content = io.BytesIO()
    if not single:
        np.savez(content, **as_arrays(outputs, means))  # type: ignore[arg-type]  # names are the spec's
    elif len(outputs) > 1:
        names = ", ".join(f"`{name}`" for name in outputs)
        raise InputError(f"an .npy file holds one array, and the model gives {names}", helps=("-o predictions.npz",))
    else:
        np.save(content, next(iter(outputs.values())).numpy())
    return content.getvalue()


def _arrays(outputs: Mapping[str, torch.Tensor], means: Mapping[str, Meaning]) -> Iterator[tuple[str, np.ndarray]]:
    for name, output in outputs.items():
        yield name, output.numpy()
        meaning = means.get(name, Meaning())
        chosen = meaning.chosen(output)
        if chosen is not None:
            yield f"{name}.probability", meaning.probabilities(output).numpy()
            yield f"{name}.class", chosen.numpy()
