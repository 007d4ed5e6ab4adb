"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: w = w - lr * g, with momentum if asked for.

    With Nesterov's momentum: I. Sutskever and others, On the importance of initialization and momentum in deep
    learning, 2013.
    """

    fused_on = ("cpu", "cuda", "mps")

    lr: float = arg(1e-3, doc="learning rate: how far a step goes", ge=0)
    momentum: float = arg(0.0, doc="share of the last step that is kept", ge=0)
    dampening: float = arg(0.0, doc="share of the gradient that momentum leaves out")
    weight_decay: float = arg(0.0, doc="pull towards zero, added to the gradient (L2)", ge=0)
    nesterov: bool = arg(False, doc="look ahead by the momentum; needs momentum > 0 and dampening = 0")
    maximize: bool = arg(False, doc="climb instead of descending", keyword=True)
    foreach: bool | None = arg(None, doc="update all parameters in one call of each operation", keyword=True)
    fused: bool | None = arg(None, doc="update all parameters in one kernel", keyword=True)

    def state(self) -> int:
        return int(self.momentum != 0)

    def check(self) -> None:
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise SettingError(
                "nesterov=true needs momentum > 0 and dampening = 0", at="nesterov", helps=("add momentum=0.9",)
            )
