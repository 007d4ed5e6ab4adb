"""Complex operands: refused in one place, by whatever does not say that it takes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nnspec.layer import Layer, Operation, ShapeError
from nnspec.types import TensorType, is_complex


def refuse_complex(operation: Operation, inputs: Sequence[Any]) -> None:
    """Raise `ShapeError` for complex numbers among the inputs of an operation that takes none.

    One that is told the type of its result, by a real type, takes none either.
    """
    told = getattr(operation, "dtype", None) if "dtype" in operation.fields else None
    if operation.of_complex and told is None:
        return
    for position, x in enumerate(inputs):
        found = next((part for part in _tensors(x) if is_complex(part.dtype)), None)
        if found is not None:
            name = operation.title if isinstance(operation, Layer) else type(operation).__name__
            if operation.of_complex:
                name += f"(dtype={told})"
            raise ShapeError(
                f"`{name}` takes no complex numbers, but it is given {found}",
                code="NNS406",
                label=f"is of type {found.dtype}",
                input=position,
                helps=("`view_as_real(x)`, `abs(x)` and `real(x)` make real numbers of them",),
            )


def _tensors(operand: Any) -> Iterator[TensorType]:
    if isinstance(operand, TensorType):
        yield operand
    elif isinstance(operand, tuple):
        for part in operand:
            yield from _tensors(part)
