"""Gradient descent: plain, with momentum, by signs, averaged, with steps of one length in all directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from nnspec.arguments import arg
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer

_LR = "learning rate: how far a step goes"
_L2 = "pull towards zero, added to the gradient (L2)"
_MAXIMIZE = "climb instead of descending"
_FOREACH = "update all parameters in one call of each operation"


class SGD(Optimizer):
    """Stochastic gradient descent: w = w - lr * g, with momentum if asked for.

    With Nesterov's momentum: I. Sutskever and others, On the importance of initialization and momentum in deep
    learning, 2013.
    """

    fused_on = ("cpu", "cuda", "mps")
    gradients = ("dense", "sparse")

    lr: float = arg(1e-3, doc=_LR, ge=0)
    momentum: float = arg(0.0, doc="share of the last step that is kept", ge=0)
    dampening: float = arg(0.0, doc="share of the gradient that momentum leaves out")
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    nesterov: bool = arg(False, doc="look ahead by the momentum; needs momentum > 0 and dampening = 0")
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    fused: bool | None = arg(None, doc="update all parameters in one kernel", keyword=True)

    def state(self) -> int:
        return int(self.momentum != 0)

    def scratch(self) -> int:
        return int(not self.fuses() and (self.weight_decay != 0 or self.maximize))

    def check(self) -> None:
        super().check()
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise SettingError(
                "nesterov=true needs momentum > 0 and dampening = 0", at="nesterov", helps=("add momentum=0.9",)
            )


class ASGD(Optimizer):
    """Gradient descent that keeps an average of the weights beside them.

    B. Polyak and A. Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992.
    """

    lr: float = arg(1e-2, doc=_LR, ge=0)
    lambd: float = arg(1e-4, doc="how fast the weights decay and the steps get shorter")
    alpha: float = arg(0.75, doc="exponent by which the steps get shorter")
    t0: float = arg(1e6, doc="the step at which averaging begins")
    weight_decay: float = arg(0.0, doc=_L2, ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH)
    maximize: bool = arg(False, doc=_MAXIMIZE)

    def state(self) -> int:
        return 1

    def scratch(self) -> int:
        return 1 + self.maximize


class Rprop(Optimizer):
    """Steps by the signs of the gradients; each weight's grows while its sign stays. For batches of all the data.

    M. Riedmiller and H. Braun, A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm, 1993.
    """

    shards = False

    lr: float = arg(1e-2, doc="the first step of each weight", ge=0)
    etas: tuple[float, float] = arg((0.5, 1.2), doc="how a step shrinks when the sign turns, and grows when it stays")
    step_sizes: tuple[float, float] = arg((1e-6, 50.0), doc="the least and the greatest step", ge=0)
    foreach: bool | None = arg(None, doc=_FOREACH, keyword=True)
    maximize: bool = arg(False, doc=_MAXIMIZE, keyword=True)

    def state(self) -> int:
        return 2

    def scratch(self) -> int:
        return 2

    def check(self) -> None:
        super().check()
        shrink, grow = self.etas
        if not 0 < shrink < 1 < grow:
            message = "the first of `etas` shrinks steps, and must lie between 0 and 1; the second makes them grow"
            raise SettingError(message, at="etas", helps=("torch's own are etas=(0.5, 1.2)",))
        least, most = self.step_sizes
        if not least <= most:
            raise SettingError("the first of `step_sizes` is the least step, and above the greatest", at="step_sizes")


class Muon(Optimizer):
    """Momentum, made orthogonal: each matrix takes a step of one length in all directions. It trains matrices only.

    K. Jordan and others, Muon: An optimizer for hidden layers in neural networks, 2024; match_rms_adamw: J. Liu and
    others, Muon is Scalable for LLM Training, 2025 (arXiv:2502.16982).
    """

    since = (("", "2.9"),)
    shards = False

    lr: float = arg(1e-3, doc=_LR, ge=0)
    weight_decay: float = arg(0.1, doc="share of each weight that a step takes away, times lr", ge=0)
    momentum: float = arg(0.95, doc="how much of the average of gradients is kept each step", ge=0)
    nesterov: bool = arg(True, doc="look ahead by the momentum")
    ns_coefficients: tuple[float, float, float] = arg(
        (3.4445, -4.775, 2.0315), doc="of the polynomial that makes a matrix orthogonal (Newton-Schulz)"
    )
    eps: float = arg(1e-7, doc="least norm that a matrix is divided by", ge=0)
    ns_steps: int = arg(5, doc="how often the polynomial is applied", ge=0, lt=100)
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = arg(
        None, doc="how the learning rate depends on a matrix's sizes (none: original)"
    )

    def state(self) -> int:
        return 1

    def scratch(self) -> int:
        return 1  # it is three for one matrix; but they take their turns

    def check_parameters(self, parameters: Iterable[tuple[str, Sequence[int]]]) -> None:
        others = [(name, len(shape)) for name, shape in parameters if len(shape) != 2]
        if not others:
            return
        name, rank = others[0]
        more = len(others) - 1
        rest = f"; {more:,} more {'are' if more > 1 else 'is'} none either" if more else ""
        raise SettingError(
            f"`Muon` trains matrices only, and `{name}` has {rank} dimension{'s' * (rank != 1)}{rest}",
            code="NNS627",
            helps=("leave out biases (bias=false) and layers whose weights are no matrices, or train with AdamW",),
        )
