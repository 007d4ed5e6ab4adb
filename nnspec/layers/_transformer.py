"""What torch's transformer layers share: sequences that attend to each other, and the masks between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from nnspec.arguments import arg, inferred
from nnspec.dims import Size
from nnspec.layer import Code, Layer, OnnxGraph, Ref, Rules, ShapeError, call
from nnspec.layers._attention_onnx import lower_attention
from nnspec.layers._expect import SEQUENCES_FIRST, expect_divisor, expect_rank, expect_weight_type, volume
from nnspec.layers._masks import _Added, accept_masks, keys_added, later, later_added, pairs_added, require_mask
from nnspec.layers._parts import configured, inside
from nnspec.layers.activation import GELU, ReLU
from nnspec.layers.attention import MultiheadAttention
from nnspec.layers.linear import Linear
from nnspec.layers.norm import LayerNorm
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Attends(NamedTuple):
    """One attention: the numbers of its inputs (who looks at whom, two masks), and its causal argument."""

    query: int
    source: int
    pairs: int
    keys: int
    causal: str


class _Transformer(Layer):
    """A layer over sequences [T, N, D] ([N, T, D] with `batch_first`, [T, D] without a batch).

    In inference torch takes a fast path for an encoder whose batches come first, whose parts have offsets and whose
    heads are even. It reads every mask as bools: one of floats would mean another thing there, and is refused.
    """

    attends: ClassVar[tuple[_Attends, ...]]
    """The attentions; the first is an encoder's, unless the layer is a decoder."""
    decodes: ClassVar[bool] = False
    """Whether it is a decoder, which torch has no fast path for."""

    @property
    def block(self) -> _Block:
        """The layer itself, or the one that it is a stack of. Abstract."""
        raise NotImplementedError

    def _sequences(self) -> list[int]:
        """The numbers of the inputs that are sequences."""
        return sorted({number for a in self.attends for number in (a.query, a.source)})

    def is_plain(self, x: TensorType) -> bool:
        """Whether torch's inference has a fast path: of all of an encoder's layer, or of an attention to itself."""
        block = self.block
        return x.rank == 3 and block.batch_first and block.bias and block.nhead % 2 == 0

    def accept(self, *inputs: Any) -> None:
        layouts = ("N, T, D" if self.block.batch_first else "T, N, D", "T, D")
        first = expect_rank(self, inputs[0], *layouts)
        for number in self._sequences():
            x = expect_weight_type(self, expect_rank(self, inputs[number], *layouts, input=number), number)
            if x.rank != first.rank:
                names = self.input_names()
                raise ShapeError(
                    f"{names[0]} and {names[number]} of `{type(self).__name__}` need the same rank, "
                    f"but they are {first} and {x}",
                    code="NNS402",
                    input=number,
                )
        given = [*inputs, *[None] * (len(self.input_names()) - len(inputs))]
        for a in self.attends:
            causal = a.causal if getattr(self, a.causal) else ""
            accept_masks(self, (a.pairs, given[a.pairs]), (a.keys, given[a.keys]), causal)
        if self.is_plain(first) and not self.decodes:
            self._refuse_floats({n: given[n] for n in (self.attends[0].pairs, self.attends[0].keys)})

    def _refuse_floats(self, masks: dict[int, Any]) -> None:
        for number, mask in masks.items():
            if mask is not None and mask.dtype != "bool":
                raise ShapeError(
                    f"torch's inference reads a mask of `{type(self).__name__}(batch_first=true)` as bools: "
                    f"{mask} would hide whatever is not 0",
                    code="NNS406",
                    label="must be bool",
                    input=number,
                    helps=(
                        "`mask < 0` is true where a mask of 0 and -inf hides a key",
                        "numbers that are added, as distances are, need `batch_first=false` or `std.transformer`",
                    ),
                )

    def _check(self, rules: Rules, inputs: Sequence[Any]) -> None:
        """Refuse sequences that do not agree, and masks that do not fit them."""
        expect_divisor(self, "d_model", self.block.d_model, "nhead", self.block.nhead, at="nhead")
        names, first = self.input_names(), inputs[0]
        for number in self._sequences()[1:]:
            pairs: list[tuple[str, Size, Size]] = [("size", self.block.d_model, inputs[number].dims[-1])]
            pairs += [("batch", a, b) for a, b in zip(self._batch(first), self._batch(inputs[number]), strict=True)]
            for what, a, b in pairs:
                message = f"{names[0]} and {names[number]} of `{type(self).__name__}` differ in {what}"
                helps = (SEQUENCES_FIRST,) if what == "batch" and not self.block.batch_first else ()
                rules.require_equal(a, b, f"{message}: {first} and {inputs[number]}", input=number, helps=helps)
        for attends in self.attends:
            self._check_masks(rules, attends, inputs)

    def _check_masks(self, rules: Rules, a: _Attends, inputs: Sequence[Any]) -> None:
        names, batch = self.input_names(), self._batch(inputs[0])
        length, source = (self._length(inputs[number]) for number in (a.query, a.source))
        if inputs[a.pairs] is not None:
            heads = [self.block.nhead * size for size in batch] or [self.block.nhead]
            shapes: list[tuple[Size, ...]] = [(length, source), (*heads, length, source)]
            require_mask(self, rules, names[a.pairs], inputs[a.pairs], shapes, a.pairs)
        if inputs[a.keys] is not None:
            require_mask(self, rules, names[a.keys], inputs[a.keys], [(*batch, source)], a.keys)

    def _length(self, x: TensorType) -> Size:
        return x.dims[1 if self.block.batch_first and x.rank == 3 else 0]

    def _batch(self, x: TensorType) -> tuple[Size, ...]:
        return () if x.rank == 2 else (x.dims[0 if self.block.batch_first else 1],)

    def torch(self) -> Code:
        made = super().torch()
        causal = {a.causal for a in self.attends}
        return Code("call", made.name, made.args, {n: v for n, v in made.kwargs.items() if n not in causal})

    def forward(self, module: Ref, *inputs: Any) -> Code:
        names, given = self.input_names(), [*inputs, *[None] * (len(self.input_names()) - len(inputs))]
        options = {names[i]: x for i, x in enumerate(given) if x is not None and i not in self._sequences()}
        for a in self.attends:
            if getattr(self, a.causal):
                options[names[a.pairs]] = later(given[a.query], given[a.source], given[a.pairs], self.block.batch_first)
                # torch's hint says that the mask hides nothing else.
                options |= {a.causal: True} if given[a.pairs] is None else {}
        return call(str(module), *(given[i] for i in self._sequences()), **options)

    def masks(self, g: OnnxGraph, inputs: Sequence[Any]) -> list[list[_Added]]:
        """What is added to the scores of each attention."""
        given = [*inputs, *[None] * (len(self.input_names()) - len(inputs))]
        found = []
        for a in self.attends:
            query, source, pairs, keys = (given[i] for i in a[:4])
            masks = []
            if keys is not None:
                masks.append(keys_added(g, keys, g.type(keys).dtype, g.type(source).rank == 3))
            if pairs is not None:
                masks.append(pairs_added(g, pairs, self.block.nhead))
            if getattr(self, a.causal):
                masks.append(later_added(g, self._length(g.type(query)), self._length(g.type(source))))
            found.append(masks)
        return found


class _Block(_Transformer):
    """What one layer of an encoder or a decoder shares: attentions and a feed-forward part, a norm beside each."""

    d_model: int = inferred(axis=-1)
    nhead: int = arg(ge=1, doc="how many heads share the width")
    dim_feedforward: int = arg(2048, ge=1, doc="width inside of the feed-forward part")
    dropout: float = arg(0.1, ge=0, le=1, doc="dropout of weights, and of what is added")
    activation: Literal["relu", "gelu"] = arg("relu", doc="what bends the feed-forward part")
    layer_norm_eps: float = arg(1e-5, ge=0, le=1, doc="added to the variances")
    batch_first: bool = arg(False, doc="the batch is the first dimension of all sequences, not the second")
    norm_first: bool = arg(False, doc="normalise what goes into each part, and not the sum behind it")
    bias: bool = arg(True, doc="add learned offsets, in the norms too")

    @property
    def block(self) -> _Block:
        return self

    def _attention(self) -> MultiheadAttention:
        return configured(
            MultiheadAttention,
            num_heads=self.nhead,
            dropout=self.dropout,
            bias=self.bias,
            embed_dim=self.d_model,
            kdim=self.d_model,
            vdim=self.d_model,
            batch_first=self.batch_first,
            need_weights=False,
        )

    def _feed_forward(self) -> dict[str, Layer]:
        narrow, wide = self.d_model, self.dim_feedforward
        return {
            "linear1": configured(Linear, in_features=narrow, out_features=wide, bias=self.bias),
            "linear2": configured(Linear, in_features=wide, out_features=narrow, bias=self.bias),
        }

    def _norms(self) -> dict[str, Layer]:
        norm = configured(LayerNorm, normalized_shape=self.d_model, eps=self.layer_norm_eps, bias=self.bias)
        return {f"norm{number}": norm for number in range(1, len(self.attends) + 2)}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        attention = self._attention()
        looks = (attention.macs([inputs[a.query], *[inputs[a.source]] * 2], None) for a in self.attends)
        return sum(looks, volume(output.dims[:-1]) * 2 * self.d_model * self.dim_feedforward)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        from nnspec.layers._transformer_memory import remember_block

        return remember_block(self, m, [inputs[number] for number in self._sequences()])

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        kinds = [g.type(inputs[number]) for number in self._sequences()]
        return self.lower(g, [inputs[number] for number in self._sequences()], kinds, self.masks(g, inputs))

    def lower(
        self, g: OnnxGraph, sequences: Sequence[str], kinds: Sequence[TensorType], masks: Sequence[Sequence[_Added]]
    ) -> str:
        """The layer on sequences of these types, the last of them being what it looks at, with its masks prepared."""
        (x, *_), (kind, *_) = sequences, kinds
        parts = self.parts()

        def part(name: str, value: str) -> str:
            return str(parts[name].onnx(inside(g, name, {value: kind}), value))

        names = [name for name, each in parts.items() if isinstance(each, MultiheadAttention)]
        plain = self.is_plain(kind)
        for number, (name, a, added) in enumerate(zip(names, self.attends, masks, strict=True), 1):
            y = part(f"norm{number}", x) if self.norm_first else x
            source = y if a.source == a.query else sequences[a.source]
            view, layer = inside(g, name), self._attention()
            # An encoder's fast path takes all masks; that of an attention takes bools.
            fast = plain and source == y and (not self.decodes or all(mask.bools for mask in added))
            y = lower_attention(layer, view, y, source, source, added, kind, zeros=not fast)
            x = g.node("Add", x, y)
            x = x if self.norm_first else part(f"norm{number}", x)
        last = f"norm{len(names) + 1}"
        y = part("linear1", part(last, x) if self.norm_first else x)
        bent = configured(ReLU if self.activation == "relu" else GELU).onnx(inside(g, "", {y: kind}), y)
        x = g.node("Add", x, part("linear2", bent))
        return x if self.norm_first else part(last, x)
