"""Multi-head attention."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg, inferred
from nnspec.dims import Size, show
from nnspec.layer import Code, Example, Layer, OnnxGraph, Ref, Rules, ShapeError, Weight, call, index
from nnspec.layers._attention_onnx import lower_attention
from nnspec.layers._expect import (
    SEQUENCES_FIRST,
    expect_divisor,
    expect_rank,
    expect_tensor,
    expect_weight_type,
    volume,
)
from nnspec.layers._masks import accept_masks, keys_added, later, later_added, pairs_added, require_mask
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from typing_extensions import Self

    from nnspec.layer_memory import Tape


class MultiheadAttention(Layer):
    """Attention of a query to keys and values in several heads: `y, weights = (query, key, value) -> ...`.

    `x -> MultiheadAttention(8)` is self-attention; where no value is given, the key is the value too. The query is
    [L, N, E], key and value are [S, N, K] and [S, N, V] (with `batch_first` [N, L, E] and so on; unbatched [L, E]). As
    in torch, a True in a bool mask means "do not look here", and a float mask is added to the scores:
    `key_padding_mask` is [N, S], `attn_mask` [L, S] or [N * heads, L, S]. The output is like the query; the weights are
    [N, L, S], or [N, heads, L, S] with `average_attn_weights=false`. Unlike torch's, a layer with `need_weights=false`
    has the output alone, and not a pair with nothing in it; and `is_causal` is no hint about the mask but hides later
    positions by itself. A query that may look nowhere has no meaning: what comes of it is what comes of it in torch,
    where it depends on the path.
    Source: `torch.nn.MultiheadAttention`; Vaswani et al., Attention is all you need (arXiv:1706.03762).
    """

    embed_dim: int = inferred(axis=-1)
    num_heads: int = arg(ge=1, doc="how many heads share the width")
    dropout: float = arg(0.0, ge=0, le=1, doc="dropout of the attention weights")
    bias: bool = arg(True, doc="add learned offsets to the projections")
    add_bias_kv: bool = arg(False, doc="append a learned key and value to all sequences")
    add_zero_attn: bool = arg(False, doc="append a key and a value of zeros to all sequences")
    kdim: int = inferred(input=1, doc="size of a key, inferred from it")
    vdim: int = inferred(input=2, doc="size of a value, inferred from it")
    batch_first: bool = arg(False, doc="the batch is the first dimension of all sequences, not the second")
    need_weights: bool = arg(True, keyword=True, doc="return the attention weights as a second output")
    average_attn_weights: bool = arg(True, keyword=True, doc="return their mean over the heads")
    is_causal: bool = arg(False, keyword=True, doc="hide later positions, besides what masks hide")

    examples = (
        Example("MultiheadAttention(2)", query="float[T, N, 8]"),
        Example(
            "MultiheadAttention(4, batch_first=true, need_weights=false)",
            macs=4 * 8 * (4 * 8) + 2 * 4 * 2 * 8,
            query="float[N, T, 8]",
        ),
        Example(
            "MultiheadAttention(2, batch_first=true, average_attn_weights=false)",
            query="float[N, L, 8]",
            key="float[N, S, 6]",
            value="float[N, S, 4]",
            attn_mask="bool[L, S]",
        ),
        Example(
            "MultiheadAttention(2, bias=false, add_bias_kv=true, add_zero_attn=true)",
            query="float[L, N, 8]",
            key="float[S, N, 8]",
            value="float[S, N, 8]",
            key_padding_mask="float[N, S]",
            attn_mask="float[2 * N, L, S]",
        ),
        Example(
            "MultiheadAttention(2, batch_first=true, need_weights=false, is_causal=true)",
            macs=4 * 8 * (4 * 8) + 2 * 4 * 2 * 8,
            query="float[N, T, 8]",
        ),
        Example("MultiheadAttention(1, dropout=0.1)", query="float[5, 8]", key="float[3, 8]"),
    )

    def accept(self, *inputs: Any) -> None:
        names = ("N, T, E", "T, E") if self.batch_first else ("T, N, E", "T, E")
        query = expect_rank(self, inputs[0], *names)
        for number, x in enumerate(inputs[:3]):
            if x is None:
                continue
            expect_weight_type(self, x, number)
            if expect_tensor(self, x, number).rank != query.rank:
                raise ShapeError(
                    f"query and {'key' if number == 1 else 'value'} of `MultiheadAttention` need the same rank, "
                    f"but they are {query} and {x}",
                    code="NNS402",
                    input=number,
                )
        padding, mask = [*inputs, None, None][3:5] if len(inputs) > 3 else (None, None)
        accept_masks(self, (4, mask), (3, padding), "is_causal" if self.is_causal else "")

    def complete(self, rules: Rules, *inputs: Any) -> Self:
        complete = super().complete(rules, *inputs)
        given = [i for i in range(3) if i < len(inputs) and inputs[i] is not None]
        of_key = 1 if 1 in given else 0
        of_value = 2 if 2 in given else of_key
        return complete.replace(
            kdim=self._size(rules, "kdim", inputs[of_key], -1, self.kdim, of_key),
            vdim=self._size(rules, "vdim", inputs[of_value], -1, self.vdim, of_value),
        )

    def _filled(self, query: Any, key: Any = None, value: Any = None, padding: Any = None, mask: Any = None) -> Any:
        """The inputs, with the query in place of a missing key, and the key in place of a missing value."""
        key = query if key is None else key
        return query, key, key if value is None else value, padding, mask

    def infer(
        self,
        rules: Rules,
        query: TensorType,
        key: TensorType | None = None,
        value: TensorType | None = None,
        key_padding_mask: TensorType | None = None,
        attn_mask: TensorType | None = None,
    ) -> Any:
        expect_divisor(self, "embed_dim", self.embed_dim, "num_heads", self.num_heads, at="num_heads")
        _, key, value, *_ = self._filled(query, key, value)
        batch, length = self._batch(query), query.dims[self._time(query)]
        source = key.dims[self._time(key)]
        self._require_same(rules, source, value.dims[self._time(value)], "key and value", "length", 2)
        for number, (name, x) in enumerate((("key", key), ("value", value)), 1):
            for a, b in zip(batch, self._batch(x), strict=True):
                self._require_same(rules, a, b, f"query and {name}", "batch", number)
        if key_padding_mask is not None:
            require_mask(self, rules, "key_padding_mask", key_padding_mask, [(*batch, source)], 3)
        if attn_mask is not None:
            heads = [self.num_heads * b for b in batch] or [self.num_heads]
            require_mask(self, rules, "attn_mask", attn_mask, [(length, source), (*heads, length, source)], 4)
        if not self.need_weights:
            return query
        total = source + self.add_bias_kv + self.add_zero_attn
        heads = [] if self.average_attn_weights else [self.num_heads]
        return query, query.with_dims(*batch, *heads, length, total)

    def _time(self, x: TensorType) -> int:
        """Where the sequence's dimension is."""
        return 1 if self.batch_first and x.rank == 3 else 0

    def _batch(self, x: TensorType) -> tuple[Size, ...]:
        return () if x.rank == 2 else (x.dims[0 if self.batch_first else 1],)

    def _require_same(self, rules: Rules, a: Size, b: Size, who: str, what: str, number: int) -> None:
        helps = (SEQUENCES_FIRST,) if what == "batch" and not self.batch_first else ()
        message = f"{who} of `MultiheadAttention` differ in {what}: {show(a)} and {show(b)}"
        rules.require_equal(a, b, message, input=number, helps=helps)

    @property
    def joined(self) -> bool:
        """Whether the three projections are one matrix, as in torch where all three inputs are of one size."""
        return self.embed_dim == self.kdim == self.vdim

    def weights(self) -> dict[str, Weight]:
        width = self.embed_dim
        if self.joined:
            weights = {"in_proj_weight": Weight((3 * width, width))}
        else:
            sizes = {"q": width, "k": self.kdim, "v": self.vdim}
            weights = {f"{name}_proj_weight": Weight((width, size)) for name, size in sizes.items()}
        if self.bias:
            weights["in_proj_bias"] = Weight((3 * width,))
        if self.add_bias_kv:
            weights |= {name: Weight((1, 1, width)) for name in ("bias_k", "bias_v")}
        weights["out_proj.weight"] = Weight((width, width))
        if self.bias:
            weights["out_proj.bias"] = Weight((width,))
        return weights

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        query, key, value = (expect_tensor(self, x) for x in self._filled(*inputs)[:3])
        width = self.embed_dim
        total = key.dims[self._time(key)] + self.add_bias_kv + self.add_zero_attn
        projections = volume(key.dims[:-1]) * self.kdim + volume(value.dims[:-1]) * self.vdim
        places = volume(query.dims[:-1])
        return (2 * places * width + projections + 2 * places * total) * width

    def memory(self, m: Tape, *inputs: Any) -> Any:
        from nnspec.layers._attention_memory import remember_attention

        return remember_attention(self, m, *self._filled(*inputs))

    def torch(self) -> Code:
        options = dict(self.given())
        for name in ("embed_dim", "num_heads", "need_weights", "average_attn_weights", "is_causal"):
            options.pop(name, None)
        if self.joined:
            del options["kdim"], options["vdim"]
        return call("nn.MultiheadAttention", self.embed_dim, self.num_heads, **options)

    def forward(self, module: Ref, *inputs: Any) -> Code:
        query, key, value, padding, mask = self._filled(*inputs)
        given = {"key_padding_mask": padding, "need_weights": None if self.need_weights else False, "attn_mask": mask}
        if self.need_weights and not self.average_attn_weights:
            given["average_attn_weights"] = False
        if self.is_causal:
            given["attn_mask"] = later(query, key, mask, self.batch_first)
            # torch's hint says that the mask hides nothing else, and would hide what is appended to the keys.
            alone = mask is None and not self.need_weights and not self.add_bias_kv and not self.add_zero_attn
            given["is_causal"] = True if alone else None
        result = call(str(module), query, key, value, **{n: v for n, v in given.items() if v is not None})
        return result if self.need_weights else index(result, 0)

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        query, key, value, padding, mask = self._filled(*inputs)
        kind = g.type(query)
        masks = []
        if padding is not None:
            masks.append(keys_added(g, padding, g.type(padding).dtype, kind.rank == 3))
        if mask is not None:
            masks.append(pairs_added(g, mask, self.num_heads))
        if self.is_causal:
            masks.append(later_added(g, kind.dims[self._time(kind)], g.type(key).dims[self._time(kind)]))
        native = self._native(kind) and query == key == value and all(mask.bools for mask in masks)
        zeros = not self.need_weights and not native
        return lower_attention(self, g, query, key, value, masks, kind, zeros=zeros)

    def _native(self, query: TensorType) -> bool:
        """Whether torch's inference takes its fast path, if all inputs are one and no mask is of floats.

        There, and where weights are wanted, a query that may look nowhere gives what is not a number, and elsewhere 0.
        """
        plain = self.joined and self.bias and not self.add_bias_kv and not self.add_zero_attn
        return plain and query.rank == 3 and self.batch_first and self.num_heads % 2 == 0

    @property
    def head_width(self) -> int:
        """The size of one head."""
        return self.embed_dim // self.num_heads

    @property
    def scale(self) -> float:
        """What scores are multiplied by."""
        return 1 / sqrt(self.head_width)
