"""One layer of a transformer's encoder, and one of its decoder, as torch has them."""

from __future__ import annotations

from nnspec.arguments import arg
from nnspec.layer import Example, Layer, Rules
from nnspec.layers._transformer import _Attends, _Block
from nnspec.types import TensorType


class TransformerEncoderLayer(_Block):
    """Self-attention and a feed-forward part, each added to what went into it: [T, N, D] to the same.

    With `batch_first` sequences are [N, T, D], and unbatched [T, D]. A True in a bool mask means "do not look here", a
    float mask is added to the scores: `src_mask` is [T, T] or [N * heads, T, T], `src_key_padding_mask` [N, T].
    `is_causal` is no hint about the mask, as in torch, but hides later positions by itself. With `batch_first` masks
    are bool, since torch's fast path in inference takes floats for bools too. `std.transformer` has the same layer as a
    block, `EncoderLayer`, to be read and changed.
    Source: `torch.nn.TransformerEncoderLayer`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    attends = (_Attends(0, 0, 1, 2, "is_causal"),)

    is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")

    examples = (
        Example("TransformerEncoderLayer(2, 16, batch_first=true)", macs=4 * 512 + 2 * 4 * 2 * 8, src="float[N, T, 8]"),
        Example(
            'TransformerEncoderLayer(4, 8, activation="gelu", norm_first=true)',
            macs=4 * (4 * 64 + 2 * 64) + 2 * 4 * 2 * 8,
            src="float[T, N, 8]",
            src_mask="float[T, T]",
        ),
        Example(
            "TransformerEncoderLayer(2, 8, batch_first=true, bias=false, is_causal=true)",
            macs=4 * (4 * 64 + 2 * 64) + 2 * 4 * 2 * 8,
            src="float[N, T, 8]",
        ),
        Example("TransformerEncoderLayer(1, 8)", macs=5 * (4 * 16 + 2 * 32) + 2 * 25 * 4, src="float[5, 4]"),
    )

    def infer(
        self,
        rules: Rules,
        src: TensorType,
        src_mask: TensorType | None = None,
        src_key_padding_mask: TensorType | None = None,
    ) -> TensorType:
        self._check(rules, (src, src_mask, src_key_padding_mask))
        return src

    def parts(self) -> dict[str, Layer]:
        return {"self_attn": self._attention()} | self._feed_forward() | self._norms()


class TransformerDecoderLayer(_Block):
    """Self-attention, attention to a memory, and a feed-forward part, each added: [T, N, D], [S, N, D] to [T, N, D].

    With `batch_first` sequences are [N, T, D], and unbatched [T, D]. A True in a bool mask means "do not look here", a
    float mask is added to the scores: `tgt_mask` is [T, T] and `memory_mask` [T, S], or [N * heads, ...] of these;
    `tgt_key_padding_mask` is [N, T], `memory_key_padding_mask` [N, S]. `tgt_is_causal` and `memory_is_causal` are no
    hints about masks, as in torch, but hide later positions by themselves. `std.transformer` has the same layer as a
    block, `DecoderLayer`, to be read and changed.
    Source: `torch.nn.TransformerDecoderLayer`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    attends = (_Attends(0, 0, 2, 4, "tgt_is_causal"), _Attends(0, 1, 3, 5, "memory_is_causal"))
    decodes = True

    tgt_is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")
    memory_is_causal: bool = arg(False, keyword=True, doc="hide later places of the memory, too")

    examples = (
        Example(
            "TransformerDecoderLayer(2, 16, batch_first=true, tgt_is_causal=true)",
            macs=4 * (8 * 64 + 2 * 128) + 2 * 2 * 4 * 2 * 8,
            tgt="float[N, T, 8]",
            memory="float[N, S, 8]",
        ),
        Example(
            'TransformerDecoderLayer(2, 8, activation="gelu", norm_first=true, bias=false)',
            macs=4 * (8 * 64 + 2 * 64) + 2 * 2 * 4 * 2 * 8,
            tgt="float[T, N, 8]",
            memory="float[S, N, 8]",
            memory_mask="float[T, S]",
        ),
        Example(
            "TransformerDecoderLayer(1, 8)",
            macs=3 * (8 * 16 + 2 * 32) + 2 * 2 * 16 + 2 * (3 * 3 + 3 * 5) * 4,
            tgt="float[3, 4]",
            memory="float[5, 4]",
        ),
    )

    def infer(
        self,
        rules: Rules,
        tgt: TensorType,
        memory: TensorType,
        tgt_mask: TensorType | None = None,
        memory_mask: TensorType | None = None,
        tgt_key_padding_mask: TensorType | None = None,
        memory_key_padding_mask: TensorType | None = None,
    ) -> TensorType:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        self._check(rules, (tgt, memory, *masks))
        return tgt

    def parts(self) -> dict[str, Layer]:
        attentions: dict[str, Layer] = {"self_attn": self._attention(), "multihead_attn": self._attention()}
        return attentions | self._feed_forward() | self._norms()
