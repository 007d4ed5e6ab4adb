"""The libraries that originals come from, imported when a case needs one."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import cache, partial
from typing import Any

import torch

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def is_there(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


@cache
def torchvision(module: str = "torchvision.models") -> Any:
    """A module of torchvision, for a CPU build of torch too.

    Its compiled operators may need another build of torch than the one that is there; the import only wants to know
    what two of them would look like, and no network here uses them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports in turn
        try:
            return importlib.import_module(module)
        except RuntimeError as fault:
            if "torchvision::" not in str(fault):
                raise
        for name, schema in _SCHEMAS.items():
            if not hasattr(torch.ops.torchvision, name):
                _library().define(name + schema)
        return importlib.import_module(module)


@cache
def _library() -> Any:
    make: Any = torch.library.Library
    return make("torchvision", "FRAGMENT")  # kept: what it declares goes with it


@cache
def transformers() -> Any:
    """The package transformers; it imports torchvision where that is there, so torchvision comes first."""
    if is_there("torchvision"):
        torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("transformers")


def vision(name: str, /, **arguments: Any) -> partial[Any]:
    """Makes a network of `torchvision.models`: `vision("resnet18", num_classes=10)`."""
    return partial(_make_vision, name, arguments)


def _make_vision(name: str, arguments: dict[str, Any]) -> Any:
    make = torchvision()
    for part in name.split("."):
        make = getattr(make, part)
    return make(**arguments)


def language(model: str, /, config: str, **arguments: Any) -> partial[Any]:
    """Makes a network of transformers: `language("GPT2LMHeadModel", config="GPT2Config", n_layer=2)`."""
    return partial(_make_language, model, config, arguments)


def _make_language(model: str, config: str, arguments: dict[str, Any]) -> Any:
    library = transformers()
    return getattr(library, model)(getattr(library, config)(**arguments))
