"""Losses that are minus a log-likelihood: of yes and no, of distributions, of counts, of numbers with a variance."""

from __future__ import annotations

from math import log, pi
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import show
from nnspec.functions._losses import Criterion, Loss, batch_size, expect_inside, expect_weight, softplus, total
from nnspec.functions._operands import expect_numbers, result_type, shape_text
from nnspec.layer import Code, Example, OnnxGraph, Rules, ShapeError, call, method
from nnspec.layers._expect import expect_float
from nnspec.types import Operand, Scalar, TensorType, promote


class binary_cross_entropy(Loss):
    """The mean of `-target * log(x) - (1 - target) * log(1 - x)`, for probabilities of one shape with the target.

    A weight broadcasts with them. Logarithms are held at -100. Source: `torch.nn.functional.binary_cross_entropy`.
    """

    likelihood = "identity"
    order = ("x", "target", "weight")
    promotes = False

    examples = (
        Example("binary_cross_entropy(sigmoid(x), y)", x="float[N, 1]", y="float[N, 1]"),
        Example('binary_cross_entropy(p, y, reduction="none")', p="float[N, T]", y="float[N, T]"),
        Example("binary_cross_entropy(p, y, w)", p="float[N, 3]", y="float[N, 3]", w="float[3]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType, weight: TensorType | None = None) -> TensorType:
        dtype = self.check(rules, x, target)
        if weight is not None:
            expect_inside(self, rules, x, expect_weight(self, weight, dtype, "weight", 2), "weight", 2)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None) -> Any:
        dtype = g.type(x).dtype
        one, least = g.constant(1.0, dtype), g.constant(-100.0, dtype)
        yes = g.node("Max", g.node("Log", x), least)
        no = g.node("Max", g.node("Log", g.node("Sub", one, x)), least)
        # target * (no - yes) - no, as torch groups it.
        losses = g.node("Sub", g.node("Mul", target, g.node("Sub", no, yes)), no)
        return total(g, losses if weight is None else g.node("Mul", losses, weight), self.reduction)


class binary_cross_entropy_with_logits(Loss):
    """`binary_cross_entropy` of `sigmoid(x)`, worked out without losing small numbers.

    A weight and a weight of the positive cases broadcast with x.
    Source: `torch.nn.functional.binary_cross_entropy_with_logits`.
    """

    likelihood = "sigmoid"
    order = ("x", "target", "weight", "pos_weight")
    promotes = False

    examples = (
        Example("binary_cross_entropy_with_logits(x, y)", x="float[N, 1]", y="float[N, 1]"),
        Example('binary_cross_entropy_with_logits(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
        Example("binary_cross_entropy_with_logits(x, y, w)", x="float[N, 3]", y="float[N, 3]", w="float[N, 1]"),
        Example("binary_cross_entropy_with_logits(x, y, pos_weight=w)", x="float[N, 3]", y="float[N, 3]", w="float[3]"),
    )

    def infer(
        self,
        rules: Rules,
        x: TensorType,
        target: TensorType,
        weight: TensorType | None = None,
        pos_weight: TensorType | None = None,
    ) -> TensorType:
        dtype = self.check(rules, x, target)
        for position, (what, extra) in enumerate((("weight", weight), ("pos_weight", pos_weight)), 2):
            if extra is not None:
                expect_inside(self, rules, x, expect_weight(self, extra, dtype, what, position), what, position)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def onnx(self, g: OnnxGraph, x: str, target: str, weight: str | None = None, pos_weight: str | None = None) -> Any:
        dtype = g.type(x).dtype
        one = g.constant(1.0, dtype)
        # -log(sigmoid(x)) is softplus(-x), and -log(1 - sigmoid(x)) is x more.
        yes = softplus(g, g.node("Neg", x), dtype)
        if pos_weight is not None:
            more = g.node("Mul", target, g.node("Sub", pos_weight, one))
            yes = g.node("Mul", yes, g.node("Add", more, one))
        losses = g.node("Add", g.node("Mul", g.node("Sub", one, target), x), yes)
        return total(g, losses if weight is None else g.node("Mul", losses, weight), self.reduction)


class kl_div(Loss):
    """The mean of `target * (log(target) - x)`: how far the distribution `exp(x)` is from the target.

    `reduction="batchmean"` divides by the first dimension only, as the definition does.
    Source: `torch.nn.functional.kl_div`.
    """

    reduction: Literal["mean", "batchmean", "sum", "none"] = arg(  # type: ignore[assignment] # one more than others
        "mean", doc="mean, mean over the batch, sum, or all"
    )
    log_target: bool = arg(False, doc="the target holds logarithms too", keyword=True)

    examples = (
        Example("kl_div(log_softmax(x, dim=-1), y)", x="float[N, 5]", y="float[N, 5]"),
        Example('kl_div(x, y, reduction="batchmean", log_target=true)', x="float[N, 5]", y="float[N, 5]"),
        Example('kl_div(x, y, reduction="none")', x="float[N, T]", y="float[N, T]"),
    )

    promotes = False

    def torch(self, *inputs: Any) -> Code:
        if self.reduction != "mean":
            return call("F.kl_div", *inputs, **self.options())
        # torch warns that its own "mean" will become that over the batch.
        return method("mean", call("F.kl_div", *inputs, **(self.options() | {"reduction": "none"})))

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        kind = g.type(x)
        dtype = result_type(kind, g.type(target))
        if self.log_target:
            losses = g.node("Mul", g.node("Exp", target), g.node("Sub", target, x))
        else:
            nothing = g.constant(0.0, dtype)
            empty = g.node("Equal", target, nothing)
            # 0 log 0 is 0.
            own = g.node("Where", empty, nothing, g.node("Mul", target, g.node("Log", target)))
            losses = g.node("Sub", own, g.node("Mul", target, x))
        if self.reduction == "batchmean":
            return g.node("Div", total(g, losses, "sum"), g.cast(g.size(batch_size(kind)), dtype))
        return total(g, losses, self.reduction)


class poisson_nll_loss(Loss):
    """The mean of `exp(x) - target * x`: minus the log-likelihood of counts whose rate has the logarithm x.

    With `log_input=false` x is the rate itself, and `full` adds Stirling's approximation of `log(target!)` for targets
    above 1. Source: `torch.nn.functional.poisson_nll_loss`.
    """

    order = ("x", "target", "log_input", "full")

    log_input: bool = arg(True, doc="x is the logarithm of the rate, else the rate")
    full: bool = arg(False, doc="add what depends on the target alone")
    eps: float = arg(1e-8, ge=0, doc="added to a rate before its logarithm is taken", keyword=True)

    examples = (
        Example("poisson_nll_loss(x, y)", x="float[N, 3]", y="float[N, 3]"),
        Example('poisson_nll_loss(x, y, full=true, reduction="sum")', x="float[N, T]", y="int[N, T]"),
        Example('poisson_nll_loss(exp(x), y, log_input=false, reduction="none")', x="float[N]", y="float[N]"),
    )

    def onnx(self, g: OnnxGraph, x: str, target: str) -> Any:
        own = g.type(x).dtype
        dtype = result_type(g.type(x), g.type(target))
        rate, target = x, g.cast(target, dtype)
        logarithm = g.cast(x, dtype)
        if self.log_input:
            rate = g.node("Exp", x)
        else:
            logarithm = g.node("Log", g.node("Add", logarithm, g.constant(self.eps, dtype)))
        rate = rate if own == dtype else g.cast(rate, dtype)
        losses = g.node("Sub", rate, g.node("Mul", target, logarithm))
        if self.full:
            losses = g.node("Add", losses, _stirling(g, target, dtype))
        return total(g, losses, self.reduction)


def _stirling(g: OnnxGraph, count: str, dtype: str) -> str:
    """About log(count!), for counts above 1; 0 for the others."""
    one = g.constant(1.0, dtype)
    large = g.node("Greater", count, one)
    safe = g.node("Where", large, count, one)
    root = g.node("Mul", g.node("Log", g.node("Mul", safe, g.constant(2 * pi, dtype))), g.constant(0.5, dtype))
    whole = g.node("Sub", g.node("Mul", safe, g.node("Log", safe)), safe)
    return str(g.node("Where", large, g.node("Add", whole, root), g.constant(0.0, dtype)))


class gaussian_nll_loss(Criterion):
    """The mean of `(log(var) + (x - target) ** 2 / var) / 2`: minus the log-likelihood of targets around x.

    The variance is a number, or a tensor of x's shape, in which one dimension may be 1 or the last one left out; one
    dimension of the target may be 1 too. Source: `torch.nn.functional.gaussian_nll_loss`; Nix and Weigend (1994).
    """

    order = ("x", "target", "var", "full", "eps", "reduction")
    scalars = ("var",)

    full: bool = arg(False, doc="add the constant `log(2 * pi) / 2`")
    eps: float = arg(1e-6, gt=0, doc="the smallest variance to divide by")

    examples = (
        Example("gaussian_nll_loss(x, y, exp(v))", x="float[N, 3]", y="float[N, 3]", v="float[N, 3]"),
        Example("gaussian_nll_loss(x, y, exp(v), full=true)", x="float[N, T, 3]", y="float[N, T, 3]", v="float[N, T]"),
        Example('gaussian_nll_loss(x, y, exp(v), reduction="none")', x="float[N, T]", y="float[N, 1]", v="float[1, T]"),
        Example("gaussian_nll_loss(x, y, 0.5)", x="float[N]", y="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType, target: TensorType, var: Operand) -> TensorType:
        x, target = expect_float(self, x), expect_numbers(self, target, 1)
        self._require_similar(rules, x, target, "target", 1)
        dtype = promote(x.dtype, target.dtype)
        if isinstance(var, Scalar):
            self._check_number(var)
        else:
            var = expect_float(self, var, 2)
            self._require_similar(rules, x, var, "variance", 2)
            dtype = promote(dtype, var.dtype)
        return TensorType(dtype, x.dims if self.reduction == "none" else ())

    def _check_number(self, var: Scalar) -> None:
        if not isinstance(var.value, (int, float)) or isinstance(var.value, bool) or var.value < 0:
            raise ShapeError(
                f"the variance of `{type(self).__name__}` is a tensor, or a number that is not negative: not {var}",
                code="NNS304",
                input=2,
            )

    def _require_similar(self, rules: Rules, x: TensorType, other: TensorType, what: str, position: int) -> None:
        """The other has x's shape, but for one dimension that may be 1; or, as a variance, may be lacking: the last."""
        message = (
            f"the {what} of `{type(self).__name__}` must be of the prediction's shape {shape_text(x.dims)}, in which "
            f"one dimension may be 1, but it is {shape_text(other.dims)}"
        )
        shorter = what == "variance" and other.rank == x.rank - 1
        if other.rank != x.rank and not shorter:
            raise ShapeError(message, label=f"{x.rank} and {other.rank} dimensions", input=position)
        repeated = [i for i, size in enumerate(other.dims) if size == 1 and rules.equal(x.dims[i], 1) is not True]
        # Where only one of several may be, it is one that is certainly larger than 1 in the prediction.
        repeated = [] if shorter else sorted(repeated, key=lambda i: rules.equal(x.dims[i], 1) is not False)
        for i, (own, size) in enumerate(zip(x.dims, other.dims, strict=False)):
            if i not in repeated[:1]:
                label = f"{show(own)} and {show(size)} in dimension {i}"
                rules.require_equal(own, size, message, label=label, input=position)

    def torch(self, *inputs: Any) -> Code:
        x, target, var = inputs
        # torch takes a float, but no int.
        return call("F.gaussian_nll_loss", x, target, float(var) if isinstance(var, int) else var, **self.options())

    def onnx(self, g: OnnxGraph, x: str, target: str, var: Any) -> Any:
        kind, other = g.type(x), g.type(target)
        dtype = promote(kind.dtype, other.dtype)
        if isinstance(var, str):
            dtype = promote(dtype, g.type(var).dtype)
            spread = g.node("Max", g.cast(var, dtype), g.constant(self.eps, dtype))
            if g.type(var).rank == kind.rank - 1:
                spread = g.node("Unsqueeze", spread, g.constant([-1]))
        else:
            spread = g.constant(max(float(var), self.eps), dtype)
        difference = g.node("Sub", g.cast(x, dtype), g.cast(target, dtype))
        far = g.node("Div", g.node("Mul", difference, difference), spread)
        losses = g.node("Mul", g.node("Add", g.node("Log", spread), far), g.constant(0.5, dtype))
        if self.full:
            losses = g.node("Add", losses, g.constant(log(2 * pi) / 2, dtype))
        return total(g, losses, self.reduction)
