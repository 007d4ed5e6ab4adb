"""What layers demand of their inputs before they look at sizes: one tensor, of a rank and of an element type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nnspec.dims import Size, show
from nnspec.layer import ONE_OF_SEVERAL, Operation, Rules, ShapeError
from nnspec.types import Scalar, TensorType, is_float, show_dtype

SEQUENCES_FIRST = "sequences come first here, [T, N, D]; for batches in front say `batch_first=true`"
"""The help where the batches of two sequences differ, which torch has in dimension 1 unless told otherwise."""


def volume(dims: Iterable[Size]) -> Size:
    """How many elements dimensions hold: their product."""
    result: Size = 1
    for dim in dims:
        result = result * dim
    return result


def quotient_text(a: Size, b: Size) -> str:
    """`T / 3`, `(T + 1) / 3`."""
    left, right = (f"({t})" if " " in t else t for t in (show(a), show(b)))
    return f"{left} / {right}"


def counted(count: Size, noun: str) -> str:
    """`1 row`, `2 rows`, `N rows`."""
    return f"{show(count)} {noun}{'' if count == 1 else 's'}"


def expect_tensor(layer: Operation, x: Any, input: int = 0) -> TensorType:
    """The operand, which must be one tensor."""
    if isinstance(x, TensorType):
        return x
    name = type(layer).__name__
    if isinstance(x, tuple):
        message = f"`{name}` takes a tensor where a tuple of {len(x)} flows in"
        raise ShapeError(message, code="NNS412", label="too many inputs", helps=ONE_OF_SEVERAL, input=input)
    what = "nothing" if x is None else f"the number {x}"
    raise ShapeError(f"`{name}` takes a tensor, not {what}", code="NNS402", input=input)


def expect_rank(layer: Operation, operand: Any, *layouts: str, input: int = 0) -> TensorType:
    """The operand, which must have as many dimensions as one of the layouts, such as `N, C, L` or `C, L`."""
    x = expect_tensor(layer, operand, input)
    ranks = [layout.count(",") + 1 for layout in layouts]
    if x.rank not in ranks:
        numbers = " or ".join(map(str, ranks))
        shapes = " or ".join(f"[{layout}]" for layout in layouts)
        raise ShapeError(
            f"`{type(layer).__name__}` needs {numbers} dimension{'' if ranks == [1] else 's'}, {shapes}, "
            f"but its input is {x}",
            code="NNS402",
            label=f"has {x.rank} dimension{'' if x.rank == 1 else 's'}",
            input=input,
        )
    return x


def expect_float(layer: Operation, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be of a floating-point type."""
    x = expect_tensor(layer, operand, input)
    if not is_float(x.dtype):
        raise ShapeError(
            f"`{type(layer).__name__}` needs a float tensor, but its input is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=("convert it: `to(x, float)`",),
        )
    return x


def expect_weight_type(layer: Operation, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be of the parameters' type: torch does not promote between the two."""
    x = expect_tensor(layer, operand, input)
    if x.dtype != "float32":
        helps = ["convert it: `to(x, float)`"]
        if not is_float(x.dtype):
            helps.append("numbers of classes or words become vectors by `Embedding`")
        raise ShapeError(
            f"`{type(layer).__name__}` has float32 parameters, but its input is {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=helps,
        )
    return x


def expect_several(layer: Operation, rules: Rules, x: TensorType, count: Size) -> None:
    """Refuse to measure the variance of a single number."""
    rules.require_at_least(
        count,
        2,
        f"`{type(layer).__name__}` needs at least 2 numbers to measure their variance, but its input is {x}",
        code="NNS403",
        label="the variance of one number says nothing",
        input=0,
    )


def expect_sizes(layer: Operation, operand: Any, input: int) -> tuple[Size, ...] | None:
    """The sizes that flow in next to tensors, as in `(x, output_size=[H, W])`; None where nothing does."""
    if operand is None:
        return None
    parts = operand if isinstance(operand, tuple) else (operand,)
    sizes = tuple(x.value for x in parts if isinstance(x, Scalar) and not isinstance(x.value, (bool, float)))
    if not isinstance(operand, tuple) or len(sizes) != len(parts):
        name = layer.input_names()[input]
        message = f"the {name} of `{type(layer).__name__}` must be a list of sizes, such as `{name}=[H, W]`"
        raise ShapeError(message, code="NNS402", input=input)
    return sizes


def expect_axis(layer: Operation, x: TensorType, name: str, axis: int) -> int:
    """The dimension that argument `name` means, counted from the front."""
    if -x.rank <= axis < x.rank:
        return axis % x.rank
    raise ShapeError(
        f"`{type(layer).__name__}({name}={axis})` is out of range for {x}, which has {x.rank} "
        f"dimension{'' if x.rank == 1 else 's'}",
        code="NNS411",
        at=name,
        label=f"must be from {-x.rank} to {x.rank - 1}",
    )


def expect_divisor(layer: Operation, total_name: str, total: int, name: str, parts: int, *, at: str) -> None:
    """Refuse a count that does not divide a width, naming the nearest that do."""
    if total % parts == 0:
        return
    divisors = [d for d in range(1, min(total, 4096) + 1) if total % d == 0]
    nearest = sorted(sorted(divisors, key=lambda d: abs(d - parts))[:2])
    raise ShapeError(
        f"{name} {parts} does not divide {total_name} {total}",
        code="NNS404",
        label=f"{total} / {parts} is not a whole number",
        at=at,
        helps=(f"the nearest that do: {' and '.join(f'`{at}={d}`' for d in nearest)}",),
    )
