"""Samples of layers and losses: those of PyTorch's `module_db`, in the modes in which a class differs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import nn

from nnspec import registry

from .classes import said_as
from .judge import Sample, seed
from .library import module_db
from .say import ARRANGED, Spec

FORGOTTEN = ("device", "dtype", "inplace", "size_average", "reduce")
"""Arguments that say where numbers lie in memory, and those of older versions of torch."""

RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
"""What the constructors of recurrent layers take, which declare `*args`."""

STARRED = {
    "Identity": (),
    "RNN": (*RECURRENT[:3], "nonlinearity", *RECURRENT[3:]),
    "GRU": RECURRENT,
    "LSTM": RECURRENT,
}


def undrawn(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Without what torch's tests draw themselves: a seed makes both sides draw the same."""
    return {key: value for key, value in kwargs.items() if key != "_random_samples"}


class Call(NamedTuple):
    """Positional and named arguments."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def samples(name: str) -> Iterator[Sample]:
    """The samples that `module_db` has for a class of `torch.nn`."""
    for info in module_db():
        if info.name != f"nn.{name}":
            continue
        for training in (False, True) if info.train_and_eval_differ else (False,):
            seed()
            with remembering():
                found = info.module_inputs_func(
                    info, device="cpu", dtype=torch.float32, requires_grad=False, training=training
                )
            for each in found:
                made, fed = each.constructor_input, each.forward_input
                yield sample(name, Call(made.args, undrawn(made.kwargs)), Call(fed.args, fed.kwargs), training)


def sample(name: str, made: Call, fed: Call, training: bool = False) -> Sample:
    """A module of torch's, made and called, and the spec that says so."""
    cls = getattr(torch.nn, name)
    arguments = kept_arguments(cls, made)
    seed()
    module = cls(*made.args, **made.kwargs).train(training)
    _vary(module)
    form = said_as(name)
    kept = form == "layer"
    state = {f"layer.{key}": value.clone() for key, value in module.state_dict().items() if kept}

    def call() -> Any:
        with torch.no_grad():
            return module(*copies(fed.args), **{key: copies(value) for key, value in fed.kwargs.items()})

    def after() -> dict[str, torch.Tensor]:
        return {f"layer.{key}": value for key, value in module.state_dict().items() if kept}

    function = None if kept else registry.find("function", form)
    draws = function is not None and function.draws

    def write(spec: Spec) -> str:
        return _layer(spec, name, arguments, fed) if form in ("layer", "") else _loss(spec, form, arguments, fed)

    return Sample(name, write, call, state, after, training, draws, plain([*made.args, *made.kwargs.values()]))


def copies(value: Any) -> Any:
    """The same value with tensors of its own, which torch may write to."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    return type(value)(map(copies, value)) if type(value) in (list, tuple) else value


def plain(value: Any) -> bool:
    """Whether a value is a plain literal."""
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def named(cls: type[nn.Module], made: Call) -> dict[str, Any]:
    """The arguments of a constructor by their names."""
    if cls.__name__ in STARRED:
        return dict(zip(STARRED[cls.__name__], made.args, strict=False)) | dict(made.kwargs)
    bound = inspect.signature(cls.__init__).bind(None, *made.args, **made.kwargs)
    return {name: value for name, value in bound.arguments.items() if name != "self"}


def kept_arguments(cls: type[nn.Module], made: Call) -> dict[str, Any]:
    """What a spec says of them; a function among them (`F.gelu`) by its name, which torch takes as well."""
    arguments = {k: v for k, v in named(cls, made).items() if k not in FORGOTTEN}
    return {k: v.__name__ if isinstance(v, BuiltinFunctionType | FunctionType) else v for k, v in arguments.items()}


def _layer(spec: Spec, name: str, arguments: Mapping[str, Any], fed: Call) -> str:
    """`(x, h) -> layer: GRU(...)`; what a call says besides its inputs is said by the layer."""
    options = {k: v for k, v in fed.kwargs.items() if v is not None and plain(v)}
    inputs = [spec.value(value) for value in fed.args]
    parameters = list(inspect.signature(getattr(torch.nn, name).forward).parameters)[1:]
    for key, value in fed.kwargs.items():
        if value is not None and key not in options:
            first = not inputs and key == parameters[0]
            inputs.append(spec.value(value) if first else f"{key}={spec.value(value)}")
    fed_in = inputs[0] if len(inputs) == 1 else f"({', '.join(inputs)})"
    return f"{fed_in} -> layer: {name}{spec.call((), {**arguments, **options})}"


def _loss(spec: Spec, function: str, arguments: Mapping[str, Any], fed: Call) -> str:
    args = ARRANGED[function](*fed.args) if function in ARRANGED else fed.args
    return f"{function}{spec.call(args, {**fed.kwargs, **arguments})}"


def _vary(module: nn.Module) -> None:
    """Statistics as if after some training, so that they matter."""
    with torch.no_grad():
        for key, value in module.named_buffers():
            if key.endswith("running_mean"):
                value.normal_()
            if key.endswith("running_var"):
                value.uniform_(0.5, 2)


@contextmanager
def remembering() -> Iterator[None]:
    """Layers that are arguments of others know what they were made from."""
    with ExitStack() as stack:
        for cls in (nn.TransformerDecoderLayer, nn.TransformerEncoderLayer):
            stack.enter_context(mock.patch.object(cls, "__init__", _remember(cls, cls.__init__)))
        yield


def _remember(cls: type[nn.Module], plainly: Any) -> Any:
    @wraps(plainly)
    def remember(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        plainly(self, *args, **kwargs)
        self.__dict__["arguments_given"] = kept_arguments(cls, Call(args, kwargs))

    return remember
