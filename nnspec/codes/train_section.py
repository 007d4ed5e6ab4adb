"""Codes 6xx of what a `train` section says: transforms, `params`, numbers to follow, targets that are hardly meant."""

from __future__ import annotations

from nnspec.codes import Code

_MODEL = """
model Net {
  input features: float[N, 4]
  output scores: float[N, 3] = features -> fc: Linear(3)
}
"""


def _spec(*lines: str, loss: str = "cross_entropy(scores, label)", model: str = _MODEL) -> str:
    """A spec whose `train` section holds these lines."""
    body = "\n".join(f"  {line}" for line in ("data = Iris()", f"loss = {loss}", "optimizer = SGD(lr=0.1)", *lines))
    return f"{model}\ntrain {{\n{body}\n}}\n"


_ONE = _MODEL.replace("3", "1").replace("scores: float[N, 1]", "scores")
_AMOUNT = _ONE.replace("features -> fc: Linear(1)", "flatten(features -> fc: Linear(1), 0)")

_SIGMOID = _AMOUNT.replace("Linear(1)", "Linear(1) -> Sigmoid")
_FAR = "mse_loss(scores, label)"

CODES = (
    Code(
        "NNS613",
        "a transform that does not fit",
        """
        `transform` says what is always done to a field of the data, and `augment` what is done in training only. Both
        are of fields that the data has; what is random belongs in `augment`, and what changes a size in `transform`,
        because the validation part goes through that one alone.
        """,
        _spec("transform = (featurs=[ToDtype(dtype=float)])"),
        _spec("transform = (features=[ToDtype(dtype=float)])"),
    ),
    Code(
        "NNS614",
        "`params` leaves nothing to train",
        """
        `params PATTERN { freeze = true }` keeps parameters as they are. Some must be left to train; and an optimizer
        that searches along all of them at once (`LBFGS`) cannot train some of them in another way.
        """,
        _spec('params "*" { freeze = true }'),
        _spec('params "*.bias" { freeze = true }'),
    ),
    Code(
        "NNS615",
        "a number to follow that there is not",
        """
        `checkpoint` and `early_stopping` follow a number of the run: the loss or one of the metrics, over the training
        part (`loss`, `accuracy`) or the part to validate on (`val/loss`, `val/accuracy`). Where the metric is an
        expression of its own, `mode` says whether less or more of it is better: "min" or "max".
        """,
        _spec("metrics = [accuracy(scores, label)]", 'checkpoint = (best="val/acuracy")'),
        _spec("metrics = [accuracy(scores, label)]", 'checkpoint = (best="val/accuracy")'),
    ),
    Code(
        "NNS632",
        "class numbers where amounts are expected",
        """
        A squared error takes its target for an amount, and there is no distance between the classes 0 and 2.
        `cross_entropy` compares a score for each class with the number of the right one. Whole numbers that are
        amounts are converted, which says that it is meant: `to(label, float)`. This is a warning.
        """,
        _spec(loss="mse_loss(scores, label)", model=_AMOUNT),
        _spec(loss="mse_loss(scores, to(label, float))", model=_AMOUNT),
    ),
    Code(
        "NNS633",
        "a single class",
        """
        `cross_entropy` makes probabilities of the scores in dimension 1, and with one score the probability is always
        1: the loss is 0 and nothing is learned. For yes or no, `binary_cross_entropy_with_logits` takes one score.
        This is a warning.
        """,
        _spec(model=_ONE),
        _spec(),
    ),
    Code(
        "NNS634",
        "an activation at the end that targets lie outside of",
        """
        A model that ends in a sigmoid never says -1, and targets that were brought to mean 0 and deviation 1 are
        negative half of the time. A single ReLU at the end is 0 for all negative scores, where its gradient is 0 too:
        when it has come there for all samples, nothing is learned any more. This is a warning.
        """,
        _spec("transform = (label=[ToDtype(dtype=float), Standardize()])", loss=_FAR, model=_SIGMOID),
        _spec("transform = (label=[ToDtype(dtype=float), Standardize()])", loss=_FAR, model=_AMOUNT),
    ),
)
