"""A softmax over so many classes that most of them are only looked at in clusters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nnspec.arguments import arg, inferred
from nnspec.dims import Size
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_rank, expect_tensor, expect_weight_type, volume
from nnspec.layers._lowering import reduce
from nnspec.layers._parts import configured
from nnspec.layers.linear import Linear
from nnspec.types import Operand, TensorType, show_dtype


class AdaptiveLogSoftmaxWithLoss(Layer):
    """Log-probabilities of the right classes, and their mean loss: `output, loss = (x, target) -> ...`.

    `x` is [N, D] and the target int[N], or [D] and int[]. Classes are numbered from the most frequent on. Those below
    the first cutoff stand in the head, beside one entry for each cluster of the others; a rarer cluster is seen
    through fewer features (`D // div_value`, `D // div_value**2`, ...). What a target costs depends on its cluster:
    the cost that is reported is that of the dearest. No cluster may be left without features, which torch allows.
    Source: `torch.nn.AdaptiveLogSoftmaxWithLoss`; Grave et al., Efficient softmax approximation (arXiv:1609.04309).
    """

    in_features: int = inferred(axis=-1)
    n_classes: int = arg(ge=2, doc="how many classes there are")
    cutoffs: tuple[int, ...] = arg(ge=1, doc="the first class of each cluster, from frequent to rare")
    div_value: float = arg(4.0, gt=0, doc="how many times fewer features each further cluster has")
    head_bias: bool = arg(False, doc="add a learned offset to the scores of the head")

    examples = (
        Example(
            "AdaptiveLogSoftmaxWithLoss(9, [1, 4], div_value=2)",
            macs=2 * 8 * 3 + 2 * (8 * 4 + 4 * 3),
            x="float[N, 8]",
            target="int[N]",
        ),
        Example(
            "AdaptiveLogSoftmaxWithLoss(5, [1], head_bias=true)",
            macs=2 * (4 * 2 + 4 * 1 + 1 * 4),
            x="float[N, 4]",
            target="int[N]",
        ),
        Example(
            "AdaptiveLogSoftmaxWithLoss(6, [2, 3], div_value=1.5)",
            macs=4 * 4 + max(4 * 2 + 2 * 1, 4 * 1 + 1 * 3),
            x="float[4]",
            target="int[]",
        ),
    )

    def accept(self, *inputs: Any) -> None:
        x = expect_weight_type(self, expect_rank(self, inputs[0], "N, D", "D"))
        target = expect_tensor(self, inputs[1], 1)
        if target.dtype != "int64":
            raise ShapeError(
                f"the targets of `AdaptiveLogSoftmaxWithLoss` are numbers of classes, int64, not {target}",
                code="NNS406",
                label=f"is of type {show_dtype(target.dtype)}",
                input=1,
            )
        if target.rank != x.rank - 1:
            raise ShapeError(
                f"`AdaptiveLogSoftmaxWithLoss` needs one target for each row, but its inputs are {x} and {target}",
                code="NNS402",
                input=1,
            )
        rising = all(a < b for a, b in pairwise((*self.cutoffs, self.n_classes)))
        if not self.cutoffs or not rising:
            raise ShapeError(
                f"the cutoffs of `AdaptiveLogSoftmaxWithLoss` must rise, from 1 to below n_classes {self.n_classes}",
                code="NNS304",
                at="cutoffs",
                label="do not rise" if self.cutoffs else "no clusters",
            )

    def infer(self, rules: Rules, x: TensorType, target: TensorType) -> Any:
        for have, need in zip(target.dims, x.dims, strict=False):
            rules.require_equal(
                have,
                need,
                f"`AdaptiveLogSoftmaxWithLoss` needs one target for each row, but its inputs are {x} and {target}",
                label="the batch must be the same",
                input=1,
            )
        narrow = next((i for i, (width, _) in enumerate(self._clusters()) if not width), None)
        if narrow is not None:
            raise ShapeError(
                f"cluster {narrow + 1} of {len(self.cutoffs)} would have no features: "
                f"{self.in_features} / {self.div_value:g}**{narrow + 1} is below 1",
                code="NNS304",
                at="div_value",
                label="too large for so many clusters",
            )
        return x.with_dims(*x.dims[:-1]), x.with_dims()

    def _clusters(self) -> list[tuple[int, int]]:
        """Of each cluster behind the head: through how many features it is seen, and how many classes it has."""
        sizes = [b - a for a, b in pairwise((*self.cutoffs, self.n_classes))]
        return [(int(self.in_features // self.div_value**i), size) for i, size in enumerate(sizes, 1)]

    @property
    def _head(self) -> int:
        return self.cutoffs[0] + len(self.cutoffs)

    def parts(self) -> dict[str, Layer]:
        size = self.in_features
        parts = {"head": configured(Linear, in_features=size, out_features=self._head, bias=self.head_bias)}
        for number, (width, classes) in enumerate(self._clusters()):
            parts[f"tail.{number}.0"] = configured(Linear, in_features=size, out_features=width, bias=False)
            parts[f"tail.{number}.1"] = configured(Linear, in_features=width, out_features=classes, bias=False)
        return dict(parts)

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = expect_tensor(self, inputs[0])
        dearest = max(width * (self.in_features + size) for width, size in self._clusters())
        return volume(x.dims[:-1]) * (self.in_features * self._head + dearest)

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        batched, first = g.type(x).rank == 2, g.constant([0])
        if not batched:
            x, target = g.node("Unsqueeze", x, first), g.node("Unsqueeze", target, first)
        shortlist = self.cutoffs[0]
        entry = target
        inside: list[tuple[str, str]] = []
        for number, (low, (_, size)) in enumerate(zip(self.cutoffs, self._clusters(), strict=True)):
            # Later clusters overwrite: whatever is at least their first class is theirs.
            there = g.node("GreaterOrEqual", target, g.constant(low))
            entry = g.node("Where", there, g.constant(shortlist + number), entry)
            scores = x
            for part in (0, 1):
                scores = g.node("Gemm", scores, g.weight(f"tail.{number}.{part}.weight"), transB=1)
            place = g.node("Clip", g.node("Sub", target, g.constant(low)), g.constant(0), g.constant(size - 1))
            inside.append((there, self._chosen(g, scores, place)))
        bias = g.weight("head.bias") if self.head_bias else None
        output = self._chosen(g, g.node("Gemm", x, g.weight("head.weight"), bias, transB=1), entry)
        within = g.constant(0.0, "float32")
        for there, found in inside:
            within = g.node("Where", there, found, within)
        output = g.node("Add", output, within)
        loss = g.node("Neg", reduce(g, "ReduceMean", output, [0], keepdims=False))
        return output if batched else g.node("Squeeze", output, first), loss

    def _chosen(self, g: OnnxGraph, scores: str, place: str) -> str:
        """The log-probability of one entry of each row."""
        last = g.constant([1])
        logs = g.node("LogSoftmax", scores, axis=1)
        return str(g.node("Squeeze", g.node("GatherElements", logs, g.node("Unsqueeze", place, last), axis=1), last))
