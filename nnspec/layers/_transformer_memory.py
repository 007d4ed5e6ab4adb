"""What torch allocates for the layers of a Transformer: that of their parts, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.layers._parts import configured
from nnspec.layers.activation import GELU, ReLU

if TYPE_CHECKING:
    from nnspec.layer import Layer
    from nnspec.layer_memory import Tape
    from nnspec.layers._transformer import _Block


def remember_block(block: _Block, m: Tape, sequences: Sequence[Any]) -> Any:
    """One layer; the last of the sequences is what a decoder looks at. Masks are left out: they are small."""
    x = sequences[0]
    norms = list(block._norms().values())
    for norm, attends in zip(norms, block.attends, strict=False):
        inner = m.part(norm, x.type, x) if block.norm_first else x
        source = inner if attends.source == attends.query else sequences[-1]
        found = m.part(block._attention(), x.type, inner, source, source)
        x = _added(block, m, norm, x, found)
    wide, narrow = block._feed_forward().values()
    inner = m.part(norms[-1], x.type, x) if block.norm_first else x
    hidden = m.part(wide, x.type.with_dims(*x.dims[:-1], block.dim_feedforward), inner)
    bent = m.part(configured(ReLU if block.activation == "relu" else GELU), hidden.type, hidden)
    m.free(hidden)
    found = m.part(narrow, x.type, _dropped(block, m, bent))
    m.free(bent)
    return _added(block, m, norms[-1], x, found)


def remember_stack(block: _Block, count: int, norm: Layer | None, m: Tape, sequences: Sequence[Any]) -> Any:
    """Copies of a layer, and the norm behind them."""
    x, *others = sequences
    for number in range(count):
        after = m.part(block, x.type, x, *others)
        m.free(x if number else ())
        x = after
    return x if norm is None else m.part(norm, x.type, x)


def _dropped(block: _Block, m: Tape, x: Any) -> Any:
    return m.op(x.type, x, keeps=(), extra=[x.type]) if m.training and block.dropout else x


def _added(block: _Block, m: Tape, norm: Layer, x: Any, found: Any) -> Any:
    total = m.op(x.type, x, _dropped(block, m, found), keeps=(), passes=True)
    m.free(found)
    return total if block.norm_first else m.part(norm, x.type, total)
