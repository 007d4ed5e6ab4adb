"""How tensors lie in memory: strides, and when another shape is a view (as torch decides it)."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = {"bool": 1, "uint8": 1, "int8": 1, "int16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "float32": 4}
_BYTES |= {"complex128": 16}


def width(dtype: str) -> int:
    """The bytes of an element."""
    return _BYTES.get(dtype, 8)


def in_order(dims: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor whose elements lie in order, without gaps."""
    strides = []
    step = 1
    for size in reversed(dims):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def is_in_order(dims: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements lie in order, without gaps; the stride of a single element says nothing."""
    pairs = zip(dims, strides, in_order(dims), strict=True)
    return 0 in dims or all(size == 1 or stride == plain for size, stride, plain in pairs)


def reshaped(dims: Sequence[int], strides: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The strides of a view in the wanted shape; None where the elements have to be copied."""
    if 0 in dims:
        return in_order(wanted)
    groups = _groups(dims, strides)
    found: list[int] = []
    for size in reversed(wanted):
        if size == 1:
            found.append(found[-1] if found else 1)
            continue
        while groups and groups[-1][0] == 1:
            groups.pop()
        left, step = groups.pop()
        if left % size:
            return None
        found.append(step)
        groups.append((left // size, step * size))
    return tuple(reversed(found))


def _groups(dims: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Dimensions that are one as far as memory goes: their joint sizes, and the strides of the last of each."""
    groups: list[tuple[int, int]] = []
    for size, stride in zip(dims, strides, strict=True):
        if size == 1:
            continue
        if groups and groups[-1][1] == size * stride:
            groups[-1] = (groups[-1][0] * size, stride)
        else:
            groups.append((size, stride))
    return groups


def ordered_alike(dims: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """The strides of a new tensor whose dimensions lie in the order that those of another do."""
    order = sorted(range(len(dims)), key=lambda axis: (-strides[axis], axis))
    found = [1] * len(dims)
    step = 1
    for axis in reversed(order):
        found[axis] = step
        step *= max(dims[axis], 1)
    return tuple(found)


def is_dense(dims: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements fill a piece of memory, in whatever order of dimensions."""
    return 0 in dims or ordered_alike_keeping_ones(dims, strides) == tuple(strides)


def ordered_alike_keeping_ones(dims: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """As `ordered_alike`, with the strides of single elements left as they are."""
    alike = ordered_alike(dims, strides)
    return tuple(old if size == 1 else new for size, old, new in zip(dims, strides, alike, strict=True))
