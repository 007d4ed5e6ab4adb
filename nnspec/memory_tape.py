"""A tape of what torch's operators allocate, keep and free, forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from nnspec.dims import Size, evaluate
from nnspec.memory_layout import in_order, is_in_order, ordered_alike, reshaped, width
from nnspec.types import TensorType, is_complex, is_float

MOST_OPERATORS = 50_000
"""A tape of more operators takes too long to write."""


class TooLong(Exception):
    """More operators than a tape may have."""


class Block:
    """A piece of memory, and how many hold it. What was there before the tape began is `given`, and counts nothing."""

    __slots__ = ("bytes", "given", "kept", "uses")

    def __init__(self, size: int, *, given: bool = False) -> None:
        self.bytes = size
        self.given = given
        self.kept = False
        self.uses = 0


class Tensor:
    """A tensor on the tape."""

    __slots__ = ("block", "dims", "dtype", "grad", "parameter", "strides")

    def __init__(self, block: Block, dtype: str, dims: tuple[int, ...], strides: tuple[int, ...], grad: bool) -> None:
        self.block = block
        self.dtype = dtype
        self.dims = dims
        self.strides = strides
        self.grad = grad
        """Whether a gradient flows back to it."""
        self.parameter = ""
        """Its full name, if it is a parameter."""

    @property
    def type(self) -> TensorType:
        """Its type."""
        return TensorType(self.dtype, self.dims)

    @property
    def bytes(self) -> int:
        """The bytes of its elements, were they copied."""
        return prod(self.dims) * width(self.dtype)


class _Operator:
    """An operator as the backward pass sees it."""

    __slots__ = ("back", "inputs", "outputs", "passes", "saved", "weights")

    def __init__(
        self,
        inputs: list[Tensor],
        outputs: list[Tensor],
        saved: list[Block],
        passes: bool,
        weights: Sequence[tuple[str, int]],
        back: int,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.saved = saved
        self.passes = passes
        self.weights = weights
        self.back = back


class Recording:
    """The tape: `live` bytes now, and `peak`, the most there were at a time. See `nnspec.layer_memory.Tape`."""

    def __init__(self, *, training: bool) -> None:
        self.training = training
        self.output: Any = None
        self.sizes: Mapping[str, int] = {}
        self.live = 0
        self.peak = 0
        self.kept: dict[str, int] = {}
        """Bytes that are kept for the backward pass, by the place that kept them first."""
        self.place = ""
        self.weights: Sequence[tuple[str, int]] = ()
        """Names and bytes of the trained parameters of the layer that is called, until an operator has taken them."""
        self.trained = False
        """Whether that layer has any."""
        self._operators: list[_Operator] = []
        self._count = 0
        self._fresh: list[Block] = []
        self._gradients: dict[str, Block] = {}

    # --- memory ---

    def allocate(self, size: int) -> Block:
        """New memory that nothing holds yet."""
        block = Block(size)
        self.live += size
        self.peak = max(self.peak, self.live)
        self._fresh.append(block)
        return block

    def hold(self, *blocks: Block) -> None:
        """One more needs these."""
        for block in blocks:
            block.uses += 1

    def release(self, *blocks: Block) -> None:
        """One less does; what nothing needs is free again."""
        for block in blocks:
            block.uses -= 1
            self._reclaim(block)

    def _reclaim(self, block: Block) -> None:
        if block.uses <= 0 and not block.given:
            self.live -= block.bytes
            block.bytes = 0

    def end_call(self) -> None:
        """Free what the call made and nothing holds."""
        for block in self._fresh:
            self._reclaim(block)
        self._fresh = []

    # --- what classes say ---

    def op(
        self,
        output: Any,
        *inputs: Any,
        keeps: Sequence[Any] | None = None,
        keeps_output: bool | Sequence[int] = False,
        extra: Sequence[TensorType] = (),
        scratch: Sequence[TensorType] = (),
        back: Sequence[TensorType] = (),
        passes: bool = False,
        like: Tensor | None = None,
    ) -> Any:
        """See `nnspec.layer_memory.Tape.op`."""
        self._count += 1
        if self._count > MOST_OPERATORS:
            raise TooLong
        sources = [x for x in tensors_in(inputs) if x.grad]
        flows = self.training and (bool(sources) or self.trained)
        result = self._made(output, flows)
        made = list(tensors_in(result))
        if like is not None:
            for x in made:
                x.strides = ordered_alike(x.dims, like.strides)
        beside = [self.allocate(_bytes(each)) for each in extra]
        for block in [self.allocate(_bytes(each)) for each in scratch]:
            self._reclaim(block)
        if flows and any(x.grad for x in made):
            kept = tensors_in(inputs if keeps is None else keeps)
            results = made if keeps_output is True else [made[at] for at in keeps_output or ()]
            blocks = [x.block for x in [*kept, *results]]
            self._note(sources, made, [*blocks, *beside], passes, sum(map(_bytes, back)))
        else:
            for block in beside:
                self._reclaim(block)
        return result

    def new(self, output: TensorType) -> Tensor:
        """See `nnspec.layer_memory.Tape.new`."""
        made: Tensor = self._made(output, False)
        return made

    def _made(self, output: Any, flows: bool) -> Any:
        if isinstance(output, tuple):
            return tuple(self._made(part, flows) for part in output)
        dims = tuple(map(self.size, output.dims))
        block = self.allocate(prod(dims) * width(output.dtype))
        flows = flows and (is_float(output.dtype) or is_complex(output.dtype))
        return Tensor(block, output.dtype, dims, in_order(dims), flows)

    def _note(
        self, inputs: list[Tensor], outputs: list[Tensor], saved: Sequence[Block], passes: bool, back: int = 0
    ) -> None:
        kept = list(dict.fromkeys(block for block in saved if not block.given))
        for block in kept:
            self.hold(block)
            if not block.kept:
                block.kept = True
                self.kept[self.place] = self.kept.get(self.place, 0) + block.bytes
        self._operators.append(_Operator(inputs, outputs, kept, passes, self.weights, back))
        self.weights = ()

    def product(self, output: TensorType, x: Any, other: Any) -> Tensor:
        """See `nnspec.layer_memory.Tape.product`."""
        keeps = [mine for mine, theirs in ((x, other), (other, x)) if self.flows_to(theirs)]
        y: Tensor = self.op(output, x, other, keeps=keeps)
        return y

    def flows_to(self, x: Any) -> bool:
        """See `nnspec.layer_memory.Tape.flows_to`."""
        return isinstance(x, Tensor) and x.grad

    def view(self, x: Tensor, dims: Sequence[int], strides: Sequence[int], *, passes: bool = True) -> Tensor:
        """See `nnspec.layer_memory.Tape.view`."""
        seen = Tensor(x.block, x.dtype, tuple(dims), tuple(strides), x.grad)
        if x.grad:
            self._note([x], [seen], (), passes)
        return seen

    def reshape(self, x: Tensor, dims: Sequence[int]) -> Tensor:
        """See `nnspec.layer_memory.Tape.reshape`."""
        strides = reshaped(x.dims, x.strides, dims)
        if strides is not None:
            return x if tuple(dims) == x.dims else self.view(x, dims, strides)
        copy: Tensor = self.op(TensorType(x.dtype, tuple(dims)), x, keeps=(), passes=True)
        return copy

    def permute(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """See `nnspec.layer_memory.Tape.permute`."""
        return self.view(x, [x.dims[axis] for axis in order], [x.strides[axis] for axis in order])

    def pieces(self, x: Tensor, axis: int, output: Sequence[TensorType]) -> tuple[Tensor, ...]:
        """See `nnspec.layer_memory.Tape.pieces`."""
        rank = len(x.dims)
        strides = x.strides if output and len(output[0].dims) == rank else x.strides[:axis] + x.strides[axis + 1 :]
        parts = [Tensor(x.block, x.dtype, tuple(map(self.size, t.dims)), strides, x.grad) for t in output]
        if x.grad:
            self._note([x], parts, (), len(parts) == 1)
        return tuple(parts)

    def detach(self, x: Tensor) -> Tensor:
        """See `nnspec.layer_memory.Tape.detach`."""
        return Tensor(x.block, x.dtype, x.dims, x.strides, False)

    def contiguous(self, x: Tensor) -> Tensor:
        """See `nnspec.layer_memory.Tape.contiguous`."""
        if is_in_order(x.dims, x.strides):
            return x
        copy: Tensor = self.op(x.type, x, keeps=(), passes=True)
        return copy

    def linear(self, output: TensorType, x: Tensor, *others: Any) -> Tensor:
        """See `nnspec.layer_memory.Tape.linear`."""
        rows = self.reshape(x, (prod(x.dims[:-1]), x.dims[-1])) if x.grad or len(x.dims) != 1 else x
        y: Tensor = self.op(output, rows, *others)
        return y

    def matmul(self, output: TensorType, x: Tensor, other: Tensor) -> Tensor:
        """See `nnspec.layer_memory.Tape.matmul`."""
        if len(other.dims) <= 2:
            return self.linear(output, x, other)
        if len(x.dims) <= 2:
            rank = len(other.dims)
            turned = self.permute(other, (*range(rank - 2), rank - 1, rank - 2))
            return self.linear(output, turned, x)
        batch = tuple(map(self.size, output.dims[:-2]))
        stacks = [self._stacked(operand, batch) for operand in (x, other)]
        y: Tensor = self.op(output, *stacks)
        return y

    def _stacked(self, x: Tensor, batch: tuple[int, ...]) -> Tensor:
        """Matrices as one row of them, as `bmm` takes them."""
        dims = (*batch, *x.dims[-2:])
        if dims != x.dims:
            x = self.expand(x, dims)
        return self.reshape(x, (prod(batch), *x.dims[-2:]))

    def expand(self, x: Tensor, dims: Sequence[int]) -> Tensor:
        """See `nnspec.layer_memory.Tape.expand`."""
        new = len(dims) - len(x.dims)
        old = zip(x.dims, x.strides, dims[new:], strict=True)
        strides = (*[0] * new, *(step if size == wanted else 0 for size, step, wanted in old))
        return self.view(x, dims, strides, passes=False)

    def part(self, layer: Any, output: Any, *inputs: Any) -> Any:
        """See `nnspec.layer_memory.Tape.part`."""
        before, self.output = self.output, output
        outside, self._fresh = self._fresh, []
        result = layer.memory(self, *inputs)
        given = {x.block for x in tensors_in(result)}
        for block in self._fresh:
            if block in given:
                outside.append(block)
            else:
                self._reclaim(block)
        self.output, self._fresh = before, outside
        return result

    def free(self, *tensors: Any) -> None:
        """See `nnspec.layer_memory.Tape.free`."""
        for x in tensors_in(tensors):
            if x.block in self._fresh:
                self._reclaim(x.block)

    def size(self, size: Size) -> int:
        """See `nnspec.layer_memory.Tape.size`."""
        return evaluate(size, self.sizes)

    def repeat(self, times: int, grown: int, loose: int) -> Block:
        """Note as many more turns of a scan: each takes as much as the last did, of which `loose` is not kept."""
        block = self.allocate(times * loose)
        self.hold(block)
        if self.training:
            kept = self.allocate(times * max(grown - loose, 0))
            self.hold(kept)
            self.kept[self.place] = self.kept.get(self.place, 0) + kept.bytes
            self._operators.append(_Operator([], [], [kept], False, (), 0))
        return block

    # --- backwards ---

    def backward(self, outputs: Sequence[Tensor]) -> int:
        """Play the tape backwards from these; returns the bytes of all parameters' gradients."""
        grads: dict[Tensor, Block] = {}
        for x in outputs:
            if x.grad:
                self._accumulate(grads, x, self._held(x.bytes))
        while self._operators:
            self._step_back(self._operators.pop(), grads)
        return sum(block.bytes for block in self._gradients.values())

    def _held(self, size: int) -> Block:
        block = self.allocate(size)
        self._fresh = []
        self.hold(block)
        return block

    def _step_back(self, operator: _Operator, grads: dict[Tensor, Block]) -> None:
        arrived = [grads.pop(x) for x in operator.outputs if x in grads]
        if not operator.outputs:
            self.release(*operator.saved)
        if not arrived:
            return
        found: list[tuple[Tensor, Block]] = []
        for x in operator.inputs:
            if operator.passes and len(arrived) == 1 and arrived[0].bytes == x.bytes:
                self.hold(arrived[0])
                found.append((x, arrived[0]))
            else:
                found.append((x, self._held(x.bytes)))
        weights = [(name, self._held(size)) for name, size in operator.weights]
        self.release(self._held(operator.back))
        self.release(*arrived, *operator.saved)
        for name, block in weights:
            self._store(name, block)
        for x, block in found:
            if x.parameter:
                self._store(x.parameter, block)
            else:
                self._accumulate(grads, x, block)

    def _store(self, name: str, block: Block) -> None:
        """The gradient of a parameter stays; with a second one, it is their sum, in memory of its own."""
        before = self._gradients.get(name)
        if before is not None:
            total = self._held(block.bytes)
            self.release(before, block)
            block = total
        self._gradients[name] = block

    def _accumulate(self, grads: dict[Tensor, Block], x: Tensor, block: Block) -> None:
        first = grads.get(x)
        if first is None:
            grads[x] = block
            return
        if first.uses > 1:
            grads[x] = self._held(x.bytes)
            self.release(first)
        self.release(block)


def tensors_in(operand: Any) -> Iterator[Tensor]:
    """The tensors of an operand, in order."""
    if isinstance(operand, Tensor):
        yield operand
    elif isinstance(operand, tuple | list):
        for part in operand:
            yield from tensors_in(part)


def _bytes(type_: TensorType) -> int:
    return prod(evaluate(d, {}) for d in type_.dims) * width(type_.dtype)
