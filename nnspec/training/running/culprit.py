"""Finds what first makes numbers that are not finite on the way from a batch to its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from math import isfinite, isnan
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from nnspec.training.updating.pieces import is_piece

_Names = list[tuple[str, nn.Module]]


def culprit(
    module: nn.Module,
    fields: Mapping[str, torch.Tensor],
    loss: Callable[[], torch.Tensor],
    autocast: AbstractContextManager[object],
) -> str:
    """What first was not finite, in words: a field, a parameter, or what was computed by a function in a layer.

    `loss` computes the loss of the batch once more, in `autocast`; always, as processes may have to do it together.
    """
    with _Finder(module) as finder, torch.no_grad(), torch.compiler.set_stance("force_eager"), autocast:
        value = loss()
    for name, tensor in fields.items():
        if not finite(tensor):
            number = int((~torch.isfinite(tensor)).reshape(len(tensor), -1).any(1).nonzero()[0])
            return f"the data is not finite: `{name}`, first in sample {number + 1} of the batch"
    broken = not_finite_in(module.named_parameters())
    if broken:
        return f"the parameter `{broken}` is not finite any more: an earlier step was too long, or its gradient was not"
    if finite(value):
        return "computed once more it is finite: what is drawn at random was something else"
    return finder.found() or "every layer's output is finite: it is the loss itself that is not"


def not_finite_in(parameters: Iterable[tuple[str, nn.Parameter]]) -> str | None:
    """The name of the first parameter that is not finite; one wait for the device."""
    named = [(name, p) for name, p in parameters if p.is_floating_point() or p.is_complex()]
    if not named:
        return None
    flags = torch.stack([torch.isfinite(_own(p)).all() for _, p in named]).tolist()
    return next((name for (name, _), good in zip(named, flags, strict=True) if not good), None)


def _own(parameter: nn.Parameter) -> torch.Tensor:
    """The part of a parameter that this process has."""
    local: torch.Tensor = getattr(parameter, "to_local", parameter.detach)()
    return local.detach()


class _Finder(TorchFunctionMode):
    """While entered, looks at what each function of torch makes, and knows in which layer it is called."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = module
        self._within: _Names = []
        self._first = ""
        """What made the first such number out of finite ones, ..."""
        self._nan = ""
        """... and what made the first NaN: out of infinite numbers, such as masks are made of."""
        self._layer = ""
        """The first layer that gave one, by whatever it is computed."""

    def __enter__(self) -> _Finder:
        self._stack = ExitStack()
        for name, inner in self._module.named_modules():
            for handle in self._watched(name, inner):
                self._stack.callback(handle.remove)
        return super().__enter__()  # type: ignore[no-any-return, no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._stack.close()

    def _watched(self, name: str, module: nn.Module) -> Iterator[Any]:
        def leave(_: nn.Module, inputs: Any, output: Any) -> None:
            self._within.pop()
            if name and not self._layer and not all(map(finite, _tensors(output))):
                self._layer = f"`{name}` ({type(module).__name__})"

        yield module.register_forward_pre_hook(lambda *_: self._within.append((name, module)))
        yield module.register_forward_hook(leave)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = list(_numbers((args, kwargs)))
        if not all(map(_is_here, given)):
            return func(*args, **(kwargs or {}))
        good, known = all(map(_good, given)), not any(map(_has_nan, given))
        made = func(*args, **(kwargs or {}))
        if known and not self._first:
            self._look(func, [each for each in _tensors(made) if _is_here(each)], good=good)
        return made

    def _look(self, func: Any, made: list[torch.Tensor], *, good: bool) -> None:
        if good and not all(map(finite, made)):
            self._first = self._words(func)
        elif not self._nan and any(map(_has_nan, made)):
            self._nan = self._words(func)

    def _words(self, func: Any) -> str:
        name = getattr(func, "__name__", str(func)).strip("_")
        where, module = self._within[-1] if self._within else ("", None)
        if module is None:
            return f"`{name}` in the loss, as every layer's output is finite"
        if not where:
            return f"`{name}` in the model, outside of its layers"
        leaf = type(module).__module__.startswith("torch.")
        layer = f"`{where}` ({type(module).__name__})"
        return layer if leaf else f"`{name}` in {layer}"

    def found(self) -> str:
        """What was found, in words; empty if nothing was."""
        first = self._first or self._nan or self._layer
        return f"the first output that is not finite is that of {first}" if first else ""


def finite(tensor: torch.Tensor) -> bool:
    """Whether all numbers of a tensor are."""
    floats = tensor.is_floating_point() or tensor.is_complex()
    return not floats or tensor.is_sparse or bool(torch.isfinite(tensor.detach()).all())


def _is_here(value: torch.Tensor | float) -> bool:
    """Whether this process has all numbers of a tensor: of weights that are shared out, torch lets go of some."""
    if isinstance(value, float) or value.is_sparse or not value.numel():
        return True
    return not is_piece(value) and value.untyped_storage().size() > 0


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    return (each for each in _numbers(value) if isinstance(each, torch.Tensor))


def _numbers(value: Any) -> Iterator[torch.Tensor | float]:
    if isinstance(value, torch.Tensor | float):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _numbers(part)


def _good(value: torch.Tensor | float) -> bool:
    return finite(value) if isinstance(value, torch.Tensor) else isfinite(value)


def _has_nan(value: torch.Tensor | float) -> bool:
    if isinstance(value, float):
        return isnan(value)
    return not value.is_sparse and value.is_floating_point() and bool(torch.isnan(value.detach()).any())
