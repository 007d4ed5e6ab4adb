"""The emitted source as a live module: executed, given weights, and picklable wherever nnspec is installed."""

from __future__ import annotations

import hashlib
import linecache
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn

from nnspec import ir
from nnspec.backends.source import Written, emit_function, write_finishing, write_module, write_training
from nnspec.backends.source_names import identifier
from nnspec.backends.torch_extern import ExternError, find_externs, in_words, is_current
from nnspec.backends.torch_weights import (
    WeightsError,
    adopt,
    load_state,
    load_weights,
    save_state,
    save_weights,
    weights_of,
)
from nnspec.passes.pipeline import Optimized
from nnspec.training.metric_cut import cut

__all__ = [
    "ExternError",
    "WeightsError",
    "build",
    "constant",
    "load_state",
    "load_weights",
    "rewritten",
    "save_state",
    "save_weights",
    "training_functions",
    "weights_of",
]

Function = Callable[..., torch.Tensor]
Measure = tuple[Callable[..., Any], "Function | None"]
"""What gives a metric's parts the values of a batch, and what makes one number of the parts' numbers at the end."""


def build(
    program: ir.Program,
    entry: ir.Entry | None = None,
    *,
    device: str | torch.device | None = None,
    state: Mapping[str, torch.Tensor] | None = None,
    seed: int | None = None,
) -> nn.Module:
    """The module of an entry (the main one if none is named), made by running its source.

    Fresh weights are drawn from torch's generator, or from one of their own that starts with `seed`.

    With `state` nothing is initialised at random, and the module takes over the given tensors, without a copy where
    device and type allow; `WeightsError` says what is missing, unexpected or of another shape.

    Building a model that has externs runs their code: whether that is allowed is for the caller to know.
    """
    entry = entry or program.main
    foreign = find_externs(program)
    written = write_module(program, entry)
    model_class = _execute(written, entry.name)[0]
    try:
        model = _fresh(model_class, seed) if state is None else _with_state(model_class, state, foreign)
    except WeightsError:
        raise
    except Exception as fault:
        if not foreign:
            raise
        raise ExternError(None, f"building the layers that are written in Python fails: {in_words(fault)}") from fault
    # Initialised on the CPU first: the same seed gives the same weights on every device.
    return model if device is None else model.to(device)


def training_functions(training: ir.Training) -> tuple[list[Function], dict[str, Measure]]:
    """The loss of each update, and what measures each metric, as functions of `training.names` in order."""
    written = write_training(training)
    functions = dict(zip(written.names, _execute(written, "training"), strict=True))
    losses = [functions.pop(name) for name in written.names[: len(training.updates)]]
    gather = iter([functions.pop(name) for name in list(functions)[: len(training.metrics)]])
    finish = iter(functions.values())
    measures = {
        metric.name: (next(gather), None if cut(metric.graph).finish is None else next(finish))
        for metric in training.metrics
    }
    return losses, measures


def finishing_functions(training: ir.Training) -> dict[str, Function]:
    """What makes one number of the parts' numbers, for the metrics that have parts to be put together."""
    written = write_finishing(training)
    made = _execute(written, "training") if written.names else []
    names = [metric.name for metric in training.metrics if cut(metric.graph).finish is not None]
    return dict(zip(names, made, strict=True))


def rewritten(state: Mapping[str, torch.Tensor], optimized: Optimized) -> dict[str, torch.Tensor]:
    """The weights of an optimized program, from those of the program that it was made of."""
    found = optimized.weights(state, lambda graph: constant(graph).numpy(), lambda tensor: tensor.cpu().numpy())
    return {name: value if isinstance(value, torch.Tensor) else torch.as_tensor(value) for name, value in found.items()}


def constant(graph: ir.Graph) -> torch.Tensor:
    """What a closed graph computes."""
    function = _execute(Written(emit_function(graph, "constant", ()), ("constant",)), "constant")[0]
    result: torch.Tensor = function()
    return result


def _fresh(model_class: type[nn.Module], seed: int | None) -> nn.Module:
    if seed is None:
        return model_class()
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        return model_class()


def _with_state(model_class: type[nn.Module], state: Mapping[str, torch.Tensor], foreign: bool) -> nn.Module:
    if foreign:
        # What others keep besides parameters and buffers is not known.
        model = model_class()
        load_state(model, state)
        return model
    with torch.device("meta"):
        model = model_class()
    adopt(model, state)
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        # A library class keeps a tensor that no state dict holds: only its own constructor knows it.
        model = model_class()
        load_state(model, state)
    return model


def _execute(written: Written, title: str) -> list[Any]:
    home = _home(written.text, title)
    return [getattr(home, name) for name in written.names]


def _home(source: str, title: str) -> ModuleType:
    """The module that a source makes when it is run: one for each text, known to tracebacks and `inspect`."""
    digest = hashlib.sha256(source.encode()).hexdigest()
    name = f"nnspec_{identifier(title)}_{digest[:16]}"
    known = sys.modules.get(name)
    if known is not None and is_current(known):
        return known
    filename = f"<nnspec {identifier(title)} {digest[:8]}>"
    home = ModuleType(name)
    home.__file__ = filename
    code = compile(source, filename, "exec", dont_inherit=True)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(code, home.__dict__)
    for value in list(vars(home).values()):
        if isinstance(value, type) and value.__module__ == name:
            setattr(value, "__reduce_ex__", _reducer(value, source, title))  # noqa: B010 - mypy knows another signature
    # Known only when it is complete, and once: another thread may be making the same one.
    if known is not None:
        sys.modules[name] = home
    return sys.modules.setdefault(name, home)


def _reducer(own: type, source: str, title: str) -> Callable[[Any, Any], Any]:
    """How instances of a class are pickled: by the source that makes the class, as another process has no other."""

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        if type(self) is not own:
            return object.__reduce_ex__(self, protocol)
        kept = self.__getstate__() if hasattr(self, "__getstate__") else self.__dict__
        return _revive, (source, title, own.__qualname__), dict(kept)

    return __reduce_ex__


def _revive(source: str, title: str, name: str) -> Any:
    """An empty instance of a class in a source; its state comes after."""
    cls = getattr(_home(source, title), name)
    return cls.__new__(cls)
