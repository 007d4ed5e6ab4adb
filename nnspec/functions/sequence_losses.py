"""Losses of sequences whose steps are not aligned with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._losses import Criterion, total
from nnspec.functions._operands import shape_text
from nnspec.layer import Example, OnnxGraph, Rules, ShapeError
from nnspec.layers._expect import expect_rank, expect_tensor
from nnspec.types import TensorType, is_int


class ctc_loss(Criterion):
    """Minus the logarithm of the probability of a sequence of labels, however its labels are spread over the steps.

    Log-probabilities [T, N, C] or [T, C], with targets int[N, S] (or those of all samples one behind the other) or
    int[S], and how many steps and labels of each sample count: int[N] or int[]. For the mean, losses are divided by the
    number of labels. Source: `torch.nn.functional.ctc_loss`; Graves and others, Connectionist temporal classification
    (2006).
    """

    order = ("log_probs", "targets", "input_lengths", "target_lengths", "blank", "reduction", "zero_infinity")

    blank: int = arg(0, ge=0, doc="the class that stands for no label")
    zero_infinity: bool = arg(False, doc="make losses 0 where there are too few steps for the labels")

    examples = (
        Example("ctc_loss(log_softmax(x, dim=2), y, n, m)", x="float[T, N, 5]", y="int[N, S]", n="int[N]", m="int[N]"),
        Example(
            'ctc_loss(x, y, n, m, blank=4, reduction="none", zero_infinity=true)',
            x="float[T, N, 5]",
            y="int[N, 3]",
            n="int[N]",
            m="int[N]",
        ),
        Example(
            'ctc_loss(x, y, full((N,), T, dtype=int), full((N,), 2, dtype=int), reduction="sum")',
            x="float[T, N, 5]",
            y="int[2 * N]",
        ),
        Example("ctc_loss(x, y, full((), T, dtype=int), full((), S, dtype=int))", x="float[T, 5]", y="int32[S]"),
    )

    def infer(
        self,
        rules: Rules,
        log_probs: TensorType,
        targets: TensorType,
        input_lengths: TensorType,
        target_lengths: TensorType,
    ) -> TensorType:
        x = expect_rank(self, log_probs, "T, N, C", "T, C")
        if x.dtype not in ("float32", "float64"):
            raise ShapeError(f"torch has `ctc_loss` for float32 and float64 only, but its input is {x}", code="NNS406")
        rules.require_at_least(
            x.dims[-1],
            self.blank + 1,
            f"`ctc_loss(blank={self.blank})` needs at least {self.blank + 1} classes, not {show(x.dims[-1])}",
            code="NNS403",
            at="blank",
        )
        samples = x.dims[1:-1]
        for position, (what, lengths) in enumerate((("steps", input_lengths), ("labels", target_lengths)), 2):
            self._check(rules, lengths, samples, f"numbers of {what}", position)
        self._check_targets(rules, x, targets, samples)
        return TensorType(x.dtype, samples if self.reduction == "none" else ())

    def _check_targets(self, rules: Rules, x: TensorType, targets: TensorType, samples: tuple[Size, ...]) -> None:
        known = expect_tensor(self, targets, 1)
        if known.rank == 1:
            self._check(rules, known.with_dims(), (), "targets", 1)
        elif known.rank == 2 and samples:
            self._check(rules, known.with_dims(known.dims[0]), samples, "targets", 1)
        else:
            shapes = "[N, S] or [S]" if samples else "[S]"
            raise ShapeError(
                f"`ctc_loss` of {shape_text(x.dims)} needs targets {shapes}, but they are {known}",
                code="NNS402",
                input=1,
            )

    def _check(self, rules: Rules, operand: Any, dims: tuple[Size, ...], what: str, position: int) -> None:
        """Refuse what is not of integers, or not one for each sample."""
        x = expect_tensor(self, operand, position)
        if not is_int(x.dtype):
            raise ShapeError(
                f"the {what} of `ctc_loss` must be integers, but they are {x}", code="NNS406", input=position
            )
        message = f"the {what} of `ctc_loss` must be {shape_text(dims)}, one for each sample, but they are {x}"
        if x.rank != len(dims):
            raise ShapeError(message, code="NNS402", input=position)
        for size, wanted in zip(x.dims, dims, strict=True):
            rules.require_equal(size, wanted, message, input=position)

    def onnx(self, g: OnnxGraph, log_probs: str, targets: str, input_lengths: str, target_lengths: str) -> Any:
        kind, batch = g.type(log_probs), [0]
        steps, labels = (g.cast(x, "int64") for x in (input_lengths, target_lengths))
        flat = g.type(targets).rank == 1 and kind.rank == 3
        classes = g.cast(targets, "int64")
        if kind.rank == 2:
            log_probs = g.node("Unsqueeze", log_probs, g.constant([1]))
            steps, labels, classes = (g.node("Unsqueeze", x, g.constant(batch)) for x in (steps, labels, classes))
        if flat:
            classes = _apart(g, classes, labels, g.type(targets).dims[0])
        losses = _Alignment(self, g, kind, classes).losses(log_probs, steps, labels)
        if self.zero_infinity:
            endless = g.node("IsInf", losses)
            losses = g.node("Where", endless, g.constant(0.0, kind.dtype), losses)
        if self.reduction == "mean":
            counts = g.cast(g.node("Max", labels, g.constant(1)), kind.dtype)
            losses = g.node("Div", losses, counts)
        if kind.rank == 2:
            losses = g.node("Squeeze", losses, g.constant(batch))
        return total(g, losses, self.reduction)


def _apart(g: OnnxGraph, classes: str, labels: str, count: Size) -> str:
    """Targets of all samples, one behind the other, as rows; what stands behind a sample's own does not count."""
    begin = g.node("CumSum", labels, g.constant(0), exclusive=1)
    along = g.node("Range", g.constant(0), g.size(count), g.constant(1))
    places = g.node("Add", g.node("Unsqueeze", begin, g.constant([1])), along)
    last = g.node("Sub", g.size(count), g.constant(1))
    return str(g.node("Gather", classes, g.node("Min", places, last), axis=0))


class _Alignment:
    """The sum over all alignments of labels with steps: a label or the blank between two for each position."""

    def __init__(self, loss: ctc_loss, g: OnnxGraph, kind: TensorType, classes: str) -> None:
        """The classes are rows [N, S]; positions are 2 * S + 1, the odd ones for labels."""
        self.g, self.dtype = g, kind.dtype
        self.never = g.constant(float("-inf"), kind.dtype)
        shape = g.node("Shape", classes)
        count = g.node("Gather", shape, g.constant(1))
        self.count = g.node("Add", g.node("Mul", count, g.constant(2)), g.constant(1))
        blanks = g.node("Expand", g.constant(loss.blank), shape)
        pairs = g.node("Concat", *(g.node("Unsqueeze", x, g.constant([2])) for x in (blanks, classes)), axis=2)
        rows = g.node("Reshape", pairs, g.constant([0, -1]))
        self.classes = g.node("Pad", rows, g.constant([0, 0, 0, 1]), g.constant(loss.blank))
        """What each position reads, [N, 2 * S + 1]."""
        self.along = g.node("Range", g.constant(0), self.count, g.constant(1))
        self.back = [self._from(1), self._from(2)]
        skipped = g.node("Gather", self.classes, self.back[1][0], axis=1)
        other = g.node("Not", g.node("Equal", self.classes, skipped))
        self.back[1] = (self.back[1][0], g.node("And", other, self.back[1][1]))

    def _from(self, distance: int) -> tuple[str, str]:
        """For each position the one before it at a distance, and whether there is one."""
        place = self.g.node("Sub", self.along, self.g.constant(distance))
        exists = self.g.node("GreaterOrEqual", place, self.g.constant(0))
        return self.g.node("Max", place, self.g.constant(0)), exists

    def losses(self, log_probs: str, steps: str, labels: str) -> str:
        """Minus the logarithms of the probabilities, [N]."""
        g, first = self.g, self.g.constant([0])
        lengths = g.node("Shape", log_probs, end=1)
        whole = g.node("Concat", lengths, g.node("Shape", self.classes), axis=0)
        read = g.node("GatherElements", log_probs, g.node("Expand", self.classes, whole), axis=2)
        times = g.node("Range", g.constant(0), g.node("Squeeze", lengths, first), g.constant(1))
        counts = g.node(
            "Less", g.node("Unsqueeze", times, g.constant([1, 2])), g.node("Unsqueeze", steps, g.constant([1]))
        )
        # Before the first step all of the probability lies in front of the first label.
        start = g.node("Where", g.node("Equal", self.along, g.constant(0)), g.constant(0.0, self.dtype), self.never)
        start = g.node("Expand", start, g.node("Shape", self.classes))
        (ends,) = g.scan(self._step, [start], [read, counts], [self.dtype, self.dtype, "bool"])
        last = g.node("Unsqueeze", g.node("Mul", labels, g.constant(2)), g.constant([1]))
        before = g.node("Sub", last, g.constant(1))
        on_blank = g.node("GatherElements", ends, last, axis=1)
        on_label = g.node("GatherElements", ends, g.node("Max", before, g.constant(0)), axis=1)
        has_label = g.node("GreaterOrEqual", before, g.constant(0))
        both = self._sum(g, [on_blank, g.node("Where", has_label, on_label, self.never)])
        return str(g.node("Neg", g.node("Squeeze", both, g.constant([1]))))

    def _step(self, g: OnnxGraph, ends: str, read: str, counts: str) -> list[str]:
        """How probable it is to be at each position after one more step."""
        ways = [ends]
        for place, possible in self.back:
            ways.append(g.node("Where", possible, g.node("Gather", ends, place, axis=1), self.never))
        moved = g.node("Add", self._sum(g, ways), read)
        return [g.node("Where", counts, moved, ends)]

    def _sum(self, g: OnnxGraph, logs: Sequence[str]) -> str:
        """The logarithm of a sum of probabilities."""
        top = g.node("Max", *logs)
        # Of minus infinity alone, the difference would be no number.
        top = g.node("Where", g.node("Equal", top, self.never), g.constant(0.0, self.dtype), top)
        summed = g.node("Sum", *(g.node("Exp", g.node("Sub", x, top)) for x in logs))
        return str(g.node("Add", g.node("Log", summed), top))
