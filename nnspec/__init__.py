"""nnspec: declarative neural network specs, checked and compiled to readable PyTorch, to ONNX, and trained.

    import nnspec

    model = nnspec.load("net.nns", hidden=256)      # a torch.nn.Module
    print(nnspec.source("net.nns"))                 # the source that it runs
    run = nnspec.train("net.nns")                   # trained as its `train` section says
    answers = nnspec.predict(run.directory, "new.csv")

Importing this package loads neither torch nor anything else that is heavy: each function loads what it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Diagnostic, NnspecError, Span
from nnspec.training.listener import Listener as Callback
from nnspec.version import __version__

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch
    from torch import nn

    from nnspec.compiler_outcome import Outcome

__all__ = [
    "Callback",
    "Diagnostic",
    "NnspecError",
    "Span",
    "__version__",
    "check",
    "check_text",
    "evaluate",
    "load",
    "loads",
    "predict",
    "source",
    "train",
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
        path: a `.nns` spec, a `.json` IR that was compiled from one, or the directory of a run (or of one of its
            checkpoints): its model with the trained weights, in eval mode, the best ones unless `weights` says else.
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

    if Path(path).is_dir() and not hyperparameters:
        return _of_run(path, model, device, weights, allow_extern, optimize)
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


def train(
    spec: str | os.PathLike[str],
    model: str | None = None,
    device: str | torch.device = "cpu",
    out: str | os.PathLike[str] | None = "runs",
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[str] = (),
    resume: str | os.PathLike[str] | None = None,
    accept_changes: bool = False,
    progress: bool = True,
    allow_extern: bool = False,
) -> Outcome:
    """Train a model as the `train` section of its spec says: what `nnspec run` does.

        run = nnspec.train("net.nns", overrides={"hidden": 64, "train.epochs": 3})
        run.model, run.result.best, run.history[-1]["val/loss"], run.directory

    Signals (Ctrl-C, SIGTERM) are heard in the main thread only; `outline.stop` stops a run from a callback.

    Arguments:
        spec: a file, or the text of a spec (it has several lines, or a brace).
        model: the model meant, where a spec has several.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`, `"auto"` or a `torch.device`.
        out: where runs are kept, each in a directory of its own; None: nothing is written.
        name: of the run's directory, before its number; the model's name when left out.
        overrides: hyperparameters by name, and settings of the section as `train.NAME`, whose texts are read as in
            the language: `{"train.optimizer": "SGD(lr=0.1)"}`.
        callbacks: objects of classes that derive from `nnspec.Callback`: they hear of the start, steps, epochs,
            checkpoints and the end. Of steps they hear ten times a second at most, unless the class says
            `every_step = True`. What one raises ends the run.
        loggers: `"tensorboard"`, `"wandb"`, `"mlflow"`, each by the extra of nnspec that has its name.
        resume: `"auto"`, `"last"`, `"best"`, or the directory of a run or checkpoint to go on from.
        accept_changes: go on although the spec is another one now.
        progress: show a bar, or lines where there is no terminal.
        allow_extern: accept layers that are written in Python.

    Returns:
        An object with `model` (the module with its last weights), `result` (`status`, `epochs`, `steps`, `seconds`,
        `rows`, `best`), `history` (a dict an epoch), `directory` (None without `out`) and `predict(samples)`.

    Raises:
        NnspecError: the spec has errors or no `train` section, the data is missing or does not fit, the loss stopped
            being finite, and whatever else keeps a run from its end. What was saved before stays.
        TypeError: something in `callbacks` is no `nnspec.Callback`, or an override is of a type that the language
            does not have.
    """
    listening = _listening(callbacks)
    from nnspec.compiler_input import compile_input, read_input
    from nnspec.compiler_run import train_spec

    written_out = isinstance(spec, str) and any(mark in spec for mark in "\n{")
    given = _text(str(spec)) if written_out else read_input(_file(spec))
    settings = overrides or {}
    compiled = compile_input(
        given,
        model=model,
        overrides=_plain({name: value for name, value in settings.items() if not name.startswith("train.")}),
        written={name: _written(name, value) for name, value in settings.items() if name.startswith("train.")},
        train=True,
        allow_extern=allow_extern,
    )
    return train_spec(
        compiled,
        base=given.base,
        device=str(device),
        root=None if out is None else Path(out),
        name=name or "",
        overrides={name: _written(name, value) for name, value in settings.items()},
        callbacks=listening,
        loggers=loggers,
        resume=None if resume is None else str(resume),
        accept_changes=accept_changes,
        progress=progress,
        allow_extern=allow_extern,
    )


def predict(
    run: str | os.PathLike[str],
    samples: str | os.PathLike[str] | Mapping[str, np.ndarray],
    checkpoint: str | None = None,
    device: str | torch.device = "cpu",
    batch_size: int = 256,
    allow_extern: bool = False,
) -> dict[str, torch.Tensor]:
    """What a run's model gives for new samples: its outputs by name, samples first, on the CPU.

    Arguments:
        run: the directory of a run or of one of its checkpoints, or the name of a run in `runs`.
        samples: a file (`.csv`, `.tsv`, `.parquet`, `.npy`, `.npz`, pictures), or arrays by field, samples first, as
            they are before the run's transforms, which are applied.
        checkpoint: `"best"` (the default), `"last"`, or a step.
        device: where to compute.
        batch_size: samples at a time.
        allow_extern: accept layers that are written in Python.

    Raises:
        NnspecError: there is no such run, or the samples do not suit it.
    """
    from nnspec.compiler_trained import open_run, predict

    trained = open_run(Path(run), checkpoint=checkpoint, allow_extern=allow_extern)
    return predict(trained, samples, device=str(device), batch_size=batch_size)


def evaluate(
    run: str | os.PathLike[str],
    data: str | None = None,
    part: str = "validation",
    checkpoint: str | None = None,
    device: str | torch.device = "cpu",
    allow_extern: bool = False,
) -> dict[str, float]:
    """The losses and metrics of what a run trained, by name: on a part of its data, or on other data.

    Arguments:
        run: as for `predict`, and so are `checkpoint`, `device` and `allow_extern`.
        data: a file like that of the run, or a data set as in a spec: `'CSV("test.csv", target="y")'`.
        part: `"validation"`, `"train"` or `"all"` of the run's own data, split as it was.

    Raises:
        NnspecError: there is no such run, or the data does not suit it.
    """
    from nnspec.compiler_trained import open_run

    return (
        open_run(Path(run), checkpoint=checkpoint, allow_extern=allow_extern).evaluate(part, data, str(device)).values
    )


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


def _of_run(
    path: Any, model: str | None, device: Any, weights: Any, allow_extern: bool, optimize: bool | Sequence[str]
) -> nn.Module:
    """The model of a run, as `load` gives it."""
    from nnspec.compiler_output import build_module
    from nnspec.compiler_trained import open_run

    trained = open_run(path, allow_extern=allow_extern)
    compiled = trained.chosen(model)
    place = None if device is None else str(device)
    with trained.weights(model) as own:
        file = own if weights is None else Path(weights)
        if optimize:
            module: nn.Module = _served(compiled, optimize).module(device=place, weights=file)
            return module
        return build_module(compiled, device=place, weights=file).eval()


def _listening(callbacks: Sequence[Callback]) -> tuple[Callback, ...]:
    """Callbacks as they are given; TypeError for what is none."""
    several = isinstance(callbacks, Iterable)
    given: tuple[Any, ...] = tuple(callbacks) if several else (callbacks,)
    wrong = [each for each in given if not isinstance(each, Callback)]
    if wrong or not several:
        raise TypeError(
            "`callbacks` is a list of objects of subclasses of nnspec.Callback, which have the methods they want "
            f"(start, step, epoch, checkpoint, finish, close): `[Mine()]`; this is {(wrong or given)[0]!r}"
        )
    return given


def _written(name: str, value: Any) -> str:
    """A value as text of the language, for what takes one; a text is taken as it is."""
    if isinstance(value, str):
        return value
    plain = _plain_value(name, value)
    if plain is None or isinstance(plain, bool):
        return {None: "none", True: "true", False: "false"}[plain]
    if isinstance(plain, list):
        inside = ", ".join(f'"{part}"' if isinstance(part, str) else _written(name, part) for part in plain)
        return f"[{inside}]"
    return repr(plain)


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
