"""Losses of classes: scores or log-probabilities against the right class of each sample."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._losses import expect_weight, same_shape, total
from nnspec.functions._operands import axis, expect_dtype, same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call, infix, method
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, is_float


class ClassLoss(Function):
    """What both share: a class dimension, right classes as int, weights of classes, classes that do not count."""

    ignore_index: int = arg(-100, doc="targets of this number do not count")
    reduction: Literal["mean", "sum", "none"] = arg("mean", doc="the mean or sum of all losses, or all of them")
    dim: int | None = arg(None, doc="the class dimension; 1 when left out, or 0 of a vector", keyword=True)

    order = ("x", "target", "weight")

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        x, target = expect_float(self, x), expect_tensor(self, target, 1)
        at = self.class_axis(x)
        if weight is not None:
            self._check_weight(rules, x.dims[at], expect_weight(self, weight, x.dtype, "weight", 2))
        samples = (*x.dims[:at], *x.dims[at + 1 :])
        if self.takes_probabilities(target):
            self._check_probabilities(rules, x, target, at)
        else:
            self._check_target(rules, x, target, samples, at)
        return TensorType(x.dtype, samples if self.reduction == "none" else ())

    def takes_probabilities(self, target: TensorType) -> bool:
        """Whether the target is a distribution over the classes."""
        return False

    def class_axis(self, x: TensorType) -> int:
        """The dimension of the scores that the classes stand in."""
        if not x.rank:
            raise ShapeError(f"`{type(self).__name__}` needs scores of classes, but its input is {x}", code="NNS402")
        if self.dim is None:
            return min(1, x.rank - 1)
        at = axis(self, x, self.dim)
        if x.rank == 1:
            raise ShapeError(
                f"`dim` of `{type(self).__name__}` is for scores of several samples, but its input is {x}",
                code="NNS402",
                at="dim",
                helps=("leave it out",),
            )
        return at

    def _check_weight(self, rules: Rules, classes: Size, weight: TensorType) -> None:
        if weight.rank != 1:
            raise ShapeError(
                f"the weight of `{type(self).__name__}` is one number for each class, but it is {weight}",
                code="NNS402",
                input=2,
            )
        rules.require_equal(
            weight.dims[0],
            classes,
            f"`{type(self).__name__}` has {show(classes)} classes, but weights for {show(weight.dims[0])}",
            label=f"{show(weight.dims[0])} is not {show(classes)}",
            input=2,
        )

    def _check_target(
        self, rules: Rules, x: TensorType, target: TensorType, samples: tuple[Size, ...], at: int
    ) -> None:
        expect_dtype(self, target, "int64", "target", 1)
        message = (
            f"`{type(self).__name__}` of scores {shape_text(x.dims)} with classes in dimension {at} "
            f"needs a target {shape_text(samples)}, but it is {shape_text(target.dims)}"
        )
        if target.rank != len(samples):
            raise ShapeError(message, label=f"needs {shape_text(samples)}", input=1)
        for wanted, size in zip(samples, target.dims, strict=True):
            rules.require_equal(
                size,
                wanted,
                message,
                label=f"needs {shape_text(samples)}",
                input=1,
                helps=self._advice(rules, x, target),
            )

    def _advice(self, rules: Rules, x: TensorType, target: TensorType) -> tuple[str, ...]:
        """The usual slip with sequences: classes stand last."""
        if self.dim is None and x.rank > 2:
            fits = (rules.equal(a, b) for a, b in zip(x.dims[:-1], target.dims, strict=False))
            if all(fits):
                return ("say where the classes are: `dim=-1`",)
        return ()

    def _check_probabilities(self, rules: Rules, x: TensorType, target: TensorType, at: int) -> None:
        same_type(self, (x, target))
        if self.ignore_index >= 0:
            raise ShapeError(
                f"`{type(self).__name__}` cannot ignore class {self.ignore_index} of a target of probabilities",
                code="NNS304",
                at="ignore_index",
                helps=("a probability of 0 for all classes of a sample takes it out of the sum",),
            )
        if at != min(1, x.rank - 1):
            raise ShapeError(
                f"`{type(self).__name__}` takes a target of probabilities with the classes in dimension 1 only",
                code="NNS402",
                at="dim",
                helps=("bring the classes to dimension 1 in both: `transpose(x, 1, -1)`",),
            )
        same_shape(self, rules, x, target)

    def torch(self, *inputs: Any) -> Code:
        x, target, *rest = inputs
        if self.dim == -1 and self.reduction != "none":
            # As rows: torch is twice as fast with these as with classes in between, and nothing is copied.
            behind = infix("-", method("dim", x), 2)
            x, target = method("flatten", x, 0, -2), method("flatten", target, 0, behind)
        elif self.dim not in (None, 1):
            x = method("movedim", x, self.dim, 1)
        options = self.options()
        options.pop("dim", None)
        return call(f"F.{type(self).__name__}", x, target, *rest, **options)

    def _loss(self, g: OnnxGraph, kind: TensorType, logs: str, target: str, weight: str | None, smooth: float) -> Any:
        """The loss of log-probabilities, by right classes."""
        at, dtype = self.class_axis(kind), kind.dtype
        counts = g.node("Not", g.node("Equal", target, g.constant(self.ignore_index)))
        right = g.node("Where", counts, target, g.constant(0))
        losses = _picked(g, logs, right, at)
        shares = g.cast(counts, dtype)
        if weight is not None:
            losses = g.node("Mul", losses, g.node("Gather", weight, right, axis=0))
            shares = g.node("Mul", shares, g.node("Gather", weight, right, axis=0))
        if smooth:
            classes = kind.dims[at]
            even = g.node("Neg", reduce(g, "ReduceSum", _weighed(g, logs, weight, kind, at), [at], keepdims=False))
            share = g.node("Div", g.constant(smooth, dtype), g.cast(g.size(classes), dtype))
            losses = g.node("Mul", losses, g.constant(1 - smooth, dtype))
            losses = g.node("Add", losses, g.node("Mul", even, share))
        losses = g.node("Where", counts, losses, g.constant(0.0, dtype))
        if self.reduction == "mean":
            return g.node("Div", total(g, losses, "sum"), total(g, shares, "sum"))
        return total(g, losses, self.reduction)


def _picked(g: OnnxGraph, logs: str, right: str, at: int) -> str:
    """Minus the log-probabilities of the right classes."""
    place = g.node("Unsqueeze", right, g.constant([at]))
    picked = g.node("GatherElements", logs, place, axis=at)
    return str(g.node("Neg", g.node("Squeeze", picked, g.constant([at]))))


def _weighed(g: OnnxGraph, logs: str, weight: str | None, kind: TensorType, at: int) -> str:
    """Log-probabilities times the weights of their classes."""
    if weight is None:
        return logs
    if behind := kind.rank - 1 - at:
        weight = g.node("Unsqueeze", weight, g.constant(list(range(1, behind + 1))))
    return str(g.node("Mul", logs, weight))


class cross_entropy(ClassLoss):
    """The mean of `-log_softmax(x)` at the right classes: scores [N, C, ...] and targets int[N, ...].

    The classes stand in dimension 1, or in `dim` when it is said. A float target of the scores' shape holds
    probabilities. Source: `torch.nn.functional.cross_entropy`.
    """

    likelihood = "softmax"

    label_smoothing: float = arg(0.0, ge=0, le=1, doc="how much of the target is spread over all classes", keyword=True)

    examples = (
        Example("cross_entropy(x, y)", x="float[N, 10]", y="int[N]"),
        Example("cross_entropy(x, y, dim=-1)", x="float[N, T, 10]", y="int[N, T]"),
        Example('cross_entropy(x, y, reduction="none", label_smoothing=0.1)', x="float[N, 5, T]", y="int[N, T]"),
        Example(
            "cross_entropy(x, y, w, label_smoothing=0.2, ignore_index=1)", x="float[N, 5]", y="int[N]", w="float[5]"
        ),
        Example("cross_entropy(x, y)", x="float[N, 5]", y="float[N, 5]"),
        Example('cross_entropy(x, y, w, reduction="sum")', x="float[N, 5, T]", y="float[N, 5, T]", w="float[5]"),
        Example("cross_entropy(x, y)", x="float[5]", y="int[]"),
    )

    def takes_probabilities(self, target: TensorType) -> bool:
        return is_float(target.dtype)

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        kind = g.type(x)
        at, dtype = self.class_axis(kind), kind.dtype
        logs = g.node("LogSoftmax", x, axis=at)
        smooth = self.label_smoothing
        if not is_float(g.type(target).dtype):
            return self._loss(g, kind, logs, target, weight, smooth)
        if smooth:
            share = g.node("Div", g.constant(smooth, dtype), g.cast(g.size(kind.dims[at]), dtype))
            target = g.node("Add", g.node("Mul", target, g.constant(1 - smooth, dtype)), share)
        products = g.node("Mul", target, _weighed(g, logs, weight, kind, at))
        losses = g.node("Neg", reduce(g, "ReduceSum", products, [at], keepdims=False))
        return total(g, losses, self.reduction)


class nll_loss(ClassLoss):
    """The mean of `-x` at the right classes: log-probabilities [N, C, ...] and targets int[N, ...].

    The classes stand in dimension 1, or in `dim` when it is said. Source: `torch.nn.functional.nll_loss`.
    """

    likelihood = "exp"

    examples = (
        Example("nll_loss(log_softmax(x, dim=1), y)", x="float[N, 10]", y="int[N]"),
        Example("nll_loss(x, y, w, dim=-1)", x="float[N, T, 5]", y="int[N, T]", w="float[5]"),
        Example('nll_loss(x, y, reduction="sum", ignore_index=2)', x="float[N, 5]", y="int[N]"),
    )

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        return self._loss(g, g.type(x), x, target, weight, 0.0)
