"""torch's whole transformer, an encoder and a decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg, inferred
from nnspec.dims import Size
from nnspec.layer import Example, Layer, OnnxGraph, Rules
from nnspec.layers._parts import configured, inside, recorded
from nnspec.layers._transformer import _Attends, _Block, _Transformer
from nnspec.layers.norm import LayerNorm
from nnspec.layers.transformer_layer import TransformerDecoderLayer, TransformerEncoderLayer
from nnspec.layers.transformer_stack import TransformerDecoder, TransformerEncoder
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class Transformer(_Transformer):
    """An encoder of `src` and a decoder of `tgt` that looks at it, norms behind: [S, N, D], [T, N, D] to [T, N, D].

    With `batch_first` sequences are [N, S, D], and unbatched [S, D]. Masks are those of `TransformerEncoder` and
    `TransformerDecoder`, whose remarks hold: `src_mask` is [S, S], `tgt_mask` [T, T] and `memory_mask` [T, S], or
    [N * heads, ...] of these; the padding masks are [N, S], [N, T] and [N, S]. `src_is_causal`, `tgt_is_causal` and
    `memory_is_causal` are no hints about masks, as in torch, but hide later positions by themselves. `std.transformer`
    has `Encoder` and `Decoder` as blocks, to be read and changed.
    Source: `torch.nn.Transformer`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    attends = (
        _Attends(0, 0, 2, 5, "src_is_causal"),
        _Attends(1, 1, 3, 6, "tgt_is_causal"),
        _Attends(1, 0, 4, 7, "memory_is_causal"),
    )

    d_model: int = inferred(axis=-1)
    nhead: int = arg(8, ge=1, doc="how many heads share the width")
    num_encoder_layers: int = arg(6, ge=1, le=1000, doc="how many layers the encoder has")
    num_decoder_layers: int = arg(6, ge=1, le=1000, doc="how many layers the decoder has")
    dim_feedforward: int = arg(2048, ge=1, doc="width inside of the feed-forward parts")
    dropout: float = arg(0.1, ge=0, le=1, doc="dropout of weights, and of what is added")
    activation: Literal["relu", "gelu"] = arg("relu", doc="what bends the feed-forward parts")
    layer_norm_eps: float = arg(1e-5, ge=0, le=1, doc="added to the variances")
    batch_first: bool = arg(False, doc="the batch is the first dimension of all sequences, not the second")
    norm_first: bool = arg(False, doc="normalise what goes into each part, and not the sum behind it")
    bias: bool = arg(True, doc="add learned offsets, in the norms too")
    src_is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")
    tgt_is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")
    memory_is_causal: bool = arg(False, keyword=True, doc="hide later places of the source, too")

    examples = (
        Example(
            "Transformer(2, 1, 2, dim_feedforward=16, batch_first=true, tgt_is_causal=true)",
            macs=3 * (4 * 512 + 2 * 4 * 2 * 8) + 2 * (4 * 256 + 2 * 4 * 2 * 8),
            src="float[N, S, 8]",
            tgt="float[N, T, 8]",
        ),
        Example(
            "Transformer(4, 1, 1, dim_feedforward=8, batch_first=true)",
            macs=2 * (4 * (4 * 64 + 128) + 2 * 4 * 2 * 8) + 4 * 256 + 2 * 4 * 2 * 8,
            src="float[N, S, 8]",
            tgt="float[N, T, 8]",
            memory_mask="bool[T, S]",
        ),
    )

    @property
    def block(self) -> _Block:
        return self._block(TransformerEncoderLayer)

    def _block(self, kind: type[_Block]) -> _Block:
        return kind(**{name: getattr(self, name) for name in _Block.fields})

    def _encoder(self) -> TransformerEncoder:
        layer = recorded(self._block(TransformerEncoderLayer))
        return configured(
            TransformerEncoder, encoder_layer=layer, num_layers=self.num_encoder_layers, norm=self._norm()
        )

    def _decoder(self) -> TransformerDecoder:
        layer = recorded(self._block(TransformerDecoderLayer))
        return configured(
            TransformerDecoder, decoder_layer=layer, num_layers=self.num_decoder_layers, norm=self._norm()
        )

    def _norm(self) -> Any:
        return recorded(configured(LayerNorm, normalized_shape=self.d_model, eps=self.layer_norm_eps, bias=self.bias))

    def infer(
        self,
        rules: Rules,
        src: TensorType,
        tgt: TensorType,
        src_mask: TensorType | None = None,
        tgt_mask: TensorType | None = None,
        memory_mask: TensorType | None = None,
        src_key_padding_mask: TensorType | None = None,
        tgt_key_padding_mask: TensorType | None = None,
        memory_key_padding_mask: TensorType | None = None,
    ) -> TensorType:
        padding = (src_key_padding_mask, tgt_key_padding_mask, memory_key_padding_mask)
        self._check(rules, (src, tgt, src_mask, tgt_mask, memory_mask, *padding))
        return tgt

    def parts(self) -> dict[str, Layer]:
        return {"encoder": self._encoder(), "decoder": self._decoder()}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        src, tgt = inputs[:2]
        return self._encoder().macs([src], src) + self._decoder().macs([tgt, src], output)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        src, tgt = inputs[:2]
        return m.part(self._decoder(), m.output, tgt, m.part(self._encoder(), src.type, src))

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        src, tgt = inputs[:2]
        source, kind = g.type(src), g.type(tgt)
        padding = inputs[5] if len(inputs) > 5 else None
        first, *others = self.masks(g, inputs)
        memory = self._encoder().encode(inside(g, "encoder"), src, source, padding, first)
        decoder, view = self._decoder(), inside(g, "decoder")
        return decoder.finish(view, decoder.lower(view, [tgt, memory], [kind, source], others), kind)
