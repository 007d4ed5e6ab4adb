"""Adam, and what came of it: steps by running averages of the gradients and of their sizes."""

from __future__ import annotations

from nnspec.arguments import arg
from nnspec.training.optimizer import Optimizer

_LR = "learning rate: how far a step goes"
_EPS = "added to the denominator, against division by zero"
_L2 = "pull towards zero, added to the gradient (L2)"
_DECOUPLED = "decay the weights themselves, as AdamW does"
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
    shards_fused = True
    since = (("decoupled_weight_decay", "2.7"),)

    lr: float = arg(1e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    amsgrad: bool = arg(False, doc=_AMSGRAD)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    fused: bool | None = arg(None, doc=_FUSED, keyword=True)
    decoupled_weight_decay: bool = arg(False, doc=_DECOUPLED, keyword=True)

    def state(self) -> int:
        return 3 if self.amsgrad else 2

    def scratch(self) -> int:
        return 0 if self.fuses() else 1


class AdamW(Optimizer):
    """Adam with the decay applied to the weights themselves, not to the gradients.

    I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2017 (arXiv:1711.05101).
    """

    fused_on = ("cpu", "cuda", "mps")
    shards_fused = True

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

    def scratch(self) -> int:
        return 0 if self.fuses() else 1


class Adamax(Optimizer):
    """Adam, divided by the largest gradient of late instead of the root of a mean square.

    D. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, 2014 (arXiv:1412.6980), section 7.
    """

    lr: float = arg(2e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg(
        (0.9, 0.999), doc="how much of the average of gradients and of the largest one is kept each step", ge=0, lt=1
    )
    eps: float = arg(1e-8, doc="added to the sizes of gradients, against division by zero", ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 2

    def scratch(self) -> int:
        return 1


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which grows during training.

    T. Dozat, Incorporating Nesterov Momentum into Adam, 2016.
    """

    lr: float = arg(2e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    momentum_decay: float = arg(4e-3, doc="how fast the momentum comes to its full size", ge=0)
    decoupled_weight_decay: bool = arg(False, doc=_DECOUPLED)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 2

    def scratch(self) -> int:
        copied = self.maximize or (self.weight_decay != 0 and not self.decoupled_weight_decay)
        return 1 + copied


class RAdam(Optimizer):
    """Adam that leaves the averages of squares out as long as too few gradients are in them.

    L. Liu and others, On the Variance of the Adaptive Learning Rate and Beyond, 2019 (arXiv:1908.03265).
    """

    lr: float = arg(1e-3, doc=_LR, ge=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, ge=0)
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    decoupled_weight_decay: bool = arg(False, doc=_DECOUPLED)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 2

    def scratch(self) -> int:
        return 1


class SparseAdam(Optimizer):
    """Adam for embeddings with sparse gradients: vectors that a batch does not use stay as they are.

    All gradients must be sparse, so the model learns nothing but `Embedding(..., sparse=true)` and their like.
    """

    gradients = ("sparse",)
    shards = False

    lr: float = arg(1e-3, doc=_LR, gt=0)
    betas: tuple[float, float] = arg((0.9, 0.999), doc=_BETAS, ge=0, lt=1)
    eps: float = arg(1e-8, doc=_EPS, gt=0)
    maximize: bool = arg(False, doc=_MAXIMIZE)

    def state(self) -> int:
        return 2
