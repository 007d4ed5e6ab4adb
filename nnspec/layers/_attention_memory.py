"""What torch allocates for attention on a CPU: with a fused kernel, or product by product."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Stored, Tape
    from nnspec.layers.attention import MultiheadAttention


def remember_dot_product(
    m: Tape, output: TensorType, query: Any, key: Any, value: Any, mask: Any, *, causal: bool, drops: bool
) -> Any:
    """`scaled_dot_product_attention` of [..., L, E], [..., S, E] and [..., S, V]."""
    if mask is not None and mask.type.dtype == "bool":
        mask = m.op(mask.type.with_dtype(query.type.dtype), mask, keeps=())
    fused = len(query.dims) == 4 and query.dims[-1] == value.dims[-1] and not drops and not m.flows_to(mask)
    if fused:
        batch, heads, length, width = query.dims
        each = TensorType("float32", (batch, heads, length))
        rows = output.with_dims(batch, length, heads, width)
        y = m.op(rows, query, key, value, mask, keeps_output=True, extra=[each])
        return m.permute(y, (0, 2, 1, 3))
    if causal:
        mask = m.new(query.type.with_dims(query.dims[-2], key.dims[-2]))
    rank = len(query.dims)
    key, value = (_spread(m, x, query) for x in (key, value))
    turned = m.permute(key, (*range(rank - 2), rank - 1, rank - 2))
    query, turned = (m.op(x.type, x, keeps=(), like=x) for x in (query, turned))
    batch_dims = output.dims[:-2]
    scores = m.matmul(output.with_dims(*batch_dims, query.dims[-2], key.dims[-2]), query, turned)
    m.free(query, turned)
    return m.matmul(output, remember_shares(m, scores, mask, drops=drops), value)


def _spread(m: Tape, x: Stored, query: Stored) -> Any:
    """Heads of keys and values, repeated until they are as many as those of the query."""
    heads = query.dims[-3] if len(query.dims) > 2 else 1
    if len(x.dims) < 3 or x.dims[-3] == heads:
        return x
    return m.op(x.type.with_dims(*x.dims[:-3], heads, *x.dims[-2:]), x, keeps=())


def remember_shares(m: Tape, scores: Stored, mask: Any, *, drops: bool) -> Any:
    """The softmax of scores, some of which a mask hides, and dropout of what comes out."""
    if mask is not None:
        hidden = m.op(scores.type, scores, mask, keeps=())
        m.free(scores)
        scores = hidden
    shares = m.op(scores.type, scores, keeps=(), keeps_output=True)
    m.free(scores)
    return m.op(scores.type, shares, keeps=(), extra=[scores.type]) if drops else shares


def remember_attention(
    layer: MultiheadAttention, m: Tape, query: Any, key: Any, value: Any, padding: Any, mask: Any
) -> Any:
    """`nn.MultiheadAttention`: projections, attention in heads, and the projection of what they found."""
    alone = len(query.dims) == 2
    flipped = layer.batch_first and not alone
    known: dict[int, Any] = {}
    for x in (query, key, value):
        turned = m.permute(x, (1, 0, 2)) if flipped else m.reshape(x, (x.dims[0], 1, x.dims[1])) if alone else x
        known.setdefault(id(x), turned)
    parts = [known[id(x)] for x in (query, key, value)]
    masks = [x for x in (padding, mask) if x is not None]
    joint = m.new(_scores(layer, parts).with_dims(*_joint(masks))) if masks else None
    query, key, value = (_heads(layer, m, x) for x in _projected(layer, m, parts))
    drops = m.training and layer.dropout > 0
    scores = _scores(layer, parts)
    length, batch = parts[0].dims[:2]
    found = query.type
    if layer.need_weights:
        scaled = m.op(query.type, query, keeps=(), like=query)
        shares = remember_shares(m, m.matmul(scores, scaled, m.permute(key, (0, 2, 1))), joint, drops=drops)
        m.free(scaled)
        found = m.permute(m.matmul(query.type, shares, value), (1, 0, 2))
    else:
        four = [m.reshape(x, (batch, layer.num_heads, *x.dims[1:])) for x in (query, key, value)]
        q, k, v = four
        found = remember_dot_product(m, q.type, q, k, v, joint, causal=layer.is_causal, drops=drops)
        found = m.permute(found, (2, 0, 1, 3))
    rows = m.reshape(found, (length * batch, layer.embed_dim))
    y = m.op(query.type.with_dims(length, batch, layer.embed_dim), rows)
    y = m.permute(y, (1, 0, 2)) if flipped else m.reshape(y, (length, layer.embed_dim)) if alone else y
    return (y, _weights(layer, m, shares)) if layer.need_weights else y


def _joint(masks: list[Any]) -> tuple[int, ...]:
    return max((x.dims for x in masks), key=prod)


def _scores(layer: MultiheadAttention, parts: list[Any]) -> TensorType:
    (length, batch, _), total = parts[0].dims, parts[1].dims[0] + layer.add_bias_kv + layer.add_zero_attn
    found: TensorType = parts[0].type.with_dims(batch * layer.num_heads, length, total)
    return found


def _projected(layer: MultiheadAttention, m: Tape, parts: list[Any]) -> list[Any]:
    """Query, key and value behind their projections: those of one tensor are worked out at once."""
    query, key, value = parts
    if not layer.joined or key is not value:
        return [_affine(m, x, layer.embed_dim) for x in parts]
    if query is key:
        return _unpacked(layer, m, query, 3)
    return [_affine(m, query, layer.embed_dim), *_unpacked(layer, m, key, 2)]


def _affine(m: Tape, x: Any, width: int) -> Any:
    return m.linear(x.type.with_dims(*x.dims[:-1], width), x)


def _unpacked(layer: MultiheadAttention, m: Tape, x: Any, count: int) -> list[Any]:
    joined = _affine(m, x, count * layer.embed_dim)
    apart = m.op(x.type.with_dims(count, *x.dims[:-1], layer.embed_dim), joined, keeps=(), passes=True)
    m.free(joined)
    return list(m.pieces(apart, 0, (x.type.with_dims(*x.dims[:-1], layer.embed_dim),) * count))


def _heads(layer: MultiheadAttention, m: Tape, x: Any) -> Any:
    """[T, N, E] as [N * heads, T, E / heads]; what is appended to keys and values makes copies of them."""
    return m.permute(m.reshape(x, (x.dims[0], x.dims[1] * layer.num_heads, layer.head_width)), (1, 0, 2))


def _weights(layer: MultiheadAttention, m: Tape, shares: Any) -> Any:
    output = m.output[1]
    return m.op(output, shares, keeps=()) if layer.average_attn_weights else m.reshape(shares, output.dims)
