"""nnspec: declarative neural network specs, checked and compiled to readable PyTorch, to ONNX, and trained.

    import nnspec

    model = nnspec.load("net.nns", hidden=256)      # a torch.nn.Module
    print(nnspec.source("net.nns"))                 # the source that it runs

Importing this package loads neither torch nor anything else that is heavy: each function loads what it needs.
"""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Diagnostic, NnspecError, Span
from nnspec.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import torch
    from torch import nn

__all__ = [
    "Diagnostic",
    "NnspecError",
    "Span",
    "__version__",
    "check",
    "check_text",
    "load",
    "loads",
    "source",
]


def load(
    path: str | os.PathLike[str],
    model: str | None = None,
    device: str | torch.device | None = None,
    weights: str | os.PathLike[str] | None = None,
    allow_extern: bool = False,
    optimize: bool | Sequence[str] = False,
    **hyperparameters: Any,
) -> nn.Module:
    """The model of a spec as a live `torch.nn.Module`: exactly the source that `nnspec.source` returns, executed.

    Parameters have the names that the spec gives them, inputs are the arguments of `forward` in order, and outputs come
    as one tensor or as a tuple in order. Symbols of the spec (`float[N, 3, H, W]`) may have any size, which may
    differ from call to call. The module copies, pickles, exports and compiles like one that was written by hand.

    Arguments:
        path: a `.nns` spec, or a `.json` IR that was compiled from one.
        model: the model meant, in a file that has several.
        device: where its parameters go (`"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`, `"auto"` or a `torch.device`); torch's
            default when left out.
        weights: a `.safetensors` file or a torch checkpoint with the parameters; nothing in it is executed. Without it
            they are drawn from torch's global generator.
        allow_extern: accept layers that are written in Python (`extern block`): building the model runs their code.
            No other part of a spec runs any.
        optimize: make a module for inference, which computes the same with fewer and faster steps: no dropout, batch
            norms in the convolutions' weights, constants worked out once. Its weights are other ones than the spec's;
            `weights` are still those of the spec. It is in eval mode, wants no gradients, and refuses `train()`.
            Names of passes in place of True choose some of them, as in `nnspec compile --passes`.
        hyperparameters: values for the model's hyperparameters: numbers, bools, strings, None, lists and tuples.
            Layers, as in `act = GELU`, can be set by `nnspec compile --set`.

    Raises:
        NnspecError: the file cannot be read, the spec has errors, the weights do not fit, or the device is not there.
            Its `diagnostics` say what, where, and what helps.
        TypeError: a hyperparameter is of a type that the language does not have.
        ValueError: no pass has the name that `optimize` says.

    A hyperparameter that is called like one of the arguments above can be set with `nnspec compile --set`.
    """
    from nnspec.compiler_input import read_input

    return _module(read_input(_file(path)), model, device, weights, allow_extern, optimize, hyperparameters)


def loads(
    text: str,
    model: str | None = None,
    device: str | torch.device | None = None,
    weights: str | os.PathLike[str] | None = None,
    allow_extern: bool = False,
    optimize: bool | Sequence[str] = False,
    **hyperparameters: Any,
) -> nn.Module:
    """As `load`, for the text of a spec. It has no folder: it imports from `std` only."""
    return _module(_text(text), model, device, weights, allow_extern, optimize, hyperparameters)


def source(
    path: str | os.PathLike[str],
    model: str | None = None,
    allow_extern: bool = False,
    optimize: bool | Sequence[str] = False,
    **hyperparameters: Any,
) -> str:
    """The PyTorch source of a spec's model: readable, and it imports torch and the classes of externs only.

    Nothing of that is loaded here. With `optimize` it is that of `load(..., optimize=True)`, whose state dict fits it.

    Raises:
        NnspecError: the file cannot be read, or the spec has errors.
    """
    from nnspec.compiler_input import compile_input, read_input
    from nnspec.compiler_output import emit_source

    given = read_input(_file(path))
    compiled = compile_input(given, model=model, overrides=_plain(hyperparameters), allow_extern=allow_extern)
    return emit_source(_served(compiled, optimize).compiled if optimize else compiled)


def check(path: str | os.PathLike[str], allow_extern: bool = False) -> tuple[Diagnostic, ...]:
    """All errors and warnings of a spec, in the order of their places; empty when there is nothing to say.

    No code runs, whatever the spec says: `allow_extern` only keeps externs from being reported.

    Raises:
        NnspecError: the file cannot be read.
    """
    from nnspec.compiler_input import check_input, read_input

    return check_input(read_input(_file(path)), allow_extern=allow_extern).diagnostics


def check_text(text: str, allow_extern: bool = False) -> tuple[Diagnostic, ...]:
    """As `check`, for the text of a spec. It has no folder: it imports from `std` only."""
    from nnspec.compiler_input import check_input

    return check_input(_text(text), allow_extern=allow_extern).diagnostics


def _file(path: str | os.PathLike[str]) -> Any:
    """A path as it is: `-` is a file of that name here, not standard input."""
    return Path("./-") if str(path) == "-" else Path(path)


def _text(text: str) -> Any:
    from nnspec.compiler_input import Input

    return Input("<text>", text, Path())


def _module(
    given: Any,
    model: str | None,
    device: Any,
    weights: Any,
    allow_extern: bool,
    optimize: bool | Sequence[str],
    hyperparameters: dict[str, Any],
) -> nn.Module:
    from nnspec.compiler_input import compile_input
    from nnspec.compiler_output import build_module

    compiled = compile_input(given, model=model, overrides=_plain(hyperparameters), allow_extern=allow_extern)
    place = None if device is None else str(device)
    file = None if weights is None else Path(weights)
    if optimize:
        module: nn.Module = _served(compiled, optimize).module(device=place, weights=file)
        return module
    return build_module(compiled, device=place, weights=file)


def _served(compiled: Any, optimize: bool | Sequence[str]) -> Any:
    from nnspec.compiler_optimize import DEFAULT, serve

    names = (optimize,) if isinstance(optimize, str) else DEFAULT if isinstance(optimize, bool) else optimize
    return serve(compiled, names)


def _plain(hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Python's values as the language has them; numpy's numbers are numbers, and its bools are bools."""
    return {name: _plain_value(name, value) for name, value in hyperparameters.items()}


def _plain_value(name: str, value: Any) -> Any:
    value = value.item() if getattr(value, "shape", None) == () else value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain_value(name, part) for part in value]
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    kinds = "a number, a bool, a string, None, or a list or tuple of these"
    raise TypeError(f"hyperparameter `{name}` must be {kinds}, not {type(value).__name__}")
