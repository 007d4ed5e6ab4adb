"""Stacks of transformer layers as torch has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Code, Example, Layer, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._lowering import reduce
from nnspec.layers._masks import _Added, keys_added
from nnspec.layers._parts import from_record, inside, recorded
from nnspec.layers._transformer import _Block, _Transformer
from nnspec.layers.transformer_layer import TransformerDecoderLayer, TransformerEncoderLayer
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from typing_extensions import Self

    from nnspec.layer_memory import Tape


class _Stack(_Transformer):
    """What the stacks share: copies of one layer, which start from the same weights, and a norm behind them."""

    copied: ClassVar[str]
    """The argument that holds the layer."""
    copies: ClassVar[type[_Block]]

    num_layers: int
    norm: Layer | None

    @property
    def block(self) -> _Block:
        block = from_record(getattr(self, self.copied))
        assert isinstance(block, _Block)
        return block

    def _norm(self) -> Layer | None:
        return None if self.norm is None else from_record(self.norm)

    def accept(self, *inputs: Any) -> None:
        kind, block = type(self).__name__, from_record(getattr(self, self.copied))
        if not isinstance(block, self.copies):
            raise ShapeError(
                f"`{kind}` is a stack of `{self.copies.__name__}`, not of `{block.title}`",
                code="NNS303",
                at=self.copied,
                helps=("`std.transformer` has stacks of any block",),
            )
        causal = next((a.causal for a in block.attends if getattr(block, a.causal)), None)
        if causal is not None:
            raise ShapeError(
                f"`{causal}` is said of the stack: `{kind}(..., {causal}=true)`",
                code="NNS303",
                at=causal,
                label="one mask serves all layers",
            )
        norm = self._norm()
        if norm is not None and (norm.definition or norm.required_inputs() != 1):
            raise ShapeError(f"`{norm.title}` cannot be the norm of `{kind}`", code="NNS303", at="norm")
        super().accept(*inputs)

    def complete(self, rules: Rules, *inputs: Any) -> Self:
        self.accept(*inputs)
        norm = self._norm()
        completed: dict[str, Any] = {self.copied: recorded(self.block.complete(rules, *inputs))}
        if norm is not None:
            completed["norm"] = recorded(norm.complete(rules, inputs[0]))
        return self.replace(**completed)

    def _output(self, rules: Rules, x: TensorType) -> Any:
        norm = self._norm()
        return x if norm is None else norm.infer(rules, x)

    def parts(self) -> dict[str, Layer]:
        block, norm = self.block, self._norm()
        layers: dict[str, Layer] = {f"layers.{number}": block for number in range(self.num_layers)}
        return layers if norm is None else layers | {"norm": norm}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        norm = self._norm()
        behind = 0 if norm is None else norm.macs([inputs[0]], output)
        return self.num_layers * self.block.macs(inputs, inputs[0]) + behind

    def memory(self, m: Tape, *inputs: Any) -> Any:
        from nnspec.layers._transformer_memory import remember_stack

        sequences = [inputs[number] for number in self._sequences()]
        return remember_stack(self.block, self.num_layers, self._norm(), m, sequences)

    def torch(self) -> Code:
        norm = self._norm()
        options = {} if norm is None else {"norm": norm.torch()}
        return call(f"nn.{type(self).__name__}", self.block.torch(), self.num_layers, **options)

    def lower(
        self, g: OnnxGraph, sequences: Sequence[str], kinds: Sequence[TensorType], masks: Sequence[Sequence[_Added]]
    ) -> str:
        """All layers on sequences of these types, with their masks prepared; no norm yet."""
        (x, *others), block = sequences, self.block
        for number in range(self.num_layers):
            x = block.lower(inside(g, f"layers.{number}"), [x, *others], kinds, masks)
        return x

    def finish(self, g: OnnxGraph, x: str, kind: TensorType) -> Any:
        """The norm behind the layers."""
        norm = self._norm()
        return x if norm is None else norm.onnx(inside(g, "norm", {x: kind}), x)


class TransformerEncoder(_Stack):
    """A stack of encoder layers, and a norm behind them where one is given: [T, N, D] to the same.

    `TransformerEncoder(TransformerEncoderLayer(8), 6, norm=LayerNorm)`; masks are those of the layer, and go to all of
    them. As in torch all layers start from the same weights. Where batches come first, norms second, and heads are
    even, torch's inference leaves out padded places if they stand at the end of each row, and gives zeros for them
    (before the norm); in training, or with `enable_nested_tensor=false`, they are computed like others. With
    `mask_check=false` it takes them to stand there. `std.transformer` has a stack of any block, `Encoder`.
    Source: `torch.nn.TransformerEncoder`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    attends = TransformerEncoderLayer.attends
    copied = "encoder_layer"
    copies = TransformerEncoderLayer

    encoder_layer: Layer = arg(doc="the layer that is copied, a `TransformerEncoderLayer`")
    num_layers: int = arg(ge=1, le=1000, doc="how many layers are stacked")
    norm: Layer | None = arg(None, doc="a layer behind the stack, such as `LayerNorm`")
    enable_nested_tensor: bool = arg(True, doc="leave out what is padded in inference, where torch can")
    mask_check: bool = arg(True, doc="leave it out only where it stands at the end of each row")
    is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")

    examples = (
        Example(
            "TransformerEncoder(TransformerEncoderLayer(2, 16, batch_first=true), 2, norm=LayerNorm)",
            macs=2 * (4 * 512 + 2 * 4 * 2 * 8),
            src="float[N, T, 8]",
        ),
        Example(
            'TransformerEncoder(TransformerEncoderLayer(4, 8, activation="gelu", norm_first=true), 3, is_causal=true)',
            macs=3 * (4 * (4 * 64 + 2 * 64) + 2 * 4 * 2 * 8),
            src="float[T, N, 8]",
        ),
        Example(
            "TransformerEncoder(TransformerEncoderLayer(1, 8), num_layers=1)",
            macs=5 * (4 * 16 + 2 * 32) + 2 * 25 * 4,
            src="float[5, 4]",
            mask="float[5, 5]",
        ),
    )

    def infer(
        self,
        rules: Rules,
        src: TensorType,
        mask: TensorType | None = None,
        src_key_padding_mask: TensorType | None = None,
    ) -> Any:
        self._check(rules, (src, mask, src_key_padding_mask))
        return self._output(rules, src)

    @property
    def _nests(self) -> bool:
        """Whether torch may leave out what is padded, except that it never does in training."""
        block = self.block
        even = block.batch_first and block.bias and block.nhead % 2 == 0
        return self.enable_nested_tensor and even and not block.norm_first

    def torch(self) -> Code:
        made = super().torch()
        # torch warns where it has been told to leave out what it cannot.
        options = {} if self._nests else {"enable_nested_tensor": False}
        options |= {} if self.mask_check else {"mask_check": False}
        return call(made.name, *made.args, **made.kwargs, **options)

    def onnx(self, g: OnnxGraph, src: str, mask: str | None = None, padding: str | None = None) -> Any:
        return self.encode(g, src, g.type(src), padding, self.masks(g, (src, mask, padding))[0])

    def encode(self, g: OnnxGraph, src: str, kind: TensorType, padding: str | None, masks: Sequence[_Added]) -> Any:
        """The stack with its masks prepared; `padding` is the one of keys, which is among them."""
        cut = None
        if padding is not None and len(masks) == 1 and kind.rank == 3 and self._nests:
            end = self._end(g, padding, kind)
            if self.mask_check:
                same = g.cast(g.node("Equal", end, padding), "int32")
                cut = g.node("And", padding, g.cast(reduce(g, "ReduceMin", same, [0, 1]), "bool"))
            else:
                cut, masks = end, [keys_added(g, end, "bool", batched=True)]
        y = self.lower(g, [src], [kind], [masks])
        if cut is not None:
            y = g.node("Where", g.node("Unsqueeze", cut, g.constant([2])), g.constant(0.0, "float32"), y)
        return self.finish(g, y, kind)

    def _end(self, g: OnnxGraph, padding: str, kind: TensorType) -> str:
        """The mask that hides as many places as `padding` does, at the end of each row."""
        shown = g.node("Cast", g.node("Not", padding), to=7)
        count = reduce(g, "ReduceSum", shown, [1])
        places = g.node("Range", g.constant(0), g.size(kind.dims[1]), g.constant(1))
        return str(g.node("GreaterOrEqual", places, count))


class TransformerDecoder(_Stack):
    """A stack of decoder layers, and a norm behind them where one is given: [T, N, D] and [S, N, D] to [T, N, D].

    `TransformerDecoder(TransformerDecoderLayer(8), 6, norm=LayerNorm)`; the memory and the masks are those of the
    layer, and go to all of them. As in torch all layers start from the same weights. `std.transformer` has a stack of
    any block, `Decoder`.
    Source: `torch.nn.TransformerDecoder`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    attends = TransformerDecoderLayer.attends
    decodes = True
    copied = "decoder_layer"
    copies = TransformerDecoderLayer

    decoder_layer: Layer = arg(doc="the layer that is copied, a `TransformerDecoderLayer`")
    num_layers: int = arg(ge=1, le=1000, doc="how many layers are stacked")
    norm: Layer | None = arg(None, doc="a layer behind the stack, such as `LayerNorm`")
    tgt_is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")
    memory_is_causal: bool = arg(False, keyword=True, doc="hide later places of the memory, too")

    examples = (
        Example(
            "TransformerDecoder(TransformerDecoderLayer(2, 16, batch_first=true), 2, tgt_is_causal=true)",
            macs=2 * (4 * (8 * 64 + 2 * 128) + 2 * 2 * 4 * 2 * 8),
            tgt="float[N, T, 8]",
            memory="float[N, S, 8]",
        ),
        Example(
            "TransformerDecoder(TransformerDecoderLayer(1, 8, norm_first=true), 1, RMSNorm(eps=1e-6))",
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
    ) -> Any:
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        self._check(rules, (tgt, memory, *masks))
        return self._output(rules, tgt)

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        kinds = [g.type(x) for x in inputs[:2]]
        return self.finish(g, self.lower(g, inputs[:2], kinds, self.masks(g, inputs)), kinds[0])
