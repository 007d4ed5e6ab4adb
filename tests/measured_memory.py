"""What modules really hold in memory, looked at after each operator; and what nnspec says, in the same form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nnspec import ir, registry
from nnspec.memory_tape import Recording, tensors_in
from nnspec.memory_tape import Tensor as Drawn
from nnspec.memory_walk import Walk
from nnspec.training.optimizer import Optimizer
from nnspec.types import is_float


class Needed(NamedTuple):
    """Bytes besides those that were there before: the peak of inference, what is left after a forward pass in training
    mode, and the peak of forward and backward pass together."""

    inference: int
    kept: int
    training: int


class Held(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Notes after each operator which of the tensors made so far are still alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._made: dict[int, tuple[Any, int]] = {}
        self._given: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and look at what it gave."""
        self._forget()
        self._given |= {key for key, _, _ in _storages((args, kwargs))} - self._made.keys()
        result = func(*args, **(kwargs or {}))
        self._made |= {key: (ref, size) for key, ref, size in _storages(result) if key not in self._given}
        self.most = max(self.most, self.live())
        return result

    def live(self) -> int:
        """The bytes of all that is alive now."""
        self._forget()
        return sum(size for _, size in self._made.values())

    def _forget(self) -> None:
        self._made = {key: made for key, made in self._made.items() if not made[0].expired()}


def _storages(tree: Any) -> list[tuple[int, Any, int]]:
    weak: Any = StorageWeakRef
    found = [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return [(storage.data_ptr(), weak(storage), storage.nbytes()) for storage in found if storage.nbytes()]


class _Loss(torch.autograd.Function):
    """Any loss, as far as memory goes: each output gets a gradient of its own, which nobody else holds."""

    @staticmethod
    def forward(ctx: Any, *outputs: Tensor) -> Tensor:
        """Nothing of the outputs is kept."""
        ctx.kinds = [(output.shape, output.dtype) for output in outputs]
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        """New tensors."""
        return tuple(torch.ones(shape, dtype=dtype) for shape, dtype in ctx.kinds)


def measured(module: torch.nn.Module, feed: Callable[[], Sequence[Any]]) -> Needed:
    """What calls of a module hold; what `feed` makes counts, if it is made of given tensors."""
    module.eval()
    with torch.no_grad(), Held() as held:
        module(*feed())
    inference = held.most
    module.train().zero_grad(set_to_none=True)
    with Held() as held:
        outputs = module(*feed())
        kept = held.live()
        trained = [x for x in tree_leaves(outputs) if isinstance(x, Tensor) and x.requires_grad]
        if trained:
            _Loss.apply(*trained).backward()  # type: ignore[no-untyped-call]
    module.zero_grad(set_to_none=True)
    return Needed(inference, kept, held.most)


def said(program: ir.Program, sizes: Mapping[str, int]) -> Needed:
    """What nnspec says about the main model, where its inputs count as well, and gradients flow to them."""
    methods = program.main.methods_with(program.main.optional)
    inference = _run(program, methods["infer"], sizes, training=False)[0].peak
    tape, outputs, kept = _run(program, methods.get("train", methods["infer"]), sizes, training=True)
    tape.backward(list(tensors_in(outputs)))
    return Needed(inference, kept, tape.peak)


def _run(
    program: ir.Program, number: int, sizes: Mapping[str, int], *, training: bool
) -> tuple[Recording, tuple[Any, ...], int]:
    tape = Recording(training=training)
    walk = Walk(program, tape)
    graph = program.methods[number].graph
    given: dict[int, Drawn] = {v: walk.given(graph.values[v].type, sizes) for v in ir.flat(graph.inputs)}
    for x in given.values():
        x.grad = training and is_float(x.dtype)
        x.block = tape.allocate(x.bytes)
        tape.hold(x.block)
    tape.end_call()
    outputs = walk.method(number, [_operand(v, given) for v in graph.inputs], sizes)
    for x in given.values():
        tape.release(x.block)
    return tape, outputs, tape.live


def _operand(number: Any, given: Mapping[int, Drawn]) -> Any:
    if number is None or isinstance(number, int):
        return None if number is None else given[number]
    return tuple(_operand(part, given) for part in number)


def optimizer(name: str, **arguments: Any) -> Optimizer:
    """An optimizer, configured."""
    cls = registry.find("optimizer", name)
    assert cls is not None
    found: Optimizer = cls(**arguments)
    return found


def sizes_of(program: ir.Program, inputs: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that the symbols of the main model have for these inputs."""
    method = program.methods[program.main.methods_with(program.main.optional)["infer"]]
    sizes = {}
    for symbol in method.symbols:
        tensor = inputs[method.input_names[symbol.input]]
        for position in symbol.element:
            tensor = tensor[position]
        sizes[symbol.name] = tensor.shape[symbol.axis]
    return sizes
