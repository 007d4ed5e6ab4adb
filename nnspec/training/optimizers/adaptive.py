"""Optimizers that scale each weight's step by the squares of the gradients it has seen."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from nnspec.arguments import arg
from nnspec.training.optimizer import Optimizer

_LR = "learning rate: how far a step goes"
_EPS = "added to the denominator, against division by zero"
_L2 = "pull towards zero, added to the gradient (L2)"
_MAXIMIZE = "climb instead of descending"
_FOREACH = "update all parameters in one call of each operation"


class RMSprop(Optimizer):
    """Steps divided by the root of a running average of squared gradients.

    G. Hinton, Neural Networks for Machine Learning, lecture 6, 2012; centered: A. Graves, Generating Sequences With
    Recurrent Neural Networks, 2013 (arXiv:1308.0850).
    """

    lr: float = arg(1e-2, doc=_LR, ge=0)
    alpha: float = arg(0.99, doc="how much of the average of squares is kept each step", ge=0)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    momentum: float = arg(0.0, doc="share of the last step that is kept", ge=0)
    centered: bool = arg(False, doc="divide by an estimate of the variance, not of the mean square")
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 1 + (self.momentum > 0) + self.centered

    def scratch(self) -> int:
        return 1 + (self.weight_decay != 0 or self.maximize)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    J. Duchi, E. Hazan and Y. Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization,
    2011.
    """

    fused_on = ("cpu",)
    gradients = ("dense", "sparse")
    whole = (*Optimizer.whole, "initial_accumulator_value")

    lr: float = arg(1e-2, doc=_LR, ge=0)
    lr_decay: float = arg(0.0, doc="how fast the learning rate falls with the steps", ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    initial_accumulator_value: float = arg(0.0, doc="where the sums of squares start", ge=0)
    eps: float = arg(1e-10, doc=_EPS, ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    fused: bool | None = arg(None, doc="update all parameters in one kernel", keyword=True)

    def state(self) -> int:
        return 1

    def scratch(self) -> int:
        return 0 if self.fuses() else 2


class Adadelta(Optimizer):
    """Steps as large as those of late, divided by the gradients of late: the units of the weights come out right.

    M. Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012 (arXiv:1212.5701).
    """

    lr: float = arg(1.0, doc=_LR, ge=0)
    rho: float = arg(0.9, doc="how much of the averages of squares is kept each step", ge=0, le=1)
    eps: float = arg(1e-6, doc="added to the averages of squares: it decides how the first steps begin", ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 2

    def scratch(self) -> int:
        return 2 + (self.weight_decay != 0 or self.maximize)


class Adafactor(Optimizer):
    """Steps divided by averages of squared gradients of which only rows' and columns' are kept: it needs little memory.

    N. Shazeer and M. Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, 2018 (arXiv:1804.04235).
    """

    shards = False

    lr: float = arg(1e-2, doc="learning rate: the most that a step goes, relative to the weights", ge=0)
    beta2_decay: float = arg(-0.8, doc="exponent by which the newest squares count less with the steps", le=0)
    eps: tuple[float | None, float] = arg(
        (None, 1e-3), doc="added to squared gradients (none: the type's resolution), and least size of weights", ge=0
    )
    d: float = arg(1.0, doc="steps whose mean square is above its square are clipped to it", ge=1)
    weight_decay: float = arg(0.0, doc="share of each weight that a step takes away, times lr", ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state_of(self, shape: Sequence[int]) -> int:
        if len(shape) < 2:
            return prod(shape)
        *others, rows, columns = shape
        return prod(others) * (rows + columns)

    def scratch(self) -> int:
        return 1 + self.maximize
