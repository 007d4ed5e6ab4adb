"""What a layer or a function may say about the memory that its call takes: the words of `Operation.memory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nnspec.dims import Size
from nnspec.types import TensorType


class Stored(Protocol):
    """A tensor that lies in memory: its type, whose sizes are numbers, and how far its elements are apart."""

    @property
    def type(self) -> TensorType: ...
    @property
    def dims(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...


class Tape(Protocol):
    """Notes what operators of torch allocate, and what they keep for the backward pass.

    `Operation.memory` tells it, operator by operator, what torch runs for a call. Operands are `Stored` tensors; None
    and numbers among them say nothing. What an operator made and nothing keeps is freed when the call ends.
    """

    training: bool
    """Whether the module is in training mode (then what is kept counts)."""
    output: Any
    """What the shape rule said: a type, or nested tuples of them, with numbers for sizes."""

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
        like: Any = None,
    ) -> Any:
        """An operator that makes new tensors of the types `output` from `inputs`, which gradients flow back to.

        For the backward pass it keeps `keeps` (by default all inputs), its output if it says so (or some of several),
        and `extra` tensors, which are made in inference as well. `scratch` is gone when it returns, and `back` is what
        its backward form makes and forgets. If it `passes` gradients, that of an input is the output's own; else it is
        a new tensor. The dimensions lie in memory as those of `like` do.
        """
        ...

    def new(self, output: TensorType) -> Any:
        """A tensor that no gradient flows to: zeros, a mask."""
        ...

    def product(self, output: TensorType, x: Any, other: Any) -> Any:
        """Element by element: each operand is kept where a gradient flows to the other."""
        ...

    def flows_to(self, x: Any) -> bool:
        """Whether a gradient flows to an operand."""
        ...

    def view(self, x: Stored, dims: Sequence[int], strides: Sequence[int], *, passes: bool = True) -> Any:
        """The same memory seen in another way."""
        ...

    def reshape(self, x: Stored, dims: Sequence[int]) -> Any:
        """A view where torch can make one, else a copy."""
        ...

    def permute(self, x: Stored, order: Sequence[int]) -> Any:
        """A view with dimensions in another order."""
        ...

    def pieces(self, x: Stored, axis: int, output: Any) -> Any:
        """Views of the parts of these types that lie behind each other along a dimension."""
        ...

    def detach(self, x: Stored) -> Any:
        """A view that no gradient flows through."""
        ...

    def expand(self, x: Stored, dims: Sequence[int]) -> Any:
        """A view in which dimensions of size 1 are repeated, and new ones stand in front."""
        ...

    def contiguous(self, x: Stored) -> Any:
        """The tensor itself if its elements lie in order, else a copy in which they do."""
        ...

    def linear(self, output: TensorType, x: Stored, *others: Any) -> Any:
        """The product of each row of x with one matrix, and whatever is added to it."""
        ...

    def matmul(self, output: TensorType, x: Stored, other: Stored) -> Any:
        """`x @ other`: torch copies operands whose matrices do not lie behind each other."""
        ...

    def part(self, layer: Any, output: Any, *inputs: Any) -> Any:
        """A call of a layer that is part of this one, with a result of these types."""
        ...

    def free(self, *tensors: Any) -> None:
        """These are not needed any more: what nothing keeps is gone."""
        ...

    def size(self, size: Size) -> int:
        """The number that a size among the arguments is."""
        ...
