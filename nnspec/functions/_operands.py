"""What functions ask of their operands: element types by torch's promotion, broadcasting, dimensions that exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nnspec.dims import Dim, Size, show
from nnspec.layer import Operation, Rules, ShapeError
from nnspec.layers._expect import expect_tensor
from nnspec.types import (
    Operand,
    Scalar,
    TensorType,
    category,
    is_complex,
    is_float,
    promote,
    show_dtype,
    with_imaginary,
)

_NUMBERS = ("bool", "int64", "float32")


def result_type(*operands: Operand) -> str:
    """The element type of an operation between operands: tensors outrank tensors without dimensions, these numbers.

    A lower rank counts only when it is of a higher category (`torch.result_type`).
    """
    ranks: list[str | None] = [None, None, None]
    for operand in operands:
        if isinstance(operand, TensorType):
            rank, dtype = (0, operand.dtype) if operand.dims else (1, operand.dtype)
        elif isinstance(operand, Scalar):
            rank, dtype = 2, _NUMBERS[operand.kind]
        else:
            continue
        known = ranks[rank]
        ranks[rank] = dtype if known is None else promote(known, dtype)
    result: str | None = None
    for dtype_ in ranks:
        result = _combine(result, dtype_)
    return result or "float32"


def _combine(higher: str | None, lower: str | None) -> str | None:
    if higher is None or lower is None:
        return higher or lower
    if is_complex(lower) and is_float(higher):
        if higher == "float16":
            message = "numbers of float16 and one complex number give complex32 in torch, which the language lacks"
            raise ShapeError(message, code="NNS406", helps=("convert them, as with `to(x, float)`",))
        return with_imaginary(higher)
    return promote(higher, lower) if category(lower) > category(higher) else higher


def category_of(operand: Operand) -> int:
    """0 for bools, 1 for integers, 2 for floats, 3 for complex numbers, whether in a tensor or one number."""
    if isinstance(operand, TensorType):
        return category(operand.dtype)
    return operand.kind if isinstance(operand, Scalar) else 0


def expect_tensors(function: Operation, operands: Sequence[Operand]) -> None:
    """Refuse operands that are neither tensors nor numbers, and operations between numbers alone."""
    if not any(isinstance(x, TensorType) for x in operands):
        raise ShapeError(f"`{type(function).__name__}` needs a tensor", code="NNS402")
    for position, x in enumerate(operands):
        if not isinstance(x, (TensorType, Scalar)):
            expect_tensor(function, x, position)


def broadcast(rules: Rules, *operands: Operand) -> tuple[Size, ...]:
    """The shape of an elementwise operation; numbers fit everywhere."""
    return rules.broadcast(*(x.dims for x in operands if isinstance(x, TensorType)))


def expect_numbers(function: Operation, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be a tensor of numbers, not of bools."""
    x = expect_tensor(function, operand, input)
    if x.dtype == "bool":
        raise ShapeError(
            f"`{type(function).__name__}` needs numbers, but its input is {x}",
            code="NNS406",
            label="is of type bool",
            input=input,
            helps=("`where` chooses between numbers by a bool tensor",),
        )
    return x


def expect_dtype(function: Operation, operand: Any, dtype: str, what: str, input: int = 0) -> TensorType:
    """The operand called `what`, which must be of that element type."""
    x = expect_tensor(function, operand, input)
    if x.dtype != dtype:
        raise ShapeError(
            f"the {what} of `{type(function).__name__}` must be of type {show_dtype(dtype)}, but it is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=(f"convert it with `to({what}, {show_dtype(dtype)})`",),
        )
    return x


def expect_broadcast(rules: Rules, dims: Sequence[Size], target: Sequence[Size], message: str, **error: Any) -> None:
    """Refuse a tensor of these dimensions unless it broadcasts to a shape without making that larger."""
    if len(dims) > len(target):
        raise ShapeError(message, code="NNS407", **error)
    for size, wanted in zip(dims[::-1], target[::-1], strict=False):
        if size != 1:
            rules.require_equal(size, wanted, message, **({"code": "NNS407"} | error))


_BITS = {"uint8": 8, "int8": 7, "int16": 15, "int32": 31, "int64": 63}
"""How many bits of an integer type hold its number."""


def expect_fits(
    function: Operation, dtype: str, value: Any, *, at: str | None = None, input: int | None = None
) -> None:
    """Refuse a number that an integer type does not hold; as in torch, uint8 takes -255 to -1 for 1 to 255."""
    if dtype not in _BITS or isinstance(value, Dim):
        return
    end = 2 ** _BITS[dtype]
    first = 1 - end if dtype == "uint8" and not isinstance(value, float) else 0 if dtype == "uint8" else -end
    if not first <= value <= end - 1:
        raise ShapeError(
            f"`{type(function).__name__}` cannot put {value} into a tensor of type {show_dtype(dtype)}",
            code="NNS406",
            label=f"{show_dtype(dtype)} ends at {end - 1}",
            at=at,
            input=input,
        )


def same_type(function: Operation, operands: Sequence[TensorType]) -> str:
    """The one element type of operands that torch does not promote."""
    first = operands[0].dtype
    for position, x in enumerate(operands):
        if x.dtype != first:
            raise ShapeError(
                f"`{type(function).__name__}` needs operands of one type, but they are "
                f"{show_dtype(first)} and {show_dtype(x.dtype)}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}",
                input=position,
                helps=(_conversion(promote(first, x.dtype)),),
            )
    return first


def _conversion(dtype: str) -> str:
    """How an operand becomes one of that type."""
    if is_complex(dtype):
        return "`complex(x, zeros_like(x))` makes complex numbers of real ones"
    return f"convert one of them, as with `to(x, {show_dtype(dtype)})`"


def as_float(dtype: str) -> str:
    """The type of a real-valued function's result: floats stay (and complex numbers), all others become float."""
    return dtype if is_float(dtype) or is_complex(dtype) else "float32"


def axis(function: Operation, x: TensorType, value: int, name: str = "dim", *, extra: int = 0) -> int:
    """The dimension that argument `name` means, from the front. `extra` is 1 where it may stand after the last one.

    As in torch, a tensor without dimensions has dimension 0 for those that look along one.
    """
    rank = max(x.rank + extra, 1)
    if -rank <= value < rank:
        return value % rank
    plural = "" if x.rank == 1 else "s"
    raise ShapeError(
        f"`{type(function).__name__}({name}={value})` is out of range for {x}, which has {x.rank} dimension{plural}",
        code="NNS411",
        at=name,
        label=f"must be from {-rank} to {rank - 1}",
    )


def axes(function: Operation, x: TensorType, value: int | tuple[int, ...] | None, name: str = "dim") -> tuple[int, ...]:
    """The dimensions that an argument means (all of them for None or none at all), from the front, without doubles."""
    if value is None or value == ():
        return tuple(range(x.rank))
    found = [axis(function, x, v, name) for v in (value if isinstance(value, tuple) else (value,))]
    for position, number in enumerate(found):
        if number in found[:position]:
            raise ShapeError(
                f"`{type(function).__name__}` is given dimension {number} of {x} twice",
                code="NNS411",
                at=name,
                label=f"dimension {number} twice",
            )
    return tuple(found)


def shape_text(dims: Iterable[Size]) -> str:
    """`[N, 3]`."""
    return f"[{', '.join(map(show, dims))}]"
