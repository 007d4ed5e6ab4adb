"""How much memory a model takes, in inference and in training, worked out from the IR alone.

What each operator allocates and keeps is said by its class (`Operation.memory`); `nnspec.memory_walk` runs a program in
the order in which the emitted module does, and a tape (`nnspec.memory_tape`) notes what is alive. The sizes are numbers
here: which of two polynomials is the larger depends on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnspec import ir
from nnspec.dims import show
from nnspec.memory_tape import Recording, Tensor, TooLong, tensors_in
from nnspec.memory_walk import Walk
from nnspec.patterns import owned
from nnspec.summary_weights import Weights, count_member
from nnspec.training.optimizer import Optimizer

MOST_SAMPLES = 2**40
"""Batches are not tried beyond this."""

_MOST_LINES = 12
"""After so many looks along lines, intervals are halved."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `inference` and `training` are the most that is in memory at a time, weights and inputs included."""

    weights: int
    """Parameters and buffers."""
    inputs: int
    inference: int
    optimizer: int
    """What the optimizer keeps from step to step."""
    training: int
    kept: Mapping[str, int]
    """What the forward pass keeps for the backward pass, by the paths of layers, functions and what holds them; the
    path of all is empty. What two of them keep is counted once, with the first."""


Measure = Callable[[Mapping[str, int]], "Memory | None"]
"""What a model takes at some sizes."""


def measurer(program: ir.Program, entry: ir.Entry, optimizer: Optimizer) -> Measure:
    """Measures an entry with all its optional inputs; gives None for what is too much to follow."""

    state = _state(program, entry, optimizer)

    def measure(sizes: Mapping[str, int]) -> Memory | None:
        try:
            return _measured(program, entry, sizes, optimizer, state)
        except TooLong:
            return None

    return measure


def batch_symbol(program: ir.Program, entry: ir.Entry) -> str:
    """The symbol that says how many samples flow in: the first dimension of the first input; empty if it is none."""
    method = program.methods[entry.methods["infer"]]
    first = next(ir.flat(method.graph.inputs), None)
    dims = () if first is None else method.graph.values[first].type.dims
    name = show(dims[0]) if dims else ""
    return name if any(symbol.name == name for symbol in method.symbols) else ""


def largest(needs: Callable[[int], int | None], limit: int) -> int:
    """The largest number of samples whose memory stays within the limit; 0 if not even one's does.

    What is needed grows, and very nearly in a straight line: so a few looks find it.
    """
    low, high = 0, MOST_SAMPLES
    known = {0: 0}
    looks, guess = 0, 1
    while high - low > 1:
        needed = needs(guess)
        if needed is not None:
            known[guess] = needed
        if needed is None or needed > limit:
            high = guess
        else:
            low = guess
        looks += 1
        guess = _next_guess(known if looks < _MOST_LINES else {}, low, high, limit)
    return low


def _next_guess(known: Mapping[int, int], low: int, high: int, limit: int) -> int:
    """Where the line through what is known reaches the limit; the middle, where that brings nothing new.

    What is known below says where it does at most as long as the slope grows, and what is known above, at least.
    """
    for other in sorted(known.keys() - {low, 0}, key=lambda n: abs(n - low)) if low else ():
        across, rise = abs(other - low), abs(known[other] - known[low])
        ahead = max(low + (limit - known[low]) * across // rise, low + 1) if rise else high
        if ahead < high:
            return ahead
    return min(2 * low, (low + high) // 2) if low and high == MOST_SAMPLES else (low + high) // 2


def _state(program: ir.Program, entry: ir.Entry, optimizer: Optimizer) -> int:
    """The bytes that an optimizer keeps for the parameters, tied ones once."""
    root = program.modules[entry.module]
    total = 0
    for found in owned(program.modules, root.members, root.ties):
        count = count_member(found.member)
        if count.parameters and found.member.type is not None:
            shape = [dim for dim in found.member.type.dims if isinstance(dim, int)]
            total += optimizer.state_of(shape) * (count.parameter_bytes // count.parameters)
    return total


def _measured(
    program: ir.Program, entry: ir.Entry, sizes: Mapping[str, int], optimizer: Optimizer, state: int
) -> Memory:
    count = Weights(program).of(entry.module)
    weights = count.parameter_bytes + count.buffer_bytes
    methods = entry.methods_with(entry.optional)
    forward, inputs, _ = _run(program, methods["infer"], sizes, training=False)
    tape, _, outputs = _run(program, methods.get("train", methods["infer"]), sizes, training=True)
    gradients = tape.backward(list(tensors_in(outputs)))
    step = tape.live + optimizer.scratch() * gradients
    base = weights + inputs
    training = base + state + max(tape.peak, step)
    return Memory(weights, inputs, base + forward.peak, state, training, _with_holders(tape.kept))


def _with_holders(kept: Mapping[str, int]) -> dict[str, int]:
    """Each path with all that is below it."""
    found: dict[str, int] = {}
    for place, size in kept.items():
        names = place.split(".")
        for depth in range(len(names) + 1):
            path = ".".join(names[:depth])
            found[path] = found.get(path, 0) + size
    return found


def _run(
    program: ir.Program, number: int, sizes: Mapping[str, int], *, training: bool
) -> tuple[Recording, int, tuple[Any, ...]]:
    """A method on a tape: the tape, the bytes of the inputs, and the outputs."""
    tape = Recording(training=training)
    walk = Walk(program, tape)
    method = program.methods[number]
    graph = method.graph
    given: dict[int, Tensor] = {v: walk.given(graph.values[v].type, sizes) for v in ir.flat(graph.inputs)}
    outputs = walk.method(number, [_operand(v, given) for v in graph.inputs], sizes)
    return tape, sum(x.bytes for x in given.values()), outputs


def _operand(number: Any, given: Mapping[int, Tensor]) -> Any:
    if number is None or isinstance(number, int):
        return None if number is None else given[number]
    return tuple(_operand(part, given) for part in number)
