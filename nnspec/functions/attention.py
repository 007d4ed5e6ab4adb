"""Attention without parameters."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import reshaped, tensor
from nnspec.functions._operands import same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, Unsupported, call
from nnspec.layers._expect import expect_float, expect_tensor, quotient_text, volume
from nnspec.layers._lowering import reduce
from nnspec.types import Operand, TensorType, show_dtype

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class scaled_dot_product_attention(Function):
    """`softmax(query @ key.T * scale) @ value`: [..., L, E], [..., S, E] and [..., S, V] to [..., L, V].

    A mask broadcasts to [..., L, S]: bools say what may be looked at, floats are added before the softmax. With
    `is_causal` position i sees the keys up to i. With `enable_gqa` the heads in dimension -3 of key and value are
    repeated until they are as many as those of query. Source: `torch.nn.functional.scaled_dot_product_attention`.
    """

    order = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")

    dropout_p: float = arg(0.0, ge=0, le=1, doc="share of the weights that are dropped, in inference too")
    is_causal: bool = arg(False, doc="hide later positions")
    scale: float | None = arg(None, doc="factor of the scores; 1 / sqrt(E) when left out", keyword=True)
    enable_gqa: bool = arg(False, doc="let several heads of query share one of key and value", keyword=True)

    examples = (
        Example(
            "scaled_dot_product_attention(q, k, v)",
            macs=2 * 4 * 2 * 2 * (8 + 6),
            q="float[N, 4, T, 8]",
            k="float[N, 4, S, 8]",
            v="float[N, 4, S, 6]",
        ),
        Example(
            "scaled_dot_product_attention(q, k, k, is_causal=true, enable_gqa=true)",
            macs=2 * 4 * 2 * 2 * (8 + 8),
            q="float[N, 4, T, 8]",
            k="float[N, 2, T, 8]",
        ),
        Example(
            "scaled_dot_product_attention(q, q, q, attn_mask=m)",
            macs=2 * 2 * 2 * (8 + 8),
            q="float[N, T, 8]",
            m="bool[T, T]",
        ),
        Example(
            "scaled_dot_product_attention(q, k, k, m, scale=0.5)",
            macs=2 * 3 * 2 * 5 * (8 + 8),
            q="float[N, 3, T, 8]",
            k="float[N, 3, 5, 8]",
            m="float[N, 1, T, 5]",
        ),
    )

    def is_random(self) -> bool:
        return self.dropout_p > 0

    def infer(
        self, rules: Rules, query: TensorType, key: TensorType, value: TensorType, attn_mask: TensorType | None = None
    ) -> TensorType:
        operands = [expect_float(self, x, i) for i, x in enumerate((query, key, value))]
        dtype = same_type(self, operands)
        for position, x in enumerate(operands):
            if x.rank < (3 if self.enable_gqa else 2):
                layout = "[..., heads, length, width]" if self.enable_gqa else "[..., length, width]"
                raise ShapeError(
                    f"`scaled_dot_product_attention` needs query, key and value {layout}, "
                    f"but they are {query}, {key} and {value}",
                    code="NNS402",
                    input=position,
                )
        (*_, length, width), (*_, keys, key_width), (*_, values, out) = query.dims, key.dims, value.dims
        self._agree(rules, width, key_width, "widths of query and key", query, key, 1)
        self._agree(rules, keys, values, "lengths of key and value", key, value, 2)
        batch = self._batch(rules, query, key, value)
        if attn_mask is not None:
            self._check_mask(rules, attn_mask, dtype, (*batch, length, keys))
        return TensorType(dtype, (*batch, length, out))

    def _agree(self, rules: Rules, a: Size, b: Size, what: str, x: TensorType, y: TensorType, position: int) -> None:
        rules.require_equal(
            a,
            b,
            f"the {what} differ: {show(a)} and {show(b)}, of {x} and {y}",
            label=f"{show(a)} is not {show(b)}",
            input=position,
        )

    def _batch(self, rules: Rules, query: TensorType, key: TensorType, value: TensorType) -> tuple[Size, ...]:
        if not self.enable_gqa:
            heads, few = (x.dims[-3] if x.rank > 2 else 1 for x in (query, key))
            shared = isinstance(heads, int) and isinstance(few, int) and 1 < few < heads and heads % few == 0
            helps = (f"{heads // few} heads of query share one of key and value: `enable_gqa=true`",) if shared else ()
            return rules.broadcast(query.dims[:-2], key.dims[:-2], value.dims[:-2], helps=helps)
        heads = query.dims[-3]
        for position, name, x in ((1, "key", key), (2, "value", value)):
            few = x.dims[-3]
            rules.exact(
                heads,
                few,
                f"the {show(heads)} heads of query must be a multiple of the {show(few)} heads of {name}",
                code="NNS404",
                label=f"{quotient_text(heads, few)} must be whole",
                input=position,
            )
        return (*rules.broadcast(query.dims[:-3], key.dims[:-3], value.dims[:-3]), heads)

    def _check_mask(self, rules: Rules, mask: TensorType, dtype: str, scores: tuple[Size, ...]) -> None:
        mask = expect_tensor(self, mask, 3)
        if mask.dtype not in ("bool", dtype):
            raise ShapeError(
                f"the mask of `scaled_dot_product_attention` must be of type bool or {show_dtype(dtype)}, "
                f"but it is {mask}",
                code="NNS406",
                label=f"is of type {show_dtype(mask.dtype)}",
                input=3,
            )
        if self.is_causal:
            raise ShapeError(
                "`scaled_dot_product_attention` takes a mask or `is_causal`, not both",
                code="NNS406",
                at="is_causal",
                helps=("put both into the mask",),
            )
        if mask.rank < 2 and len(scores) == 4:
            raise ShapeError(
                f"a mask of `scaled_dot_product_attention` needs two dimensions or more here, but it is {mask}",
                code="NNS402",
                label=f"should be {shape_text((1, scores[-1]))}",
                input=3,
                helps=("`mask[none]` has a dimension more",) if mask.rank else (),
            )
        message = f"a mask of shape {shape_text(mask.dims)} does not fit scores of shape {shape_text(scores)}"
        pairs = list(zip(mask.dims[::-1], scores[::-1], strict=False))
        if mask.rank > len(scores) or any(size != 1 and rules.equal(size, wanted) is False for size, wanted in pairs):
            label = f"does not broadcast to {shape_text(scores)}"
            raise ShapeError(message, code="NNS407", label=label, input=3)
        helps: tuple[str, ...] = ()
        if mask.rank == 2 and len(scores) > 2 and rules.equal(mask.dims[0], scores[-2]) is None:
            helps = ("a mask of keys, one row for each sample, is made to fit by `mask[:, none, none, :]`",)
        rules.broadcast(mask.dims, scores, input=3, helps=helps)
        for size, wanted in pairs:
            if wanted == 1 != size:  # Scores are not repeated for a mask.
                rules.require_equal(size, 1, message, label=f"{show(size)} should be 1", input=3)

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        query, key = inputs[0], inputs[1]
        assert isinstance(query, TensorType)
        assert isinstance(key, TensorType)
        assert isinstance(output, TensorType)
        return volume(output.dims[:-1]) * key.dims[-2] * (query.dims[-1] + output.dims[-1])

    def memory(self, m: Tape, *inputs: Any) -> Any:
        from nnspec.layers._attention_memory import remember_dot_product

        query, key, value, mask = (*inputs, None)[:4]
        drops = self.dropout_p > 0
        return remember_dot_product(m, m.output, query, key, value, mask, causal=self.is_causal, drops=drops)

    def torch(self, *inputs: Any) -> Code:
        query, key, value, *mask = inputs
        options = self.options()
        if mask and mask[0] is not None:
            options = {"attn_mask": mask[0]} | options
        return call("F.scaled_dot_product_attention", query, key, value, **options)

    def onnx(self, g: OnnxGraph, query: str, key: str, value: str, attn_mask: str | None = None) -> Any:
        if self.dropout_p:
            raise Unsupported(
                "`scaled_dot_product_attention` with `dropout_p` above 0 is random in inference too: "
                "write `dropout_p = 0.1 if training else 0.0`"
            )
        kind = g.type(query)
        key_kind = g.type(key)
        if self.enable_gqa:
            key, value = (_repeated(g, x, kind.dims[-3]) for x in (key, value))
        order = [*range(key_kind.rank - 2), key_kind.rank - 1, key_kind.rank - 2]
        scores = g.node("MatMul", self._scaled(g, query, kind), g.node("Transpose", key, perm=order))
        shown: str | None = None
        if self.is_causal:
            rows = g.node("Range", g.constant(0), g.size(kind.dims[-2]), g.constant(1))
            columns = g.node("Range", g.constant(0), g.size(key_kind.dims[-2]), g.constant(1))
            shown = g.node("LessOrEqual", columns, g.node("Unsqueeze", rows, g.constant([1])))
        elif attn_mask is not None and g.type(attn_mask).dtype == "bool":
            shown = attn_mask
        nothing = g.constant(float("-inf"), kind.dtype)
        if shown is not None:
            scores = g.node("Where", shown, scores, nothing)
        elif attn_mask is not None:
            scores = g.node("Add", scores, attn_mask)
        weights = g.node("Softmax", scores, axis=-1)
        if attn_mask is not None:
            # Where nothing may be seen the weights are zero, not what comes of inf - inf.
            blind = g.node("Equal", reduce(g, "ReduceMax", scores, [-1]), nothing)
            weights = g.node("Where", blind, g.constant(0.0, kind.dtype), weights)
        return g.node("MatMul", weights, value)

    def _scaled(self, g: OnnxGraph, query: str, kind: TensorType) -> str:
        width = kind.dims[-1]
        if self.scale is not None or isinstance(width, int):
            scale = self.scale if self.scale is not None else 1 / sqrt(width)  # type: ignore[arg-type] # an int here
            return str(g.node("Mul", query, g.constant(scale, kind.dtype)))
        return str(g.node("Div", query, g.node("Sqrt", tensor(g, width, kind.dtype))))


def _repeated(g: OnnxGraph, x: str, heads: Size) -> str:
    """Each head as often as it takes to have `heads` of them."""
    *batch, few, length, width = g.type(x).dims
    if few == heads:
        return x
    times = heads // few
    y = g.node("Expand", g.node("Unsqueeze", x, g.constant([-3])), g.shape([times, 1, 1]))
    return reshaped(g, y, (*batch, few, times, length, width), (*batch, heads, length, width))
