"""Optimizers that scale each weight's step by the gradients it has seen."""

from __future__ import annotations

from nnspec.arguments import arg
from nnspec.training.optimizer import Optimizer

_LR = "learning rate: how far a step goes"
_EPS = "added to the denominator, against division by zero"
_L2 = "pull towards zero, added to the gradient (L2)"
_BETAS = "how much of the averages of gradients and of their squares is kept each step"
_AMSGRAD = "divide by the largest average of squares so far"
_MAXIMIZE = "climb instead of descending"
_FOREACH = "update all parameters in one call of each operation"
_FUSED = "update all parameters in one kernel"


class Adam(Optimizer):
    """Steps by running averages of the gradients and of their squares.

    D. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, 2014 (arXiv:1412.6980).
    """

    fused_on = ("cpu", "cuda", "mps")

    lr: float = arg(1e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    amsgrad: bool = arg(False, doc=_AMSGRAD)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    fused: bool | None = arg(None, doc=_FUSED, keyword=True)
    decoupled_weight_decay: bool = arg(False, doc="decay the weights themselves, as AdamW does", keyword=True)

    def state(self) -> int:
        return 3 if self.amsgrad else 2


class AdamW(Optimizer):
    """Adam with the decay applied to the weights themselves, not to the gradients.

    I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2017 (arXiv:1711.05101).
    """

    fused_on = ("cpu", "cuda", "mps")

    lr: float = arg(1e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(1e-2, doc="share of each weight that a step takes away, times lr", ge=0)
    amsgrad: bool = arg(False, doc=_AMSGRAD)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    fused: bool | None = arg(None, doc=_FUSED, keyword=True)

    def state(self) -> int:
        return 3 if self.amsgrad else 2


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
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)

    def state(self) -> int:
        return 1 + (self.momentum > 0) + self.centered

    def scratch(self) -> int:
        return 1 + (self.weight_decay != 0)


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    J. Duchi, E. Hazan and Y. Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization,
    2011.
    """

    fused_on = ("cpu",)

    lr: float = arg(1e-2, doc=_LR, ge=0)
    lr_decay: float = arg(0.0, doc="how fast the learning rate falls with the steps", ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    initial_accumulator_value: float = arg(0.0, doc="where the sums of squares start", ge=0)
    eps: float = arg(1e-10, doc=_EPS, ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    fused: bool | None = arg(None, doc=_FUSED, keyword=True)

    def state(self) -> int:
        return 1
