"""Masks of attention layers as torch has them: true means "do not look here", and floats are added to the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nnspec.dims import Size, show
from nnspec.layer import Code, Layer, OnnxGraph, Ref, Rules, ShapeError, attribute, call, index, method
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType


def accept_masks(layer: Layer, pairs: tuple[int, Any], keys: tuple[int, Any], causal: str) -> None:
    """Refuse the masks of one attention, each with the number of its input, where their types are wrong or differ.

    `causal` is the argument that makes another mask of pairs, of bools, where it is set.
    """
    kind = type(layer).__name__
    both = sorted((pairs, keys), key=lambda mask: mask[0])
    given = [(number, expect_tensor(layer, x, number)) for number, x in both if x is not None]
    for number, mask in given:
        if mask.dtype not in ("bool", "float32"):
            raise ShapeError(
                f"a mask of `{kind}` is bool (true: do not look) or float (added), but this is {mask}",
                code="NNS406",
                input=number,
            )
    if causal and pairs[1] is None and given and given[0][1].dtype != "bool":
        raise ShapeError(
            f"with `{causal}` the mask of keys of `{kind}` must be bool, but it is {given[0][1]}",
            code="NNS406",
            input=given[0][0],
            helps=("`mask < 0` is true where a float mask hides a key",),
        )
    if len({mask.dtype for _, mask in given}) > 1:
        raise ShapeError(
            f"the masks of `{kind}` are of two types, {given[0][1]} and {given[1][1]}",
            code="NNS406",
            input=given[1][0],
            helps=("make both of them bool, or both float",),
        )


def require_mask(
    layer: Layer, rules: Rules, name: str, mask: TensorType, shapes: Sequence[tuple[Size, ...]], number: int
) -> None:
    """Refuse a mask that is of none of these shapes."""
    texts = [f"[{', '.join(map(show, shape))}]" for shape in shapes]
    message = f"{name} of `{type(layer).__name__}` must have shape {' or '.join(texts)}, but it is {mask}"
    shape = next((shape for shape in shapes if len(shape) == mask.rank), None)
    if shape is None:
        raise ShapeError(message, code="NNS402", input=number)
    for have, need in zip(mask.dims, shape, strict=True):
        rules.require_equal(have, need, message, label=f"{show(have)} should be {show(need)}", input=number)


def later(query: Ref, key: Ref, mask: Ref | None, batch_first: bool) -> Code:
    """In torch, the mask [L, S] that hides all keys behind the query's own position, and what another one hides."""
    time = -2 if batch_first else 0  # with a batch and without one
    rows, columns = (index(attribute(x, "shape"), time) for x in (query, key))
    ones = call("torch.ones", rows, columns, dtype=Ref("torch.bool"), device=attribute(query, "device"))
    hidden = call("torch.triu", ones, 1)
    # Where bools are filled with a number, they become true.
    return hidden if mask is None else method("masked_fill", mask, hidden, float("-inf"))


class _Added(NamedTuple):
    """What is added to scores [N, heads, L, S]: its rank is 2 or 4.

    It may hide all keys from a query, and was a mask of bools or of floats.
    """

    value: str
    rank: int
    bools: bool
    blinds: bool = True


def later_added(g: OnnxGraph, length: Size, source: Size) -> _Added:
    """The same in ONNX."""
    zero, one = g.constant(0), g.constant(1)
    rows, columns = (g.node("Range", zero, g.size(size), one) for size in (length, source))
    hidden = g.node("Greater", columns, g.node("Unsqueeze", rows, g.constant([1])))
    return _Added(_added(g, hidden), 2, bools=True, blinds=False)


def pairs_added(g: OnnxGraph, mask: str, heads: int) -> _Added:
    """A mask of pairs, [L, S] or [N * heads, L, S]."""
    kind = g.type(mask)
    added, bools = _added(g, mask, kind.dtype), kind.dtype == "bool"
    if kind.rank == 2:
        return _Added(added, 2, bools)
    return _Added(g.node("Reshape", added, g.shape([-1, heads, *kind.dims[1:]])), 4, bools)


def keys_added(g: OnnxGraph, mask: str, dtype: str, batched: bool) -> _Added:
    """A mask of keys, [N, S], or [S] without a batch."""
    added = g.node("Unsqueeze", _added(g, mask, dtype), g.constant([1, 2] if batched else [0, 1, 2]))
    return _Added(added, 4, dtype == "bool")


def _added(g: OnnxGraph, mask: str, dtype: str = "bool") -> str:
    if dtype != "bool":
        return mask
    lowest, zero = g.constant(float("-inf"), "float32"), g.constant(0.0, "float32")
    return str(g.node("Where", mask, lowest, zero))
