"""Multi-head attention in ONNX's elementary operators, which every runtime fuses as it sees fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.dims import Size
from nnspec.layer import OnnxGraph
from nnspec.layers._lowering import reduce
from nnspec.layers._masks import _Added
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layers.attention import MultiheadAttention


def lower_attention(
    layer: MultiheadAttention,
    g: OnnxGraph,
    query: str,
    key: str,
    value: str,
    masks: Sequence[_Added],
    kind: TensorType,
    *,
    zeros: bool,
) -> Any:
    """The output, and the weights where they are wanted, for a query of this type.

    With `zeros`, the weights of a query that may look nowhere are zero, and else they are not a number.
    """
    batched, batch_first = kind.rank == 3, layer.batch_first or kind.rank == 2
    if not batched:
        first = g.constant([0])
        lifted = {x: g.node("Unsqueeze", x, first) for x in dict.fromkeys((query, key, value))}
        query, key, value = lifted[query], lifted[key], lifted[value]
    q, k, v = _project(layer, g, query, key, value)
    batch = kind.dims[0 if batch_first else 1] if batched else 1
    row, time = ([batch, 1, layer.embed_dim], 1) if batch_first else ([1, batch, layer.embed_dim], 0)
    if layer.add_bias_kv:
        k, v = (_append(g, x, g.weight(name), row, time) for x, name in ((k, "bias_k"), (v, "bias_v")))
    if layer.add_zero_attn:
        k, v = (_append(g, x, g.constant(0.0, "float32"), row, time) for x in (k, v))
    weights = _weights(layer, g, q, k, masks, batch_first, zeros)
    y = g.node("MatMul", weights, _heads(layer, g, v, (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)))
    y = g.node("Transpose", y, perm=[0, 2, 1, 3] if batch_first else [2, 0, 1, 3])
    y = g.node("Reshape", y, g.constant([0, 0, layer.embed_dim]))
    y = _affine(g, y, g.weight("out_proj.weight"), g.weight("out_proj.bias") if layer.bias else None)
    if not batched:
        y = g.node("Squeeze", y, g.constant([0]))
    if not layer.need_weights:
        return y
    if layer.average_attn_weights:
        weights = reduce(g, "ReduceMean", weights, [1], keepdims=False)
    return y, weights if batched else g.node("Squeeze", weights, g.constant([0]))


def _weights(
    layer: MultiheadAttention, g: OnnxGraph, q: str, k: str, masks: Sequence[_Added], batch_first: bool, zeros: bool
) -> str:
    """The attention weights, [N, heads, L, S]."""
    q = g.node("Mul", q, g.constant(layer.scale, "float32"))
    rows = _heads(layer, g, q, (0, 2, 1, 3) if batch_first else (1, 2, 0, 3))
    columns = _heads(layer, g, k, (0, 2, 3, 1) if batch_first else (1, 2, 3, 0))
    scores = g.node("MatMul", rows, columns)
    extra = layer.add_bias_kv + layer.add_zero_attn
    for mask, rank, *_ in masks:
        # What was appended to the keys is never masked.
        whole = g.node("Pad", mask, g.constant([0] * (2 * rank - 1) + [extra])) if extra else mask
        scores = g.node("Add", scores, whole)
    weights = g.node("Softmax", scores, axis=-1)
    if not zeros or extra or not any(mask.blinds for mask in masks):
        return str(weights)
    blind = g.node("Equal", reduce(g, "ReduceMax", scores, [-1]), g.constant(float("-inf"), "float32"))
    return str(g.node("Where", blind, g.constant(0.0, "float32"), weights))


def _heads(layer: MultiheadAttention, g: OnnxGraph, x: str, order: Sequence[int]) -> str:
    x = g.node("Reshape", x, g.constant([0, 0, layer.num_heads, layer.head_width]))
    return str(g.node("Transpose", x, perm=list(order)))


def _project(layer: MultiheadAttention, g: OnnxGraph, query: str, key: str, value: str) -> Sequence[str]:
    """Queries, keys and values in the layer's width."""
    bias = g.weight("in_proj_bias") if layer.bias else None
    thirds = g.constant([layer.embed_dim] * 3)
    if layer.joined and query == key == value:
        joined = _affine(g, query, g.weight("in_proj_weight"), bias)
        parts: Sequence[str] = g.node("Split", joined, thirds, axis=-1, outputs=3)
        return parts
    if layer.joined:
        matrices = g.node("Split", g.weight("in_proj_weight"), thirds, axis=0, outputs=3)
    else:
        matrices = [g.weight(f"{name}_proj_weight") for name in "qkv"]
    offsets = g.node("Split", bias, thirds, axis=0, outputs=3) if bias else (None, None, None)
    return [_affine(g, x, w, b) for x, w, b in zip((query, key, value), matrices, offsets, strict=True)]


def _append(g: OnnxGraph, x: str, what: str, row: Sequence[Size], time: int) -> str:
    """Sequences with one more place at their end, the same for all of the batch."""
    return str(g.node("Concat", x, g.node("Expand", what, g.shape(row)), axis=time))


def _affine(g: OnnxGraph, x: str, matrix: str, bias: str | None) -> str:
    y = g.node("MatMul", x, g.node("Transpose", matrix, perm=[1, 0]))
    return str(g.node("Add", y, bias) if bias else y)
