"""How far numbers are from those that were wanted, and how the two vary together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Example, ShapeError
from nnspec.training.metric import example
from nnspec.training.metrics._pairs import Columns, Flat, Paired
from nnspec.types import TensorType

_VECTOR = ("float[N]", "float[N]")
_COLUMNS = ("float[N, 3]", "float[N, 3]")


def _examples(call: str) -> tuple[Example, ...]:
    return (example(call, *_VECTOR),)


def _of_columns(call: str) -> tuple[Example, ...]:
    """For one number a sample, and for several, each a metric of its own."""
    return (*_examples(call), example(f"{call}[0]", *_COLUMNS))


class mean_squared_error(Flat):
    """The mean of squared differences; with squared=false its root."""

    squared: bool = arg(True, doc="false for the root of it")

    higher_is_better = False
    examples = (
        *_examples("mean_squared_error(preds, target)"),
        example("mean_squared_error(preds, target, squared=false)", *_COLUMNS),
    )

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.meters import Ratio

        prepare = self.prepare(types)

        def terms(p: Any, t: Any) -> tuple[Any, int]:
            p, t = prepare(p, t)
            return (p - t).square().sum(), t.numel()

        return Ratio(terms, None if self.squared else lambda mean: mean.sqrt())


class mean_absolute_error(Flat):
    """The mean of differences without their signs."""

    higher_is_better = False
    examples = _examples("mean_absolute_error(preds, target)")

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.meters import Ratio

        prepare = self.prepare(types)

        def terms(p: Any, t: Any) -> tuple[Any, int]:
            p, t = prepare(p, t)
            return (p - t).abs().sum(), t.numel()

        return Ratio(terms)


class mean_absolute_percentage_error(Flat):
    """The mean of differences as parts of what was wanted: 0.1 for ten percent."""

    higher_is_better = False
    kind = "MeanAbsolutePercentageError"
    examples = _examples("mean_absolute_percentage_error(preds, target)")


class symmetric_mean_absolute_percentage_error(Flat):
    """The mean of differences as parts of the mean of both numbers."""

    higher_is_better = False
    kind = "SymmetricMeanAbsolutePercentageError"
    examples = _examples("symmetric_mean_absolute_percentage_error(preds, target)")


class weighted_mean_absolute_percentage_error(Flat):
    """The sum of differences as a part of the sum of what was wanted."""

    higher_is_better = False
    kind = "WeightedMeanAbsolutePercentageError"
    examples = _examples("weighted_mean_absolute_percentage_error(preds, target)")


class mean_squared_log_error(Flat):
    """The mean of squared differences of log(1 + x), for numbers that are not negative."""

    higher_is_better = False
    kind = "MeanSquaredLogError"
    examples = _examples("mean_squared_log_error(relu(preds), relu(target))")


class minkowski_distance(Flat):
    """The p-th root of the sum of differences to the power of p."""

    p: float = arg(ge=1, doc="the power")

    higher_is_better = False
    kind = "MinkowskiDistance"
    examples = _examples("minkowski_distance(preds, target, p=3.0)")


class tweedie_deviance_score(Flat):
    """The deviance of a Tweedie distribution: 0 for a normal one, 1 for Poisson's, 2 for the gamma distribution."""

    power: float = arg(0.0, doc="which distribution; none lies between 0 and 1")

    higher_is_better = False
    kind = "TweedieDevianceScore"
    examples = (
        *_examples("tweedie_deviance_score(preds, target)"),
        example("tweedie_deviance_score(exp(preds), exp(target), power=2.0)", *_VECTOR),
    )


class normalized_root_mean_squared_error(Flat):
    """The root of the mean of squared differences, over a measure of what was wanted."""

    normalization: Literal["mean", "range", "std", "l2"] = arg("mean", doc="the measure")

    higher_is_better = False
    gathers = True
    examples = _examples('normalized_root_mean_squared_error(preds, target, normalization="std")')


class critical_success_index(Flat):
    """Of all that is or was predicted to be above a threshold, the share that is both."""

    threshold: float = arg(doc="what counts as an event")

    higher_is_better = True
    kind = "CriticalSuccessIndex"
    examples = _examples("critical_success_index(preds, target, threshold=0.5)")


class relative_squared_error(Columns):
    """The sum of squared differences, over that of always predicting the mean; the mean over columns."""

    squared: bool = arg(True, doc="false for the root of it")

    higher_is_better = False
    kind = "RelativeSquaredError"
    examples = (
        *_examples("relative_squared_error(preds, target)"),
        example("relative_squared_error(preds, target)", *_COLUMNS),
    )

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        super()._result(preds)
        return ()


class _Explained(Columns):
    """How much of the variance was predicted, with a number for each column or one for all."""

    multioutput: Literal["uniform_average", "raw_values", "variance_weighted"] = arg(
        "uniform_average", doc="how columns are brought together"
    )

    higher_is_better = True
    outputs = False

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        result = super()._result(preds)
        return result if self.multioutput == "raw_values" else ()


class r2_score(_Explained):
    """The coefficient of determination: 1 is perfect, 0 is what the mean would reach."""

    adjusted: int = arg(0, ge=0, doc="the number of features to adjust for")

    kind = "R2Score"
    examples = (
        *_examples("r2_score(preds, target)"),
        example('r2_score(preds, target, multioutput="variance_weighted")', *_COLUMNS),
        example('r2_score(preds, target, multioutput="raw_values")[2]', *_COLUMNS),
    )


class explained_variance(_Explained):
    """As the coefficient of determination, but for a constant offset of all predictions."""

    kind = "ExplainedVariance"
    examples = (
        *_examples("explained_variance(preds, target)"),
        example("explained_variance(preds, target)", *_COLUMNS),
    )


class _Correlation(Columns):
    """How two columns vary together."""

    outputs = False
    gathers = True


class pearson_corrcoef(_Correlation):
    """The linear correlation of predictions and targets."""

    higher_is_better = True
    examples = _of_columns("pearson_corrcoef(preds, target)")


class spearman_corrcoef(_Correlation):
    """The correlation of the ranks of predictions and targets."""

    higher_is_better = True
    examples = _of_columns("spearman_corrcoef(preds, target)")


class kendall_rank_corrcoef(_Correlation):
    """How many pairs of samples are in the right order, less those in the wrong one."""

    variant: Literal["a", "b", "c"] = arg("b", doc="how ties count")

    higher_is_better = True
    examples = _of_columns("kendall_rank_corrcoef(preds, target)")


class concordance_corrcoef(_Correlation):
    """The correlation of predictions and targets that an offset or another scale lowers."""

    higher_is_better = True
    examples = _of_columns("concordance_corrcoef(preds, target)")


class log_cosh_error(Columns):
    """The mean of log(cosh(x)) of differences."""

    least = 1
    higher_is_better = False
    kind = "LogCoshError"
    examples = _of_columns("log_cosh_error(preds, target)")


class _Divergence(Paired):
    """A distance of distributions, one a sample in dimension 1; the mean over samples."""

    log_prob: bool = arg(False, doc="whether both are logarithms of probabilities")

    higher_is_better = False

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        if preds.rank != 2:
            message = f"`{type(self).__name__}` takes a distribution for each sample, [N, C], and not {preds}"
            raise ShapeError(message, code="NNS402", label=f"has {preds.rank} dimensions", input=0)
        return ()


class kl_divergence(_Divergence):
    """The Kullback-Leibler divergence of the second distribution from the first, in nats."""

    kind = "KLDivergence"
    examples = (example("kl_divergence(softmax(preds, dim=1), softmax(target, dim=1))", *_COLUMNS),)


class jensen_shannon_divergence(_Divergence):
    """The Jensen-Shannon divergence of two distributions, in nats."""

    kind = "JensenShannonDivergence"
    examples = (example("jensen_shannon_divergence(softmax(preds, dim=1), softmax(target, dim=1))", *_COLUMNS),)
