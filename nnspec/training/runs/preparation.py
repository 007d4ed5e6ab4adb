"""What a run did to its data before the model saw it, as `data.json` keeps it: enough to do the same to new samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnspec import ir, registry
from nnspec.arguments import Misfit, convert
from nnspec.training import build
from nnspec.training.dataset import Dataset, check_size
from nnspec.training.fault import Fault
from nnspec.training.feeding.pipeline import Pipeline
from nnspec.training.runs.listing import RunError
from nnspec.training.transform import Transform

DATA = "data.json"


@dataclass(frozen=True, slots=True)
class Preparation:
    """How samples become what the model was trained on."""

    dataset: Dataset | None
    """The data set, with what it decided by its files written out; None for one that runs code of others."""
    base: Path
    """The folder that its paths start from."""
    classes: dict[str, tuple[str, ...]]
    """Names of the classes that a field numbers."""
    pipelines: dict[str, Pipeline]
    stored: dict[str, tuple[str, tuple[int, ...]]]
    """Element type of a field and shape of a sample where they are stored, before anything is done to them."""


def read(content: Mapping[str, Any], place: str) -> Preparation:
    """What `data.json` says. It may come from anybody: raises `RunError` for what no run writes."""
    try:
        stored = {
            name: (str(each["dtype"]), tuple(map(int, each["shape"]))) for name, each in content["stored"].items()
        }
        found = Preparation(
            _dataset(content["dataset"]),
            Path(content["base"]),
            {name: tuple(map(str, words)) for name, words in content["classes"].items()},
            {name: _pipeline(name, content) for name in stored},
            stored,
        )
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, Misfit, Fault) as fault:
        why = f"there is no {fault}" if isinstance(fault, KeyError) else str(fault)
        raise RunError(f"`{place}` does not say how to read data", notes=(why,) if why else ()) from None
    for name, (dtype, shape) in stored.items():
        _try(name, found.pipelines[name], dtype, shape)
    return found


def _pipeline(field: str, content: Mapping[str, Any]) -> Pipeline:
    wanted, divisor = content["transforms"].get(field, ()), content["divisor"].get(field)
    transforms: list[Transform] = [_configured("transform", each) for each in wanted]
    states = [dict(each["state"]) for each in wanted]
    return Pipeline(tuple(transforms), states, (), None if divisor is None else float(divisor))


def _try(name: str, pipeline: Pipeline, dtype: str, shape: tuple[int, ...]) -> None:
    """Prepare a sample of zeros: what a transform measured may have been changed into anything."""
    try:
        check_size(shape, 8, "a sample")
        pipeline.prepare(torch.from_numpy(np.zeros((1, *shape), dtype)))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError, Fault) as error:
        why = str(error).partition("\n")[0][:200]
        raise RunError(f"what is done to `{name}` does not fit it", notes=(why,) if why else ()) from None


def _dataset(content: Mapping[str, Any]) -> Dataset | None:
    found: Dataset = _configured("dataset", content)
    # Whether code may run was asked for the program's data, and not for what stands here.
    return None if type(found).runs_code else found


def _configured(kind: str, content: Mapping[str, Any]) -> Any:
    """The library object that is described: only classes of that kind, with arguments that they take."""
    name, given = content["name"], content["arguments"]
    cls = registry.find(kind, name)
    if cls is None:
        raise ValueError(f"there is no {kind} `{name}`")
    unknown = next((each for each in given if each not in cls.fields), None)
    if unknown is not None:
        raise ValueError(f"`{name}` has no argument `{unknown}`")
    arguments = {each: convert(cls.fields[each].kind, _tuples(value)) for each, value in given.items()}
    make = build.dataset if kind == "dataset" else build.transform
    return make(ir.Record(name, arguments))


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    if isinstance(value, dict):
        return {name: _tuples(part) for name, part in value.items()}
    return value
