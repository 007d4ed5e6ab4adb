"""What a shape rule says of a call, and what torch says of it, on its meta device or for real."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnspec import ir
from nnspec.backends.source_line import as_lists
from nnspec.backends.source_text import Printer
from nnspec.dims import evaluate
from nnspec.facts import Facts
from nnspec.layer import Function, Layer, Ref, ShapeError
from nnspec.layer_complex import refuse_complex
from nnspec.proof import Proof
from nnspec.types import Scalar, TensorType

from .seeds import Call

Shapes = list[tuple[str, tuple[Any, ...]]]
"""Element type and dimensions of each tensor of a result, in order."""

_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError, ArithmeticError)
"""How torch refuses; some functions of its meta device stumble instead."""


_FORK = multiprocessing.get_context("fork")
_PATIENCE = 60
"""How long the CPU may take, in seconds."""


@dataclass(frozen=True)
class Said:
    """What a rule says: shapes, or why there are none; and what must hold on entry."""

    shapes: Shapes | None
    fault: ShapeError | None
    proof: Proof

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Whether these sizes meet all requirements."""
        return all(
            evaluate(need.size, sizes) >= 0 if need.relation == ">=" else evaluate(need.size, sizes) == 0
            for need in self.proof.requires
        )

    def at(self, sizes: Mapping[str, int]) -> Shapes:
        """The shapes for these sizes."""
        assert self.shapes is not None
        return [(dtype, tuple(evaluate(size, sizes) for size in dims)) for dtype, dims in self.shapes]


def ours(call: Call) -> Said:
    """The shape rule's answer."""
    proof, operation = Proof(Facts()), call.operation
    try:
        refuse_complex(operation, call.operands)
        if isinstance(operation, Layer):
            operation = operation.complete(proof, *call.operands)
        result = operation.infer(proof, *call.operands)
    except ShapeError as fault:
        return Said(None, fault, proof)
    shapes = [(each.dtype, tuple(map(proof.simplify, each.dims))) for each in _leaves(result)]
    return Said(shapes, None, proof)


def torchs(call: Call, device: str) -> Shapes | str:
    """Torch's answer: the shapes, or its words where it refuses."""
    try:
        with _quiet(), torch.no_grad():
            result = _run(call, device)
    except NotImplementedError as fault:
        return f"not implemented: {fault}"
    except (*_REFUSALS, ShapeError, SyntaxError) as fault:
        return str(fault) or type(fault).__name__
    return [(str(each.dtype).removeprefix("torch."), tuple(each.shape)) for each in _leaves(result)]


def kernels(call: Call) -> Shapes | str:
    """The CPU's answer, from a process of its own: kernels may crash on what a rule refuses."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = _FORK.Process(target=_answer, args=(call, there), daemon=True)
    child.start()
    there.close()
    try:
        found: Shapes | str = here.recv() if here.poll(_PATIENCE) else "not answered"
    except EOFError:
        found = "crashed"
    child.kill()
    child.join()
    return found


def _answer(call: Call, there: Any) -> None:
    torch.set_num_threads(1)  # Threads of the parent are none of the child's.
    there.send(torchs(call, "cpu"))


def _run(call: Call, device: str) -> Any:
    names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "math": math, "DEV": torch.device(device)}
    names["self"] = nn.Identity().eval()
    operands = _operands(call.operands, names, torch.Generator().manual_seed(0))
    operation = call.operation
    write = Printer(str, "DEV")
    if isinstance(operation, Function):
        try:
            code = operation.torch(*as_lists(operation, operands))
        except LookupError as fault:  # a call that no shape rule has let through may have nothing to write
            raise ValueError(f"cannot be written: {fault}") from None
        return eval(write(code).text, names)
    assert isinstance(operation, Layer)
    operation = _completed(operation, call.operands)
    exec(operation.definition, names)
    with torch.device(device):
        names["layer"] = eval(write(operation.torch()).text, names).eval()
    return eval(write(operation.forward(Ref("layer"), *operands)).text, names)


def _completed(layer: Layer, operands: tuple[Any, ...]) -> Layer:
    """The layer with the sizes that it infers; where its own rule refuses, as its fields say where they come from."""
    try:
        return layer.complete(Proof(Facts()), *operands)
    except ShapeError:
        if any(isinstance(value, ir.Record) for value in vars(layer).values()):
            raise NotImplementedError("there is nobody to ask") from None
        open = [field for name, field in layer.fields.items() if field.inferred and getattr(layer, name) is None]
        axes = {field.name: (field.input, field.axis) for field in open}
        if any(axis is None for _, axis in axes.values()):
            raise NotImplementedError("there is nobody to ask") from None
        return layer.replace(**{name: operands[input].dims[axis] for name, (input, axis) in axes.items()})


def _operands(operands: tuple[Any, ...], names: dict[str, Any], generator: torch.Generator) -> tuple[Any, ...]:
    """Names for tensors, which are put among the names; numbers as they are."""

    def one(operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(map(one, operand))
        if isinstance(operand, TensorType):
            name = f"x{len(names)}"
            names[name] = _tensor(operand, names["DEV"], generator)
            return Ref(name)
        return operand.value if isinstance(operand, Scalar) else operand

    return tuple(map(one, operands))


def _tensor(kind: TensorType, device: torch.device, generator: torch.Generator) -> Tensor:
    shape, dtype = [evaluate(size, {}) for size in kind.dims], getattr(torch, kind.dtype)
    if device.type == "meta" or not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype, device=device)
    return torch.rand(shape, generator=generator).to(dtype)


def _leaves(result: Any) -> Iterator[Any]:
    if isinstance(result, (list, tuple)):
        for part in result:
            yield from _leaves(part)
    elif result is not None:
        yield result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
