"""Losses of embeddings: vectors of what belongs together should be near each other, the others apart."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._losses import Criterion, expect_signs, is_sign, total
from nnspec.functions._operands import result_type, shape_text
from nnspec.functions.distances import between, pairs
from nnspec.layer import Example, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_float
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType


class cosine_embedding_loss(Criterion):
    """The mean of `1 - cosine` where the target is 1, and of `max(0, cosine - margin)` where it is -1.

    The cosine is that of the angle between vectors: two of [N, D] with a target [N], or two of [D] with a number.
    Source: `torch.nn.functional.cosine_embedding_loss`.
    """

    order = ("x1", "x2", "target", "margin")

    margin: float = arg(0.0, doc="the cosine that what differs may have, from -1 to 1")

    examples = (
        Example("cosine_embedding_loss(x, y, sign(z))", x="float[N, 8]", y="float[N, 8]", z="float[N]"),
        Example('cosine_embedding_loss(x, y, z, 0.3, reduction="none")', x="float[N, 8]", y="float[1, 8]", z="int[N]"),
        Example("cosine_embedding_loss(x, y, z)", x="float[8]", y="float[8]", z="int[]"),
    )

    def infer(self, rules: Rules, x1: TensorType, x2: TensorType, target: TensorType) -> TensorType:
        x1, x2, target = expect_float(self, x1), expect_float(self, x2, 1), expect_signs(self, target, 2)
        shapes = f"{shape_text(x1.dims)}, {shape_text(x2.dims)} and {shape_text(target.dims)}"
        message = f"`cosine_embedding_loss` takes [N, D], [N, D] and a target [N], or [D], [D] and [], not {shapes}"
        if x1.rank != x2.rank or x1.rank not in (1, 2) or target.rank != x1.rank - 1:
            raise ShapeError(message, code="NNS402")
        batch: tuple[Size, ...] = rules.broadcast(x1.dims[:-1], x2.dims[:-1])
        rules.require_equal(
            x1.dims[-1], x2.dims[-1], message, label=f"vectors of {show(x1.dims[-1])} and {show(x2.dims[-1])}"
        )
        for size, own in zip(target.dims, batch, strict=True):
            rules.require_equal(size, own, message, label=f"{show(own)} cosines, {show(size)} targets", input=2)
        return TensorType(result_type(x1, x2), batch if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x1: str, x2: str, target: str) -> Any:
        dtype = result_type(g.type(x1), g.type(x2))
        x1, x2 = g.cast(x1, dtype), g.cast(x2, dtype)
        products = [g.node("Mul", a, b) for a, b in ((x1, x2), (x1, x1), (x2, x2))]
        product, *squares = (reduce(g, "ReduceSum", y, [-1], keepdims=False) for y in products)
        squares = [g.node("Add", y, g.constant(1e-12, dtype)) for y in squares]
        cosine = g.node("Div", product, g.node("Sqrt", g.node("Mul", *squares)))
        nothing = g.constant(0.0, dtype)
        apart = g.node("Relu", g.node("Sub", cosine, g.constant(self.margin, dtype)))
        losses = g.node("Where", is_sign(g, target, -1), apart, nothing)
        near = g.node("Sub", g.constant(1.0, dtype), cosine)
        return total(g, g.node("Where", is_sign(g, target, 1), near, losses), self.reduction)


class _Triplet(Criterion):
    """What losses of triplets share: three tensors of vectors, which broadcast."""

    margin: float
    swap: bool

    def infer(self, rules: Rules, anchor: TensorType, positive: TensorType, negative: TensorType) -> TensorType:
        three = tuple(expect_float(self, x, position) for position, x in enumerate((anchor, positive, negative)))
        if len({x.rank for x in three}) > 1 or not anchor.rank:
            raise ShapeError(
                f"`{type(self).__name__}` needs three tensors of vectors with equally many dimensions, but they are "
                f"{anchor}, {positive} and {negative}",
                code="NNS402",
            )
        near, far = pairs(self, rules, anchor, positive), pairs(self, rules, anchor, negative)
        whole = [near, far, pairs(self, rules, positive, negative)] if self.swap else [near, far]
        dims = rules.broadcast(*(kind.dims for kind in whole))
        return TensorType(result_type(*three), dims if self.reduction == "none" else ())

    def lower(self, g: OnnxGraph, three: tuple[str, str, str], p: float, eps: float) -> Any:
        """The loss in ONNX, for this power of the distance and what is added to differences."""
        anchor, positive, negative = three
        dtype = result_type(*map(g.type, three))

        def distance(a: str, b: str) -> str:
            own, found = result_type(g.type(a), g.type(b)), between(g, a, b, p, eps)
            return found if own == dtype else g.cast(found, dtype)

        near, far = distance(anchor, positive), distance(anchor, negative)
        if self.swap:
            far = g.node("Min", far, distance(positive, negative))
        needed = g.node("Add", near, g.constant(self.margin, dtype))
        return total(g, g.node("Relu", g.node("Sub", needed, far)), self.reduction)


class triplet_margin_loss(_Triplet):
    """The mean of `max(0, margin + distance(anchor, positive) - distance(anchor, negative))`: vectors [..., D].

    The three broadcast. With `swap` the negative's distance is that to the positive where this is smaller.
    Source: `torch.nn.functional.triplet_margin_loss`; Balntas and others, Learning local feature descriptors with
    triplets and shallow convolutional neural networks (2016).
    """

    order = ("anchor", "positive", "negative", "margin", "p", "eps", "swap")

    margin: float = arg(1.0, gt=0, doc="how much farther the negative should be than the positive")
    p: float = arg(2.0, doc="the power of the distance, as in `pairwise_distance`")
    eps: float = arg(1e-6, doc="added to the differences, so that no distance is 0")
    swap: bool = arg(False, doc="let the distance between positive and negative count where it is smaller")

    examples = (
        Example("triplet_margin_loss(a, p, n)", a="float[N, 8]", p="float[N, 8]", n="float[N, 8]"),
        Example(
            'triplet_margin_loss(a, p, n, 0.5, p=1, swap=true, reduction="none")',
            a="float[N, 1, 8]",
            p="float[N, T, 8]",
            n="float[N, T, 8]",
        ),
        Example("triplet_margin_loss(a, p, n)", a="float[8]", p="float[8]", n="float[8]"),
    )

    def onnx(self, g: OnnxGraph, anchor: str, positive: str, negative: str) -> Any:
        return self.lower(g, (anchor, positive, negative), self.p, self.eps)


class triplet_margin_with_distance_loss(_Triplet):
    """The mean of `max(0, margin + distance(anchor, positive) - distance(anchor, negative))`: vectors [..., D].

    The distance is `pairwise_distance`, torch's default. With another one the loss is written as it stands above, as in
    `mean(relu(1 - cosine_similarity(a, p) + cosine_similarity(a, n)))`.
    Source: `torch.nn.functional.triplet_margin_with_distance_loss`.
    """

    margin: float = arg(1.0, gt=0, doc="how much farther the negative should be than the positive", keyword=True)
    swap: bool = arg(
        False, doc="let the distance between positive and negative count where it is smaller", keyword=True
    )

    order = ("anchor", "positive", "negative")

    examples = (
        Example("triplet_margin_with_distance_loss(a, p, n)", a="float[N, 8]", p="float[N, 8]", n="float[N, 8]"),
        Example(
            'triplet_margin_with_distance_loss(a, p, n, margin=0.5, swap=true, reduction="none")',
            a="float[N, 8]",
            p="float[N, 8]",
            n="float[N, 8]",
        ),
    )

    def onnx(self, g: OnnxGraph, anchor: str, positive: str, negative: str) -> Any:
        return self.lower(g, (anchor, positive, negative), 2.0, 1e-6)
